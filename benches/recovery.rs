//! What does it cost to find what someone missed who was away for a moment: in the window in
//! memory, and in PostgreSQL?
//!
//! Unit: reads a second by 8 callers at once, on a warm log three times as long as the window.
//! PostgreSQL and the callers share the machine. Before they are measured all must find the same
//! events. A window of an eighth of the length is measured beside the full one: what a read costs
//! must not depend on what is held.
//!
//! Act when the window is less than 10 times as fast as PostgreSQL, or the full window less than
//! half as fast as the short one: then something is searched for that should be known.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench reports, and may fail")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use ordercast::config::{self, Config, Overrides, Secret};
use ordercast::domain::{DriverId, OrderId, StoreId, TenantId};
use ordercast::embedded::{Durability, Postgres, Settings};
use ordercast::feed::{Feed, Revoked, Since, Window};
use ordercast::hub::{Hubs, News as _, Topic};
use ordercast::locations::Locations;
use ordercast::store::{self, Database, Scope};
use tokio_postgres::NoTls;
use uuid::Uuid;

/// How long each way of reading is measured.
const RUN: Duration = Duration::from_secs(2);

/// How many read at once.
const CALLERS: usize = 8;

/// More than is ever missed here.
const LIMIT: u32 = 1_000;

/// A busy hour: 500 orders under way at once, 7 events each, in 20 stores, by 100 couriers. The
/// number of a thing is the end of its identifier.
const LOG: &str = "
create function id(n bigint) returns uuid language sql immutable as $$
    select ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid
$$;
insert into events (position, id, tenant_id, store_id, order_id, driver_id, n, type, actor_role,
                    actor_id, was, status, occurred_at, recorded_at, data)
select p, id(p), id(1), id(o % 20), id(o), id(o % 100), p % 3500 / 500 + 1, 'order.ready', 'store',
       'someone', 'preparing', 'ready', now(), now(),
       json_build_object('order', json_build_object('id', o, 'note', repeat('x', 600)))
from generate_series(1, $events::bigint) p, lateral (select p / 3500 * 500 + p % 500) t (o);
update log_head set last = $events;
vacuum analyze events;
";

const fn id(number: u64) -> Uuid {
    Uuid::from_u64_pair(0x7000, 0x8000_0000_0000_0000 | number)
}

/// Someone who was away.
#[derive(Clone, Copy)]
struct Missing {
    topic: Topic,
    scope: Scope,
    after: u64,
}

/// A window as the feed fills it at its start, and how long that took.
async fn window(config: &Config, len: usize) -> (Arc<Window>, Duration) {
    let (_database, listening) = Database::new(&config.database).unwrap();
    let settings = config::Feed { window_len: len, ..config.feed.clone() };
    let (feed, mut state) = Feed::new(
        listening,
        Hubs::default(),
        (Arc::new(Revoked::new(Duration::ZERO)), Locations::new(config.locations.clone())),
        settings,
        Duration::ZERO,
    );
    let window = Arc::clone(feed.window());
    let began = Instant::now();
    let feeding = tokio::spawn(feed.run());
    state.wait_for(|state| state.up).await.unwrap();
    let took = began.elapsed();
    feeding.abort();
    (window, took)
}

fn from_window(window: &Window, missing: Missing) -> Vec<u64> {
    let limit = usize::try_from(LIMIT).unwrap();
    let since = window.since("", &missing.topic, missing.after, limit);
    let Since::Whole { events, .. } = since else { unreachable!("{since:?}") };
    events.iter().map(|event| event.position()).collect()
}

async fn from_database(database: &Database, tenant: TenantId, missing: Missing) -> Vec<u64> {
    let read = database.read_missed(tenant, missing.scope, missing.after, LIMIT).await.unwrap();
    read.events.iter().map(|event| event.position).collect()
}

/// Reads a second of all callers together, each reading again and again.
async fn rate<F: Future<Output = Vec<u64>> + Send>(
    run: Duration,
    read: impl Fn() -> F + Clone + Send + 'static,
) -> f64 {
    let began = Instant::now();
    let callers = (0..CALLERS).map(|_| {
        let read = read.clone();
        tokio::spawn(async move {
            let mut reads = 0_u32;
            while began.elapsed() < run {
                std::hint::black_box(read().await);
                reads += 1;
                // What is in memory never waits: the other callers get their turn here.
                tokio::task::consume_budget().await;
            }
            f64::from(reads)
        })
    });
    let reads: f64 = join_all(callers).await.into_iter().map(|reads| reads.unwrap()).sum();
    reads / began.elapsed().as_secs_f64()
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // `cargo test --benches` and CI pass this: each part runs, briefly.
    let brief = std::env::args().any(|argument| argument == "--test");
    let run = if brief { Duration::from_millis(20) } else { RUN };
    let postgres = Postgres::temporary(&Settings {
        bin_dir: std::env::var_os("ORDERCAST_POSTGRES_BIN_DIR").map(Into::into),
        data_dir: None,
        durability: Durability::ThrowAway,
        max_connections: 50,
        shared_buffers_mb: 128,
    })
    .unwrap();
    let mut config = Config::load(None, &Overrides::default()).unwrap();
    config.database.url = Secret(postgres.url("postgres"));
    store::migrate(&config.database.url.0).await.unwrap();
    let len = config.feed.window_len;
    let (client, connection) =
        tokio_postgres::connect(&config.database.url.0, NoTls).await.unwrap();
    tokio::spawn(connection);
    // A vacuum stands alone.
    for statement in LOG.replace("$events", &(3 * len).to_string()).split_inclusive(";\n") {
        client.batch_execute(statement).await.unwrap();
    }
    let (database, _listening) = Database::new(&config.database).unwrap();

    let (short, _took) = window(&config, len / 8).await;
    let (full, took) = window(&config, len).await;
    assert_eq!(full.last() - full.first() + 1, u64::try_from(len).unwrap());
    println!("{len} events were read again at the start within {} ms", took.as_millis());

    let tenant = TenantId::from_uuid(id(1));
    // Of an order that is well on its way.
    let known = full.since("", &Topic::Tenant(tenant), full.last() - 1_000, 1_000);
    let Since::Whole { events, .. } = known else { unreachable!("{known:?}") };
    let event = events.first().unwrap().event();
    let order: OrderId = event.order.unwrap();
    let store: StoreId = event.store.unwrap();
    let driver: DriverId = event.driver.unwrap();
    let order = (Topic::Order(order), Scope::Order(order));
    let store = (Topic::Store(store), Scope::Store(store));
    let driver = (Topic::Driver(driver), Scope::Driver(driver));
    let tenants = (Topic::Tenant(tenant), Scope::Tenant);

    println!("missed        window/s  an eighth/s  PostgreSQL/s  window : PostgreSQL");
    for (name, (topic, scope), count) in [
        ("order", order, 0),
        ("order", order, 1),
        ("driver", driver, 3),
        ("store", store, 20),
        ("tenant", tenants, 1),
        ("tenant", tenants, 300),
    ] {
        let last = database.read_last(tenant, scope, u64::MAX, count + 1).await.unwrap();
        // After the one before those that are missed.
        let after = last.events.last().unwrap().position;
        let missing = Missing { topic, scope, after };
        let logged = from_database(&database, tenant, missing).await;
        assert_eq!(logged.len(), usize::try_from(count).unwrap());
        let mut rates = Vec::new();
        for window in [&full, &short] {
            assert_eq!(from_window(window, missing), logged);
            let window = Arc::clone(window);
            let read = move || {
                let window = Arc::clone(&window);
                async move { from_window(&window, missing) }
            };
            rates.push(rate(run, read).await);
        }
        let reading = database.clone();
        let read = move || {
            let database = reading.clone();
            async move { from_database(&database, tenant, missing).await }
        };
        let logged = rate(run, read).await;
        let [full, short] = rates.try_into().unwrap();
        let ratio = full / logged;
        println!("{name:6} {count:5}  {full:9.0}  {short:11.0}  {logged:12.0}  {ratio:19.0}");
    }
    database.close();
}
