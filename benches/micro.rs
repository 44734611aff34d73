//! What do the parts cost that every frame, change and recovery goes through?
//!
//! Unit: time for each, by criterion, on one core; the statements of a batch and a recovery run
//! against a private PostgreSQL that syncs to disk. `cargo bench --bench load` shows what
//! the whole makes of them.
//!
//! Act when one is a fifth slower than before (criterion says so by itself), when 64 changes
//! together take more than 8 times what one takes (then batches do not pay), or when a delivery in
//! the hub takes more than a microsecond: the kernel takes several for its write.
#![expect(clippy::unwrap_used, reason = "a bench may fail")]

use std::hint::black_box;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use jiff::Timestamp;
use ordercast::config::{Config, Overrides, Secret};
use ordercast::domain::{
    Actor, Command, Draft, EventId, Fulfilment, Item, OrderId, Place, ProofRequired, Role, Status,
    Store, StoreId, TenantId, TenantPatch, Undeliverable,
};
use ordercast::embedded::{Durability, Postgres, Settings};
use ordercast::frame::{Decoder, message_frame};
use ordercast::hub::{
    Ear, Hubs, Listener, Listening, Mailbox, Message, News as _, Outlet, Publication, Seat, Topic,
};
use ordercast::protocol::Codec;
use ordercast::store::{self, Change, Database, Outcome, Scope, Target, Writer};
use ordercast::view::{Audience, LogEvent};
use ordercast::wire::Wire;
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::sync::Notify;

const CODECS: [Codec; 2] = [Codec::Json, Codec::Protobuf];

/// Commands of one message.
const COMMANDS_MAX: usize = 256;
/// Bytes of a mailbox.
const MAILBOX: usize = 1024 * 1024;

/// What a customer hears most.
fn event(position: u64, order: OrderId) -> LogEvent {
    LogEvent {
        position,
        id: EventId::new(),
        tenant: TenantId::from_uuid(uuid::Uuid::from_u128(1)),
        store: Some(StoreId::from_uuid(uuid::Uuid::from_u128(2))),
        order: Some(order),
        driver: None,
        prior_driver: None,
        n: Some(4),
        kind: "order.ready".to_owned(),
        by: Actor { role: Role::Store, id: "st_1".to_owned() },
        was: Some(Status::Preparing),
        status: Some(Status::Ready),
        occurred_at: Timestamp::UNIX_EPOCH,
        recorded_at: Timestamp::UNIX_EPOCH,
        data: json!({"ready_eta": "2025-01-02T18:04:05.120Z", "order": {"id": order.to_string()}}),
    }
}

fn codec(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("codec");
    let event = event(90_213, OrderId::new());
    group.bench_function("an event for a customer", |bencher| {
        bencher.iter(|| black_box(&event).render(Audience::Customer).unwrap());
    });
    let envelope = event.render(Audience::Customer).unwrap();
    for codec in CODECS {
        group.bench_function(
            BenchmarkId::new("a push and its frame", format!("{codec:?}")),
            |bencher| {
                bencher.iter(|| {
                    let (mut publication, mut push) = (Vec::new(), Vec::new());
                    codec.encode_publication(&mut publication, black_box(&envelope), Some(90_213));
                    let channel = "order:or_01k8zjz6vhfd8vqd0kq2bnd2sw";
                    codec.encode_push_publication(&mut push, channel, &publication);
                    message_frame(codec, &push)
                });
            },
        );
    }
    let commands = concat!(
        r#"{"id":1,"connect":{"token":"eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl"}}"#,
        "\n",
        r#"{"id":2,"subscribe":{"channel":"order:or_01k8zjz6vhfd8vqd0kq2bnd2sw","recover":true,"#,
        r#""epoch":"k3j","offset":90213,"flag":1}}"#
    );
    group.bench_function("connect and subscribe, decoded", |bencher| {
        bencher.iter(|| Codec::Json.decode(black_box(commands.as_bytes()), COMMANDS_MAX).unwrap());
    });
    let masked = masked(commands.as_bytes());
    group.bench_function("the same, unmasked from its frame", |bencher| {
        bencher.iter(|| {
            let mut decoder = Decoder::new(65_536);
            decoder.feed(black_box(&masked));
            decoder.decode().unwrap().unwrap()
        });
    });
    group.finish();
}

/// A client's text frame of 126 to 65,535 bytes.
fn masked(payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x81, 0xfe];
    frame.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
    let mask = [7, 11, 13, 17];
    frame.extend(mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// Takes all that waits in a mailbox.
fn drain(mailbox: &Mailbox) -> usize {
    let context = Context::from_waker(Waker::noop());
    let mut chunks = 0;
    while let Poll::Ready(Some(chunk)) = mailbox.poll_chunk(&context) {
        black_box(chunk);
        chunks += 1;
    }
    chunks
}

fn mailbox(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mailbox");
    let frame = message_frame(Codec::Json, &[b'x'; 300]);
    for frames in [1, 64] {
        group.throughput(Throughput::Elements(frames));
        group.bench_function(BenchmarkId::new("put in and taken", frames), |bencher| {
            let mailbox = Mailbox::new(Outlet::Body, Wire::Socket, Codec::Json, MAILBOX);
            bencher.iter(|| {
                for _ in 0..frames {
                    mailbox.answer(Bytes::clone(&frame));
                }
                drain(&mailbox)
            });
        });
    }
    group.finish();
}

/// From a page of the feed to the mailboxes of all who listen, without the writes.
fn fanout(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hub");
    group.sample_size(20);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = tokio::task::LocalSet::new();
    for (name, listeners, events) in
        [("1,000 listeners, an event", 1_000, 1), ("1,000 listeners, 64 events", 1_000, 64)]
    {
        group.throughput(Throughput::Elements(listeners * events));
        group.bench_function(name, |bencher| {
            let order = OrderId::new();
            let topic = Topic::Order(order);
            let hubs = Hubs::<Publication>::default();
            let (hub, messages) = hubs.join(64);
            local.spawn_local(Rc::clone(&hub).run(messages));
            let tenant = event(1, order).tenant;
            let mailboxes: Vec<_> = (0..listeners)
                .map(|nth| {
                    let codec = if nth % 2 == 0 { Codec::Json } else { Codec::Protobuf };
                    let mailbox = Rc::new(Mailbox::new(Outlet::Body, Wire::Socket, codec, MAILBOX));
                    let listener = Listener::new(Listening {
                        topic,
                        ear: Ear { tenant, seat: Seat::OrderCustomer, filter: None },
                        channel: topic.to_string().into(),
                        renamed: false,
                        hears_moves: false,
                        mailbox: Rc::clone(&mailbox),
                        hold_max: 1,
                        bearer: None,
                        ended: Rc::new(Notify::new()),
                    });
                    hub.listen(&listener);
                    assert!(listener.go_live(0, 0).unwrap().is_empty());
                    mailbox
                })
                .collect();
            let mut position = 0;
            bencher.iter_custom(|turns| {
                let mut took = Duration::ZERO;
                for _turn in 0..turns {
                    let page: Arc<[_]> = (0..events)
                        .map(|_| {
                            position += 1;
                            Arc::new(Publication::new(event(position, order)))
                        })
                        .collect();
                    let began = Instant::now();
                    local.block_on(&runtime, async {
                        hubs.send(&Message::Publish(page)).await;
                        // The last is written last.
                        while mailboxes.last().unwrap().is_empty() {
                            tokio::task::yield_now().await;
                        }
                    });
                    took += began.elapsed();
                    assert!(
                        mailboxes.iter().map(|mailbox| drain(mailbox)).all(|chunks| chunks > 0)
                    );
                }
                took
            });
        });
    }
    group.finish();
}

/// A private PostgreSQL with a writer on it, a tenant and a store.
struct Bench {
    runtime: Runtime,
    writer: Writer,
    database: Database,
    tenant: TenantId,
    store: StoreId,
    _postgres: Postgres,
}

impl Bench {
    fn new() -> Self {
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
        let runtime = Runtime::new().unwrap();
        let (database, writer, tenant, store) = runtime.block_on(async {
            store::migrate(&config.database.url.0).await.unwrap();
            let (database, _listening) = Database::new(&config.database).unwrap();
            let (writer, queue) = Writer::new(&config.writer);
            tokio::spawn(store::run_writer(database.clone(), queue));
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
            (database, writer, tenant, store)
        });
        Self { runtime, writer, database, tenant, store, _postgres: postgres }
    }

    fn change(&self, role: Role, target: Target) -> Change {
        Change {
            tenant: self.tenant,
            by: Actor { role, id: self.store.to_string() },
            target,
            idempotency: None,
            if_match: None,
            occurred_at: None,
            place: None,
        }
    }

    fn draft(&self) -> Change {
        let id = OrderId::new();
        let draft = Box::new(Draft {
            id,
            tenant: self.tenant,
            external_id: id.to_string(),
            store: self.store,
            short_code: "B3NC".to_owned(),
            fulfilment: Fulfilment::Collection,
            dropoff: None,
            items: vec![Item { name: "Pizza".to_owned(), qty: 1 }],
            note: None,
            window: None,
            undeliverable: Undeliverable::Return,
            proof_required: ProofRequired::default(),
            pin: Some("0000".to_owned()),
            meta: json!({}),
        });
        self.change(Role::Platform, Target::Place { draft, request_hash: vec![0; 32] })
    }

    /// Has all of it done together.
    fn submit(&self, changes: Vec<Change>) -> Vec<OrderId> {
        let outcomes = self.runtime.block_on(self.writer.submit_all(changes));
        let orders = outcomes.into_iter().map(|outcome| {
            let outcome = outcome.unwrap();
            let (Outcome::Placed(sheet) | Outcome::Changed(sheet)) = outcome else {
                unreachable!("{outcome:?}")
            };
            sheet.order.id
        });
        orders.collect()
    }
}

/// Changes that are handed over together: one batch up to 500, one commit.
fn batch(criterion: &mut Criterion) {
    let bench = Bench::new();
    let mut group = criterion.benchmark_group("batch");
    group.sample_size(20);
    for count in [1, 16, 64, 256, 500] {
        group.throughput(Throughput::Elements(count));
        group.bench_function(BenchmarkId::new("orders placed", count), |bencher| {
            bencher.iter_batched(
                || (0..count).map(|_| bench.draft()).collect(),
                |changes: Vec<_>| bench.submit(changes),
                criterion::BatchSize::PerIteration,
            );
        });
        group.bench_function(BenchmarkId::new("orders toggled", count), |bencher| {
            let step = |orders: &[OrderId], command: Command| {
                let change = |id: &OrderId| {
                    let command = Box::new(command.clone());
                    bench.change(Role::Store, Target::Order { id: *id, command })
                };
                bench.submit(orders.iter().map(change).collect())
            };
            let orders = bench.submit((0..count).map(|_| bench.draft()).collect());
            step(&orders, Command::Accept { prep_min: Some(240) });
            let mut ready = false;
            bencher.iter(|| {
                ready = !ready;
                step(&orders, if ready { Command::Ready } else { Command::Unready })
            });
        });
    }
    group.finish();
}

/// What someone missed of an order, read from the log and shown to a customer.
fn recovery(criterion: &mut Criterion) {
    let bench = Bench::new();
    let mut group = criterion.benchmark_group("recovery");
    let orders = bench.submit((0..500).map(|_| bench.draft()).collect());
    let steps = [Command::Accept { prep_min: Some(10) }, Command::Ready, Command::Unready];
    for command in steps {
        let change = |id: &OrderId| {
            let command = Box::new(command.clone());
            bench.change(Role::Store, Target::Order { id: *id, command })
        };
        bench.submit(orders.iter().map(change).collect());
    }
    let order = *orders.last().unwrap();
    for (name, scope, limit) in [
        ("an order's events", Scope::Order(order), 10),
        ("300 of a store", Scope::Store(bench.store), 300),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let read = bench.database.read_missed(bench.tenant, scope, 0, limit);
                let missed = bench.runtime.block_on(read).unwrap();
                let shown: Vec<_> = missed
                    .events
                    .iter()
                    .filter_map(|event| event.render(Audience::Store))
                    .collect();
                assert!(shown.len() >= 4);
                shown
            });
        });
    }
    group.finish();
    bench.database.close();
}

/// A frame is made once for all who sit alike.
fn shared(criterion: &mut Criterion) {
    let order = OrderId::new();
    let topic = Topic::Order(order);
    criterion.bench_function("hub/a frame that has been made", |bencher| {
        let publication = Publication::new(event(7, order));
        let tenant = publication.event().tenant;
        let ear = Ear { tenant, seat: Seat::OrderCustomer, filter: None };
        bencher.iter(|| publication.frame(&topic, black_box(&ear), Codec::Json).unwrap());
    });
}

criterion_group!(benches, codec, mailbox, fanout, shared, batch, recovery);
criterion_main!(benches);
