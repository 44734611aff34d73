//! Random evenings of a town, against the rules that hold whatever happens.
//!
//! Each evening is a tenant of its own: stores, couriers and some orders, and then hundreds of
//! steps by whoever may or may not do them, through two apps on one database, often several at
//! once. The database's clock leaps ahead now and then. Afterwards the log is read from its start
//! and held against the rows, the tables of the order machine, and who may see what.
//!
//! `cargo test` runs a few evenings from a seed that is always the same. More, and others:
//!
//! ```console
//! $ ORDERCAST_EVENINGS=5000 ORDERCAST_EVENINGS_SEED=7 cargo test --test evenings -- --nocapture
//! ```
//!
//! What is found is printed with the seed of its evening; `ORDERCAST_EVENINGS=1` with that seed draws
//! the same steps again. Those that go at once may come in another order.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step should fail the test"
)]
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a rule names what it is about, and a step what it is for"
)]
#![expect(unreachable_pub, reason = "pub means that other tests use it")]

mod audiences;
mod call;
#[path = "../fuzz/chance.rs"]
#[allow(dead_code, reason = "the fuzzers use the rest")]
mod chance;
mod checks;
mod clock;
mod desk;
mod fold;
mod offers;
mod steps;
#[path = "../behaviour/support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the other tests use the rest")]
mod support;
mod tables;
mod town;
mod wishes;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::join_all;
use ordercast::api::Api;
use ordercast::app::App;

use chance::{Chance, say};
use clock::Clock;
use support::{Scratch, config, of};
use town::{Home, Town};

/// Evenings of a run that says nothing else: some 20 seconds.
const EVENINGS: u64 = 16;
/// Evenings that go side by side, on one log.
const SIDE_BY_SIDE: usize = 4;
const SEED: u64 = 20_260_101;

/// What all evenings share: one database with a clock that is set, and two apps on it.
struct World {
    database: Scratch,
    clock: Clock,
    apis: [Arc<Api>; 2],
    urls: [String; 2],
    /// The evening that began last: nobody else may find its orders.
    strange: RefCell<Option<Home>>,
    /// How often each thing came out, to see that evenings are evenings.
    tally: RefCell<BTreeMap<String, u64>>,
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("must be a number"))
}

/// An app that leaves what is due to the evenings, which do it at any moment.
async fn app(database: &Scratch) -> App {
    let mut config = config(database);
    config.timers.gap_ms = of(86_400_000);
    config.timers.poll_interval_ms = of(86_400_000);
    // The same of where couriers are.
    config.locations.flush_ms = of(86_400_000);
    App::start(config).await.unwrap()
}

#[actix_web::test]
async fn no_evening_breaks_a_rule() {
    let evenings = setting("ORDERCAST_EVENINGS").unwrap_or(EVENINGS);
    let seed = setting("ORDERCAST_EVENINGS_SEED").unwrap_or(SEED);
    say(&format!("{evenings} evenings from ORDERCAST_EVENINGS_SEED={seed}"));
    let database = Scratch::create().await;
    let clock = Clock::install(&database).await;
    let (one, two) = (app(&database).await, app(&database).await);
    let world = World {
        clock,
        apis: [Arc::clone(one.api()), Arc::clone(two.api())],
        urls: [&one, &two].map(|app| format!("http://{}", app.address())),
        strange: RefCell::default(),
        tally: RefCell::default(),
        database,
    };
    let next = Cell::new(0);
    let found = RefCell::new(Vec::new());
    let lanes = (0..SIDE_BY_SIDE).map(async |_lane| {
        // What was found is said at once; the evenings under way are ended.
        while next.get() < evenings && found.borrow().is_empty() {
            let evening = seed + next.get();
            next.set(next.get() + 1);
            let robo = evening.is_multiple_of(8);
            let mut town = Town::found(&world, Chance::new(evening), robo).await;
            steps::play(&mut town).await;
            checks::check(&mut town).await;
            let lines: Vec<String> = town.findings.take();
            for line in lines {
                found.borrow_mut().push(format!("ORDERCAST_EVENINGS_SEED={evening}: {line}"));
            }
        }
    });
    join_all(lanes).await;
    checks::check_all(&world, &found).await;
    say(&format!("{} evenings", next.get()));
    for (what, count) in world.tally.borrow().iter() {
        say(&format!("{count:>8} {what}"));
    }
    let found = found.take();
    assert!(found.is_empty(), "{}", found.join("\n"));
    checks::check_variety(&world, next.get());
    one.stop().await;
    two.stop().await;
}
