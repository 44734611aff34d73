-- list_order_offers: who was asked for an order, the latest first.
-- $1 tenant uuid   $2 order uuid   $3 limit int8
-- => offer offer_record
-- index: offers_order
-- used by: store::offers
select offer_record(f) as offer
from offers f
where f.order_id = $2 and (f.tenant_id = $1) is true
order by f.sent_at desc, f.id desc limit $3
