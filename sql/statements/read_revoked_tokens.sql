-- read_revoked_tokens: a page of all that is revoked, after the last of the page before.
-- $1 after_tenant uuid   $2 after_id uuid   $3 limit int8
-- => tenant_id uuid   id uuid   keep_until timestamptz
-- index: revoked_tokens_pkey
-- used by: store::listen
select r.tenant_id, r.id, r.keep_until
from revoked_tokens r
where (r.tenant_id, r.id) > ($1, $2)
order by r.tenant_id, r.id
limit $3
