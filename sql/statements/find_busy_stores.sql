-- find_busy_stores: which of these stores have open orders, exact because their rows are locked.
-- $1 ids uuid[]   $2 tenants uuid[]
-- => id uuid
-- index: stores_pkey, orders_store_open
-- used by: store::batch
select s.id
from stores s
where s.id = any ($1) and (s.tenant_id = any ($2)) is true
  and exists (select from orders o where o.store_id = s.id and o.closed_at is null)
