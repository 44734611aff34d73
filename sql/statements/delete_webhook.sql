-- delete_webhook: forgets a webhook and what was tried.
-- $1 tenant uuid   $2 id uuid
-- locks: the webhook and its attempts
-- index: webhooks_pkey
-- used by: store::webhooks
delete from webhooks w
where w.id = $2 and (w.tenant_id = $1) is true
