-- list_proofs: an order's proofs that are not older than asked for, the oldest first.
-- $1 tenant uuid   $2 order uuid   $3 max_age_s float8   $4 limit int8
-- => id uuid   at_point text   kind text   attempt int4   url text?   ref text?
-- => content_type text?   hash bytea?   bytes int4?   by_role text   by_id text
-- => occurred_at timestamptz   recorded_at timestamptz   lat float8?   lng float8?
-- index: proofs_order
-- used by: store::proofs
select p.id, p.at_point, p.kind, p.attempt, p.url, p.ref, p.content_type, p.hash,
       octet_length(p.data) as bytes, p.by_role, p.by_id, p.occurred_at, p.recorded_at, p.lat, p.lng
from proofs p
where p.order_id = $2 and (p.tenant_id = $1) is true
  and (p.recorded_at > now() - make_interval(secs => $3)) is true
order by p.recorded_at, p.id limit $4
