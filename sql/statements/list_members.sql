-- list_members: who is on some channels at other processes that live.
-- $1 process uuid   $2 channels text[]   $3 alive_s float8   $4 limit int8
-- => client_id uuid   user_id text   conn_info text?
-- index: members_channel, processes_pkey
-- used by: store::members
select m.client_id, m.user_id, m.conn_info
from members m
join processes p on p.id = m.process_id
where m.channel = any ($2) and m.process_id <> $1
    and p.seen_at > now() - make_interval(secs => $3)
order by m.client_id
limit $4
