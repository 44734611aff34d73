-- upsert_locations: where couriers are; what is older than what is known is left alone, and so are
-- couriers that are not there. In one order, so that processes that write the same ones take turns.
-- $1 drivers uuid[]   $2 tenants uuid[]   $3 ns int8[]   $4 ats timestamptz[]   $5 lats float8[]
-- $6 lngs float8[]   $7 accs float4[]   $8 headings float4[]   $9 speeds float4[]
-- $10 batteries float4[]   $11 cells int4[]
-- index: driver_locations_pkey, drivers_pkey
-- used by: store::locations
insert into driver_locations as l (driver_id, tenant_id, n, at, recv_at, lat, lng, acc_m, heading,
                                   speed, battery, cell)
select p.driver, p.tenant, p.n, p.at, now(), p.lat, p.lng, p.acc, p.heading, p.speed, p.battery,
       p.cell
from unnest($1::uuid[], $2::uuid[], $3::int8[], $4::timestamptz[], $5::float8[], $6::float8[],
            $7::float4[], $8::float4[], $9::float4[], $10::float4[], $11::int4[])
     as p (driver, tenant, n, at, lat, lng, acc, heading, speed, battery, cell)
join drivers d on d.id = p.driver and (d.tenant_id = p.tenant) is true
order by p.driver
on conflict (driver_id) do update set
    n = excluded.n, at = excluded.at, recv_at = excluded.recv_at, lat = excluded.lat,
    lng = excluded.lng, acc_m = excluded.acc_m, heading = excluded.heading,
    speed = excluded.speed, battery = excluded.battery, cell = excluded.cell
where (l.at, l.n) < (excluded.at, excluded.n)
