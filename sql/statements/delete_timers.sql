-- delete_timers: nothing is due any more of what one batch changed. The arrays are of equal length.
-- $1 kinds text[]   $2 subjects uuid[]   $3 tenants uuid[]
-- locks: rows whose subjects the batch has locked
-- index: timers_pkey
-- used by: store::commit
delete from timers t
using unnest($1::text[], $2::uuid[], $3::uuid[]) as n (kind, subject, tenant)
where t.kind = n.kind and t.subject_id = n.subject and (t.tenant_id = n.tenant) is true
