-- find_candidates: for each of these orders that searches for a courier now, who could be asked: on
-- duty, with room, not asked in this search, within reach, the nearest first; a row without a
-- courier when there is none. With drivers named only those, wherever they are. A search that is
-- yet to begin has asked nobody; the squares of the grid reach further than the radius. The version
-- is of the order that was looked at.
-- $1 orders uuid[]   $2 drivers uuid[]?   $3 is_asked bool   $4 radius_m float8   $5 nearest int8
-- $6 limit int8
-- => order_id uuid   version int8   driver_id uuid?   distance_m int4?   room int8?
-- index: orders_pkey, stores_pkey, driver_locations_cell, drivers_pkey
-- index: orders_driver_open, offers_driver_pending, offers_order
-- used by: store::offers
select o.id as order_id, o.version, c.driver_id, c.distance_m, c.room
from orders o
join stores s on s.id = o.store_id
left join lateral (
    select n.driver_id, n.distance_m, r.room
    from (
        select l.driver_id,
               (12742017.6 * asin(sqrt(least(1.0,
                   power(sin(radians(l.lat - s.lat) / 2), 2)
                   + cos(radians(s.lat)) * cos(radians(l.lat))
                     * power(sin(radians(l.lng - s.lng) / 2), 2)))))::integer as distance_m
        from (select $4::float8 / 111195 / greatest(cos(radians(s.lat)), 0.01) as degrees) w
        cross join generate_series(floor((s.lat - $4::float8 / 111195 + 90) / 0.05)::integer,
                                   floor((s.lat + $4::float8 / 111195 + 90) / 0.05)::integer) as y (line)
        cross join generate_series(floor((s.lng - w.degrees + 180) / 0.05)::integer,
                                   floor((s.lng + w.degrees + 180) / 0.05)::integer) as x (col)
        join driver_locations l on l.tenant_id = o.tenant_id and l.cell = y.line * 7200 + x.col
        join drivers d on d.id = l.driver_id and d.duty = 'on' and d.deleted_at is null
                      and not d.robo
        where l.recv_at > now() - interval '5 minutes' and $2::uuid[] is null
        union all
        select d.id, null::integer from unnest($2::uuid[]) as w (id)
        join drivers d on d.id = w.id and d.duty = 'on' and d.deleted_at is null
                      and d.tenant_id = o.tenant_id
        order by 2 nulls last limit $5
    ) n
    cross join lateral (
        select d.capacity
               - (select count(*) from orders a
                  where a.driver_id = d.id and a.closed_at is null)
               - (select count(*) from offers p
                  where p.driver_id = d.id and p.state = 'pending') as room
        from drivers d where d.id = n.driver_id) r
    where r.room > 0 and (n.distance_m is null or n.distance_m <= $4::float8)
      and n.driver_id is distinct from o.lost_by
      and not exists (select from offers f
                      where o.leg = 'offering' and f.order_id = o.id and f.since = o.search_since
                        and f.driver_id = n.driver_id)
    order by n.distance_m nulls last limit $6
) c on true
where o.id = any ($1) and o.closed_at is null and o.driver_id is null
  and o.fulfilment = 'delivery' and o.status in ('accepted', 'preparing', 'ready')
  and ($3 or (o.leg = 'none' and o.search_at <= now())
          or (o.leg = 'offering' and o.search_until <= now()))
