-- find_event: where an event is in the log, if it is, after a position that it must follow.
-- $1 after int8   $2 id uuid
-- => position int8
-- index: events_pkey
-- used by: store::writer
select e.position
from events e
where e.position > $1 and e.id = $2
order by e.position
limit 1
