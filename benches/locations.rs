//! What does the location load of the L profile cost an order's change, and how much of it holds?
//!
//! 62,000 couriers tell 7,700 points a second and are seen on 12,400 channels: here a share of that,
//! through the very rooms of a process: its memory, the writer of locations, the notifications (of
//! which another process's ear takes its part), the feed, the publisher, and a hub whose listeners
//! are read. Beside it 1,000 order changes a second are written. Once every courier has told where it
//! is for the first time, in turns, in one run: the changes,
//! both, and the locations alone, which tell what they cost.
//!
//! Unit: milliseconds from submitting a change to its durable answer; from telling a point to the
//! frame being in its listener's hands. PostgreSQL (fsync on), the load and the listeners share
//! the machine. Not in it: sockets and the device's HTTP or WebSocket, which `fanout` of any server
//! costs alike.
//!
//! Act when a change's p99 with locations is more than 1.5 times that without, or a point's p99
//! beyond its pace is more than 1.5 s.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench reports, and may fail")]

#[path = "load/usage.rs"]
mod usage;

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use ordercast::auth;
use ordercast::config::{Config, Overrides, Secret};
use ordercast::domain::{
    Actor, Command, Draft, DriverId, Fulfilment, Item, Location, OrderId, Place, ProofRequired,
    Role, Store, StoreId, TenantId, Undeliverable,
};
use ordercast::embedded::{Durability, Postgres, Settings};
use ordercast::feed::{Feed, Revoked};
use ordercast::hub::{
    Ear, Hub, Hubs, Listener, Listening, Mailbox, Outlet, Publication, Seat, Topic,
};
use ordercast::locations::{Flusher, Locations, Publisher};
use ordercast::protocol::Codec;
use ordercast::store::{self, Change, Database, Outcome, Target, Writer};
use ordercast::wire::Wire;
use tokio::sync::{Notify, mpsc};
use tokio_postgres::NoTls;
use usage::{Watched, total};
use uuid::Uuid;

/// The L profile.
const COURIERS: u32 = 62_000;
const POINTS_PER_S: u32 = 7_700;
/// Channels on which a point is heard, in hundredths of the points.
const HEARD_PERCENT: usize = 161;
const CHANGES_PER_S: u32 = 1_000;
/// Changes that may be under way at once.
const CALLERS: u32 = 64;
/// How long each turn takes, and how many there are of each kind.
const TURN: Duration = Duration::from_secs(6);
const TURNS: u32 = 3;
/// Bytes that may wait for one listener.
const MAILBOX_BYTES: usize = 1 << 20;

/// Couriers, and orders on their way, each with a courier of its own.
const RIDERS: &str = "
insert into drivers (id, tenant_id, external_id, name, display_name, vehicle_type, duty)
select id, $1, id::text, 'Cori Rossi', 'Cori R.', 'scooter', 'on' from unnest($2::uuid[]) as d (id)";
const ORDERS: &str = "
insert into orders (id, tenant_id, external_id, store_id, short_code, fulfilment, status, leg, version,
                    driver_id, items, undeliverable_action, created_at, picked_up_at, status_by_role,
                    status_by_id, meta, dropoff_name, dropoff_address, dropoff_lat, dropoff_lng,
                    proof_photo, proof_signature, proof_pin, pin_tries,
                    attempt, request_hash, updated_at)
select o.id, $1, o.id::text, $2, 'B3NC', 'delivery', 'picked_up', 'en_route', 7, o.driver, '[]',
       'return', now(), now(), 'driver', '', '{}', 'Ann', 'Elm St 1', 53.5, 14.4, false, false, false, 0, 1, sha256(''), now()
from unnest($3::uuid[], $4::uuid[]) as o (id, driver)";

struct Town {
    tenant: TenantId,
    store: StoreId,
    drivers: Vec<DriverId>,
    orders: Vec<OrderId>,
}

async fn found(database: &Database, url: &str, share: f64) -> Town {
    let tenant = database.upsert_tenant("bench").await.unwrap();
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
    let drivers: Vec<DriverId> = (0..part(COURIERS, share)).map(|_| DriverId::new()).collect();
    let orders: Vec<OrderId> = (0..part(COURIERS, share)).map(|_| OrderId::new()).collect();
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    let ids: Vec<Uuid> = drivers.iter().map(|id| id.uuid()).collect();
    let order_ids: Vec<Uuid> = orders.iter().map(|id| id.uuid()).collect();
    let taken: Vec<Uuid> = ids.iter().take(order_ids.len()).copied().collect();
    client.execute(RIDERS, &[&tenant.uuid(), &ids]).await.unwrap();
    client.execute(ORDERS, &[&tenant.uuid(), &store.uuid(), &order_ids, &taken]).await.unwrap();
    client.batch_execute("analyze").await.unwrap();
    Town { tenant, store, drivers, orders }
}

fn part(whole: u32, share: f64) -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of it")]
    let part = (f64::from(whole) * share).round() as u32;
    part.max(1)
}

/// A worker's hub with a listener for each watched order; takes what is published.
struct Watchers {
    listeners: Vec<Rc<Listener<Publication>>>,
    /// Each with what rings when something is in it.
    mailboxes: Vec<(Rc<Mailbox>, Waker)>,
    rung: Arc<Mutex<Vec<usize>>>,
}

/// Notes in which mailbox something is, so that looking into all does not count as a cost.
struct Bell {
    nth: usize,
    rung: Arc<Mutex<Vec<usize>>>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.rung.lock().unwrap().push(self.nth);
    }
}

impl Watchers {
    fn of(town: &Town, hub: &Rc<Hub<Publication>>) -> Self {
        let (mut listeners, mut mailboxes) = (Vec::new(), Vec::new());
        let rung = Arc::<Mutex<Vec<usize>>>::default();
        let heard = town.orders.len() * HEARD_PERCENT / 100;
        for order in town.orders.iter().cycle().take(heard) {
            let mailbox =
                Rc::new(Mailbox::new(Outlet::Body, Wire::Socket, Codec::Json, MAILBOX_BYTES));
            let topic = Topic::Order(*order);
            let ear = Ear { tenant: town.tenant, seat: Seat::OrderCustomer, filter: None };
            let listener = Listener::new(Listening {
                topic,
                ear,
                channel: topic.to_string().as_str().into(),
                renamed: false,
                hears_moves: false,
                mailbox: Rc::clone(&mailbox),
                hold_max: 16,
                bearer: None,
                ended: Rc::new(Notify::new()),
            });
            hub.listen(&listener);
            assert!(listener.go_live(0, 0).unwrap().is_empty());
            listeners.push(listener);
            let (nth, rung) = (mailboxes.len(), Arc::clone(&rung));
            let waker = Waker::from(Arc::new(Bell { nth, rung }));
            assert!(mailbox.poll_chunk(&Context::from_waker(&waker)).is_pending());
            mailboxes.push((mailbox, waker));
        }
        Self { listeners, mailboxes, rung }
    }

    /// Takes what has come: how many frames, and how old each point was.
    fn take(&self, waited: &mut Histogram<u64>) -> u64 {
        let mut frames = 0;
        let rung = std::mem::take(&mut *self.rung.lock().unwrap());
        for (mailbox, waker) in rung.iter().filter_map(|nth| self.mailboxes.get(*nth)) {
            while let Poll::Ready(Some(chunk)) = mailbox.poll_chunk(&Context::from_waker(waker)) {
                frames += 1;
                let text = String::from_utf8_lossy(&chunk);
                // The number of a point is when it was told.
                let n = text.split_once("\"n\":").map(|(_, rest)| rest);
                let n = n
                    .and_then(|rest| rest.split([',', '}']).next())
                    .and_then(|n| n.parse::<i64>().ok());
                if let Some(n) = n {
                    let age = auth::now().as_millisecond() - n;
                    waited.record(age.max(1).unsigned_abs()).unwrap();
                }
            }
        }
        frames
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

/// Makes orders and walks them on, at its part of the pace, until told to stop.
async fn caller(
    writer: Writer,
    (tenant, store): (TenantId, StoreId),
    nth: u32,
    stop: Arc<AtomicBool>,
) -> Histogram<u64> {
    let mut waited = Histogram::new(3).unwrap();
    let pace = Duration::from_secs(1) * CALLERS / CHANGES_PER_S;
    let mut next = Instant::now() + pace * nth / CALLERS;
    let mut order: Option<OrderId> = None;
    let mut steps = 0;
    while !stop.load(Ordering::Relaxed) {
        tokio::time::sleep_until(next.into()).await;
        // From when it was due: what waits behind a slow one waits as well.
        let began = next;
        next += pace;
        let (role, id, target) = match (steps, order) {
            (1, Some(id)) => (Role::Store, id, Command::Accept { prep_min: Some(10) }),
            (2, Some(id)) => (Role::Store, id, Command::Ready),
            (3, Some(id)) => (Role::Store, id, Command::Collect { pin: None, proofs: vec![] }),
            _ => {
                steps = 0;
                (Role::Platform, OrderId::new(), Command::Ready)
            }
        };
        let target = match steps {
            0 => draft(tenant, store),
            _ => Target::Order { id, command: Box::new(target) },
        };
        let by = Actor { role, id: store.to_string() };
        let change = Change {
            tenant,
            by,
            target,
            idempotency: None,
            if_match: None,
            occurred_at: None,
            place: None,
        };
        let outcome = writer.submit(change).await.unwrap();
        let (Outcome::Placed(sheet) | Outcome::Changed(sheet)) = outcome else {
            unreachable!("{outcome:?}")
        };
        let micros = u64::try_from(began.elapsed().as_micros()).unwrap();
        waited.record(micros.max(1)).unwrap();
        order = Some(sheet.order.id);
        steps += 1;
    }
    waited
}

/// Couriers tell where they are, one after the other, so many a second.
async fn riding(
    locations: Arc<Locations>,
    tenant: TenantId,
    drivers: Vec<DriverId>,
    per_s: u32,
    stop: Arc<AtomicBool>,
) -> u64 {
    let beat = Duration::from_millis(10);
    let mut next = Instant::now();
    let (mut told, mut owed) = (0_u64, 0.0);
    let mut places: HashMap<DriverId, f64> = HashMap::new();
    let mut riders = drivers.iter().cycle();
    while !stop.load(Ordering::Relaxed) {
        tokio::time::sleep_until(next.into()).await;
        next += beat;
        owed += f64::from(per_s) * beat.as_secs_f64();
        while owed >= 1.0 {
            owed -= 1.0;
            let driver = *riders.next().unwrap();
            let lat = places.entry(driver).or_insert(52.5);
            *lat += 1e-5;
            let now = auth::now();
            let location = Location {
                n: now.as_millisecond(),
                at: now,
                place: Place { lat: *lat, lng: 13.4 },
                accuracy_m: Some(8.0),
                heading: Some(10.0),
                speed: Some(6.0),
                battery: Some(0.5),
            };
            let taken = locations.take(tenant, driver, vec![location], now).unwrap();
            assert_eq!((taken.refused, taken.dropped), (0, 0));
            told += 1;
        }
    }
    told
}

fn ms(waited: &Histogram<u64>, quantile: f64, unit: Duration) -> f64 {
    let value = u32::try_from(waited.value_at_quantile(quantile)).unwrap();
    (unit * value).as_secs_f64() * 1e3
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // `cargo test --benches` and CI pass this: each part runs, briefly.
    let brief = std::env::args().any(|argument| argument == "--test");
    let share = std::env::var("ORDERCAST_SHARE").ok().and_then(|share| share.parse().ok());
    let share: f64 = share.unwrap_or(if brief { 0.005 } else { 1.0 });
    let (turn, turns) = if brief { (Duration::from_millis(900), 1) } else { (TURN, TURNS) };
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
    let (database, mut listening) = Database::new(&config.database).unwrap();
    let town = found(&database, &config.database.url.0, share).await;
    // Another process's ear, which takes every notification.
    let (_other, mut other) = Database::new(&config.database).unwrap();
    let mut heard = other.take_located().unwrap();
    other.connect().await.unwrap();
    let packets = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&packets);
    let hearing = tokio::spawn(async move {
        while heard.recv().await.is_some() {
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    let (writer, queue) = Writer::new(&config.writer);
    let writing = tokio::spawn(store::run_writer(database.clone(), queue));
    let hubs = Hubs::default();
    let locations = Locations::new(config.locations.clone());
    let located = listening.take_located().unwrap();
    let kept = (Arc::new(Revoked::new(Duration::ZERO)), Arc::clone(&locations));
    let (feed, mut state) =
        Feed::new(listening, hubs.clone(), kept, config.feed.clone(), Duration::ZERO);
    let (hub, messages) = hubs.join(config.feed.worker_queue_len);
    let process = Uuid::new_v4();
    let (written, to_publish) = mpsc::channel(16);
    let (arriving, _arrivals) = mpsc::channel(16);
    let flusher =
        Flusher::new(Arc::clone(&locations), database.clone(), process, written, arriving);
    let publisher = Publisher::new(Arc::clone(&locations), hubs.clone(), process);
    let background = [
        tokio::spawn(feed.run()),
        tokio::spawn(flusher.run()),
        tokio::spawn(publisher.run(to_publish, located)),
    ];
    state.wait_for(|state| state.up).await.unwrap();

    let (mut without, mut with) = (Histogram::new(3).unwrap(), Histogram::new(3).unwrap());
    let mut points = Histogram::<u64>::new(3).unwrap();
    let (mut told, mut frames) = (0, 0);
    let watched = [Watched::One(std::process::id()), Watched::Family(postgres.pid())];
    // Of this process and of PostgreSQL.
    let (mut used_without, mut used_with) = ([Duration::ZERO; 2], [Duration::ZERO; 2]);
    let (mut used_alone, mut told_alone) = ([Duration::ZERO; 2], 0);
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            let watchers = Watchers::of(&town, &hub);
            let running = tokio::task::spawn_local(hub.run(messages));
            // Once around: every courier has begun its shift before anything is measured.
            let stop = Arc::new(AtomicBool::new(false));
            let per_s = part(POINTS_PER_S, share);
            let lap = Duration::from_secs(1) * part(COURIERS, share) / per_s;
            let first = {
                let (drivers, stop) = (town.drivers.clone(), Arc::clone(&stop));
                tokio::spawn(riding(Arc::clone(&locations), town.tenant, drivers, per_s, stop))
            };
            let until = Instant::now() + if brief { turn } else { lap + turn / 2 };
            let mut unmeasured = Histogram::new(3).unwrap();
            while Instant::now() < until {
                tokio::time::sleep(Duration::from_millis(20)).await;
                watchers.take(&mut unmeasured);
            }
            stop.store(true, Ordering::Relaxed);
            first.await.unwrap();
            tokio::time::sleep(2 * config.locations.flush_ms.get()).await;
            watchers.take(&mut unmeasured);
            for nth in 0..3 * turns {
                let (changes, rides) = (nth % 3 != 2, nth % 3 != 0);
                let before = watched.each_ref().map(|it| total(std::slice::from_ref(it)));
                let stop = Arc::new(AtomicBool::new(false));
                let whose = (town.tenant, town.store);
                let callers: Vec<_> = (0..if changes { CALLERS } else { 0 })
                    .map(|nth| tokio::spawn(caller(writer.clone(), whose, nth, Arc::clone(&stop))))
                    .collect();
                let riding = rides.then(|| {
                    let (drivers, stop) = (town.drivers.clone(), Arc::clone(&stop));
                    tokio::spawn(riding(Arc::clone(&locations), town.tenant, drivers, per_s, stop))
                });
                let until = Instant::now() + turn;
                while Instant::now() < until {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    frames += watchers.take(&mut points);
                }
                stop.store(true, Ordering::Relaxed);
                for caller in callers {
                    let waited = caller.await.unwrap();
                    if rides { with.add(waited) } else { without.add(waited) }.unwrap();
                }
                if let Some(riding) = riding {
                    let points = riding.await.unwrap();
                    if changes { told += points } else { told_alone += points }
                }
                // What was told last is written and published before the next turn.
                tokio::time::sleep(2 * config.locations.flush_ms.get()).await;
                frames += watchers.take(&mut points);
                let after = watched.each_ref().map(|it| total(std::slice::from_ref(it)));
                let used = match (changes, rides) {
                    (true, false) => &mut used_without,
                    (true, true) => &mut used_with,
                    (false, _) => &mut used_alone,
                };
                for ((sum, before), after) in used.iter_mut().zip(before).zip(after) {
                    let more = before.zip(after).map(|(it, then)| then.cpu.saturating_sub(it.cpu));
                    *sum += more.unwrap_or_default();
                }
            }
            assert!(watchers.listeners.iter().all(|listener| !listener.has_ended()));
            running.abort();
        })
        .await;
    let seconds = turn.as_secs_f64() * f64::from(turns);
    let micro = Duration::from_micros(1);
    let per_s = |count: u64| f64::from(u32::try_from(count).unwrap()) / seconds;
    let (couriers, listeners) = (town.drivers.len(), part(COURIERS, share) * 161 / 100);
    println!("share of L: {share}: {couriers} couriers, {listeners} listeners");
    println!(
        "{:.0} points/s told, {:.0} frames/s heard, {} notifications to another process",
        per_s(told),
        per_s(frames) / 2.0,
        packets.load(Ordering::Relaxed),
    );
    for (name, waited) in [("without", &without), ("with", &with)] {
        println!(
            "changes {name:8} {:6.0}/s  p50 {:6.2} ms  p99 {:6.2} ms  max {:6.2} ms",
            per_s(waited.len()),
            ms(waited, 0.5, micro),
            ms(waited, 0.99, micro),
            ms(waited, 1.0, micro),
        );
    }
    let share_of_core = |used: Duration| used.as_secs_f64() / seconds * 100.0;
    for (name, [own, postgres]) in [("without", used_without), ("with", used_with)] {
        println!(
            "CPU {name:8} {:5.1} % of a core here, the load included; {:5.1} % PostgreSQL",
            share_of_core(own),
            share_of_core(postgres),
        );
    }
    let each = |used: Duration| {
        used.as_secs_f64() * 1e6 / f64::from(u32::try_from(told_alone).unwrap().max(1))
    };
    println!(
        "a point alone costs {:.1} us of CPU here, the load included, and {:.1} us of PostgreSQL",
        each(used_alone[0]),
        each(used_alone[1]),
    );
    let ratio = ms(&with, 0.99, micro) / ms(&without, 0.99, micro);
    println!("a change's p99 with locations is {ratio:.2} times that without");
    let milli = Duration::from_millis(1);
    let (half, most) = (ms(&points, 0.5, milli), ms(&points, 0.99, milli));
    println!(
        "a point told at the first chance is heard after {half:.0} ms (p50), {most:.0} ms (p99)"
    );
    assert!(frames > 0, "nobody heard anything");
    for task in background {
        task.abort();
    }
    hearing.abort();
    drop(writer);
    writing.await.unwrap();
}
