-- Webhooks: where a tenant's events are posted to, how far that has come, and what was tried.

create table webhooks (
    id uuid primary key,
    tenant_id uuid not null references tenants (id),
    url text not null,
    types text[],
    secret bytea not null,
    prior_secret bytea,
    prior_until timestamptz,
    enabled boolean not null default true,
    disabled_reason text,
    disabled_at timestamptz,
    cursor bigint not null,
    tries integer not null default 0,
    failing_since timestamptz,
    next_try_at timestamptz,
    attempts bigint not null default 0,
    leased_by uuid,
    leased_until timestamptz,
    claimed_at timestamptz not null default now(),
    created_at timestamptz not null default now()
) with (fillfactor = 50);
comment on table webhooks is 'Endpoints that a tenant''s events are posted to, each in the order of the log.';
comment on column webhooks.types is 'The types of events that it wants; null means all.';
comment on column webhooks.secret is 'What deliveries are signed by.';
comment on column webhooks.prior_secret is 'The secret before, which signs as well until prior_until.';
comment on column webhooks.disabled_reason is 'Why nothing is posted: asked, gone, failing or cursor_too_old.';
comment on column webhooks.cursor is 'Position up to which everything that it wants has been delivered.';
comment on column webhooks.tries is 'Failures since the last delivery.';
comment on column webhooks.failing_since is 'The first of these failures.';
comment on column webhooks.next_try_at is 'Nothing is posted before; null means at once.';
comment on column webhooks.attempts is 'Attempts ever made: the nth of the newest.';
comment on column webhooks.leased_by is 'The process that delivers to it until leased_until, and no other does.';
comment on column webhooks.claimed_at is 'When a process last took it up: those who have waited longest come first.';
create index webhooks_tenant on webhooks (tenant_id, id);

create table webhook_attempts (
    webhook_id uuid not null references webhooks (id) on delete cascade,
    nth bigint not null,
    event_id uuid not null,
    position bigint,
    outcome text not null,
    status integer,
    duration_ms integer not null,
    at timestamptz not null default now(),
    primary key (webhook_id, nth)
);
comment on table webhook_attempts is 'What was posted, and what came of it: the newest of each webhook.';
comment on column webhook_attempts.position is 'The event''s; null for a ping.';
comment on column webhook_attempts.status is 'The HTTP status of the answer; null when there was none.';
create index webhook_attempts_at on webhook_attempts (at);

create type webhook_record as (
    id uuid, tenant_id uuid, url text, types text[], secret bytea, prior_secret bytea,
    prior_until timestamptz, enabled boolean, disabled_reason text, disabled_at timestamptz,
    cursor bigint, tries integer, failing_since timestamptz, next_try_at timestamptz,
    created_at timestamptz
);
create function webhook_record(w webhooks) returns webhook_record language sql immutable as $$
    select row(w.id, w.tenant_id, w.url, w.types, w.secret, w.prior_secret, w.prior_until,
               w.enabled, w.disabled_reason, w.disabled_at, w.cursor, w.tries, w.failing_since,
               w.next_try_at, w.created_at)::webhook_record
$$;
