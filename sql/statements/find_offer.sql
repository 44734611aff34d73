-- find_offer: one courier's offer: which order it is of, and how it stands.
-- $1 tenant uuid   $2 id uuid   $3 driver uuid
-- => offer offer_record
-- index: offers_pkey
-- used by: store::offers
select offer_record(f) as offer
from offers f
where f.id = $2 and f.driver_id = $3 and (f.tenant_id = $1) is true
