-- read_oldest_position: where the log that is still held begins.
-- => oldest int8?
-- index: events_pkey
-- used by: store::log
select min(e.position) as oldest from events e
