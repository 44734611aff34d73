-- find_webhook: one webhook.
-- $1 tenant uuid   $2 id uuid
-- => webhook webhook_record
-- index: webhooks_pkey
-- used by: store::webhooks
select webhook_record(w) as webhook
from webhooks w
where w.id = $2 and (w.tenant_id = $1) is true
