-- insert_webhook: makes a webhook for what is committed from now on, unless its tenant has enough.
-- $1 id uuid   $2 tenant uuid   $3 url text   $4 types text[]?   $5 secret bytea   $6 most int8
-- => webhook webhook_record
-- index: webhooks_tenant
-- used by: store::webhooks
insert into webhooks as w (id, tenant_id, url, types, secret, cursor)
select $1, $2, $3, $4, $5, h.last
from log_head h
where (select count(*) from webhooks o where o.tenant_id = $2) < $6
returning webhook_record(w) as webhook
