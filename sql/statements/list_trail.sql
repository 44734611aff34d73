-- list_trail: where a courier was, in order, after a point and before a time. What a device says is
-- at most minutes ahead of when it is written, so older partitions are not opened.
-- $1 tenant uuid   $2 driver uuid   $3 at timestamptz   $4 n int8   $5 until timestamptz
-- $6 limit int8
-- => n int8   at timestamptz   recv_at timestamptz   lat float8   lng float8
-- => acc_m float4?   heading float4?   speed float4?   battery float4?
-- index: location_trail_driver
-- used by: store::trails
select l.n, l.at, l.recv_at, l.lat, l.lng, l.acc_m, l.heading, l.speed, l.battery
from location_trail l
where l.tenant_id = $1 and l.driver_id = $2 and l.at >= $3 and (l.at, l.n) > ($3, $4)
  and l.at < $5 and l.recv_at >= $3 - interval '10 minutes'
order by l.at, l.n limit $6
