-- upsert_timers: when something is next due of what one batch changed. The arrays are of equal length.
-- $1 kinds text[]   $2 subjects uuid[]   $3 tenants uuid[]   $4 due_ats timestamptz[]
-- locks: rows whose subjects the batch has locked
-- index: timers_pkey
-- used by: store::commit
insert into timers as t (kind, subject_id, tenant_id, due_at)
select n.kind, n.subject, n.tenant, n.due_at
from unnest($1::text[], $2::uuid[], $3::uuid[], $4::timestamptz[])
     as n (kind, subject, tenant, due_at)
on conflict (kind, subject_id) do update set due_at = excluded.due_at
where t.due_at <> excluded.due_at
