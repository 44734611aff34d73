-- claim_idempotency_key: takes a key for the length of a lease, if nobody has it; one whose lease
-- is over can be taken again.
-- $1 tenant uuid   $2 scope text   $3 key text   $4 hash bytea   $5 lease_s float8
-- index: idempotency_keys_pkey
-- used by: store::once
insert into idempotency_keys as i (tenant_id, scope, key, request_hash, claimed_until, created_at)
values ($1, $2, $3, $4, now() + make_interval(secs => $5), now())
on conflict (tenant_id, scope, key) do update
set request_hash = excluded.request_hash, claimed_until = excluded.claimed_until,
    created_at = excluded.created_at
where i.claimed_until <= now()
