-- notify_moves: tells other processes who came and went.
-- $1 payloads text[]
-- => notified bool
-- used by: store::members
select pg_notify('ordercast_members', n.payload) is not null as notified
from unnest($1::text[]) as n(payload)
