-- read_last_order_events: the newest of one order's events before a position, newest first.
-- $1 tenant uuid   $2 order uuid   $3 before int8   $4 limit int8
-- => position int8   id uuid   tenant_id uuid   store_id uuid?   order_id uuid?   driver_id uuid?
-- => prior_driver_id uuid?   n int8?   type text   actor_role text   actor_id text   was text?
-- => status text?   occurred_at timestamptz   recorded_at timestamptz   data json
-- index: events_order
-- used by: store::log
select e.position, e.id, e.tenant_id, e.store_id, e.order_id, e.driver_id, e.prior_driver_id, e.n, e.type,
       e.actor_role, e.actor_id, e.was, e.status, e.occurred_at, e.recorded_at, e.data
from events e
where e.order_id = $2 and (e.tenant_id = $1) is true and e.position < $3
order by e.position desc
limit $4
