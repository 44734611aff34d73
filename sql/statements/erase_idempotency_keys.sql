-- erase_idempotency_keys: what was answered to keys, without what is personal of these orders; keys
-- that are their customers' are forgotten.
-- $1 orders uuid[]
-- locks: the keys
-- index: idempotency_keys_order
-- used by: store::erase
with forgotten as (
    delete from idempotency_keys d
    where d.order_id = any ($1) and starts_with(d.scope, 'customer:')
)
update idempotency_keys k
set outcome = k.outcome
    || jsonb_build_object(
        'dropoff_name', null, 'dropoff_phone', null, 'dropoff_address', null, 'dropoff_lat', null,
        'dropoff_lng', null, 'dropoff_notes', null, 'leave_at_door', null, 'note', null,
        'reason_note', null, 'meta', jsonb_build_object())
    || case when k.outcome ->> 'status_by_role' = 'customer'
            then jsonb_build_object('status_by_id', '') else jsonb_build_object() end
where k.order_id = any ($1) and not starts_with(k.scope, 'customer:')
