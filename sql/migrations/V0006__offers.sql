-- Couriers are searched for: offers, where couriers are, tours, and what has been told of an order.

alter table tenants
    add column offer_mode text,
    add column offer_s integer not null default 30 check (offer_s between 15 and 120),
    add column offer_rounds integer not null default 8 check (offer_rounds between 1 and 100),
    add column search_lead_s integer not null default 600 check (search_lead_s between 0 and 7200);
comment on column tenants.offer_mode is
    'How couriers are asked: one_by_one or broadcast; null: not by themselves.';
comment on column tenants.offer_s is 'Seconds a courier may think about an offer.';
comment on column tenants.offer_rounds is 'Rounds until a search has failed.';
comment on column tenants.search_lead_s is
    'Seconds before an order is ready at which its search begins.';

alter table stores add column silent_at timestamptz;
comment on column stores.silent_at is
    'When it was last told that orders wait there and nobody sees them.';

alter table orders
    add column batch_id uuid,
    add column stop_seq integer,
    add column stops_before integer not null default 0,
    add column search_at timestamptz,
    add column search_since timestamptz,
    add column search_round integer not null default 0,
    add column search_mode text,
    add column search_offer_s integer not null default 0,
    add column search_until timestamptz,
    add column lost_by uuid,
    add column eta_source text,
    add column eta_at timestamptz,
    add column told text[] not null default '{}';
comment on column orders.batch_id is 'The tour of its courier that it is part of.';
comment on column orders.stop_seq is 'Its place in the tour, from 1.';
comment on column orders.stops_before is 'How many stops come before it, as was told last.';
comment on column orders.search_at is 'When the search for a courier begins by itself.';
comment on column orders.search_since is 'When the last search began.';
comment on column orders.search_round is 'Its round, from 1; 0 before the first.';
comment on column orders.search_mode is 'How it asks.';
comment on column orders.search_offer_s is 'Seconds that each courier may think.';
comment on column orders.search_until is 'When its round is over.';
comment on column orders.lost_by is 'The courier who has lost it last, and is not asked again.';
comment on column orders.eta_source is 'Who said when it is picked up and delivered.';
comment on column orders.eta_at is 'When that was.';
comment on column orders.told is 'What has been told of it once: what it is late with, and who is near.';

create table offers (
    id uuid primary key,
    tenant_id uuid not null references tenants,
    order_id uuid not null references orders on delete cascade,
    driver_id uuid not null references drivers,
    since timestamptz not null,
    round integer not null,
    state text not null,
    sent_at timestamptz not null,
    expires_at timestamptz not null,
    closed_at timestamptz,
    distance_m integer
) with (fillfactor = 80);
comment on table offers is 'Couriers who were asked whether they bring an order.';
comment on column offers.since is 'When the search began that it is part of.';
comment on column offers.round is 'The round of the search, from 1.';
comment on column offers.expires_at is 'Until when the courier may accept.';
comment on column offers.closed_at is 'When it was answered or ended.';
comment on column offers.distance_m is 'Metres from the courier to the store; null when unknown.';
create index offers_order on offers (order_id, since);
create index offers_driver_pending on offers (driver_id) where state = 'pending';
create unique index offers_pending on offers (order_id, driver_id) where state = 'pending';
create unique index offers_accepted on offers (order_id, since) where state = 'accepted';

create type offer_record as (
    id uuid, tenant_id uuid, order_id uuid, driver_id uuid, since timestamptz, round integer,
    state text, sent_at timestamptz, expires_at timestamptz, closed_at timestamptz,
    distance_m integer);
create function offer_record(f offers) returns offer_record language sql immutable as $$
    select row(f.id, f.tenant_id, f.order_id, f.driver_id, f.since, f.round, f.state, f.sent_at,
               f.expires_at, f.closed_at, f.distance_m)::offer_record
$$;

create index drivers_on_duty on drivers (tenant_id, id)
    where duty = 'on' and deleted_at is null;

create unlogged table driver_locations (
    driver_id uuid primary key references drivers on delete cascade,
    tenant_id uuid not null,
    n bigint not null,
    at timestamptz not null,
    recv_at timestamptz not null,
    lat double precision not null,
    lng double precision not null,
    acc_m real,
    heading real,
    speed real,
    battery real,
    cell integer not null
) with (fillfactor = 50);
comment on table driver_locations is
    'Where each courier was when it was last heard of. Lost in a crash: the next ping brings it.';
comment on column driver_locations.n is 'The number that the courier''s device gave the point.';
comment on column driver_locations.at is 'When it was there, by its device.';
comment on column driver_locations.recv_at is 'When that was heard.';
comment on column driver_locations.acc_m is 'Metres by which it may be wrong.';
comment on column driver_locations.heading is 'Degrees clockwise from north.';
comment on column driver_locations.speed is 'Metres a second.';
comment on column driver_locations.battery is 'Of its device: 0 to 1.';
comment on column driver_locations.cell is
    'The square of a grid of 0.05 degrees that it is in; moves seldom, so most updates are HOT.';
create index driver_locations_cell on driver_locations (tenant_id, cell);

alter type order_record add attribute batch_id uuid;
alter type order_record add attribute stop_seq integer;
alter type order_record add attribute stops_before integer;
alter type order_record add attribute search_at timestamptz;
alter type order_record add attribute search_since timestamptz;
alter type order_record add attribute search_round integer;
alter type order_record add attribute search_mode text;
alter type order_record add attribute search_offer_s integer;
alter type order_record add attribute search_until timestamptz;
alter type order_record add attribute lost_by uuid;
alter type order_record add attribute eta_source text;
alter type order_record add attribute eta_at timestamptz;
alter type order_record add attribute told text[];
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
               o.told)::order_record
$$;

-- Records that were kept before have no such attributes.
update idempotency_keys
set outcome = '{"stops_before":0,"search_round":0,"search_offer_s":0,"told":[]}'::jsonb || outcome
where outcome is not null;

-- Every open order is looked at once: of some something is due that was not before.
insert into timers (kind, subject_id, tenant_id, due_at)
select 'order', o.id, o.tenant_id, now() from orders o where o.closed_at is null
on conflict (kind, subject_id) do update set due_at = excluded.due_at;
