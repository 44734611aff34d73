-- read_batch_stores: the stores that the changes of one batch concern, with their tenants' rules.
-- $1 order_ids uuid[]   $2 store_ids uuid[]   $3 tenants uuid[]
-- => store store_record   deleted bool   accept_s int4   customer_cancel_until text
-- => offer_mode text?   offer_s int4   offer_rounds int4   search_lead_s int4   robo bool
-- index: stores_pkey, orders_pkey, tenants_pkey
-- used by: store::batch
select store_record(s) as store, s.deleted_at is not null as deleted, t.accept_s,
       t.customer_cancel_until, t.offer_mode, t.offer_s, t.offer_rounds, t.search_lead_s,
       t.robo
from stores s
join tenants t on t.id = s.tenant_id
where s.id in (select o.store_id from orders o where o.id = any ($1)
               union select unnest($2::uuid[]))
  and (s.tenant_id = any ($3)) is true
