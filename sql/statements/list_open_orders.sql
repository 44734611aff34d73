-- list_open_orders: the open orders of one tenant, oldest first, at an exact
-- position of the log.
-- $1 tenant uuid   $2 stores uuid[]?   $3 statuses text[]?   $4 limit int8
-- => position int8   record order_record?   store store_record?   driver driver_record?
-- index: orders_tenant_open
-- used by: store::orders
select h.last as position, p.record, p.store, p.driver
from log_head h
left join (
select order_record(o) as record, store_record(s) as store,
       case when d.id is not null then driver_record(d) end as driver
from orders o
join stores s on s.id = o.store_id
left join drivers d on d.id = o.driver_id
where o.tenant_id = $1 and o.closed_at is null
  and ($2::uuid[] is null or o.store_id = any ($2))
  and ($3::text[] is null or o.status = any ($3))
order by o.created_at, o.id
limit $4
) p on true
