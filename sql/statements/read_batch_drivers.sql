-- read_batch_drivers: the couriers that the changes of one batch concern; for those asked for by
-- id also how many open orders they have, exact because their rows are locked by then. Each is
-- looked up by itself: a plan made while the tables were empty would read them whole.
-- $1 order_ids uuid[]   $2 driver_ids uuid[]   $3 tenants uuid[]
-- => driver driver_record   deleted bool   active int8   lat float8?   lng float8?
-- => seen_at timestamptz?
-- index: drivers_pkey, orders_pkey, orders_driver_open, driver_locations_pkey
-- used by: store::batch
select driver_record(d.driver) as driver, d.deleted,
       case when d.id = any ($2)
            then (select count(*) from orders a where a.driver_id = d.id and a.closed_at is null)
            else 0 end as active,
       case when l.driver_id is not null then l.lat end as lat,
       case when l.driver_id is not null then l.lng end as lng,
       case when l.driver_id is not null then l.recv_at end as seen_at
from (select o.driver_id as id
      from unnest($1::uuid[]) as w (id)
      cross join lateral (select o.driver_id from orders o where o.id = w.id offset 0) as o
      where o.driver_id is not null
      union select unnest($2::uuid[])) as n
cross join lateral (
    select d as driver, d.id, d.deleted_at is not null as deleted
    from drivers d
    where d.id = n.id and (d.tenant_id = any ($3)) is true
    offset 0) as d
left join lateral (select * from driver_locations l where l.driver_id = d.id offset 0) as l on true
