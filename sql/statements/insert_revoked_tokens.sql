-- insert_revoked_tokens: what one batch revokes; what is there already fails the batch.
-- $1 tenants uuid[]   $2 ids uuid[]   $3 at timestamptz   $4 keep_untils timestamptz[]
-- used by: store::commit
insert into revoked_tokens (tenant_id, id, revoked_at, keep_until)
select k.tenant_id, k.id, $3, k.keep_until
from unnest($1::uuid[], $2::uuid[], $4::timestamptz[]) as k (tenant_id, id, keep_until)
order by k.tenant_id, k.id
