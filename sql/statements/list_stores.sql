-- list_stores: a tenant's stores in order of id, a page after a cursor. To be planned for its
-- values.
-- $1 tenant uuid   $2 after uuid?   $3 external_id text?   $4 limit int8
-- => store store_record
-- index: stores_tenant_id_external_id_key
-- used by: store::parties
select store_record(s) as store
from stores s
where s.tenant_id = $1 and s.deleted_at is null and ($2::uuid is null or s.id > $2)
  and ($3::text is null or s.external_id = $3)
order by s.id
limit $4
