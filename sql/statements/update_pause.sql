-- update_pause: stores' pauses after one batch.
-- $1 ids uuid[]   $2 untils timestamptz[]
-- locks: store rows held (lock_stores)
-- index: stores_pkey
-- used by: store::commit
update stores s set paused_until = u.until
from unnest($1::uuid[], $2::timestamptz[]) as u (id, until)
where s.id = u.id
