-- lock_stores: stores that are about to pause or open, or to be told silent, locked in ascending id.
-- $1 ids uuid[]   $2 tenants uuid[]
-- => id uuid
-- locks: store rows, after the driver rows, until commit
-- index: stores_pkey
-- used by: store::batch
select s.id
from stores s
where s.id = any ($1) and (s.tenant_id = any ($2)) is true
order by s.id
for no key update of s
