-- list_drivers: a tenant's couriers in order of id, a page after a cursor. To be planned for its
-- values.
-- $1 tenant uuid   $2 after uuid?   $3 external_id text?   $4 limit int8
-- => driver driver_record
-- index: drivers_tenant_id_external_id_key
-- used by: store::parties
select driver_record(d) as driver
from drivers d
where d.tenant_id = $1 and d.deleted_at is null and ($2::uuid is null or d.id > $2)
  and ($3::text is null or d.external_id = $3)
order by d.id
limit $4
