-- insert_credential: an API key becomes usable.
-- $1 id uuid   $2 tenant uuid   $3 kind text   $4 subject text   $5 hash bytea
-- used by: store::tenants
insert into credentials (id, tenant_id, kind, subject_id, hash) values ($1, $2, $3, $4, $5)
