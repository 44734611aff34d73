-- read_batch_drivers: the couriers that the changes of one batch concern; for those asked for by
-- id also how many open orders they have, exact because their rows are locked by then.
-- $1 order_ids uuid[]   $2 driver_ids uuid[]   $3 tenants uuid[]
-- => driver driver_record   deleted bool   active int8   lat float8?   lng float8?
-- => seen_at timestamptz?
-- index: drivers_pkey, orders_pkey, orders_driver_open, driver_locations_pkey
-- used by: store::batch
select driver_record(d) as driver, d.deleted_at is not null as deleted,
       case when d.id = any ($2)
            then (select count(*) from orders a where a.driver_id = d.id and a.closed_at is null)
            else 0 end as active,
       case when l.driver_id is not null then l.lat end as lat,
       case when l.driver_id is not null then l.lng end as lng,
       case when l.driver_id is not null then l.recv_at end as seen_at
from drivers d
left join driver_locations l on l.driver_id = d.id
where d.id in (select o.driver_id from orders o where o.id = any ($1)
               union select unnest($2::uuid[]))
  and (d.tenant_id = any ($3)) is true
