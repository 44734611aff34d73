-- find_enabled_webhook: whether anything is to be posted to anybody.
-- => found bool
-- used by: store::webhooks
select exists (select from webhooks w where w.enabled) as found
