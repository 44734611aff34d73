-- Who is there, told by each process to the others. Not of the log: it is about connections, and
-- ends with them, so it need not outlive a crash of the database either.

create unlogged table processes (
    id uuid primary key,
    seen_at timestamptz not null
);
comment on table processes is 'The processes that serve sockets.';
comment on column processes.seen_at is 'When it last said that it lives.';
create index processes_seen_at on processes (seen_at);

create unlogged table members (
    process_id uuid not null references processes (id) on delete cascade,
    channel text not null,
    client_id uuid not null,
    user_id text not null,
    conn_info text,
    primary key (process_id, channel, client_id)
);
comment on table members is 'The connections on channels, as far as other processes may be asked for them.';
comment on column members.conn_info is 'JSON: what others may know of the connection.';
create index members_channel on members (channel);
