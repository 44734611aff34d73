-- replay_webhook: has a webhook go on after another position, at once.
-- $1 tenant uuid   $2 id uuid   $3 after int8
-- => webhook webhook_record
-- locks: the webhook
-- index: webhooks_pkey
-- used by: store::webhooks
update webhooks w
set cursor = $3, tries = 0, failing_since = null, next_try_at = null
where w.id = $2 and (w.tenant_id = $1) is true
returning webhook_record(w) as webhook
