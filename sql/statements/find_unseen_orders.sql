-- find_unseen_orders: which of these orders wait for an answer so long that it is worth a look
-- whether anybody at the store can see them.
-- $1 orders uuid[]
-- => order_id uuid   store_id uuid   tenant_id uuid
-- index: orders_pkey
-- used by: store::offers
select o.id as order_id, o.store_id, o.tenant_id
from orders o
where o.id = any ($1) and o.status = 'placed' and not 'silence' = any (o.told)
  and o.placed_at <= now() - interval '1 minute'
