-- insert_link: makes a tracking link of an order, unless it has enough that are not revoked, or
-- has been over for so long that it would show nothing.
-- $1 id uuid   $2 tenant uuid   $3 order uuid   $4 hash bytea   $5 ttl_h int4?   $6 most int8
-- => ttl_h int4   created_at timestamptz
-- index: orders_pkey, tenants_pkey, tracking_links_order
-- used by: store::links
insert into tracking_links as l (id, tenant_id, order_id, hash, ttl_h)
select $1, o.tenant_id, o.id, $4, coalesce($5, t.link_ttl_h)
from orders o
join tenants t on t.id = o.tenant_id
where o.id = $3 and (o.tenant_id = $2) is true
  and (select count(*) from tracking_links k where k.order_id = $3 and k.revoked_at is null) < $6
  and (o.closed_at is null
       or o.closed_at > now() - make_interval(hours => coalesce($5, t.link_ttl_h)))
returning l.ttl_h, l.created_at
