-- When an order that is brought back is expected at its store.

alter table orders add column return_eta timestamptz;
comment on column orders.return_eta is
    'When the courier who brings it back is expected at the store; null unless it was turned back.';

alter type order_record add attribute return_eta timestamptz;
create or replace function order_record(o orders) returns order_record language sql immutable as $$
    select row(o.id, o.tenant_id, o.external_id, o.store_id, o.short_code, o.fulfilment,
               o.status, o.leg, o.version, o.driver_id, o.dropoff_name, o.dropoff_phone,
               o.dropoff_address, o.dropoff_lat, o.dropoff_lng, o.dropoff_notes, o.leave_at_door,
               o.items, o.note, o.window_from, o.window_to, o.prep_min, o.undeliverable_action,
               o.proof_photo, o.proof_signature, o.proof_pin, o.pin, o.pin_tries, o.attempt,
               o.created_at, o.placed_at, o.accepted_at, o.preparing_at, o.ready_at,
               o.assigned_at, o.at_store_at, o.picked_up_at, o.at_door_at, o.delivered_at,
               o.rejected_at, o.cancelled_at, o.failed_at, o.returning_at, o.returned_at,
               o.accept_by, o.release_at, o.ready_eta, o.pickup_eta, o.dropoff_eta,
               o.dropoff_eta_lo, o.dropoff_eta_hi, o.reason_code, o.reason_by, o.reason_note,
               o.status_by_role, o.status_by_id, o.meta,
               o.batch_id, o.stop_seq, o.stops_before, o.search_at, o.search_since, o.search_round,
               o.search_mode, o.search_offer_s, o.search_until, o.lost_by, o.eta_source, o.eta_at,
               o.told, o.erased_at, o.proof_scan, o.proof_pickup, o.proof_return,
               o.proofs, o.robo_end, o.robo_step_s, o.robo_at, o.return_eta)::order_record
$$;
