-- finish_cut: ends the newest partition at its border and has the next begin there; null when there
-- was no border that was looked through.
-- $1 patience_ms int4
-- => border int8?
-- locks: the log whole, for a moment
-- used by: store::upkeep
select finish_cut($1) as border
