-- append_events: the accepted facts of one batch become rows of the log, in batch order, and
-- everyone who listens is told the range.
-- $1 records event_record[]
-- => first int8   last int8   notified bool
-- locks: log_head, the last lock taken, until commit: this is the order of commits
-- used by: store::commit
with head as (
    update log_head set last = last + cardinality($1::event_record[])
    where singleton
    returning last
), appended as (
    insert into events (position, id, tenant_id, store_id, order_id, driver_id, prior_driver_id,
                        n, type, actor_role, actor_id, was, status, occurred_at, recorded_at, data)
    select head.last - cardinality($1::event_record[]) + e.nth, e.id, e.tenant_id, e.store_id,
           e.order_id, e.driver_id, e.prior_driver_id, e.n, e.type, e.actor_role, e.actor_id,
           e.was, e.status, e.occurred_at, e.recorded_at, e.data
    from head, rows from (unnest($1::event_record[])) with ordinality as e (
        id, tenant_id, store_id, order_id, driver_id, prior_driver_id, n, type, actor_role,
        actor_id, was, status, occurred_at, recorded_at, data, nth)
    order by e.nth
)
select head.last - cardinality($1::event_record[]) + 1 as first, head.last,
       pg_notify('ordercast',
                 (head.last - cardinality($1::event_record[]) + 1)::text || '-' || head.last::text)
       is not null as notified
from head
