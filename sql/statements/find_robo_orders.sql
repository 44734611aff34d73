-- find_robo_orders: which of these orders go their way by themselves and are about to take a step
-- with a courier: with one who was made for that, or without one yet.
-- $1 orders uuid[]
-- => order_id uuid   tenant_id uuid   driver_id uuid?   leg text   at timestamptz
-- => store_lat float8   store_lng float8   lat float8?   lng float8?
-- index: orders_pkey, stores_pkey, drivers_pkey
-- used by: store::robo
select o.id as order_id, o.tenant_id, o.driver_id, o.leg, now() as at,
       s.lat as store_lat, s.lng as store_lng, o.dropoff_lat as lat, o.dropoff_lng as lng
from orders o
join stores s on s.id = o.store_id
left join drivers d on d.id = o.driver_id
where o.id = any ($1) and o.robo_at <= now() and o.fulfilment = 'delivery'
  and (d.robo or (d.id is null and o.status = 'ready'))
