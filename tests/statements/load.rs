//! Rows enough that a plan without the right index would be seen.

use tokio_postgres::Client;

/// Tenants with something; each has every `TENANTS`th store, courier and order.
pub(crate) const TENANTS: u32 = 20;
const STORES: u32 = 4_000;
const DRIVERS: u32 = 8_000;
/// Events of one order.
pub(crate) const EVENTS_EACH: u32 = 5;

/// What `id(kind, n)` is called with, in SQL.
const ONCE: &str = "
create function id(kind text, n bigint) returns uuid language sql immutable as $$
    select (left(md5(kind), 8) || '-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid
$$;
insert into tenants (id, name)
select id('tenant', n), 'Tenant ' || n from generate_series(0, 4999) n;
insert into credentials (id, tenant_id, kind, subject_id, hash)
select id('credential', n), id('tenant', n % $tenants), 'api_key', 'backend ' || n,
       sha256(n::text::bytea)
from generate_series(0, 4999) n;
insert into stores (id, tenant_id, external_id, name, lat, lng, tz)
select id('store', n), id('tenant', n % $tenants), 'store ' || n, 'Store ' || n, 52.5, 13.4,
       'Europe/Berlin'
from generate_series(0, $stores - 1) n;
insert into drivers (id, tenant_id, external_id, name, display_name, vehicle_type)
select id('driver', n), id('tenant', n % $tenants), 'driver ' || n, 'Driver ' || n, 'D. ' || n,
       'bicycle'
from generate_series(0, $drivers - 1) n;
update drivers set duty = 'on' where id in (select id('driver', n * 3) from generate_series(0, 2500) n);
insert into driver_locations (driver_id, tenant_id, n, at, recv_at, lat, lng, cell)
select id('driver', n), id('tenant', n % $tenants), 1, now(), now(), n % 180 - 90 + 0.01,
       n % 360 - 180 + 0.01, (n % 180) * 144000 + (n % 360) * 20
from generate_series(0, $drivers - 1) n;
create table location_trail_2020010100 partition of location_trail
    for values from ('2020-01-01 00:00Z') to ('2020-01-01 01:00Z');
create table location_trail_2020010101 partition of location_trail
    for values from ('2020-01-01 01:00Z') to ('2020-01-01 02:00Z');
insert into location_trail (recv_at, tenant_id, driver_id, n, at, lat, lng)
select s.at, id('tenant', s.n % $tenants), id('driver', s.n % 1000), s.n, s.at, 52.5, 13.4
from (select n, '2020-01-01 00:00Z'::timestamptz + n * interval '0.6 seconds' as at
      from generate_series(0, 11999) n) s;
insert into idempotency_keys (tenant_id, scope, key, request_hash, order_id, created_at)
select id('tenant', n % $tenants), 'platform:backend', 'key ' || n, sha256(n::text::bytea),
       id('order', n), now() - n * interval '1 second'
from generate_series(0, 9999) n;
insert into revoked_tokens (tenant_id, id, revoked_at, keep_until)
select id('tenant', n % $tenants), id('token', n), now(), now() + n * interval '1 second'
from generate_series(0, 9999) n;
insert into webhooks (id, tenant_id, url, secret, cursor)
select id('webhook', n), id('tenant', n), 'https://example.com/' || n, 'secret', 0
from generate_series(0, 4999) n;
insert into webhook_attempts (webhook_id, nth, event_id, outcome, duration_ms, at)
select id('webhook', n % 50), n / 50, id('event', n), 'delivered', 5, now() - n * interval '1 second'
from generate_series(0, 9999) n;
insert into processes (id, seen_at)
select id('process', n), now() - n * interval '1 second' from generate_series(0, 999) n;
insert into members (process_id, channel, client_id, user_id)
select id('process', n % 10), 'order:' || n % 5000, id('client', n), 'user ' || n
from generate_series(0, 19999) n;
";

/// Orders from `$from` to before `$to`, a second apart, open where `$open`, with their events and
/// timers that are far away.
const ORDERS: &str = "
insert into orders (id, tenant_id, external_id, store_id, short_code, fulfilment, status, leg,
                    version, driver_id, items, undeliverable_action, proof_photo,
                    proof_signature, proof_pin, pin_tries, attempt, created_at, placed_at,
                    status_by_role, status_by_id, meta, request_hash, closed_at, updated_at)
select id('order', n), id('tenant', n % $tenants), 'order ' || n, id('store', n % $stores),
       'A1B2', 'delivery', case when $open then 'ready' else 'delivered' end,
       case when $open then 'assigned' else 'closed' end, $each, id('driver', n % $drivers), '[]',
       'return', false, false, false, 0, 1, at, at, 'platform', 'backend', '{}',
       sha256(n::text::bytea), case when not ($open) then at + interval '10 minutes' end,
       at + interval '10 minutes'
from generate_series($from::bigint, $to - 1) n,
     lateral (select '2030-01-01 00:00Z'::timestamptz + n * interval '1 second') t (at);
insert into events (position, id, tenant_id, store_id, order_id, driver_id, prior_driver_id, n,
                    type, actor_role, actor_id, was, status, occurred_at, recorded_at, data)
select n * $each + e, id('event', n * $each + e), id('tenant', n % $tenants),
       id('store', n % $stores), id('order', n), id('driver', n % $drivers),
       case when e = 3 then id('driver', (n + $tenants) % $drivers) end, e, 'order.ready',
       'store', 'someone', 'preparing', 'ready', at, at,
       json_build_object('order', json_build_object('id', n, 'note', repeat('x', 200)))
from generate_series($from::bigint, $to - 1) n, generate_series(1, $each) e,
     lateral (select '2030-01-01 00:00Z'::timestamptz + n * interval '1 second') t (at);
insert into offers (id, tenant_id, order_id, driver_id, since, round, state, sent_at, expires_at)
select id('offer', n * 2 + e), id('tenant', n % $tenants), id('order', n),
       id('driver', (n * 7 + e) % $drivers), at, e + 1,
       case when $open and e = 1 then 'pending' else 'expired' end, at, at
from generate_series($from::bigint, $to - 1) n, generate_series(0, 1) e,
     lateral (select '2030-01-01 00:00Z'::timestamptz + n * interval '1 second') t (at);
insert into proofs (id, tenant_id, order_id, at_point, kind, attempt, content_type, hash, data,
                    by_role, by_id, occurred_at, recorded_at)
select id('proof', n), id('tenant', n % $tenants), id('order', n), 'dropoff', 'photo', 1,
       'image/png', sha256(n::text::bytea), repeat('x', 100)::bytea, 'driver', 'someone', at, at
from generate_series($from::bigint, $to - 1) n,
     lateral (select '2030-01-01 00:00Z'::timestamptz + n * interval '1 second') t (at);
insert into tracking_links (id, tenant_id, order_id, hash, ttl_h, created_at)
select id('link', n), id('tenant', n % $tenants), id('order', n), sha256(n::text::bytea), 24,
       '2030-01-01 00:00Z'::timestamptz + n * interval '1 second'
from generate_series($from::bigint, $to - 1) n;
update log_head set last = $to::bigint * $each;
insert into timers (kind, subject_id, tenant_id, due_at)
select 'order', id('order', n), id('tenant', n % $tenants),
       '2099-01-01 00:00Z'::timestamptz + n * interval '1 second'
from generate_series($from::bigint, $to - 1) n;
";

/// The numbers in place of their names.
pub(crate) fn fill(sql: &str) -> String {
    sql.replace("$tenants", &TENANTS.to_string())
        .replace("$stores", &STORES.to_string())
        .replace("$drivers", &DRIVERS.to_string())
        .replace("$each", &EVENTS_EACH.to_string())
}

/// Tenants, stores, couriers, credentials, keys; and `id(kind, n)`, by which all are known.
pub(crate) async fn parties(client: &Client) {
    client.batch_execute(&fill(ONCE)).await.unwrap();
}

/// Orders and their events; `open` says in SQL which orders `n` are.
pub(crate) async fn orders(client: &Client, from: u32, to: u32, open: &str) {
    let sql = ORDERS
        .replace("$from", &from.to_string())
        .replace("$to", &to.to_string())
        .replace("$open", open);
    client.batch_execute(&fill(&sql)).await.unwrap();
    client.batch_execute("vacuum analyze").await.unwrap();
}
