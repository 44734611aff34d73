-- find_driver: one courier, unless deleted.
-- $1 tenant uuid   $2 id uuid
-- => driver driver_record
-- index: drivers_pkey
-- used by: store::parties
select driver_record(d) as driver from drivers d
where d.id = $2 and (d.tenant_id = $1) is true and d.deleted_at is null
