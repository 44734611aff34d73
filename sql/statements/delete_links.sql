-- delete_links: forgets tracking links that ended a while ago, a bounded number at once.
-- $1 keep_s float8   $2 limit int8
-- locks: link rows that no one else locks
-- index: tracking_links_created, orders_pkey
-- used by: store::sweep
delete from tracking_links l
where l.ctid = any (array(
    select k.ctid
    from tracking_links k
    join orders o on o.id = k.order_id
    where k.created_at < now() - make_interval(secs => $1)
      and (k.revoked_at < now() - make_interval(secs => $1)
           or o.closed_at < now() - make_interval(hours => k.ttl_h) - make_interval(secs => $1))
    order by k.created_at limit $2))
