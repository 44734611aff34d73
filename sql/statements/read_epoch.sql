-- read_epoch: which log this is and where it ends. The epoch changes when the database is
-- restored, rewound or taken over: another cluster has another identifier, another history
-- another timeline.
-- => epoch text   last int8
-- used by: store::listen
select left(md5(h.seed || c.system_identifier::text
                || left(pg_walfile_name(pg_current_wal_lsn()), 8)), 12) as epoch,
       h.last
from log_head h, pg_control_system() c
