-- list_driver_offers: what a courier is asked now, with the orders and their stores.
-- $1 tenant uuid   $2 driver uuid   $3 limit int8
-- => offer offer_record   record order_record   store store_record
-- index: offers_driver_pending, orders_pkey, stores_pkey
-- used by: store::offers
select offer_record(f) as offer, order_record(o) as record, store_record(s) as store
from offers f
join orders o on o.id = f.order_id
join stores s on s.id = o.store_id
where f.driver_id = $2 and f.state = 'pending' and (f.tenant_id = $1) is true
  and f.expires_at > now()
order by f.expires_at limit $3
