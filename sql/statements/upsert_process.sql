-- upsert_process: says that a process lives, and asks whether others do.
-- $1 id uuid   $2 alive_s float8
-- => is_new bool   others int8
-- locks: the process's own row
-- index: processes_pkey, processes_seen_at
-- used by: store::members
insert into processes as p (id, seen_at)
values ($1, now())
on conflict (id) do update set seen_at = excluded.seen_at
returning p.xmax = 0 as is_new,
    (select count(*) from processes o
     where o.seen_at > now() - make_interval(secs => $2) and o.id <> $1) as others
