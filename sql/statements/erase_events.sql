-- erase_events: events without what is personal. The arrays are of equal length.
-- $1 positions int8[]   $2 datas json[]
-- locks: the events; their orders are locked
-- index: events_pkey
-- used by: store::erase
update events e
set data = ($2::json[])[array_position($1, e.position)],
    actor_id = case when e.actor_role = 'customer' then '' else e.actor_id end
where e.position = any ($1)
