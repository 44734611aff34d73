-- list_open_store_orders: the open orders of one store, oldest first, at an exact position of the log.
-- $1 tenant uuid   $2 store uuid   $3 limit int8
-- => position int8   record order_record?   store store_record?   driver driver_record?
-- index: orders_store_open
-- used by: store::orders
select h.last as position, p.record, p.store, p.driver
from log_head h
left join (
select order_record(o) as record, store_record(s) as store,
       case when d.id is not null then driver_record(d) end as driver
from orders o
join stores s on s.id = o.store_id
left join drivers d on d.id = o.driver_id
where o.store_id = $2 and (o.tenant_id = $1) is true and o.closed_at is null
order by o.created_at, o.id
limit $3
) p on true
