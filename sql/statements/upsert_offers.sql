-- upsert_offers: the offers that one batch made or closed, each as it is after it.
-- $1 records offer_record[]
-- locks: offers of orders that the batch has locked
-- index: offers_pkey
-- used by: store::commit
insert into offers as f (id, tenant_id, order_id, driver_id, since, round, state, sent_at,
                         expires_at, closed_at, distance_m)
select r.id, r.tenant_id, r.order_id, r.driver_id, r.since, r.round, r.state, r.sent_at,
       r.expires_at, r.closed_at, r.distance_m
from unnest($1::offer_record[]) as r (id, tenant_id, order_id, driver_id, since, round, state,
                                      sent_at, expires_at, closed_at, distance_m)
on conflict (id) do update set state = excluded.state, closed_at = excluded.closed_at
