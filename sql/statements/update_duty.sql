-- update_duty: couriers' duty after one batch.
-- $1 ids uuid[]   $2 duties text[]
-- locks: driver rows held (lock_drivers)
-- index: drivers_pkey
-- used by: store::commit
update drivers d set duty = u.duty
from unnest($1::uuid[], $2::text[]) as u (id, duty)
where d.id = u.id
