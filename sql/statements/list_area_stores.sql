-- list_area_stores: a tenant's stores within a part of the map; where it is wider than itself, across
-- the date line.
-- $1 tenant uuid   $2 south float8   $3 west float8   $4 north float8   $5 east float8   $6 limit int8
-- => id uuid
-- index: stores_tenant_id_external_id_key
-- used by: store::parties
select s.id
from stores s
where s.tenant_id = $1 and s.deleted_at is null and s.lat between $2 and $4
  and case when $3::float8 <= $5::float8 then s.lng between $3 and $5 else s.lng >= $3 or s.lng <= $5 end
limit $6
