-- delete_process: forgets a process and its members.
-- $1 id uuid
-- locks: the process's row and its members
-- index: processes_pkey
-- used by: store::members
delete from processes p
where p.id = $1
