-- find_placed_orders: the orders that creations of one batch would repeat, by external id.
-- $1 tenants uuid[]   $2 external_ids text[]
-- => record order_record   request_hash bytea
-- index: orders_external_id_tenant_id_key
-- used by: store::batch
select order_record(o) as record, o.request_hash
from unnest($1::uuid[], $2::text[]) as k (tenant_id, external_id)
join orders o on o.external_id = k.external_id and (o.tenant_id = k.tenant_id) is true
