-- delete_revoked_tokens: forgets revocations of what has expired since, a bounded number at once.
-- $1 limit int8
-- locks: revocation rows that no one else locks
-- index: revoked_tokens_keep_until
-- used by: store::sweep
delete from revoked_tokens r
where r.ctid = any (array(select k.ctid from revoked_tokens k
                          where k.keep_until < now()
                          order by k.keep_until limit $1))
