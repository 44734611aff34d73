-- list_locations: where the couriers of a tenant were last heard of, if that was not longer ago.
-- $1 tenant uuid   $2 age_s float8   $3 limit int8
-- => driver_id uuid   n int8   at timestamptz   recv_at timestamptz   lat float8   lng float8
-- => acc_m float4?   heading float4?   speed float4?   battery float4?
-- index: driver_locations_cell, drivers_pkey
-- used by: store::locations
select l.driver_id, l.n, l.at, l.recv_at, l.lat, l.lng, l.acc_m, l.heading, l.speed, l.battery
from driver_locations l
join drivers d on d.id = l.driver_id and d.deleted_at is null
where l.tenant_id = $1 and l.recv_at > now() - make_interval(secs => $2)
limit $3
