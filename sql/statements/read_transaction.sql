-- read_transaction: what dates the events of one batch, and what tells its outcome later: the
-- transaction, and a position before all that it will append.
-- => at timestamptz   xid text   last int8
-- used by: store::batch
select date_trunc('milliseconds', clock_timestamp()) as at, pg_current_xact_id()::text as xid,
       h.last
from log_head h
