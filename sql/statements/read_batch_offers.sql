-- read_batch_offers: the offers of one batch's orders that are pending, and those it answers.
-- $1 order_ids uuid[]   $2 offer_ids uuid[]   $3 tenants uuid[]
-- => offer offer_record
-- index: orders_pkey, offers_pending, offers_pkey
-- used by: store::batch
select offer_record(f) as offer
from orders o
join offers f on f.order_id = o.id and f.state = 'pending'
where o.id = any ($1) and o.leg = 'offering' and (f.tenant_id = any ($3)) is true
union all
select offer_record(f) as offer
from offers f
where f.id = any ($2) and f.state <> 'pending' and (f.tenant_id = any ($3)) is true
