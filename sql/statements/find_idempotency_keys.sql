-- find_idempotency_keys: what was answered to the keys of one batch before.
-- $1 tenants uuid[]   $2 scopes text[]   $3 keys text[]
-- => tenant_id uuid   scope text   key text   request_hash bytea   created bool   answer jsonb?
-- => record order_record?
-- index: idempotency_keys_pkey
-- used by: store::batch
select i.tenant_id, i.scope, i.key, i.request_hash, i.created, i.answer,
       case when i.outcome is not null
            then jsonb_populate_record(null::order_record, i.outcome) end as record
from unnest($1::uuid[], $2::text[], $3::text[]) as k (tenant_id, scope, key)
join idempotency_keys i
  on i.tenant_id = k.tenant_id and i.scope = k.scope and i.key = k.key
