-- wake_tours: the other stops of these couriers' tours are to be looked at now.
-- $1 drivers uuid[]
-- locks: timers, in order of their ids, each alone
-- index: orders_driver_open, timers_pkey
-- used by: store::offers
update timers t set due_at = least(t.due_at, date_trunc('milliseconds', now()))
where t.kind = 'order' and t.subject_id = any (array(
    select w.subject_id from timers w
    where w.kind = 'order' and w.subject_id in (
        select o.id from orders o
        where o.driver_id = any ($1) and o.closed_at is null and o.stop_seq is not null)
    order by w.subject_id for update skip locked))
