-- find_store: one store, unless it was deleted.
-- $1 tenant uuid   $2 id uuid
-- => store store_record
-- index: stores_pkey
-- used by: store::parties
select store_record(s) as store from stores s
where s.id = $2 and (s.tenant_id = $1) is true and s.deleted_at is null
