-- find_transaction_status: whether a transaction whose commit was not heard did commit. A number
-- that is yet to be drawn, or was drawn for this question, is one that a crash of the server lost.
-- $1 xid text
-- => status text?
-- used by: store::writer
select case when $1::text::xid8 < pg_current_xact_id() then pg_xact_status($1::text::xid8)
            else 'aborted' end as status
