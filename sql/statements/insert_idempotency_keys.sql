-- insert_idempotency_keys: what one batch answers to its keys; a key already there fails the batch.
-- $1 tenants uuid[]   $2 scopes text[]   $3 keys text[]   $4 hashes bytea[]   $5 created bool[]
-- $6 outcomes order_record[]   $7 answers jsonb[]   $8 at timestamptz
-- used by: store::commit
insert into idempotency_keys
    (tenant_id, scope, key, request_hash, created, order_id, outcome, answer, created_at)
select k.tenant_id, k.scope, k.key, k.request_hash, k.created, (($6::order_record[])[k.nth]).id,
       to_jsonb(($6::order_record[])[k.nth]), ($7::jsonb[])[k.nth], $8
from unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[], $5::bool[])
     with ordinality as k (tenant_id, scope, key, request_hash, created, nth)
order by k.tenant_id, k.scope, k.key
