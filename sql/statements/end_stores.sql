-- end_stores: stores that one batch deletes.
-- $1 ids uuid[]   $2 at timestamptz
-- locks: store rows held (lock_ending_stores)
-- index: stores_pkey
-- used by: store::commit
update stores s set deleted_at = $2
where s.id = any ($1)
