-- find_picture: the bytes of one proof that is kept here and not older than asked for.
-- $1 tenant uuid   $2 order uuid   $3 id uuid   $4 max_age_s float8
-- => at_point text   kind text   content_type text?   data bytea?
-- index: proofs_pkey
-- used by: store::proofs
select p.at_point, p.kind, p.content_type, p.data
from proofs p
where p.id = $3 and (p.order_id = $2) is true and (p.tenant_id = $1) is true
  and (p.recorded_at > now() - make_interval(secs => $4)) is true and p.data is not null
