//! Everything at once: two processes, writers on both, subscribers that come and go at any
//! moment, and a server that cuts the listening connections. Nobody misses an event, hears one
//! twice or out of order, and all end up with what the table says.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use actix_web::rt;
use ordercast::domain::{DriverId, OrderId, StoreId};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use crate::support::{City, Follower, Known, Phone, Process, Rest, Scratch};

const SOCKETS: usize = 200;
const ORDERS: usize = 50;
/// Orders that are there before anyone looks; the rest is placed meanwhile.
const EARLY_ORDERS: usize = 36;
const WRITERS: u64 = 6;
const CHANGES_EACH: usize = 150;
/// As in `config/default.toml`: who missed more starts again from a snapshot.
const RECOVERY_LIMIT: usize = 300;

/// Everybody's tokens and names.
struct Cast {
    city: City,
    urls: Vec<String>,
    stores: Vec<String>,
    drivers: Vec<String>,
    ops: String,
    store_tokens: HashMap<String, String>,
    driver_tokens: HashMap<String, String>,
}

/// Where each channel ends; absent as long as there are writers.
type Goal = Option<Rc<HashMap<String, u64>>>;

/// One row of the log, as far as it says on which channels it was heard.
struct Logged {
    position: u64,
    store: Option<Uuid>,
    order: Option<Uuid>,
    driver: Option<Uuid>,
    prior_driver: Option<Uuid>,
}

#[actix_web::test]
async fn in_any_chaos_every_subscriber_hears_every_event_once_in_order_and_ends_with_the_table() {
    let seed = match std::env::var("ORDERCAST_CHAOS_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => rand::rng().random(),
    };
    // Shown when the test fails, to repeat it.
    eprintln!("ORDERCAST_CHAOS_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let database = Scratch::create().await;
    let (one, two) = (Process::serve(&database).await, Process::serve(&database).await);
    let cast = Rc::new(Cast::gather(vec![one.url.clone(), two.url.clone()], &database).await);
    let mut orders = Vec::new();
    for _ in 0..EARLY_ORDERS {
        orders.push(place(&cast, &mut rng).await);
    }

    let (goal, watched) = watch::channel(Goal::None);
    let followers = follow_everything(&cast, &orders, &mut rng).await;
    assert_eq!(followers.len(), SOCKETS);
    let wandering: Vec<_> = followers
        .into_iter()
        .map(|follower| {
            let rng = StdRng::seed_from_u64(rng.random());
            rt::spawn(wander(follower, Rc::clone(&cast), watched.clone(), rng))
        })
        .collect();
    let writing: Vec<_> = (0..WRITERS)
        .map(|nth| {
            let rng = StdRng::seed_from_u64(seed.wrapping_add(nth));
            rt::spawn(write(Rc::clone(&cast), orders.clone(), nth, rng))
        })
        .collect();
    let (stop_cutting, stopped) = watch::channel(false);
    let cutting = rt::spawn(cut_listeners(database.clone(), stopped, rng));

    for writer in writing {
        writer.await.unwrap();
    }
    stop_cutting.send_replace(true);
    let cut = cutting.await.unwrap();
    assert!(cut >= 8, "the listening connections were cut only {cut} times");

    let log = read_log(&database).await;
    let of_channel = |channel: &str| -> Vec<u64> {
        log.iter().filter(|row| is_on(row, channel)).map(|row| row.position).collect()
    };
    let mut channels: HashMap<String, Vec<u64>> = HashMap::new();
    for channel in cast.channels(&all_orders(&database).await) {
        channels.insert(channel.clone(), of_channel(&channel));
    }
    let ends = channels.iter().map(|(name, all)| (name.clone(), all.last().copied().unwrap_or(0)));
    goal.send_replace(Some(Rc::new(ends.collect())));
    let mut done = Vec::new();
    for wanderer in wandering {
        done.push(wanderer.await.unwrap());
    }

    for follower in &done {
        assert_heard_exactly_once(follower, &channels[&follower.channel]);
    }
    assert_states(&cast, &database, &done).await;
    assert_eq!(one.terminate(), Some(0));
    assert_eq!(two.terminate(), Some(0));
}

impl Cast {
    async fn gather(urls: Vec<String>, database: &Scratch) -> Self {
        let city = City::found(&urls[0], database).await;
        let mut stores = vec![city.store.clone()];
        let mut drivers = vec![city.driver.clone()];
        for nth in 0..2 {
            stores.push(city.new_store(json!({})).await);
            let name = format!("Dana {nth} Bell");
            drivers.push(city.new_driver(json!({"name": name, "display_name": name})).await);
        }
        let (mut store_tokens, mut driver_tokens) = (HashMap::new(), HashMap::new());
        for store in &stores {
            store_tokens.insert(store.clone(), city.token("store", store, &[]).await);
        }
        for driver in &drivers {
            driver_tokens.insert(driver.clone(), city.token("driver", driver, &[]).await);
        }
        let ops = city.ops_token().await;
        Self { city, urls, stores, drivers, ops, store_tokens, driver_tokens }
    }

    fn channels(&self, orders: &[String]) -> Vec<String> {
        let mut all = vec!["dispatch".to_owned(), "tenant".to_owned()];
        all.extend(self.stores.iter().map(|store| format!("store:{store}")));
        all.extend(self.drivers.iter().map(|driver| format!("driver:{driver}")));
        all.extend(orders.iter().map(|order| format!("order:{order}")));
        all
    }

    fn url(&self, rng: &mut StdRng) -> &str {
        self.urls.choose(rng).unwrap()
    }
}

async fn place(cast: &Cast, rng: &mut StdRng) -> String {
    let rest = Rest::new(cast.url(rng), Some(&cast.city.key));
    let body = cast.city.order_body(json!({"store": cast.stores.choose(rng).unwrap()}));
    let view = rest.post("/v1/orders", body).await.expect(201);
    view["id"].as_str().unwrap().to_owned()
}

/// Three in five look at one order, the others at more.
async fn follow_everything(cast: &Cast, orders: &[String], rng: &mut StdRng) -> Vec<Follower> {
    let mut followers = Vec::new();
    for nth in 0..SOCKETS {
        let (channel, token) = match nth % 10 {
            0..=3 => {
                let order = &orders[nth % orders.len()];
                (format!("order:{order}"), cast.city.customer_token(order).await)
            }
            4 => (format!("order:{}", orders.choose(rng).unwrap()), cast.ops.clone()),
            5 => (format!("order:{}", orders.choose(rng).unwrap()), cast.city.key.clone()),
            6 => {
                let store = cast.stores.choose(rng).unwrap();
                (format!("store:{store}"), cast.store_tokens[store].clone())
            }
            7 => {
                let driver = cast.drivers.choose(rng).unwrap();
                (format!("driver:{driver}"), cast.driver_tokens[driver].clone())
            }
            8 => ("dispatch".to_owned(), cast.ops.clone()),
            _ => ("tenant".to_owned(), cast.city.key.clone()),
        };
        followers.push(Follower::new(&channel, &token));
    }
    followers
}

/// Comes and goes, each time to either process and for as long as chance has it, until it has
/// heard the last event of its channel.
async fn wander(
    mut follower: Follower,
    cast: Rc<Cast>,
    mut goal: watch::Receiver<Goal>,
    mut rng: StdRng,
) -> Follower {
    loop {
        // A connection may end in its handshake, between a subscribe and its reply, or later.
        let life = match rng.random_range(0..20) {
            0..3 => rng.random_range(0..30),
            3..10 => rng.random_range(30..500),
            _ => rng.random_range(500..4_000),
        };
        let life = Duration::from_millis(life);
        let url = cast.url(&mut rng).to_owned();
        let hurried = goal.borrow().is_none();
        let visit = visit(&mut follower, &url, &mut goal);
        let complete = if hurried {
            timeout(life, visit).await.is_ok()
        } else {
            visit.await;
            true
        };
        if complete {
            return follower;
        }
        sleep(Duration::from_millis(rng.random_range(0..300))).await;
    }
}

/// One connection; returns when the goal is reached. May be dropped at any await.
async fn visit(follower: &mut Follower, url: &str, goal: &mut watch::Receiver<Goal>) {
    let mut phone = follower.join(url).await;
    loop {
        let end = goal.borrow_and_update().as_ref().map(|ends| ends[&follower.channel]);
        if end.is_some_and(|end| follower.offset >= Some(end)) {
            return;
        }
        tokio::select! {
            push = phone.push() => follower.take_push(&push),
            changed = goal.changed() => changed.unwrap(),
        }
    }
}

/// Changes orders at random over REST and sockets, on either process. What the order machine
/// refuses is no mistake here.
async fn write(cast: Rc<Cast>, mut orders: Vec<String>, nth: u64, mut rng: StdRng) {
    let mut phone = Phone::connect(cast.url(&mut rng), &cast.ops).await;
    let mut done = 0;
    let more = (ORDERS - EARLY_ORDERS) as u64;
    let mut to_place = more / WRITERS + u64::from(nth < more % WRITERS);
    for turn in 0..CHANGES_EACH {
        if to_place > 0 && turn % (CHANGES_EACH / 3) == 10 {
            orders.push(place(&cast, &mut rng).await);
            to_place -= 1;
        }
        let order = orders.choose(&mut rng).unwrap();
        let (action, body) = change(&cast, &mut rng, turn);
        if rng.random_bool(0.25) {
            let mut data = body;
            data["order"] = order.as_str().into();
            let reply = phone.rpc(&format!("order.{action}"), data).await;
            done += usize::from(reply.get("rpc").is_some());
            continue;
        }
        let token = match action {
            "at_store" | "at_door" => &cast.driver_tokens[cast.drivers.choose(&mut rng).unwrap()],
            _ => &cast.ops,
        };
        let rest = Rest::new(cast.url(&mut rng), Some(token));
        let path = format!("/v1/orders/{order}");
        let answer = match action {
            "update" => rest.patch(&path, body).await,
            "prep" => rest.put(&format!("{path}/prep"), body).await,
            "assign" => rest.put(&format!("{path}/driver"), body).await,
            "unassign" => {
                let path = format!("{path}/driver");
                rest.send(awc::http::Method::DELETE, &path, &[], Vec::new()).await
            }
            _ => rest.post(&format!("{path}/{action}"), body).await,
        };
        assert!(matches!(answer.status, 200 | 404 | 409), "{action}: {answer:?}");
        done += usize::from(answer.status == 200);
    }
    assert!(done > CHANGES_EACH / 4, "only {done} changes were taken");
}

fn change(cast: &Cast, rng: &mut StdRng, turn: usize) -> (&'static str, Value) {
    let reason = |code: &str| json!({"reason": code});
    // Orders should not all end early.
    let ends = turn > CHANGES_EACH / 2;
    match rng.random_range(0..40) {
        0..6 => ("accept", json!({"prep_min": rng.random_range(5..60)})),
        6..8 => ("start", json!({})),
        8..12 => ("ready", json!({})),
        12..14 => ("unready", json!({})),
        14..16 => ("prep", json!({"prep_min": rng.random_range(5..90)})),
        16..22 => ("assign", json!({"driver": cast.drivers.choose(rng).unwrap()})),
        22 => ("unassign", json!({})),
        23..25 => ("at_store", json!({})),
        25..28 => ("pickup", json!({})),
        28..30 => ("at_door", json!({})),
        30 => ("return", reason("wrong_address")),
        31..33 => ("redeliver", json!({})),
        33 if ends => ("deliver", json!({})),
        34 if ends => ("cancel", reason("duplicate")),
        35 if ends => ("returned", json!({})),
        _ => ("update", json!({"note": format!("note {}", rng.random::<u32>())})),
    }
}

/// Lets the server end the listening connections again and again; how many it ended.
async fn cut_listeners(
    database: Scratch,
    mut stopped: watch::Receiver<bool>,
    mut rng: StdRng,
) -> i64 {
    let client = database.connect().await;
    let mut cut = 0;
    loop {
        let next = Instant::now() + Duration::from_millis(rng.random_range(50..600));
        let pause = tokio::time::timeout_at(next, stopped.wait_for(|stopped| *stopped)).await;
        if pause.is_ok() {
            return cut;
        }
        let terminate = "select count(pg_terminate_backend(pid)) from pg_stat_activity
                         where datname = current_database() and application_name = 'ordercast feed'";
        let row = client.query_one(terminate, &[]).await.unwrap();
        cut += row.try_get::<_, i64>(0).unwrap();
    }
}

async fn read_log(database: &Scratch) -> Vec<Logged> {
    let client = database.connect().await;
    let select = "select position, store_id, order_id, driver_id, prior_driver_id from events
                  order by position";
    let rows = client.query(select, &[]).await.unwrap();
    let log: Vec<_> = rows
        .iter()
        .map(|row| Logged {
            position: row.try_get::<_, i64>(0).unwrap().cast_unsigned(),
            store: row.get(1),
            order: row.get(2),
            driver: row.get(3),
            prior_driver: row.get(4),
        })
        .collect();
    assert!(log.iter().map(|row| row.position).eq(1..=log.len() as u64), "the log has gaps");
    log
}

async fn all_orders(database: &Scratch) -> Vec<String> {
    let client = database.connect().await;
    let rows = client.query("select id from orders", &[]).await.unwrap();
    assert_eq!(rows.len(), ORDERS);
    rows.iter().map(|row| OrderId::from_uuid(row.get(0)).to_string()).collect()
}

/// All types written here are for every audience of their channel.
fn is_on(row: &Logged, channel: &str) -> bool {
    if let Some(id) = channel.strip_prefix("order:") {
        return row.order == Some(id.parse::<OrderId>().unwrap().uuid());
    }
    if let Some(id) = channel.strip_prefix("store:") {
        return row.store == Some(id.parse::<StoreId>().unwrap().uuid());
    }
    if let Some(id) = channel.strip_prefix("driver:") {
        let id = Some(id.parse::<DriverId>().unwrap().uuid());
        return row.driver == id || row.prior_driver == id;
    }
    true
}

fn assert_heard_exactly_once(follower: &Follower, all: &[u64]) {
    let within =
        |(from, to): (u64, u64)| all.iter().filter(move |at| (from + 1..=to).contains(*at));
    for lost in &follower.lost {
        let missed = within(*lost).count();
        assert!(missed > RECOVERY_LIMIT, "{}: {lost:?} not recovered", follower.channel);
    }
    let is_lost = |at: &u64| follower.lost.iter().any(|(from, to)| (from + 1..=*to).contains(at));
    let expected: Vec<u64> =
        all.iter().copied().filter(|at| *at > follower.from && !is_lost(at)).collect();
    assert_eq!(follower.heard, expected, "{} since {}", follower.channel, follower.from);
}

/// Compares what everybody knows in the end with the table, and with what REST says.
async fn assert_states(cast: &Cast, database: &Scratch, done: &[Follower]) {
    let client = database.connect().await;
    let select = "select id, status, leg, version, note, store_id, driver_id from orders";
    let rows = client.query(select, &[]).await.unwrap();
    let mut views: HashMap<(String, String), Known> = HashMap::new();
    for follower in done {
        let channel = follower.channel.as_str();
        let mut open = 0;
        for row in rows.iter().filter(|row| is_on(&latest(row), channel)) {
            let id = OrderId::from_uuid(row.get("id")).to_string();
            let Some(known) = follower.orders.get(&id) else { continue };
            open += usize::from(!known.is_closed());
            assert_eq!(known.version, row.get::<_, i64>("version"), "{channel}: {id}");
            if let Some(status) = &known.status {
                assert_eq!(status, row.get::<_, &str>("status"), "{channel}: {id}");
                assert_eq!(known.leg.as_deref(), row.get("leg"), "{channel}: {id}");
            }
            assert_eq!(known.note.as_str(), row.get("note"), "{channel}: {id}");
            // As each audience may see it.
            let key = (follower.token.clone(), id.clone());
            if !views.contains_key(&key) {
                let rest = Rest::new(&cast.urls[0], Some(&follower.token));
                let view = rest.get(&format!("/v1/orders/{id}")).await.expect(200);
                views.insert(key.clone(), Known::from_view(&view));
            }
            assert_eq!(*known, views[&key], "{channel}: {id}");
        }
        if channel.starts_with("order:") {
            assert_eq!(follower.orders.len(), 1);
            continue;
        }
        let ends = ["delivered", "rejected", "cancelled", "failed", "returned"];
        let in_table = rows.iter().filter(|row| {
            is_on(&latest(row), channel) && !ends.contains(&row.get::<_, &str>("status"))
        });
        assert_eq!(open, in_table.count(), "{channel}: not exactly the open orders are known");
    }
}

/// Where an order's next event would be heard.
fn latest(order: &tokio_postgres::Row) -> Logged {
    Logged {
        position: 0,
        store: order.get("store_id"),
        order: order.get("id"),
        driver: order.get("driver_id"),
        prior_driver: None,
    }
}
