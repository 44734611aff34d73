-- begin_cut: draws a border ahead of the head of the log, if the newest partition began so many
-- days ago; whether there is one now.
-- $1 every_days int4   $2 patience_ms int4
-- => begun bool
-- locks: the newest partition, for a moment
-- used by: store::upkeep
select begin_cut($1, $2) as begun
