-- find_link: whose tracking link this is, also one that has ended, and its order as it stands.
-- $1 hash bytea
-- => id uuid   tenant_id uuid   ttl_h int4   revoked_at timestamptz?   at timestamptz
-- => record order_record   store store_record   driver driver_record?
-- index: tracking_links_hash_key, orders_pkey, stores_pkey, drivers_pkey
-- used by: store::links
select l.id, l.tenant_id, l.ttl_h, l.revoked_at, now() as at,
       order_record(o) as record, store_record(s) as store,
       case when d.id is not null then driver_record(d) end as driver
from tracking_links l
join orders o on o.id = l.order_id and (o.tenant_id = l.tenant_id) is true
join stores s on s.id = o.store_id
left join drivers d on d.id = o.driver_id
where l.hash = $1
