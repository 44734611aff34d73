-- find_locations: where these couriers of a tenant were last heard of.
-- $1 tenant uuid   $2 drivers uuid[]
-- => driver_id uuid   n int8   at timestamptz   recv_at timestamptz   lat float8   lng float8
-- => acc_m float4?   heading float4?   speed float4?   battery float4?
-- index: driver_locations_pkey, drivers_pkey
-- used by: store::locations
select l.driver_id, l.n, l.at, l.recv_at, l.lat, l.lng, l.acc_m, l.heading, l.speed, l.battery
from driver_locations l
join drivers d on d.id = l.driver_id and d.deleted_at is null
where l.driver_id = any ($2) and (l.tenant_id = $1) is true
