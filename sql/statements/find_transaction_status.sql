-- find_transaction_status: whether a transaction whose commit was not heard did commit.
-- $1 xid text
-- => status text?
-- used by: store::writer
select pg_xact_status($1::text::xid8) as status
