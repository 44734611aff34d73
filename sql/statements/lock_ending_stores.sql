-- lock_ending_stores: a store that is about to be deleted. It waits for all who hold it, and they
-- for it. Its batch has no other store: two such locks could not be taken in one order.
-- $1 ids uuid[]   $2 tenants uuid[]
-- => id uuid
-- locks: store rows, until commit
-- index: stores_pkey
-- used by: store::batch
select s.id
from stores s
where s.id = any ($1) and (s.tenant_id = any ($2)) is true
order by s.id
for update of s
