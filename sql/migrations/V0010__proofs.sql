-- Proofs of hand-overs: which an order needs, which it has, and what they are.

alter table orders
    add column proof_scan boolean not null default false,
    add column proof_pickup text[] not null default '{}',
    add column proof_return text[] not null default '{}',
    add column proofs text[] not null default '{}';
comment on column orders.proof_scan is 'Whether the drop-off needs a scanned code.';
comment on column orders.proof_pickup is 'Kinds of proofs that the pick-up needs.';
comment on column orders.proof_return is 'Kinds of proofs that the return needs.';
comment on column orders.proofs is
    'The proofs it has, as point:kind:microseconds:hash; the hash of those that were uploaded.';

create table proofs (
    id uuid primary key,
    tenant_id uuid not null references tenants,
    order_id uuid not null references orders on delete cascade,
    at_point text not null,
    kind text not null,
    attempt integer not null,
    url text,
    ref text,
    content_type text,
    hash bytea,
    data bytea,
    by_role text not null,
    by_id text not null,
    occurred_at timestamptz not null,
    recorded_at timestamptz not null,
    lat double precision,
    lng double precision
);
comment on table proofs is 'What proves the hand-overs of orders, each as it was shown.';
comment on column proofs.at_point is 'What it proves: pickup, dropoff or return.';
comment on column proofs.attempt is 'The delivery attempt that it is of.';
comment on column proofs.url is 'Where it is, if it is kept elsewhere.';
comment on column proofs.ref is 'The text of a scanned code, or whatever came as a reference.';
comment on column proofs.content_type is 'What data is; null without.';
comment on column proofs.hash is 'SHA-256 of what was uploaded; null when it came with an action.';
comment on column proofs.data is 'The picture, if it is kept here.';
comment on column proofs.occurred_at is 'When it was made, by the device that made it.';
-- Pictures are compressed already.
alter table proofs alter column data set storage external;
create index proofs_order on proofs (order_id, recorded_at, id);

create type proof_record as (
    id uuid, tenant_id uuid, order_id uuid, at_point text, kind text, attempt integer, url text,
    ref text, content_type text, hash bytea, data bytea, by_role text, by_id text,
    occurred_at timestamptz, recorded_at timestamptz, lat double precision, lng double precision);

alter type order_record add attribute proof_scan boolean;
alter type order_record add attribute proof_pickup text[];
alter type order_record add attribute proof_return text[];
alter type order_record add attribute proofs text[];
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
               o.proofs)::order_record
$$;

-- What is replayed of an answer before this has none of it.
update idempotency_keys
set outcome = '{"proof_scan": false, "proof_pickup": [], "proof_return": [], "proofs": []}' || outcome
where outcome is not null;
