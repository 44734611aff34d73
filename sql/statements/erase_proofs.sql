-- erase_proofs: what was shown to prove the hand-overs of orders; that it was shown stays.
-- $1 orders uuid[]
-- locks: the proofs; their orders are locked
-- index: proofs_order
-- used by: store::erase
update proofs p
set url = null, ref = null, content_type = null, hash = null, data = null, lat = null, lng = null
where p.order_id = any ($1)
