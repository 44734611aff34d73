//! How long from a courier's point to those who may see it, when they are at another process?
//!
//! A share of L: 7,700 points a second, of 38,500 couriers who each have an order and tell every 5
//! seconds, over sockets of the first process. At the second sit the customer of each order, the
//! stores and a board. A third of the orders are picked up and delivered meanwhile, by requests to
//! the first; a twentieth of the couriers have two orders with them, so neither customer may see
//! them. PostgreSQL, both servers and the load share the machine.
//!
//! Times count from the moment a point was meant to leave, or from when it may be seen. "Beyond the
//! pace" counts from when the pace allows another frame (`locations.customer_pace_ms`, 5 s after the
//! last; `board_pace_ms`, 10 s); what `locations.flush_ms` adds is in it. Every location that is
//! heard is checked: told by that courier, newer than the last, within its window; and in the end
//! each customer who may has seen the newest.
//!
//! Act when the p99 to a customer beyond the pace is more than 1.5 s.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use ordercast::config::{Config, Overrides};
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::crowd::{Crowd, Invited};
use crate::flags::Flags;
use crate::ledger::Log;
use crate::lookout::{COUNTS, DIALS, Lookout, Paces, Watched, Window};
use crate::meter::Meter;
use crate::pacer::{Work, pace};
use crate::report::{Stage, float};
use crate::rig::{Rig, Target};
use crate::socket::{Audience, Seat};
use crate::town;

/// Couriers of L who have an order with them.
const COURIERS: f64 = 38_500.0;
/// Between two points of a courier.
const EVERY: Duration = Duration::from_secs(5);
/// Stores of L.
const STORES: f64 = 19_950.0;
/// Connections that the changes come over.
const LINES: usize = 64;
/// Longest wait in the end for what is on its way: a pace and a half.
const LAST: Duration = Duration::from_secs(15);

/// Runs the scenario.
pub(crate) async fn run(rig: &mut Rig, flags: &Flags) -> anyhow::Result<Vec<Stage>> {
    rig.grow(2)?;
    let there = rig.servers.get(1).context("a second server")?.address;
    let target = rig.target.clone();
    let share = flags.share.unwrap_or(0.1);
    let (couriers, stores) =
        if flags.test { (40, 4) } else { (part(COURIERS, share), part(STORES, share)) };
    // In miniature so long that everybody tells twice.
    let span =
        Duration::from_secs(flags.seconds(40)) + if flags.test { EVERY } else { Duration::ZERO };
    let ride = span / 2;
    let settings = Config::load(None, &Overrides::default())?.locations;
    let paces =
        Paces { customer: settings.customer_pace_ms.get(), board: settings.board_pace_ms.get() };

    let before = rig.head().await?;
    let stores = target.stores(stores).await?;
    let drivers = target.drivers(couriers).await?;
    let tokens = target.tokens("driver", &drivers).await?;
    let ops = target.token("ops", "board").await?;
    let watched = orders(&target, &ops, &stores, &drivers).await?;
    let mut invited = Vec::new();
    let mut invite = |address, token: &Arc<str>, channel: String| {
        let codec = flags.codec.of(invited.len());
        let (token, channel) = (Arc::clone(token), Some(channel.into()));
        invited.push(Invited { address, codec, token, channel });
    };
    for (driver, token) in drivers.iter().zip(&tokens) {
        invite(target.address, token, format!("driver:{driver}"));
    }
    let names: Vec<String> = watched.iter().map(|it| it.order.clone()).collect();
    for (order, token) in names.iter().zip(target.customers(&names).await?) {
        invite(there, &token, format!("order:{order}"));
    }
    for (store, token) in stores.iter().zip(target.tokens("store", &stores).await?) {
        invite(there, &token, format!("store:{store}"));
    }
    invite(there, &ops, "dispatch".to_owned());
    let sockets = invited.len();

    let meter = Meter::new(rig, &DIALS, &COUNTS);
    let rate = float(couriers as u64) / EVERY.as_secs_f64();
    let turns = usize::try_from(span.as_secs() / EVERY.as_secs())? + 2;
    let people = drivers.into_iter().zip(tokens).collect();
    let shut = watched.iter().filter(|it| it.window == Window::Shut).count();
    let lookout =
        Lookout::new(watched, people, couriers * turns, (paces, ride), Arc::clone(&meter));
    let lookout = Arc::new(lookout);
    let crowd = Crowd::gather(invited, Arc::clone(&lookout) as Arc<dyn Audience>).await?;
    let name = format!(
        "{couriers} couriers at one process, {rate:.0} points/s; {} at another",
        sockets - couriers
    );
    let mut stage = Stage::new(name);
    let running = meter.run("locations");
    let began = Instant::now() + Duration::from_millis(20);
    let until = began + span;
    let going = lookout.going();
    let gap = span * 2 / 5 / u32::try_from(going.len().max(1))?;
    // Those first who tell last, so that stores see who comes.
    let due = going.iter().rev().zip(0_u32..).map(|(order, nth)| (began + gap * nth, *order));
    let due: Vec<(Instant, usize)> = due.collect();
    let pacing = {
        let (target, work) = (target.clone(), Arc::clone(&lookout) as Arc<dyn Work>);
        tokio::spawn(async move { pace(&target, LINES, work, due, until).await })
    };
    let seats: Vec<Arc<Seat>> = crowd.seats.iter().take(couriers).map(Arc::clone).collect();
    let unsaid = ride_on(&lookout, &seats, began, until).await;
    let changes = pacing.await??;
    let ended = Instant::now();
    while lookout.behind() > 0 && ended.elapsed() < LAST {
        sleep(Duration::from_millis(20)).await;
    }
    let measured = running.finish(&mut stage).await?;
    lookout.check()?;
    ensure!(!measured.counted.contains(&0), "somebody heard nothing: {:?}", measured.counted);
    let behind = lookout.behind();
    ensure!(behind == 0, "{behind} customers have not seen where their courier is now");
    let mut log = Log::after(before);
    log.read(&target).await?;
    let heard = crowd.verify(&log).await?;
    lookout.check()?;
    ensure!(unsaid == 0, "{unsaid} points were not taken by their sockets");
    ensure!(changes == 2 * going.len() as u64, "{changes} changes of {} orders", going.len());
    stage.fact("sockets", float(sockets as u64), "");
    stage.fact("sockets lost by the way", float(crowd.losses()), "");
    stage.verified(
        "every location came from its courier, newer than the last, in its window; in \
         the end all who may had seen the newest"
            .to_owned(),
    );
    stage.verified(format!("{shut} customers whose courier had another order with it saw nothing"));
    stage.verified(format!("{sockets} sockets heard {heard} events, each once and in order"));
    crowd.leave().await;
    Ok(vec![stage])
}

fn part(whole: f64, share: f64) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of it")]
    let part = (whole * share) as usize;
    part.max(1)
}

/// An order for each courier, and for every twentieth another, each with its courier: a third are
/// yet to be picked up.
async fn orders(
    target: &Target,
    ops: &str,
    stores: &[String],
    drivers: &[String],
) -> anyhow::Result<Vec<Watched>> {
    let double = |courier: usize| courier % 20 == 10;
    let second = (0..drivers.len()).filter(|courier| double(*courier));
    let couriers: Vec<usize> = (0..drivers.len()).chain(second).collect();
    let orders = target.open_orders(stores, couriers.len()).await?;
    let watched: Vec<Watched> = orders
        .into_iter()
        .zip(couriers)
        .zip(stores.iter().cycle())
        .map(|((order, courier), store)| {
            let window = match courier {
                courier if double(courier) => Window::Shut,
                courier if courier % 3 == 0 => Window::Before,
                _ => Window::Open,
            };
            Watched { order, courier, store: store.clone(), window }
        })
        .collect();
    for group in watched.chunks(town::BULK) {
        let items: Vec<Value> = group
            .iter()
            .filter_map(|it| Some(json!({"order": it.order, "driver": drivers.get(it.courier)?})))
            .collect();
        let body = json!({"items": items}).to_string();
        let asked = crate::http::request("POST", "/v1/orders/bulk/assign", &target.key, &body);
        let answers = town::spread(target, vec![asked], 1).await?;
        town::all_done(answers.first().context("an answer")?).context("assigning couriers")?;
    }
    let under_way = watched.iter().filter(|it| it.window != Window::Before);
    let under_way: Vec<String> = under_way.map(|it| it.order.clone()).collect();
    target.bulk(ops, "pickup", &under_way, &json!({})).await?;
    Ok(watched)
}

/// All couriers tell where they are, in turns; how many points could not be said.
async fn ride_on(lookout: &Lookout, seats: &[Arc<Seat>], began: Instant, until: Instant) -> u64 {
    let gap = EVERY / u32::try_from(seats.len()).unwrap_or(u32::MAX).max(1);
    let mut ticks = interval(Duration::from_millis(2));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut n, mut unsaid, mut due) = (0, 0, began);
    for turn in 0.. {
        for (courier, seat) in seats.iter().enumerate() {
            while due > Instant::now() {
                ticks.tick().await;
            }
            if due >= until {
                return unsaid;
            }
            // No point has the number 0, which is that of nothing seen.
            n += 1;
            if !lookout.tell(seat, courier, turn, n, due) {
                unsaid += 1;
            }
            due += gap;
        }
    }
    unsaid
}
