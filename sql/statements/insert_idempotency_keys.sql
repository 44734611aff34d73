-- insert_idempotency_keys: what one batch answers to its keys; a key already there fails the batch.
-- $1 tenants uuid[]   $2 scopes text[]   $3 keys text[]   $4 hashes bytea[]
-- $5 outcomes order_record[]   $6 at timestamptz
-- used by: store::commit
insert into idempotency_keys (tenant_id, scope, key, request_hash, order_id, outcome, created_at)
select k.tenant_id, k.scope, k.key, k.request_hash, (($5::order_record[])[k.nth]).id,
       to_jsonb(($5::order_record[])[k.nth]), $6
from unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[])
     with ordinality as k (tenant_id, scope, key, request_hash, nth)
order by k.tenant_id, k.scope, k.key
