-- end_drivers: couriers that one batch deletes; they are off duty from then on.
-- $1 ids uuid[]   $2 at timestamptz
-- locks: driver rows held (lock_drivers)
-- index: drivers_pkey
-- used by: store::commit
update drivers d set deleted_at = $2, duty = 'off'
where d.id = any ($1)
