-- The whole of the first data model: tenants, who acts for them, orders, and the log.
--
-- Statuses, legs and the other closed lists are text with the same words as on the wire; the
-- order machine is their keeper, so there is one place to change them.

create table log_head (
    singleton boolean primary key default true check (singleton),
    seed text not null,
    last bigint not null default 0
) with (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
comment on table log_head is
    'One row. Its lock is the order of commits: whoever appends takes it last and holds it until commit.';
comment on column log_head.seed is 'Drawn when the log was made; part of the epoch.';
comment on column log_head.last is 'The position of the newest committed event; 0 before the first.';
insert into log_head (seed) values (gen_random_uuid()::text);

create table tenants (
    id uuid primary key,
    name text not null unique,
    accept_s integer not null default 480 check (accept_s between 10 and 86400),
    customer_cancel_until text not null default 'placed',
    robo boolean not null default false,
    created_at timestamptz not null default now()
);
comment on table tenants is 'A platform. Tenants never see each other.';
comment on column tenants.accept_s is 'Seconds a store may think about a new order.';
comment on column tenants.customer_cancel_until is 'The last status in which a customer may cancel.';
comment on column tenants.robo is 'Whether its orders walk by themselves, for integration tests.';

create table credentials (
    id uuid primary key,
    tenant_id uuid not null references tenants (id),
    kind text not null,
    subject_id text not null,
    scopes text[] not null default '{}',
    hash bytea not null unique,
    expires_at timestamptz,
    revoked_at timestamptz,
    created_at timestamptz not null default now()
);
comment on table credentials is 'API keys. The key itself is never stored.';
comment on column credentials.hash is 'SHA-256 of the key, which has 256 random bits.';

create table stores (
    id uuid primary key,
    tenant_id uuid not null references tenants (id),
    external_id text not null,
    name text not null,
    lat double precision not null check (lat between -90 and 90),
    lng double precision not null check (lng between -180 and 180),
    tz text not null,
    phone text,
    auto_accept boolean not null default false,
    default_prep_min integer not null default 20 check (default_prep_min between 0 and 240),
    paused_until timestamptz,
    last_seen_at timestamptz,
    created_at timestamptz not null default now(),
    unique (tenant_id, external_id)
);
comment on table stores is 'Who prepares orders.';
comment on column stores.tz is 'IANA time zone name.';
comment on column stores.paused_until is 'Takes no new orders until then.';

create table drivers (
    id uuid primary key,
    tenant_id uuid not null references tenants (id),
    external_id text not null,
    name text not null,
    display_name text not null,
    phone text,
    vehicle_type text not null,
    vehicle_make text,
    vehicle_colour text,
    vehicle_plate text,
    duty text not null default 'off',
    capacity integer not null default 2 check (capacity between 1 and 50),
    last_seen_at timestamptz,
    created_at timestamptz not null default now(),
    unique (tenant_id, external_id)
);
comment on table drivers is 'Couriers.';
comment on column drivers.capacity is 'How many orders it carries at once.';

create table orders (
    id uuid primary key,
    tenant_id uuid not null references tenants (id),
    external_id text not null,
    store_id uuid not null references stores (id),
    short_code text not null,
    fulfilment text not null,
    status text not null,
    leg text not null,
    version bigint not null,
    driver_id uuid references drivers (id),
    dropoff_name text,
    dropoff_phone text,
    dropoff_address text,
    dropoff_lat double precision,
    dropoff_lng double precision,
    dropoff_notes text,
    leave_at_door boolean,
    items jsonb not null,
    note text,
    window_from timestamptz,
    window_to timestamptz,
    prep_min integer,
    undeliverable_action text not null,
    proof_photo boolean not null,
    proof_signature boolean not null,
    proof_pin boolean not null,
    pin text,
    pin_tries integer not null,
    attempt integer not null,
    created_at timestamptz not null,
    placed_at timestamptz,
    accepted_at timestamptz,
    preparing_at timestamptz,
    ready_at timestamptz,
    assigned_at timestamptz,
    at_store_at timestamptz,
    picked_up_at timestamptz,
    at_door_at timestamptz,
    delivered_at timestamptz,
    rejected_at timestamptz,
    cancelled_at timestamptz,
    failed_at timestamptz,
    returning_at timestamptz,
    returned_at timestamptz,
    accept_by timestamptz,
    release_at timestamptz,
    ready_eta timestamptz,
    pickup_eta timestamptz,
    dropoff_eta timestamptz,
    dropoff_eta_lo timestamptz,
    dropoff_eta_hi timestamptz,
    reason_code text,
    reason_by text,
    reason_note text,
    status_by_role text not null,
    status_by_id text not null,
    meta jsonb not null,
    request_hash bytea not null,
    closed_at timestamptz,
    updated_at timestamptz not null,
    unique (external_id, tenant_id)
) with (fillfactor = 70);
comment on table orders is
    'The projection of each order''s events, written in the same transaction as they are.';
comment on column orders.version is 'Equals the n of the order''s newest event.';
comment on column orders.driver_id is 'Set exactly while a courier has the order; kept once closed.';
comment on column orders.items is 'A summary: [{"name":…,"qty":…}].';
comment on column orders.pin is 'Four digits that only the customer sees.';
comment on column orders.status_by_role is 'Who asked for the status it is in: tells a repeat from a conflict.';
comment on column orders.meta is 'The platform''s own data, at most 4 KB.';
comment on column orders.request_hash is 'SHA-256 of the request that made it: tells a repeat from a conflict.';
comment on column orders.closed_at is
    'Equals updated_at once the status is terminal, absent before. Indexed in the place of updated_at.';

-- No index names a column that every update changes, such as status or updated_at: then most
-- updates stay within their page (HOT) and touch no index. With an index on updated_at a batch of
-- 100 updates took 3.0 ms in place of 1.0 ms, and 3.5 times the WAL.
create index orders_store_open on orders (store_id) where closed_at is null;
create index orders_driver_open on orders (driver_id) where closed_at is null and driver_id is not null;
create index orders_tenant_open on orders (tenant_id, created_at, id) where closed_at is null;
create index orders_tenant_created on orders (tenant_id, created_at desc, id desc);
create index orders_store_created on orders (store_id, created_at desc, id desc);
create index orders_driver_created on orders (driver_id, created_at desc, id desc) where driver_id is not null;
create index orders_tenant_closed on orders (tenant_id, closed_at);

create table events (
    position bigint primary key,
    id uuid not null,
    tenant_id uuid not null,
    store_id uuid,
    order_id uuid,
    driver_id uuid,
    prior_driver_id uuid,
    n bigint,
    type text not null,
    actor_role text not null,
    actor_id text not null,
    was text,
    status text,
    occurred_at timestamptz not null,
    recorded_at timestamptz not null,
    data json not null
);
comment on table events is
    'The log: the source of truth. Append-only; a position is drawn under the lock of log_head.';
comment on column events.position is 'Gapless, and in commit order, over the whole database.';
comment on column events.driver_id is 'The courier who has the order after this, or whom it is about.';
comment on column events.prior_driver_id is 'The courier who has just lost the order.';
comment on column events.n is 'The order''s version after it; absent when it is not about an order.';
comment on column events.was is 'The order''s status before it.';
comment on column events.status is 'The order''s status after it.';
comment on column events.data is
    'Everything any audience may see of it. json, not jsonb: written once, never looked into.';

create index events_order on events (order_id, position) where order_id is not null;
create index events_store on events (store_id, position) where store_id is not null;
create index events_driver on events (driver_id, position) where driver_id is not null;
create index events_prior_driver on events (prior_driver_id, position) where prior_driver_id is not null;
create index events_tenant on events (tenant_id, position);

create table idempotency_keys (
    tenant_id uuid not null,
    scope text not null,
    key text not null,
    request_hash bytea not null,
    order_id uuid not null,
    outcome jsonb,
    created_at timestamptz not null,
    primary key (tenant_id, scope, key)
);
comment on table idempotency_keys is 'What was answered to a key, for 24 hours.';
comment on column idempotency_keys.scope is 'Role and identity of the caller: keys of two callers never meet.';
comment on column idempotency_keys.outcome is 'The order''s record as it was answered.';
create index idempotency_keys_created on idempotency_keys (created_at);

-- The records are what the binary reads and writes: explicit lists of columns, so that a column
-- added later does not change what a running release is sent.

create type store_record as (
    id uuid, tenant_id uuid, external_id text, name text, lat double precision,
    lng double precision, tz text, phone text, auto_accept boolean, default_prep_min integer,
    paused_until timestamptz
);
create function store_record(s stores) returns store_record language sql immutable as $$
    select row(s.id, s.tenant_id, s.external_id, s.name, s.lat, s.lng, s.tz, s.phone,
               s.auto_accept, s.default_prep_min, s.paused_until)::store_record
$$;

create type driver_record as (
    id uuid, tenant_id uuid, external_id text, name text, display_name text, phone text,
    vehicle_type text, vehicle_make text, vehicle_colour text, vehicle_plate text, duty text,
    capacity integer
);
create function driver_record(d drivers) returns driver_record language sql immutable as $$
    select row(d.id, d.tenant_id, d.external_id, d.name, d.display_name, d.phone,
               d.vehicle_type, d.vehicle_make, d.vehicle_colour, d.vehicle_plate, d.duty,
               d.capacity)::driver_record
$$;

create type order_record as (
    id uuid, tenant_id uuid, external_id text, store_id uuid, short_code text, fulfilment text,
    status text, leg text, version bigint, driver_id uuid, dropoff_name text, dropoff_phone text,
    dropoff_address text, dropoff_lat double precision, dropoff_lng double precision,
    dropoff_notes text, leave_at_door boolean, items jsonb, note text, window_from timestamptz,
    window_to timestamptz, prep_min integer, undeliverable_action text, proof_photo boolean,
    proof_signature boolean, proof_pin boolean, pin text, pin_tries integer, attempt integer,
    created_at timestamptz, placed_at timestamptz, accepted_at timestamptz,
    preparing_at timestamptz, ready_at timestamptz, assigned_at timestamptz,
    at_store_at timestamptz, picked_up_at timestamptz, at_door_at timestamptz,
    delivered_at timestamptz, rejected_at timestamptz, cancelled_at timestamptz,
    failed_at timestamptz, returning_at timestamptz, returned_at timestamptz,
    accept_by timestamptz, release_at timestamptz, ready_eta timestamptz, pickup_eta timestamptz,
    dropoff_eta timestamptz, dropoff_eta_lo timestamptz, dropoff_eta_hi timestamptz,
    reason_code text, reason_by text, reason_note text, status_by_role text, status_by_id text,
    meta jsonb
);
create function order_record(o orders) returns order_record language sql immutable as $$
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
               o.status_by_role, o.status_by_id, o.meta)::order_record
$$;

create type event_record as (
    id uuid, tenant_id uuid, store_id uuid, order_id uuid, driver_id uuid, prior_driver_id uuid,
    n bigint, type text, actor_role text, actor_id text, was text, status text,
    occurred_at timestamptz, recorded_at timestamptz, data json
);
comment on type event_record is 'An event before its position is drawn.';
