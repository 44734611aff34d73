-- delete_members: those who left a process's channels, all of one flush. The arrays are of equal length.
-- $1 process uuid   $2 channels text[]   $3 clients uuid[]
-- locks: the rows it deletes
-- index: members_pkey
-- used by: store::members
delete from members m
using unnest($2::text[], $3::uuid[]) as n(channel, client)
where m.process_id = $1 and m.channel = n.channel and m.client_id = n.client
