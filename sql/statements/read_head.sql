-- read_head: the position of the newest committed event.
-- => last int8
-- used by: store::log
select h.last from log_head h
