-- upsert_store: makes a store or brings the one with this external id up to date; one
-- that was deleted is there again.
-- $1 id uuid   $2 tenant uuid   $3 external_id text   $4 name text   $5 lat float8   $6 lng float8
-- $7 tz text   $8 phone text?   $9 auto_accept bool   $10 default_prep_min int4
-- => store store_record   created bool
-- index: stores_tenant_id_external_id_key
-- used by: store::parties
insert into stores as s (id, tenant_id, external_id, name, lat, lng, tz, phone, auto_accept,
                         default_prep_min)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
on conflict (tenant_id, external_id) do update set
    name = excluded.name, lat = excluded.lat, lng = excluded.lng, tz = excluded.tz,
    phone = excluded.phone, auto_accept = excluded.auto_accept,
    default_prep_min = excluded.default_prep_min, deleted_at = null
returning store_record(s) as store, s.id = $1 as created
