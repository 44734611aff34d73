-- find_order: one order as it stands, with its store and courier, at an exact position of the log.
-- $1 tenant uuid   $2 id uuid
-- => position int8   record order_record   store store_record   driver driver_record?
-- index: orders_pkey, stores_pkey, drivers_pkey
-- used by: store::orders
select h.last as position, order_record(o) as record, store_record(s) as store,
       case when d.id is not null then driver_record(d) end as driver
from orders o
join stores s on s.id = o.store_id
left join drivers d on d.id = o.driver_id
cross join log_head h
where o.id = $2 and (o.tenant_id = $1) is true
