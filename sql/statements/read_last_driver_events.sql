-- read_last_driver_events: the newest of one courier's events before a position, newest first.
-- $1 tenant uuid   $2 driver uuid   $3 before int8   $4 limit int8
-- => position int8   id uuid   tenant_id uuid   store_id uuid?   order_id uuid?   driver_id uuid?
-- => prior_driver_id uuid?   n int8?   type text   actor_role text   actor_id text   was text?
-- => status text?   occurred_at timestamptz   recorded_at timestamptz   data json
-- index: events_driver, events_prior_driver
-- used by: store::log
select e.position, e.id, e.tenant_id, e.store_id, e.order_id, e.driver_id, e.prior_driver_id, e.n, e.type,
       e.actor_role, e.actor_id, e.was, e.status, e.occurred_at, e.recorded_at, e.data
from (
    (select * from events where driver_id = $2 and position < $3 order by position desc limit $4)
    union all
    (select * from events where prior_driver_id = $2 and position < $3
     order by position desc limit $4)
) as e
where e.tenant_id = $1
order by e.position desc
limit $4
