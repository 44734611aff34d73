-- find_next_timer: how long until the next timer is due; less than nothing when one is overdue.
-- $1 kinds text[]
-- => wait_s float8
-- index: timers_due_at
-- used by: store::timers
select extract(epoch from t.due_at - now())::float8 as wait_s
from timers t
where t.kind = any ($1)
order by t.due_at limit 1
