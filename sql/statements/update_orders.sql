-- update_orders: the orders that one batch changed become rows; what never changes is left alone,
-- and so is an end by what comes after it.
-- $1 records order_record[]   $2 closed bool[]   $3 at timestamptz
-- locks: order rows held (lock_orders)
-- index: orders_pkey
-- used by: store::commit
update orders o set
    status = r.status, leg = r.leg, version = r.version, driver_id = r.driver_id,
    dropoff_name = r.dropoff_name, dropoff_phone = r.dropoff_phone,
    dropoff_address = r.dropoff_address, dropoff_lat = r.dropoff_lat, dropoff_lng = r.dropoff_lng,
    dropoff_notes = r.dropoff_notes, leave_at_door = r.leave_at_door, note = r.note,
    window_from = r.window_from, window_to = r.window_to, prep_min = r.prep_min,
    pin_tries = r.pin_tries, attempt = r.attempt, placed_at = r.placed_at,
    accepted_at = r.accepted_at, preparing_at = r.preparing_at, ready_at = r.ready_at,
    assigned_at = r.assigned_at, at_store_at = r.at_store_at, picked_up_at = r.picked_up_at,
    at_door_at = r.at_door_at, delivered_at = r.delivered_at, rejected_at = r.rejected_at,
    cancelled_at = r.cancelled_at, failed_at = r.failed_at, returning_at = r.returning_at,
    returned_at = r.returned_at, accept_by = r.accept_by, release_at = r.release_at,
    ready_eta = r.ready_eta, pickup_eta = r.pickup_eta, dropoff_eta = r.dropoff_eta,
    dropoff_eta_lo = r.dropoff_eta_lo, dropoff_eta_hi = r.dropoff_eta_hi,
    reason_code = r.reason_code, reason_by = r.reason_by, reason_note = r.reason_note,
    status_by_role = r.status_by_role, status_by_id = r.status_by_id, meta = r.meta,
    batch_id = r.batch_id, stop_seq = r.stop_seq, stops_before = r.stops_before,
    search_at = r.search_at, search_since = r.search_since, search_round = r.search_round,
    search_mode = r.search_mode, search_offer_s = r.search_offer_s, search_until = r.search_until,
    lost_by = r.lost_by, eta_source = r.eta_source, eta_at = r.eta_at, told = r.told,
    erased_at = r.erased_at, proofs = r.proofs, robo_at = r.robo_at,
    return_eta = r.return_eta,
    request_hash = case when r.erased_at is null then o.request_hash else ''::bytea end,
    closed_at = case when ($2::bool[])[r.nth]
        then case when o.closed_at is null then $3::timestamptz else o.closed_at end end,
    updated_at = $3
from rows from (unnest($1::order_record[])) with ordinality as r (
    id, tenant_id, external_id, store_id, short_code, fulfilment, status, leg, version,
    driver_id, dropoff_name, dropoff_phone, dropoff_address, dropoff_lat, dropoff_lng,
    dropoff_notes, leave_at_door, items, note, window_from, window_to, prep_min,
    undeliverable_action, proof_photo, proof_signature, proof_pin, pin, pin_tries, attempt,
    created_at, placed_at, accepted_at, preparing_at, ready_at, assigned_at, at_store_at,
    picked_up_at, at_door_at, delivered_at, rejected_at, cancelled_at, failed_at, returning_at,
    returned_at, accept_by, release_at, ready_eta, pickup_eta, dropoff_eta, dropoff_eta_lo,
    dropoff_eta_hi, reason_code, reason_by, reason_note, status_by_role, status_by_id, meta,
    batch_id, stop_seq, stops_before, search_at, search_since, search_round, search_mode,
    search_offer_s, search_until, lost_by, eta_source, eta_at, told, erased_at, proof_scan,
    proof_pickup, proof_return, proofs, robo_end, robo_step_s, robo_at, return_eta,
    nth)
where o.id = r.id
