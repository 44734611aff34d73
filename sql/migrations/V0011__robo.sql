-- A new tenant's orders are searched for by themselves, and those of a robo tenant walk by themselves.

-- Tenants that are there keep what they have.
alter table tenants
    alter column offer_mode set default 'one_by_one',
    add constraint tenants_offer_mode_check check (offer_mode in ('one_by_one', 'broadcast'));

alter table drivers add column robo boolean not null default false;
comment on column drivers.robo is
    'Whether it was made to bring orders that walk by themselves; nobody asks it for others.';
create index drivers_robo on drivers (tenant_id, id) where robo and deleted_at is null;

alter table orders
    add column robo_end text,
    add column robo_step_s integer,
    add column robo_at timestamptz;
comment on column orders.robo_end is 'How it ends when it walks by itself; null when it does not.';
comment on column orders.robo_step_s is 'Seconds between two steps of its walk.';
comment on column orders.robo_at is 'When the next step of its walk is due; null when none is.';

alter type order_record add attribute robo_end text;
alter type order_record add attribute robo_step_s integer;
alter type order_record add attribute robo_at timestamptz;
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
               o.proofs, o.robo_end, o.robo_step_s, o.robo_at)::order_record
$$;
