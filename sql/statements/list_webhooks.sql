-- list_webhooks: a tenant's webhooks in order of id, a page after a cursor.
-- $1 tenant uuid   $2 after uuid   $3 limit int8
-- => webhook webhook_record
-- index: webhooks_tenant
-- used by: store::webhooks
select webhook_record(w) as webhook
from webhooks w
where w.tenant_id = $1 and w.id > $2
order by w.id
limit $3
