-- find_credential: whose API key this is, unless it has ended.
-- $1 hash bytea
-- => id uuid   tenant_id uuid   kind text   subject_id text
-- index: credentials_hash_key
-- used by: store::tenants
select c.id, c.tenant_id, c.kind, c.subject_id
from credentials c
where c.hash = $1 and c.revoked_at is null and (c.expires_at is null or c.expires_at > now())
