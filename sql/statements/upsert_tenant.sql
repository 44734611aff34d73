-- upsert_tenant: makes a tenant or finds the one of this name.
-- $1 id uuid   $2 name text
-- => id uuid
-- index: tenants_name_key
-- used by: store::tenants
insert into tenants as t (id, name) values ($1, $2)
on conflict (name) do update set name = excluded.name
returning t.id
