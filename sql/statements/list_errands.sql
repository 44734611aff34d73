-- list_errands: couriers with the open orders they have, as far as these decide who sees where they
-- are and what they are about to arrive at, at an exact position of the log; a row without an order
-- for one who has none, and none for one who is not there. Wrapped, as a plain column would be said
-- not to be null.
-- $1 drivers uuid[]   $2 tenants uuid[]
-- => position int8   driver_id uuid?   vehicle text?   order_id uuid?   store_id uuid?
-- => status text?   leg text?   toured bool?   stops_before int4?   near_lat float8?
-- => near_lng float8?
-- index: drivers_pkey, orders_driver_open, stores_pkey
-- used by: store::locations
select h.last as position, coalesce(p.driver_id) as driver_id, coalesce(p.vehicle) as vehicle,
       coalesce(p.order_id) as order_id, coalesce(p.store_id) as store_id,
       coalesce(p.status) as status, coalesce(p.leg) as leg, p.toured,
       coalesce(p.stops_before) as stops_before, p.near_lat, p.near_lng
from log_head h
left join (
    select d.id as driver_id, d.vehicle_type as vehicle, o.id as order_id, o.store_id, o.status,
           o.leg, o.stop_seq is not null as toured, o.stops_before,
           case when o.leg = 'assigned' and not 'near_store' = any (o.told) then s.lat
                when o.leg = 'en_route' and o.status = 'picked_up' and o.stops_before = 0
                     and not 'near_door' = any (o.told) then o.dropoff_lat end as near_lat,
           case when o.leg = 'assigned' and not 'near_store' = any (o.told) then s.lng
                when o.leg = 'en_route' and o.status = 'picked_up' and o.stops_before = 0
                     and not 'near_door' = any (o.told) then o.dropoff_lng end as near_lng
    from drivers d
    left join orders o on o.driver_id = d.id and o.closed_at is null
    left join stores s on s.id = o.store_id
    where d.id = any ($1) and d.deleted_at is null and (d.tenant_id = any ($2)) is true
) p on true
