-- lock_drivers: couriers who are about to get orders, change duty or be deleted, locked in
-- ascending id.
-- $1 ids uuid[]   $2 tenants uuid[]
-- => id uuid
-- locks: driver rows, after the order rows, until commit
-- index: drivers_pkey
-- used by: store::batch
select d.id
from drivers d
where d.id = any ($1) and (d.tenant_id = any ($2)) is true
order by d.id
for no key update of d
