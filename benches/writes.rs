//! How many changes a second does one writer make durable, and how long does each wait?
//!
//! Unit: changes a second, and milliseconds from submitting to the durable answer, at 1, 16, 64
//! and 256 callers that each wait for their answer. PostgreSQL (fsync on) and the callers share
//! the machine. Afterwards the log is read and held against what was answered.
//!
//! Act when 64 callers get less than 8 times what one gets: then batches no longer form.
//!
//! Then: how many orders a second does one caller place who hands 500 to the writer together, and
//! how many who places one after the other? Both in turns, in one run. Act below 10 times as many:
//! then what is handed over together does not ride together.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench reports, and may fail")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use ordercast::config::{Config, Overrides, Secret};
use ordercast::domain::{
    Actor, Command, Draft, Fulfilment, Item, OrderId, Place, ProofRequired, Role, Store, StoreId,
    TenantId, TenantPatch, Undeliverable,
};
use ordercast::embedded::{Durability, Postgres, Settings};
use ordercast::store::{self, Change, Database, Outcome, Target, Writer};

/// How long each number of callers is measured.
const RUN: Duration = Duration::from_secs(4);

fn change(tenant: TenantId, by: &Actor, target: Target) -> Change {
    Change {
        tenant,
        by: by.clone(),
        target,
        idempotency: None,
        if_match: None,
        occurred_at: None,
        place: None,
    }
}

fn draft(tenant: TenantId, store: StoreId) -> Target {
    let id = OrderId::new();
    let draft = Draft {
        id,
        tenant,
        external_id: id.to_string(),
        store,
        short_code: "B3NC".to_owned(),
        fulfilment: Fulfilment::Collection,
        dropoff: None,
        items: vec![Item { name: "Pizza".to_owned(), qty: 1 }],
        note: None,
        window: None,
        undeliverable: Undeliverable::Return,
        proof_required: ProofRequired::default(),
        pin: Some("0000".to_owned()),
        meta: serde_json::json!({}),
    };
    Target::Place { draft: Box::new(draft), request_hash: vec![0; 32] }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // `cargo test --benches` and CI pass this: each part runs, briefly.
    let brief = std::env::args().any(|argument| argument == "--test");
    let run = if brief { Duration::from_millis(200) } else { RUN };
    let postgres = Postgres::temporary(&Settings {
        bin_dir: std::env::var_os("ORDERCAST_POSTGRES_BIN_DIR").map(Into::into),
        data_dir: None,
        durability: Durability::Durable,
        max_connections: 50,
        shared_buffers_mb: 128,
    })
    .unwrap();
    let mut config = Config::load(None, &Overrides::default()).unwrap();
    config.database.url = Secret(postgres.url("postgres"));
    store::migrate(&config.database.url.0).await.unwrap();
    let (database, _listening) = Database::new(&config.database).unwrap();
    let (writer, queue) = Writer::new(config.writer.queue_len, config.writer.batch_max);
    let writing = tokio::spawn(store::run_writer(database.clone(), queue));
    let tenant = database.upsert_tenant("bench").await.unwrap();
    // Couriers are named here.
    let off = TenantPatch { offer_mode: Some(None), ..TenantPatch::default() };
    database.update_tenant(tenant, &off).await.unwrap();
    let store = Store {
        id: StoreId::new(),
        tenant,
        external_id: "bench".to_owned(),
        name: "Bench".to_owned(),
        place: Place { lat: 52.5, lng: 13.4 },
        tz: "Europe/Berlin".to_owned(),
        phone: None,
        auto_accept: false,
        default_prep_min: 20,
        paused_until: None,
    };
    let store = database.upsert_store(&store).await.unwrap().0.id;
    println!("callers  changes/s  p50 ms  p99 ms  max ms");
    let mut answered = 0;
    for callers in [1, 16, 64, 256] {
        let events = Arc::new(AtomicU64::new(0));
        let began = Instant::now();
        let tasks: Vec<_> = (0..callers)
            .map(|_| {
                let (writer, events) = (writer.clone(), Arc::clone(&events));
                tokio::spawn(caller(writer, tenant, store, began + run, events))
            })
            .collect();
        let mut waited = Histogram::<u64>::new(3).unwrap();
        for task in tasks {
            waited.add(task.await.unwrap()).unwrap();
        }
        let seconds = began.elapsed().as_secs_f64();
        let ms = |quantile: f64| {
            Duration::from_micros(waited.value_at_quantile(quantile)).as_secs_f64() * 1e3
        };
        let rate = f64::from(u32::try_from(waited.len()).unwrap()) / seconds;
        println!("{callers:7}  {rate:9.0}  {:6.2}  {:6.2}  {:6.2}", ms(0.5), ms(0.99), ms(1.0));
        answered += events.load(Ordering::Relaxed);
    }
    let (mut together, mut alone) = (Rate::default(), Rate::default());
    for _turn in 0..4 {
        together.add(&placing(&writer, tenant, store, BULK, run / 4).await);
        alone.add(&placing(&writer, tenant, store, 1, run / 4).await);
    }
    let ratio = together.per_second() / alone.per_second();
    println!(
        "one caller places {:.0} orders/s by {BULK} together, {:.0} one by one: {ratio:.1} times",
        together.per_second(),
        alone.per_second(),
    );
    answered += together.placed + alone.placed;
    let logged = database.read_head().await.unwrap();
    assert_eq!(answered, logged, "the log differs from what was answered");
    println!("{logged} events in the log, each answered once");
    drop(writer);
    writing.await.unwrap();
}

/// Orders of one request.
const BULK: usize = 500;

/// Orders placed, and in which time.
#[derive(Default)]
struct Rate {
    placed: u64,
    took: Duration,
}

impl Rate {
    fn add(&mut self, more: &Self) {
        self.placed += more.placed;
        self.took += more.took;
    }

    fn per_second(&self) -> f64 {
        f64::from(u32::try_from(self.placed).unwrap()) / self.took.as_secs_f64()
    }
}

/// Places `count` orders together, again and again.
async fn placing(
    writer: &Writer,
    tenant: TenantId,
    store: StoreId,
    count: usize,
    run: Duration,
) -> Rate {
    let platform = Actor { role: Role::Platform, id: "bench".to_owned() };
    let began = Instant::now();
    let mut rate = Rate::default();
    while began.elapsed() < run {
        let changes = (0..count).map(|_| change(tenant, &platform, draft(tenant, store)));
        for outcome in writer.submit_all(changes.collect()).await {
            assert!(matches!(outcome, Ok(Outcome::Placed(_))), "{outcome:?}");
            rate.placed += 1;
        }
    }
    rate.took = began.elapsed();
    rate
}

/// Makes orders and walks each to its end, one change at a time.
async fn caller(
    writer: Writer,
    tenant: TenantId,
    store: StoreId,
    until: Instant,
    events: Arc<AtomicU64>,
) -> Histogram<u64> {
    let platform = Actor { role: Role::Platform, id: "bench".to_owned() };
    let tablet = Actor { role: Role::Store, id: store.to_string() };
    let mut waited = Histogram::new(3).unwrap();
    while Instant::now() < until {
        let mut order = None;
        let mut version = 0;
        for step in 0..4 {
            let (by, target) = match (step, order) {
                (0, _) | (_, None) => (&platform, draft(tenant, store)),
                (nth, Some(id)) => {
                    let command = match nth {
                        1 => Command::Accept { prep_min: Some(10) },
                        2 => Command::Ready,
                        _ => Command::Collect { pin: None, proofs: vec![] },
                    };
                    (&tablet, Target::Order { id, command: Box::new(command) })
                }
            };
            let began = Instant::now();
            let outcome = writer.submit(change(tenant, by, target)).await.unwrap();
            let micros = u64::try_from(began.elapsed().as_micros()).unwrap();
            waited.record(micros.max(1)).unwrap();
            let (Outcome::Placed(sheet) | Outcome::Changed(sheet)) = outcome else {
                unreachable!("{outcome:?}")
            };
            events.fetch_add((sheet.order.version - version).unsigned_abs(), Ordering::Relaxed);
            version = sheet.order.version;
            order = Some(sheet.order.id);
        }
    }
    waited
}
