-- read_oldest_position: where the log that is still held begins; what comes next, if nothing is held.
-- => oldest int8
-- used by: store::log
select least(h.oldest, h.last + 1) as oldest from log_head h
