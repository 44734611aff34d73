-- end_credentials: the API keys and tracking links among what one batch revokes; of the rest it
-- finds nothing.
-- $1 tenants uuid[]   $2 ids uuid[]   $3 at timestamptz
-- locks: link and credential rows, after their revocation rows (insert_revoked_tokens)
-- index: tracking_links_pkey, credentials_pkey
-- used by: store::commit
with links as (
    update tracking_links l set revoked_at = $3
    from unnest($1::uuid[], $2::uuid[]) as k (tenant_id, id)
    where l.id = k.id and (l.tenant_id = k.tenant_id) is true and l.revoked_at is null)
update credentials c set revoked_at = $3
from unnest($1::uuid[], $2::uuid[]) as k (tenant_id, id)
where c.id = k.id and (c.tenant_id = k.tenant_id) is true and c.revoked_at is null
