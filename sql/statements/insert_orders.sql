-- insert_orders: the orders that one batch creates; an external id already there fails the batch.
-- $1 records order_record[]   $2 request_hashes bytea[]   $3 at timestamptz
-- used by: store::commit
insert into orders (
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
    request_hash, updated_at)
select
    r.id, r.tenant_id, r.external_id, r.store_id, r.short_code, r.fulfilment, r.status, r.leg,
    r.version, r.driver_id, r.dropoff_name, r.dropoff_phone, r.dropoff_address, r.dropoff_lat,
    r.dropoff_lng, r.dropoff_notes, r.leave_at_door, r.items, r.note, r.window_from,
    r.window_to, r.prep_min, r.undeliverable_action, r.proof_photo, r.proof_signature,
    r.proof_pin, r.pin, r.pin_tries, r.attempt, r.created_at, r.placed_at, r.accepted_at,
    r.preparing_at, r.ready_at, r.assigned_at, r.at_store_at, r.picked_up_at, r.at_door_at,
    r.delivered_at, r.rejected_at, r.cancelled_at, r.failed_at, r.returning_at, r.returned_at,
    r.accept_by, r.release_at, r.ready_eta, r.pickup_eta, r.dropoff_eta, r.dropoff_eta_lo,
    r.dropoff_eta_hi, r.reason_code, r.reason_by, r.reason_note, r.status_by_role,
    r.status_by_id, r.meta,
    r.batch_id, r.stop_seq, r.stops_before, r.search_at, r.search_since, r.search_round,
    r.search_mode, r.search_offer_s, r.search_until, r.lost_by, r.eta_source, r.eta_at, r.told,
    r.erased_at, r.proof_scan, r.proof_pickup, r.proof_return, r.proofs,
    r.robo_end, r.robo_step_s, r.robo_at, r.return_eta,
    ($2::bytea[])[r.nth], $3
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
order by r.tenant_id, r.external_id
