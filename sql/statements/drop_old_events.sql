-- drop_old_events: drops the oldest partition, if all in it is older than so many days; where the
-- log begins now, or null.
-- $1 days int4   $2 patience_ms int4
-- => oldest int8?
-- locks: the log whole, for a moment; log_head
-- used by: store::upkeep
select drop_old_events($1, $2) as oldest
