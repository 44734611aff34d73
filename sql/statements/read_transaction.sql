-- read_transaction: what dates the events of one batch, and what tells its outcome later.
-- => at timestamptz   xid text
-- used by: store::writer
select date_trunc('milliseconds', clock_timestamp()) as at, pg_current_xact_id()::text as xid
