-- The data model: what the database holds after all of sql/migrations.
--
-- Made from the server's catalogue and compared with it by tests/statements.rs. Do not edit: write
-- a migration, then run
--     ORDERCAST_BLESS=1 cargo test --test statements schema
-- Left out is schema_migrations, which belongs to the library that runs the migrations.

-- One row. Its lock is the order of commits: whoever appends takes it last and holds it until
-- commit.
create table log_head (
    singleton boolean not null default true,
    -- Drawn when the log was made; part of the epoch.
    seed text not null,
    -- The position of the newest committed event; 0 before the first.
    last bigint not null default 0,
    -- Where the log that is still held begins: what was before has been dropped for its age.
    oldest bigint not null default 1,
    constraint log_head_pkey PRIMARY KEY (singleton),
    constraint log_head_singleton_check CHECK (singleton)
) with (fillfactor=10, autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=500);

-- A platform. Tenants never see each other.
create table tenants (
    id uuid not null,
    name text not null,
    -- Seconds a store may think about a new order.
    accept_s integer not null default 480,
    -- The last status in which a customer may cancel.
    customer_cancel_until text not null default 'placed'::text,
    -- Whether its orders walk by themselves, for integration tests.
    robo boolean not null default false,
    created_at timestamp with time zone not null default now(),
    -- How couriers are asked: one_by_one or broadcast; null: not by themselves.
    offer_mode text default 'one_by_one'::text,
    -- Seconds a courier may think about an offer.
    offer_s integer not null default 30,
    -- Rounds until a search has failed.
    offer_rounds integer not null default 8,
    -- Seconds before an order is ready at which its search begins.
    search_lead_s integer not null default 600,
    -- Hours after an order's end that its links show it, unless they say otherwise.
    link_ttl_h integer not null default 24,
    -- Hours for which the ways of its couriers are kept; null keeps none.
    location_retention_h integer,
    constraint tenants_pkey PRIMARY KEY (id),
    constraint tenants_name_key UNIQUE (name),
    constraint tenants_accept_s_check CHECK (((accept_s >= 10) AND (accept_s <= 86400))),
    constraint tenants_link_ttl_h_check CHECK (((link_ttl_h >= 1) AND (link_ttl_h <= 8760))),
    constraint tenants_location_retention_h_check CHECK (((location_retention_h >= 1) AND (location_retention_h <= 8760))),
    constraint tenants_offer_mode_check CHECK ((offer_mode = ANY (ARRAY['one_by_one'::text, 'broadcast'::text]))),
    constraint tenants_offer_rounds_check CHECK (((offer_rounds >= 1) AND (offer_rounds <= 100))),
    constraint tenants_offer_s_check CHECK (((offer_s >= 15) AND (offer_s <= 120))),
    constraint tenants_search_lead_s_check CHECK (((search_lead_s >= 0) AND (search_lead_s <= 7200)))
);

-- API keys. The key itself is never stored.
create table credentials (
    id uuid not null,
    tenant_id uuid not null,
    kind text not null,
    subject_id text not null,
    scopes text[] not null default '{}'::text[],
    -- SHA-256 of the key, which has 256 random bits.
    hash bytea not null,
    expires_at timestamp with time zone,
    revoked_at timestamp with time zone,
    created_at timestamp with time zone not null default now(),
    constraint credentials_pkey PRIMARY KEY (id),
    constraint credentials_hash_key UNIQUE (hash),
    constraint credentials_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(id)
);

-- Who prepares orders.
create table stores (
    id uuid not null,
    tenant_id uuid not null,
    external_id text not null,
    name text not null,
    lat double precision not null,
    lng double precision not null,
    -- IANA time zone name.
    tz text not null,
    phone text,
    auto_accept boolean not null default false,
    default_prep_min integer not null default 20,
    -- Takes no new orders until then.
    paused_until timestamp with time zone,
    last_seen_at timestamp with time zone,
    created_at timestamp with time zone not null default now(),
    -- Since then it is not found, but in orders of the past.
    deleted_at timestamp with time zone,
    -- When it was last told that orders wait there and nobody sees them.
    silent_at timestamp with time zone,
    constraint stores_pkey PRIMARY KEY (id),
    constraint stores_tenant_id_external_id_key UNIQUE (tenant_id, external_id),
    constraint stores_default_prep_min_check CHECK (((default_prep_min >= 0) AND (default_prep_min <= 240))),
    constraint stores_lat_check CHECK (((lat >= ('-90'::integer)::double precision) AND (lat <= (90)::double precision))),
    constraint stores_lng_check CHECK (((lng >= ('-180'::integer)::double precision) AND (lng <= (180)::double precision))),
    constraint stores_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(id)
);

-- Couriers.
create table drivers (
    id uuid not null,
    tenant_id uuid not null,
    external_id text not null,
    name text not null,
    display_name text not null,
    phone text,
    vehicle_type text not null,
    vehicle_make text,
    vehicle_colour text,
    vehicle_plate text,
    duty text not null default 'off'::text,
    -- How many orders it carries at once.
    capacity integer not null default 2,
    last_seen_at timestamp with time zone,
    created_at timestamp with time zone not null default now(),
    -- Since then not found, but in orders of the past.
    deleted_at timestamp with time zone,
    -- Whether it was made to bring orders that walk by themselves; nobody asks it for others.
    robo boolean not null default false,
    constraint drivers_pkey PRIMARY KEY (id),
    constraint drivers_tenant_id_external_id_key UNIQUE (tenant_id, external_id),
    constraint drivers_capacity_check CHECK (((capacity >= 1) AND (capacity <= 50))),
    constraint drivers_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(id)
);
CREATE INDEX drivers_on_duty ON drivers USING btree (tenant_id, id) WHERE ((duty = 'on'::text) AND (deleted_at IS NULL));
CREATE INDEX drivers_robo ON drivers USING btree (tenant_id, id) WHERE (robo AND (deleted_at IS NULL));

-- The projection of each order's events, written in the same transaction as they are.
create table orders (
    id uuid not null,
    tenant_id uuid not null,
    external_id text not null,
    store_id uuid not null,
    short_code text not null,
    fulfilment text not null,
    status text not null,
    leg text not null,
    -- Equals the n of the order's newest event.
    version bigint not null,
    -- Set exactly while a courier has the order; kept once closed.
    driver_id uuid,
    dropoff_name text,
    dropoff_phone text,
    dropoff_address text,
    dropoff_lat double precision,
    dropoff_lng double precision,
    dropoff_notes text,
    leave_at_door boolean,
    -- A summary: [{"name":…,"qty":…}].
    items jsonb not null,
    note text,
    window_from timestamp with time zone,
    window_to timestamp with time zone,
    prep_min integer,
    undeliverable_action text not null,
    proof_photo boolean not null,
    proof_signature boolean not null,
    proof_pin boolean not null,
    -- Four digits that only the customer sees.
    pin text,
    pin_tries integer not null,
    attempt integer not null,
    created_at timestamp with time zone not null,
    placed_at timestamp with time zone,
    accepted_at timestamp with time zone,
    preparing_at timestamp with time zone,
    ready_at timestamp with time zone,
    assigned_at timestamp with time zone,
    at_store_at timestamp with time zone,
    picked_up_at timestamp with time zone,
    at_door_at timestamp with time zone,
    delivered_at timestamp with time zone,
    rejected_at timestamp with time zone,
    cancelled_at timestamp with time zone,
    failed_at timestamp with time zone,
    returning_at timestamp with time zone,
    returned_at timestamp with time zone,
    accept_by timestamp with time zone,
    release_at timestamp with time zone,
    ready_eta timestamp with time zone,
    pickup_eta timestamp with time zone,
    dropoff_eta timestamp with time zone,
    dropoff_eta_lo timestamp with time zone,
    dropoff_eta_hi timestamp with time zone,
    reason_code text,
    reason_by text,
    reason_note text,
    -- Who asked for the status it is in: tells a repeat from a conflict.
    status_by_role text not null,
    status_by_id text not null,
    -- The platform's own data, at most 4 KB.
    meta jsonb not null,
    -- SHA-256 of the request that made it: tells a repeat from a conflict.
    request_hash bytea not null,
    -- Equals updated_at once the status is terminal, absent before. Indexed in the place of
    -- updated_at.
    closed_at timestamp with time zone,
    updated_at timestamp with time zone not null,
    -- The tour of its courier that it is part of.
    batch_id uuid,
    -- Its place in the tour, from 1.
    stop_seq integer,
    -- How many stops come before it, as was told last.
    stops_before integer not null default 0,
    -- When the search for a courier begins by itself.
    search_at timestamp with time zone,
    -- When the last search began.
    search_since timestamp with time zone,
    -- Its round, from 1; 0 before the first.
    search_round integer not null default 0,
    -- How it asks.
    search_mode text,
    -- Seconds that each courier may think.
    search_offer_s integer not null default 0,
    -- When its round is over.
    search_until timestamp with time zone,
    -- The courier who has lost it last, and is not asked again.
    lost_by uuid,
    -- Who said when it is picked up and delivered.
    eta_source text,
    -- When that was.
    eta_at timestamp with time zone,
    -- What has been told of it once: what it is late with, and who is near.
    told text[] not null default '{}'::text[],
    -- When all that is personal in it was erased; absent before. Its request_hash is empty since.
    erased_at timestamp with time zone,
    -- Whether the drop-off needs a scanned code.
    proof_scan boolean not null default false,
    -- Kinds of proofs that the pick-up needs.
    proof_pickup text[] not null default '{}'::text[],
    -- Kinds of proofs that the return needs.
    proof_return text[] not null default '{}'::text[],
    -- The proofs it has, as point:kind:microseconds:hash; the hash of those that were uploaded.
    proofs text[] not null default '{}'::text[],
    -- How it ends when it walks by itself; null when it does not.
    robo_end text,
    -- Seconds between two steps of its walk.
    robo_step_s integer,
    -- When the next step of its walk is due; null when none is.
    robo_at timestamp with time zone,
    -- When the courier who brings it back is expected at the store; null unless it was turned back.
    return_eta timestamp with time zone,
    constraint orders_pkey PRIMARY KEY (id),
    constraint orders_external_id_tenant_id_key UNIQUE (external_id, tenant_id),
    constraint orders_driver_id_fkey FOREIGN KEY (driver_id) REFERENCES drivers(id),
    constraint orders_store_id_fkey FOREIGN KEY (store_id) REFERENCES stores(id),
    constraint orders_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(id)
) with (fillfactor=70);
CREATE INDEX orders_driver_created ON orders USING btree (driver_id, created_at DESC, id DESC) WHERE (driver_id IS NOT NULL);
CREATE INDEX orders_driver_open ON orders USING btree (driver_id) WHERE ((closed_at IS NULL) AND (driver_id IS NOT NULL));
CREATE INDEX orders_store_created ON orders USING btree (store_id, created_at DESC, id DESC);
CREATE INDEX orders_store_open ON orders USING btree (store_id) WHERE (closed_at IS NULL);
CREATE INDEX orders_tenant_batch ON orders USING btree (tenant_id, batch_id, created_at DESC, id DESC) WHERE (batch_id IS NOT NULL);
CREATE INDEX orders_tenant_closed ON orders USING btree (tenant_id, closed_at);
CREATE INDEX orders_tenant_created ON orders USING btree (tenant_id, created_at DESC, id DESC);
CREATE INDEX orders_tenant_open ON orders USING btree (tenant_id, created_at, id) WHERE (closed_at IS NULL);

-- What was answered to a key, for 24 hours.
create table idempotency_keys (
    tenant_id uuid not null,
    -- Role and identity of the caller: keys of two callers never meet.
    scope text not null,
    key text not null,
    request_hash bytea not null,
    -- The order it was about; null if it was about none.
    order_id uuid,
    -- The order's record as it was answered.
    outcome jsonb,
    created_at timestamp with time zone not null,
    -- Whether what was answered had just been made.
    created boolean not null default false,
    -- What was answered where that is no order, but for secrets; null if that was nothing.
    answer jsonb,
    -- While the answer is being made: until when nobody else makes it. Null once it is made.
    claimed_until timestamp with time zone,
    constraint idempotency_keys_pkey PRIMARY KEY (tenant_id, scope, key)
);
CREATE INDEX idempotency_keys_created ON idempotency_keys USING btree (created_at);
CREATE INDEX idempotency_keys_order ON idempotency_keys USING btree (order_id);

-- Tokens and API keys that speak for nobody any more. Of the tenant that revoked them only.
create table revoked_tokens (
    tenant_id uuid not null,
    -- The jti of a token, or the id of an API key.
    id uuid not null,
    revoked_at timestamp with time zone not null,
    -- Then every token that existed at revoked_at has expired, and the row may be forgotten.
    keep_until timestamp with time zone not null,
    constraint revoked_tokens_pkey PRIMARY KEY (tenant_id, id)
);
CREATE INDEX revoked_tokens_keep_until ON revoked_tokens USING btree (keep_until);

-- The processes that serve sockets.
create unlogged table processes (
    id uuid not null,
    -- When it last said that it lives.
    seen_at timestamp with time zone not null,
    constraint processes_pkey PRIMARY KEY (id)
);
CREATE INDEX processes_seen_at ON processes USING btree (seen_at);

-- The connections on channels, as far as other processes may be asked for them.
create unlogged table members (
    process_id uuid not null,
    channel text not null,
    client_id uuid not null,
    user_id text not null,
    -- JSON: what others may know of the connection.
    conn_info text,
    constraint members_pkey PRIMARY KEY (process_id, channel, client_id),
    constraint members_process_id_fkey FOREIGN KEY (process_id) REFERENCES processes(id) ON DELETE CASCADE
);
CREATE INDEX members_channel ON members USING btree (channel);

-- One row for each thing of which something is due by itself; gone when nothing is any more.
create table timers (
    -- What it is of: order. Each release fires the kinds it knows.
    kind text not null,
    subject_id uuid not null,
    tenant_id uuid not null,
    -- When the next is due; put off by whoever is doing it, so that another does if that one dies.
    due_at timestamp with time zone not null,
    constraint timers_pkey PRIMARY KEY (kind, subject_id)
) with (autovacuum_vacuum_scale_factor=0.05, autovacuum_vacuum_threshold=1000);
CREATE INDEX timers_due_at ON timers USING btree (due_at);

-- Endpoints that a tenant's events are posted to, each in the order of the log.
create table webhooks (
    id uuid not null,
    tenant_id uuid not null,
    url text not null,
    -- The types of events that it wants; null means all.
    types text[],
    -- What deliveries are signed by.
    secret bytea not null,
    -- The secret before, which signs as well until prior_until.
    prior_secret bytea,
    prior_until timestamp with time zone,
    enabled boolean not null default true,
    -- Why nothing is posted: asked, gone, failing or cursor_too_old.
    disabled_reason text,
    disabled_at timestamp with time zone,
    -- Position up to which everything that it wants has been delivered.
    cursor bigint not null,
    -- Failures since the last delivery.
    tries integer not null default 0,
    -- The first of these failures.
    failing_since timestamp with time zone,
    -- Nothing is posted before; null means at once.
    next_try_at timestamp with time zone,
    -- Attempts ever made: the nth of the newest.
    attempts bigint not null default 0,
    -- The process that delivers to it until leased_until, and no other does.
    leased_by uuid,
    leased_until timestamp with time zone,
    -- When a process last took it up: those who have waited longest come first.
    claimed_at timestamp with time zone not null default now(),
    created_at timestamp with time zone not null default now(),
    constraint webhooks_pkey PRIMARY KEY (id),
    constraint webhooks_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(id)
) with (fillfactor=50);
CREATE INDEX webhooks_tenant ON webhooks USING btree (tenant_id, id);

-- What was posted, and what came of it: the newest of each webhook.
create table webhook_attempts (
    webhook_id uuid not null,
    nth bigint not null,
    event_id uuid not null,
    -- The event's; null for a ping.
    position bigint,
    outcome text not null,
    -- The HTTP status of the answer; null when there was none.
    status integer,
    duration_ms integer not null,
    at timestamp with time zone not null default now(),
    constraint webhook_attempts_pkey PRIMARY KEY (webhook_id, nth),
    constraint webhook_attempts_webhook_id_fkey FOREIGN KEY (webhook_id) REFERENCES webhooks(id) ON DELETE CASCADE
);
CREATE INDEX webhook_attempts_at ON webhook_attempts USING btree (at);

-- Couriers who were asked whether they bring an order.
create table offers (
    id uuid not null,
    tenant_id uuid not null,
    order_id uuid not null,
    driver_id uuid not null,
    -- When the search began that it is part of.
    since timestamp with time zone not null,
    -- The round of the search, from 1.
    round integer not null,
    state text not null,
    sent_at timestamp with time zone not null,
    -- Until when the courier may accept.
    expires_at timestamp with time zone not null,
    -- When it was answered or ended.
    closed_at timestamp with time zone,
    -- Metres from the courier to the store; null when unknown.
    distance_m integer,
    constraint offers_pkey PRIMARY KEY (id),
    constraint offers_driver_id_fkey FOREIGN KEY (driver_id) REFERENCES drivers(id),
    constraint offers_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id) ON DELETE CASCADE,
    constraint offers_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(id)
) with (fillfactor=80);
CREATE UNIQUE INDEX offers_accepted ON offers USING btree (order_id, since) WHERE (state = 'accepted'::text);
CREATE INDEX offers_driver_pending ON offers USING btree (driver_id) WHERE (state = 'pending'::text);
CREATE INDEX offers_order ON offers USING btree (order_id, since);
CREATE UNIQUE INDEX offers_pending ON offers USING btree (order_id, driver_id) WHERE (state = 'pending'::text);

-- Where each courier was when it was last heard of. Lost in a crash: the next ping brings it.
create unlogged table driver_locations (
    driver_id uuid not null,
    tenant_id uuid not null,
    -- The number that the courier's device gave the point.
    n bigint not null,
    -- When it was there, by its device.
    at timestamp with time zone not null,
    -- When that was heard.
    recv_at timestamp with time zone not null,
    lat double precision not null,
    lng double precision not null,
    -- Metres by which it may be wrong.
    acc_m real,
    -- Degrees clockwise from north.
    heading real,
    -- Metres a second.
    speed real,
    -- Of its device: 0 to 1.
    battery real,
    -- The square of a grid of 0.05 degrees that it is in; moves seldom, so most updates are HOT.
    cell integer not null,
    constraint driver_locations_pkey PRIMARY KEY (driver_id),
    constraint driver_locations_driver_id_fkey FOREIGN KEY (driver_id) REFERENCES drivers(id) ON DELETE CASCADE
) with (fillfactor=50);
CREATE INDEX driver_locations_cell ON driver_locations USING btree (tenant_id, cell);

-- Addresses under which one order can be seen. The token in the address is never stored.
create table tracking_links (
    -- As of a token: revoked_tokens and the event token.revoked name it too.
    id uuid not null,
    tenant_id uuid not null,
    order_id uuid not null,
    -- SHA-256 of the token, which has 256 random bits.
    hash bytea not null,
    -- Hours after the order's end; then the link has ended too.
    ttl_h integer not null,
    created_at timestamp with time zone not null default now(),
    revoked_at timestamp with time zone,
    constraint tracking_links_pkey PRIMARY KEY (id),
    constraint tracking_links_hash_key UNIQUE (hash),
    constraint tracking_links_ttl_h_check CHECK (((ttl_h >= 1) AND (ttl_h <= 8760))),
    constraint tracking_links_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id) ON DELETE CASCADE,
    constraint tracking_links_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(id)
);
CREATE INDEX tracking_links_created ON tracking_links USING btree (created_at);
CREATE INDEX tracking_links_order ON tracking_links USING btree (order_id);

-- The log: the source of truth. A position is drawn under the lock of log_head. Append-only, but
-- for what is erased and what is dropped for its age.
create table events (
    -- Gapless, and in commit order, over the whole database.
    position bigint not null,
    id uuid not null,
    tenant_id uuid not null,
    store_id uuid,
    order_id uuid,
    -- The courier who has the order after this, or whom it is about.
    driver_id uuid,
    -- The courier who has just lost the order.
    prior_driver_id uuid,
    -- The order's version after it; absent when it is not about an order.
    n bigint,
    type text not null,
    actor_role text not null,
    -- Empty once it was erased.
    actor_id text not null,
    -- The order's status before it.
    was text,
    -- The order's status after it.
    status text,
    occurred_at timestamp with time zone not null,
    recorded_at timestamp with time zone not null,
    -- Everything any audience may see of it. json, not jsonb: written once, never looked into.
    data json not null,
    constraint events_pkey PRIMARY KEY ("position")
) partition by range ("position");
CREATE INDEX events_driver ON events USING btree (driver_id, "position") WHERE (driver_id IS NOT NULL);
CREATE INDEX events_order ON events USING btree (order_id, "position") WHERE (order_id IS NOT NULL);
CREATE INDEX events_prior_driver ON events USING btree (prior_driver_id, "position") WHERE (prior_driver_id IS NOT NULL);
CREATE INDEX events_store ON events USING btree (store_id, "position") WHERE (store_id IS NOT NULL);
CREATE INDEX events_tenant ON events USING btree (tenant_id, "position");
create table events_from_1 partition of events for values from (minvalue) to (maxvalue);

-- What proves the hand-overs of orders, each as it was shown.
create table proofs (
    id uuid not null,
    tenant_id uuid not null,
    order_id uuid not null,
    -- What it proves: pickup, dropoff or return.
    at_point text not null,
    kind text not null,
    -- The delivery attempt that it is of.
    attempt integer not null,
    -- Where it is, if it is kept elsewhere.
    url text,
    -- The text of a scanned code, or whatever came as a reference.
    ref text,
    -- What data is; null without.
    content_type text,
    -- SHA-256 of what was uploaded; null when it came with an action.
    hash bytea,
    -- The picture, if it is kept here.
    data bytea,
    by_role text not null,
    by_id text not null,
    -- When it was made, by the device that made it.
    occurred_at timestamp with time zone not null,
    recorded_at timestamp with time zone not null,
    lat double precision,
    lng double precision,
    constraint proofs_pkey PRIMARY KEY (id),
    constraint proofs_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id) ON DELETE CASCADE,
    constraint proofs_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(id)
);
CREATE INDEX proofs_order ON proofs USING btree (order_id, recorded_at, id);

-- Every point of couriers whose tenant wants their ways kept. Appended only, dropped by age.
create table location_trail (
    -- When it was written; decides how long it is kept.
    recv_at timestamp with time zone not null default now(),
    tenant_id uuid not null,
    driver_id uuid not null,
    -- The number that the courier's device gave the point.
    n bigint not null,
    -- When it was there, by its device.
    at timestamp with time zone not null,
    lat double precision not null,
    lng double precision not null,
    -- Metres by which it may be wrong.
    acc_m real,
    -- Degrees clockwise from north.
    heading real,
    -- Metres a second.
    speed real,
    -- Of its device: 0 to 1.
    battery real
) partition by range (recv_at);
CREATE INDEX location_trail_driver ON location_trail USING btree (tenant_id, driver_id, at);

create type store_record as (
    id uuid,
    tenant_id uuid,
    external_id text,
    name text,
    lat double precision,
    lng double precision,
    tz text,
    phone text,
    auto_accept boolean,
    default_prep_min integer,
    paused_until timestamp with time zone
);

create type driver_record as (
    id uuid,
    tenant_id uuid,
    external_id text,
    name text,
    display_name text,
    phone text,
    vehicle_type text,
    vehicle_make text,
    vehicle_colour text,
    vehicle_plate text,
    duty text,
    capacity integer
);

create type order_record as (
    id uuid,
    tenant_id uuid,
    external_id text,
    store_id uuid,
    short_code text,
    fulfilment text,
    status text,
    leg text,
    version bigint,
    driver_id uuid,
    dropoff_name text,
    dropoff_phone text,
    dropoff_address text,
    dropoff_lat double precision,
    dropoff_lng double precision,
    dropoff_notes text,
    leave_at_door boolean,
    items jsonb,
    note text,
    window_from timestamp with time zone,
    window_to timestamp with time zone,
    prep_min integer,
    undeliverable_action text,
    proof_photo boolean,
    proof_signature boolean,
    proof_pin boolean,
    pin text,
    pin_tries integer,
    attempt integer,
    created_at timestamp with time zone,
    placed_at timestamp with time zone,
    accepted_at timestamp with time zone,
    preparing_at timestamp with time zone,
    ready_at timestamp with time zone,
    assigned_at timestamp with time zone,
    at_store_at timestamp with time zone,
    picked_up_at timestamp with time zone,
    at_door_at timestamp with time zone,
    delivered_at timestamp with time zone,
    rejected_at timestamp with time zone,
    cancelled_at timestamp with time zone,
    failed_at timestamp with time zone,
    returning_at timestamp with time zone,
    returned_at timestamp with time zone,
    accept_by timestamp with time zone,
    release_at timestamp with time zone,
    ready_eta timestamp with time zone,
    pickup_eta timestamp with time zone,
    dropoff_eta timestamp with time zone,
    dropoff_eta_lo timestamp with time zone,
    dropoff_eta_hi timestamp with time zone,
    reason_code text,
    reason_by text,
    reason_note text,
    status_by_role text,
    status_by_id text,
    meta jsonb,
    batch_id uuid,
    stop_seq integer,
    stops_before integer,
    search_at timestamp with time zone,
    search_since timestamp with time zone,
    search_round integer,
    search_mode text,
    search_offer_s integer,
    search_until timestamp with time zone,
    lost_by uuid,
    eta_source text,
    eta_at timestamp with time zone,
    told text[],
    erased_at timestamp with time zone,
    proof_scan boolean,
    proof_pickup text[],
    proof_return text[],
    proofs text[],
    robo_end text,
    robo_step_s integer,
    robo_at timestamp with time zone,
    return_eta timestamp with time zone
);

-- An event before its position is drawn.
create type event_record as (
    id uuid,
    tenant_id uuid,
    store_id uuid,
    order_id uuid,
    driver_id uuid,
    prior_driver_id uuid,
    n bigint,
    type text,
    actor_role text,
    actor_id text,
    was text,
    status text,
    occurred_at timestamp with time zone,
    recorded_at timestamp with time zone,
    data json
);

create type webhook_record as (
    id uuid,
    tenant_id uuid,
    url text,
    types text[],
    secret bytea,
    prior_secret bytea,
    prior_until timestamp with time zone,
    enabled boolean,
    disabled_reason text,
    disabled_at timestamp with time zone,
    cursor bigint,
    tries integer,
    failing_since timestamp with time zone,
    next_try_at timestamp with time zone,
    created_at timestamp with time zone
);

create type offer_record as (
    id uuid,
    tenant_id uuid,
    order_id uuid,
    driver_id uuid,
    since timestamp with time zone,
    round integer,
    state text,
    sent_at timestamp with time zone,
    expires_at timestamp with time zone,
    closed_at timestamp with time zone,
    distance_m integer
);

create type proof_record as (
    id uuid,
    tenant_id uuid,
    order_id uuid,
    at_point text,
    kind text,
    attempt integer,
    url text,
    ref text,
    content_type text,
    hash bytea,
    data bytea,
    by_role text,
    by_id text,
    occurred_at timestamp with time zone,
    recorded_at timestamp with time zone,
    lat double precision,
    lng double precision
);

CREATE OR REPLACE FUNCTION store_record(s stores)
 RETURNS store_record
 LANGUAGE sql
 IMMUTABLE
AS $function$
    select row(s.id, s.tenant_id, s.external_id, s.name, s.lat, s.lng, s.tz, s.phone,
               s.auto_accept, s.default_prep_min, s.paused_until)::store_record
$function$;

CREATE OR REPLACE FUNCTION driver_record(d drivers)
 RETURNS driver_record
 LANGUAGE sql
 IMMUTABLE
AS $function$
    select row(d.id, d.tenant_id, d.external_id, d.name, d.display_name, d.phone,
               d.vehicle_type, d.vehicle_make, d.vehicle_colour, d.vehicle_plate, d.duty,
               d.capacity)::driver_record
$function$;

CREATE OR REPLACE FUNCTION order_record(o orders)
 RETURNS order_record
 LANGUAGE sql
 IMMUTABLE
AS $function$
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
$function$;

CREATE OR REPLACE FUNCTION webhook_record(w webhooks)
 RETURNS webhook_record
 LANGUAGE sql
 IMMUTABLE
AS $function$
    select row(w.id, w.tenant_id, w.url, w.types, w.secret, w.prior_secret, w.prior_until,
               w.enabled, w.disabled_reason, w.disabled_at, w.cursor, w.tries, w.failing_since,
               w.next_try_at, w.created_at)::webhook_record
$function$;

CREATE OR REPLACE FUNCTION offer_record(f offers)
 RETURNS offer_record
 LANGUAGE sql
 IMMUTABLE
AS $function$
    select row(f.id, f.tenant_id, f.order_id, f.driver_id, f.since, f.round, f.state, f.sent_at,
               f.expires_at, f.closed_at, f.distance_m)::offer_record
$function$;

-- The partition that is written to: it has no end yet.
CREATE OR REPLACE FUNCTION newest_events()
 RETURNS regclass
 LANGUAGE sql
 STABLE
AS $function$
    select i.inhrelid::regclass
    from pg_inherits i
    join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'events'::regclass
      and pg_get_expr(c.relpartbound, c.oid) like '% TO (MAXVALUE)'
$function$;

-- Draws a border ahead of the head of the log, if the newest partition began so many days (UTC)
-- ago; whether there is one now.
CREATE OR REPLACE FUNCTION begin_cut(every_days integer, patience_ms integer)
 RETURNS boolean
 LANGUAGE plpgsql
AS $function$
declare
    newest regclass := newest_events();
    first_at timestamptz;
    since record;
    head bigint;
    begins text;
    border bigint;
begin
    if not pg_try_advisory_xact_lock(hashtextextended('ordercast: upkeep', 0)) then
        return false;
    end if;
    if exists (select from pg_constraint k where k.conrelid = newest and k.conname = 'events_border') then
        return true;
    end if;
    execute format('select e.recorded_at from %s e order by e.position limit 1', newest) into first_at;
    if first_at is null
        or (first_at at time zone 'UTC')::date + every_days > (now() at time zone 'UTC')::date then
        return false;
    end if;
    -- As far ahead as twice of what ten minutes bring at the latest pace.
    select h.last into head from log_head h;
    execute format('select e.position, e.recorded_at from %s e where e.position > $1 - 10000
                    order by e.position limit 1', newest) into since using head;
    border := head + 100 + 2 * ceil(
        (head - since.position) * 600
        / greatest(extract(epoch from clock_timestamp() - since.recorded_at), 1));
    begins := substring(pg_get_expr((select c.relpartbound from pg_class c where c.oid = newest), newest)
                        from 'FROM \(''?([0-9]+)');
    perform set_config('lock_timeout', patience_ms::text, true);
    -- With where it begins: the partition is to be told as a whole by it.
    execute format('alter table %s add constraint events_border check (position < %s %s) not valid',
                   newest, border, 'and position >= ' || begins);
    return true;
end $function$;

-- Looks through the newest partition, so that it need not be looked through under a lock; whether
-- there is a border.
CREATE OR REPLACE FUNCTION check_cut()
 RETURNS boolean
 LANGUAGE plpgsql
AS $function$
declare
    newest regclass := newest_events();
begin
    if not pg_try_advisory_xact_lock(hashtextextended('ordercast: upkeep', 0)) then
        return false;
    end if;
    if not exists (select from pg_constraint k where k.conrelid = newest and k.conname = 'events_border') then
        return false;
    end if;
    -- Those who read and write go on meanwhile.
    execute format('alter table %s validate constraint events_border', newest);
    return true;
end $function$;

-- Ends the newest partition at its border, and has the next begin there; null if there was no
-- border that was looked through.
CREATE OR REPLACE FUNCTION finish_cut(patience_ms integer)
 RETURNS bigint
 LANGUAGE plpgsql
AS $function$
declare
    newest regclass := newest_events();
    begins text;
    border text;
begin
    if not pg_try_advisory_xact_lock(hashtextextended('ordercast: upkeep', 0)) then
        return null;
    end if;
    -- This one waits for a vacuum, which gives way; nobody else waits for it.
    execute format('lock table %s in share update exclusive mode', newest);
    perform set_config('lock_timeout', patience_ms::text, true);
    -- Everybody has this lock before that of any partition, and before that of the head.
    lock table only events in access exclusive mode;
    select substring(pg_get_constraintdef(k.oid) from '< ''?([0-9]+)') into border
    from pg_constraint k
    where k.conrelid = newest and k.conname = 'events_border' and k.convalidated;
    if border is null or newest <> newest_events() then
        return null;
    end if;
    begins := coalesce(
        substring(pg_get_expr((select c.relpartbound from pg_class c where c.oid = newest), newest)
                  from 'FROM \(''?([0-9]+)'), 'minvalue');
    execute format('alter table events detach partition %s', newest);
    execute format('alter table events attach partition %s for values from (%s) to (%s)',
                   newest, begins, border);
    execute format('alter table %s drop constraint events_border', newest);
    execute format('create table events_from_%s partition of events for values from (%1$s) to (maxvalue)
                    with (autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0)', border);
    return border;
end $function$;

-- Takes the border away that the log has come to.
CREATE OR REPLACE FUNCTION lift_border(patience_ms integer)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
begin
    perform set_config('lock_timeout', patience_ms::text, true);
    execute format('alter table %s drop constraint if exists events_border', newest_events());
end $function$;

-- Drops the oldest partition if all in it is older than so many days; where the log begins now, or
-- null.
CREATE OR REPLACE FUNCTION drop_old_events(days integer, patience_ms integer)
 RETURNS bigint
 LANGUAGE plpgsql
AS $function$
declare
    part record;
    last_at timestamptz;
begin
    if not pg_try_advisory_xact_lock(hashtextextended('ordercast: upkeep', 0)) then
        return null;
    end if;
    select i.inhrelid::regclass as name,
           substring(pg_get_expr(c.relpartbound, c.oid) from ' TO \(''?([0-9]+)')::bigint as ends
    into part
    from pg_inherits i
    join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'events'::regclass
    order by 2 limit 1;
    if part.ends is null then
        return null;
    end if;
    execute format('select e.recorded_at from %s e order by e.position desc limit 1', part.name)
    into last_at;
    if last_at >= now() - make_interval(days => days) then
        return null;
    end if;
    execute format('lock table %s in share update exclusive mode', part.name);
    perform set_config('lock_timeout', patience_ms::text, true);
    lock table only events in access exclusive mode;
    execute format('drop table %s', part.name);
    update log_head h set oldest = part.ends where h.singleton;
    return part.ends;
end $function$;

CREATE OR REPLACE FUNCTION keep_trails()
 RETURNS integer
 LANGUAGE plpgsql
AS $function$
declare
    longest integer := (select max(location_retention_h) from tenants);
    hour timestamptz;
    part text;
    tenant record;
    dropped integer := 0;
begin
    -- Several processes may come at once.
    perform pg_advisory_xact_lock(5302412207);
    for ahead in 0 .. 2 loop
        hour := date_trunc('hour', now() at time zone 'UTC') at time zone 'UTC'
                + ahead * interval '1 hour';
        part := 'location_trail_' || to_char(hour at time zone 'UTC', 'YYYYMMDDHH24');
        if longest is not null and to_regclass(part) is null then
            execute format('create table %I partition of location_trail for values from (%L) to (%L)',
                           part, hour, hour + interval '1 hour');
        end if;
    end loop;
    for part in
        select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'location_trail'::regclass
          and to_timestamp(right(c.relname, 10) || '+00', 'YYYYMMDDHH24TZH')
              + make_interval(hours => 1 + coalesce(longest, 0)) < now()
    loop
        execute format('drop table %I', part);
        dropped := dropped + 1;
    end loop;
    for tenant in
        select t.id, coalesce(t.location_retention_h, 0) as hours from tenants t
        where coalesce(t.location_retention_h, 0) < longest
          and exists (select from location_trail l where l.tenant_id = t.id)
    loop
        delete from location_trail l
        where l.tenant_id = tenant.id and l.recv_at < now() - make_interval(hours => tenant.hours);
    end loop;
    return dropped;
end
$function$;
