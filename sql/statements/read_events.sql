-- read_events: the log after a position, in order: one page of the feed.
-- $1 after int8   $2 limit int8
-- => position int8   id uuid   tenant_id uuid   store_id uuid?   order_id uuid?   driver_id uuid?
-- => prior_driver_id uuid?   n int8?   type text   actor_role text   actor_id text   was text?
-- => status text?   occurred_at timestamptz   recorded_at timestamptz   data json
-- index: events_pkey
-- used by: store::listen
select e.position, e.id, e.tenant_id, e.store_id, e.order_id, e.driver_id, e.prior_driver_id, e.n, e.type,
       e.actor_role, e.actor_id, e.was, e.status, e.occurred_at, e.recorded_at, e.data
from events e
where e.position > $1
order by e.position
limit $2
