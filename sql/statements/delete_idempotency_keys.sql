-- delete_idempotency_keys: forgets what is older than a key is honoured, a bounded number at once.
-- $1 ttl_s float8   $2 limit int8
-- locks: key rows that no one else locks
-- index: idempotency_keys_created
-- used by: store::sweep
delete from idempotency_keys i
where i.ctid = any (array(select k.ctid from idempotency_keys k
                          where k.created_at < now() - make_interval(secs => $1)
                          order by k.created_at limit $2))
