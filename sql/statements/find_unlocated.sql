-- find_unlocated: couriers on duty with room of whom nobody knows where they are, for an order that
-- found nobody near; bounded, in order of their ids.
-- $1 order uuid   $2 looked_at int8   $3 limit int8
-- => driver_id uuid   room int8
-- index: orders_pkey, drivers_on_duty, driver_locations_pkey
-- index: orders_driver_open, offers_driver_pending, offers_order
-- used by: store::offers
select n.driver_id, n.room
from orders o
cross join lateral (
    select d.id as driver_id,
           d.capacity
           - (select count(*) from orders a where a.driver_id = d.id and a.closed_at is null)
           - (select count(*) from offers p
              where p.driver_id = d.id and p.state = 'pending') as room
    from (select id, capacity from drivers
          where tenant_id = o.tenant_id and duty = 'on' and deleted_at is null and not robo
          order by id limit $2) d
    where not exists (select from driver_locations l
                      where l.driver_id = d.id and l.recv_at > now() - interval '5 minutes')
      and d.id is distinct from o.lost_by
      and not exists (select from offers f
                      where o.leg = 'offering' and f.order_id = o.id and f.since = o.search_since
                        and f.driver_id = d.id)
) n
where o.id = $1 and n.room > 0
order by n.driver_id limit $3
