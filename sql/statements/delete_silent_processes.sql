-- delete_silent_processes: forgets those that have not said for long that they live.
-- $1 silent_s float8
-- locks: their rows and members
-- index: processes_seen_at
-- used by: store::members
delete from processes p
where p.seen_at < now() - make_interval(secs => $1)
