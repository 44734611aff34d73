-- lift_border: takes the border away that the log has come to.
-- $1 patience_ms int4
-- locks: the newest partition, for a moment
-- used by: store::upkeep
select from lift_border($1)
