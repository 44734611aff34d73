-- What will be due by itself, and when.

create table timers (
    kind text not null,
    subject_id uuid not null,
    tenant_id uuid not null,
    due_at timestamptz not null,
    primary key (kind, subject_id)
) with (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000);
comment on table timers is
    'One row for each thing of which something is due by itself; gone when nothing is any more.';
comment on column timers.kind is 'What it is of: order. Each release fires the kinds it knows.';
comment on column timers.due_at is
    'When the next is due; put off by whoever is doing it, so that another does if that one dies.';
create index timers_due_at on timers (due_at);

-- The orders that wait for something already.
insert into timers (kind, subject_id, tenant_id, due_at)
select 'order', o.id, o.tenant_id, d.due_at
from orders o
cross join lateral (
    select case o.status
               when 'scheduled' then o.release_at
               when 'placed' then o.accept_by
               when 'accepted'
                   then o.ready_eta - make_interval(mins => coalesce(o.prep_min, 0))
           end as due_at) d
where o.closed_at is null and d.due_at is not null;
