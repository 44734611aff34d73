-- lock_orders: the orders of one batch, locked in ascending id so that writers cannot deadlock.
-- $1 ids uuid[]   $2 tenants uuid[]
-- => record order_record   request_hash bytea
-- locks: order rows, until commit
-- index: orders_pkey
-- used by: store::batch
select order_record(o) as record, o.request_hash
from orders o
where o.id = any ($1) and (o.tenant_id = any ($2)) is true
order by o.id
for update of o
