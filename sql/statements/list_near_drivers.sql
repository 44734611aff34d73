-- list_near_drivers: the couriers of a tenant that were last heard of within a distance of a place,
-- the nearest first; the squares of the grid reach at least as far.
-- $1 tenant uuid   $2 cells int4[]   $3 lat float8   $4 lng float8   $5 radius_m float8
-- $6 limit int8
-- => driver driver_record   distance_m int4   age_s float8   n int8   at timestamptz
-- => recv_at timestamptz   lat float8   lng float8   acc_m float4?   heading float4?
-- => speed float4?   battery float4?
-- index: driver_locations_cell, drivers_pkey
-- used by: store::locations
select driver_record(d) as driver, w.distance_m,
       extract(epoch from now() - l.recv_at)::float8 as age_s, l.n, l.at, l.recv_at, l.lat, l.lng,
       l.acc_m, l.heading, l.speed, l.battery
from driver_locations l
join drivers d on d.id = l.driver_id and d.deleted_at is null
cross join lateral (
    select (12742017.6 * asin(sqrt(least(1.0,
               power(sin(radians(l.lat - $3::float8) / 2), 2)
               + cos(radians($3)) * cos(radians(l.lat))
                 * power(sin(radians(l.lng - $4::float8) / 2), 2)))))::integer as distance_m
) w
where l.tenant_id = $1 and l.cell = any ($2) and w.distance_m <= $5::float8
order by w.distance_m, l.driver_id
limit $6
