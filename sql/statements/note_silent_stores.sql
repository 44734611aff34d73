-- note_silent_stores: stores where orders wait and nobody sees them; those of which that was told
-- lately are left out.
-- $1 ids uuid[]   $2 tenants uuid[]   $3 pause_s float8
-- => id uuid
-- locks: store rows that lock_stores has locked
-- index: stores_pkey
-- used by: store::batch
update stores s set silent_at = now()
where s.id = any (array(select l.id from stores l
                        where l.id = any ($1) and (l.tenant_id = any ($2)) is true
                          and (l.silent_at is null
                               or l.silent_at <= now() - make_interval(secs => $3))
                        order by l.id for no key update))
returning s.id
