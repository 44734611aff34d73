-- insert_members: members of a process's channels, all of one flush. The arrays are of equal length.
-- $1 process uuid   $2 channels text[]   $3 clients uuid[]   $4 users text[]   $5 infos text[]
-- locks: the rows it inserts
-- index: members_pkey
-- used by: store::members
insert into members (process_id, channel, client_id, user_id, conn_info)
select $1, n.channel, n.client, n.user_id, n.info
from unnest($2::text[], $3::uuid[], $4::text[], $5::text[]) as n(channel, client, user_id, info)
on conflict (process_id, channel, client_id) do nothing
