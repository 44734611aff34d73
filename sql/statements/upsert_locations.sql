-- upsert_locations: where couriers are; what is older than what is known is left alone. Also which
-- open orders of theirs are to be looked at because they are about to arrive.
-- $1 drivers uuid[]   $2 tenants uuid[]   $3 ns int8[]   $4 ats timestamptz[]   $5 lats float8[]
-- $6 lngs float8[]   $7 accs float4[]   $8 headings float4[]   $9 speeds float4[]
-- $10 batteries float4[]   $11 cells int4[]
-- => order_id uuid
-- index: driver_locations_pkey, orders_driver_open, stores_pkey
-- used by: store::locations
with known as (
    insert into driver_locations as l (driver_id, tenant_id, n, at, recv_at, lat, lng, acc_m,
                                       heading, speed, battery, cell)
    select p.driver, p.tenant, p.n, p.at, now(), p.lat, p.lng, p.acc, p.heading, p.speed,
           p.battery, p.cell
    from unnest($1::uuid[], $2::uuid[], $3::int8[], $4::timestamptz[], $5::float8[], $6::float8[],
                $7::float4[], $8::float4[], $9::float4[], $10::float4[], $11::int4[])
         as p (driver, tenant, n, at, lat, lng, acc, heading, speed, battery, cell)
    on conflict (driver_id) do update set
        n = excluded.n, at = excluded.at, recv_at = excluded.recv_at, lat = excluded.lat,
        lng = excluded.lng, acc_m = excluded.acc_m, heading = excluded.heading,
        speed = excluded.speed, battery = excluded.battery, cell = excluded.cell
    where l.at < excluded.at
    returning l.driver_id, l.lat, l.lng)
select o.id as order_id
from known k
join orders o on o.driver_id = k.driver_id and o.closed_at is null
join stores s on s.id = o.store_id
where (o.leg = 'assigned' and not 'near_store' = any (o.told)
       and abs(s.lat - k.lat) < 0.005 and abs(s.lng - k.lng) < 0.01)
   or (o.leg = 'en_route' and not 'near_door' = any (o.told)
       and abs(o.dropoff_lat - k.lat) < 0.005 and abs(o.dropoff_lng - k.lng) < 0.01)
