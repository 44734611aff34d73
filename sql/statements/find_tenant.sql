-- find_tenant: one tenant's name.
-- $1 id uuid
-- => name text
-- index: tenants_pkey
-- used by: store::tenants
select t.name from tenants t where t.id = $1
