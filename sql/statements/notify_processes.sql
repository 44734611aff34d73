-- notify_processes: tells the other processes something that need not last.
-- $1 payloads text[]
-- => notified bool
-- used by: store::members
select pg_notify('ordercast_processes', n.payload) is not null as notified
from unnest($1::text[]) as n(payload)
