-- insert_proofs: what proved the hand-overs that one batch recorded.
-- $1 records proof_record[]
-- locks: proofs of orders that the batch has locked
-- used by: store::commit
insert into proofs (id, tenant_id, order_id, at_point, kind, attempt, url, ref, content_type, hash,
                    data, by_role, by_id, occurred_at, recorded_at, lat, lng)
select r.id, r.tenant_id, r.order_id, r.at_point, r.kind, r.attempt, r.url, r.ref, r.content_type,
       r.hash, r.data, r.by_role, r.by_id, r.occurred_at, r.recorded_at, r.lat, r.lng
from unnest($1::proof_record[]) as r (id, tenant_id, order_id, at_point, kind, attempt, url, ref,
                                      content_type, hash, data, by_role, by_id, occurred_at,
                                      recorded_at, lat, lng)
