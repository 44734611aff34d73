-- read_batch_stops: how many open orders come before each of these in its courier's tour.
-- $1 order_ids uuid[]   $2 tenants uuid[]
-- => order_id uuid   stops int8
-- index: orders_pkey, orders_driver_open
-- used by: store::batch
select o.id as order_id,
       (select count(*) from orders b
        where b.driver_id = o.driver_id and b.closed_at is null
          and (b.batch_id = o.batch_id) is true
          and b.stop_seq < o.stop_seq) as stops
from orders o
where o.id = any ($1) and o.stop_seq is not null and (o.tenant_id = any ($2)) is true
