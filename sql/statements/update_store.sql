-- update_store: changes what is given of a store.
-- $1 tenant uuid   $2 id uuid   $3 name text?   $4 lat float8?   $5 lng float8?   $6 tz text?
-- $7 phone text?   $8 auto_accept bool?   $9 default_prep_min int4?
-- => store store_record
-- index: stores_pkey
-- used by: store::parties
update stores s set
    name = coalesce($3, s.name), lat = coalesce($4, s.lat), lng = coalesce($5, s.lng),
    tz = coalesce($6, s.tz), phone = coalesce($7, s.phone),
    auto_accept = coalesce($8, s.auto_accept),
    default_prep_min = coalesce($9, s.default_prep_min)
where s.id = $2 and (s.tenant_id = $1) is true and s.deleted_at is null
returning store_record(s) as store
