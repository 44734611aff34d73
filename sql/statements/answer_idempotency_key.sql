-- answer_idempotency_key: what is answered to a key that was taken.
-- $1 tenant uuid   $2 scope text   $3 key text   $4 hash bytea   $5 created bool   $6 answer jsonb?
-- locks: the key's row
-- index: idempotency_keys_pkey
-- used by: store::once
update idempotency_keys i
set created = $5, answer = $6, claimed_until = null
where i.tenant_id = $1 and i.scope = $2 and i.key = $3 and i.request_hash = $4
  and i.claimed_until is not null
