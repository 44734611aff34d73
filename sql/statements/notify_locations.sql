-- notify_locations: tells the other processes where couriers are.
-- $1 payloads text[]
-- => notified bool
-- used by: store::locations
select pg_notify('ordercast_locations', n.payload) is not null as notified
from unnest($1::text[]) as n(payload)
