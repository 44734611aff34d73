-- read_erased_events: what the log holds of the orders that one batch erases.
-- $1 orders uuid[]
-- => position int8   data json
-- index: events_order
-- used by: store::erase
select e.position, e.data
from events e
where e.order_id = any ($1)
order by e.position
