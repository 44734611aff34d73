-- read_batch_stores: the stores that the changes of one batch concern, with their tenants' rules.
-- Each is looked up by itself: a plan made while the tables were empty would read them whole.
-- $1 order_ids uuid[]   $2 store_ids uuid[]   $3 tenants uuid[]
-- => store store_record   deleted bool   accept_s int4   customer_cancel_until text
-- => offer_mode text?   offer_s int4   offer_rounds int4   search_lead_s int4   robo bool
-- index: stores_pkey, orders_pkey, tenants_pkey
-- used by: store::batch
select store_record(s.store) as store, s.deleted, t.accept_s, t.customer_cancel_until,
       t.offer_mode, t.offer_s, t.offer_rounds, t.search_lead_s, t.robo
from (select o.store_id as id
      from unnest($1::uuid[]) as w (id)
      cross join lateral (select o.store_id from orders o where o.id = w.id offset 0) as o
      union select unnest($2::uuid[])) as n
cross join lateral (
    select s as store, s.tenant_id, s.deleted_at is not null as deleted
    from stores s
    where s.id = n.id and (s.tenant_id = any ($3)) is true
    offset 0) as s
cross join lateral (select * from tenants t where t.id = s.tenant_id offset 0) as t
