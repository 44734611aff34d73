-- claim_timers: some of what is due, the longest due first; put off so that nobody else does it
-- meanwhile. Rows that others hold are passed over.
-- $1 kinds text[]   $2 limit int8   $3 lease_s float8
-- => kind text   subject_id uuid   tenant_id uuid
-- locks: the rows it returns, and waits for none
-- index: timers_due_at
-- used by: store::timers
update timers t set due_at = now() + make_interval(secs => $3)
where t.ctid = any (array(select d.ctid from timers d
                          where d.due_at <= date_trunc('milliseconds', now())
                            and d.kind = any ($1)
                          order by d.due_at limit $2
                          for update skip locked))
returning t.kind, t.subject_id, t.tenant_id
