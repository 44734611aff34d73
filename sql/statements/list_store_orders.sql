-- list_store_orders: one store's orders, as in list_orders.
-- $1 tenant uuid   $2 statuses text[]?   $3 legs text[]?   $4 store uuid?   $5 driver uuid?
-- $6 external_id text?   $7 placed_from timestamptz?   $8 placed_to timestamptz?
-- $9 updated_since timestamptz?   $10 batch uuid?   $11 late bool?   $12 before_at timestamptz?
-- $13 before_id uuid?   $14 store_id uuid   $15 open bool   $16 limit int8
-- => record order_record   store store_record   driver driver_record?
-- index: orders_store_created, orders_store_open
-- used by: store::orders
select order_record(o) as record, store_record(s) as store,
       case when d.id is not null then driver_record(d) end as driver
from orders o
join stores s on s.id = o.store_id
left join drivers d on d.id = o.driver_id
where (o.tenant_id = $1) is true
  and o.store_id = $14
  and ($2::text[] is null or o.status = any ($2))
  and ($3::text[] is null or o.leg = any ($3))
  and ($4::uuid is null or o.store_id = $4)
  and ($5::uuid is null or o.driver_id = $5)
  and ($6::text is null or o.external_id = $6)
  and ($7::timestamptz is null or o.placed_at >= $7)
  and ($8::timestamptz is null or o.placed_at < $8 and o.created_at < $8)
  and ($9::timestamptz is null
       or o.updated_at >= $9 and (o.closed_at is null or o.closed_at >= $9))
  and ($10::uuid is null or o.batch_id = $10)
  and ($11::bool is null or $11 = (o.told && array['accept', 'prep', 'pickup', 'delivery']))
  and (not $15 or o.closed_at is null)
  and ($12::timestamptz is null or (o.created_at, o.id) < ($12, $13::uuid))
order by o.created_at desc, o.id desc
limit $16
