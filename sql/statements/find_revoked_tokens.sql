-- find_revoked_tokens: what one batch is asked to revoke and is revoked already.
-- $1 tenants uuid[]   $2 ids uuid[]
-- => tenant_id uuid   id uuid
-- index: revoked_tokens_pkey
-- used by: store::batch
select r.tenant_id, r.id
from unnest($1::uuid[], $2::uuid[]) as k (tenant_id, id)
join revoked_tokens r on r.tenant_id = k.tenant_id and r.id = k.id
