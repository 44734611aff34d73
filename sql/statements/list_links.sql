-- list_links: an order's tracking links that are not revoked, oldest first.
-- $1 tenant uuid   $2 order uuid
-- => id uuid   ttl_h int4   created_at timestamptz
-- index: tracking_links_order
-- used by: store::links
select l.id, l.ttl_h, l.created_at
from tracking_links l
where l.order_id = $2 and (l.tenant_id = $1) is true and l.revoked_at is null
order by l.id
