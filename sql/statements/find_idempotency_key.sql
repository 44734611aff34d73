-- find_idempotency_key: what was answered to a key before, or for how long another is at it.
-- $1 tenant uuid   $2 scope text   $3 key text
-- => request_hash bytea   created bool   answer jsonb?   claimed_s float8?
-- index: idempotency_keys_pkey
-- used by: store::once
select i.request_hash, i.created, i.answer,
       extract(epoch from i.claimed_until - now())::float8 as claimed_s
from idempotency_keys i
where i.tenant_id = $1 and i.scope = $2 and i.key = $3
