-- hold_stores: stores that are about to get orders, held in ascending id against being deleted.
-- Neither a pause nor another order waits for it.
-- $1 ids uuid[]   $2 tenants uuid[]
-- => id uuid
-- locks: store rows for key share, after those of lock_stores, until commit
-- index: stores_pkey
-- used by: store::batch
select s.id
from stores s
where s.id = any ($1) and (s.tenant_id = any ($2)) is true
order by s.id
for key share of s
