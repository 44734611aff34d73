-- keep_idempotency_key: what is answered to a key, in the transaction of its effect. A key that is
-- there already changes nothing; one that another transaction brings is waited for.
-- $1 tenant uuid   $2 scope text   $3 key text   $4 hash bytea   $5 created bool   $6 answer jsonb?
-- locks: taken last, as in a batch
-- index: idempotency_keys_pkey
-- used by: store::once
insert into idempotency_keys (tenant_id, scope, key, request_hash, created, answer, created_at)
values ($1, $2, $3, $4, $5, $6, now())
on conflict (tenant_id, scope, key) do nothing
