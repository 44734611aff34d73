-- delete_webhook_attempts: forgets attempts older than they are kept, a bounded number at once.
-- $1 ttl_s float8   $2 limit int8
-- locks: attempts that no one else locks
-- index: webhook_attempts_at
-- used by: store::sweep
delete from webhook_attempts a
where a.ctid = any (array(select k.ctid from webhook_attempts k
                          where k.at < now() - make_interval(secs => $1)
                          order by k.at limit $2))
