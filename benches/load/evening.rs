//! An evening: orders that go their way, couriers who say where they are, and all who look on.
//!
//! The profiles are those of a city (S), a country (M) and a national leader (L) in the peak hour,
//! of which a share is played: so many orders alive, each a step further every 4 minutes; half of
//! the customers watching; a tablet a store; boards; and the couriers' locations.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use crate::crowd::{Crowd, Invited};
use crate::flags::{Flags, Profile};
use crate::ledger::Log;
use crate::life::{COUNTS, DIALS, Life, People};
use crate::message;
use crate::meter::Meter;
use crate::pacer::{Work, pace};
use crate::report::{Stage, float};
use crate::rig::{Rig, Target};
use crate::socket::{Audience, Seat};

/// From placing to the door.
const LIFE: Duration = Duration::from_mins(35);
/// Steps of a life.
const STEPS: u32 = 8;
/// Connections that requests come over: with fewer a slow disk would hold back what is due.
const LINES: usize = 256;
/// New orders that wait for their customers.
const PLACED_MAX: usize = 100_000;
/// The id of a courier's calls: nobody waits for a certain one.
const LOCATIONS: u32 = 10;

/// What a profile consists of.
#[derive(Debug, Clone, Copy)]
struct Town {
    alive: usize,
    drivers: usize,
    stores: usize,
    boards: usize,
    /// Locations a second.
    locations: f64,
    life: Duration,
}

impl Town {
    fn new(flags: &Flags) -> Self {
        let share = flags.share.unwrap_or(match flags.profile {
            Profile::S | Profile::M => 1.0,
            Profile::L => 0.1,
        });
        let (alive, drivers, stores, boards, locations) = match flags.profile {
            Profile::S => (350, 310, 110, 5, 39.0),
            Profile::M => (7_000, 6_200, 2_290, 10, 770.0),
            Profile::L => (70_000, 62_000, 19_950, 50, 7_700.0),
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share")]
        let part = |whole: usize| ((float(whole as u64) * share) as usize).max(1);
        if flags.test {
            // Lives of two seconds: every step occurs.
            let life = Duration::from_secs(2);
            return Self { alive: 24, drivers: 8, stores: 4, boards: 1, locations: 20.0, life };
        }
        Self {
            alive: part(alive),
            drivers: part(drivers),
            stores: part(stores),
            boards: boards.min(part(boards).max(2)),
            locations: locations * share,
            life: LIFE,
        }
    }
}

/// Runs the scenario.
pub(crate) async fn run(rig: &Rig, flags: &Flags) -> anyhow::Result<Vec<Stage>> {
    Ok(vec![play(rig, flags, flags.seconds(60)).await?])
}

/// Plays a share of an evening for so many seconds.
pub(crate) async fn play(rig: &Rig, flags: &Flags, seconds: u64) -> anyhow::Result<Stage> {
    let target = &rig.target;
    let before = rig.head().await?;
    let town = Town::new(flags);
    let stores = target.stores(town.stores).await?;
    let drivers = target.drivers(town.drivers).await?;
    let orders = target.open_orders(&stores, town.alive).await?;
    let ops = target.token("ops", "board").await?;
    let people = People {
        stores: stores.iter().cloned().zip(target.tokens("store", &stores).await?).collect(),
        drivers: drivers.iter().cloned().zip(target.tokens("driver", &drivers).await?).collect(),
        key: Arc::clone(&target.key),
    };
    let mut invited = Vec::new();
    let mut invite = |token: &Arc<str>, channel: String| {
        let codec = flags.codec.of(invited.len());
        let (token, channel) = (Arc::clone(token), Some(channel.into()));
        invited.push(Invited { address: target.address, codec, token, channel });
    };
    for (driver, token) in &people.drivers {
        invite(token, format!("driver:{driver}"));
    }
    for (store, token) in &people.stores {
        invite(token, format!("store:{store}"));
    }
    for _ in 0..town.boards {
        invite(&ops, "dispatch".to_owned());
    }
    // Every other customer watches.
    let watched: Vec<String> = orders.iter().step_by(2).cloned().collect();
    for (order, token) in watched.iter().zip(target.customers(&watched).await?) {
        invite(&token, format!("order:{order}"));
    }
    let sockets = invited.len();
    let meter = Meter::new(rig, &DIALS, &COUNTS);
    let (placed, mut new) = mpsc::channel(PLACED_MAX);
    let life = Life::new(&orders, people, town.life / STEPS, Arc::clone(&meter), placed);
    let life = Arc::new(life);
    life.scatter(target, &ops).await?;
    let mut crowd = Crowd::gather(invited, Arc::clone(&life) as Arc<dyn Audience>).await?;
    let name = format!(
        "{:?}: {} orders alive, {} couriers, {} stores, {sockets} sockets, {:.0} locations/s",
        flags.profile, town.alive, town.drivers, town.stores, town.locations
    );
    let mut stage = Stage::new(name);
    let running = meter.run(&format!("{:?}", flags.profile));
    let began = Instant::now() + Duration::from_millis(20);
    let until =
        began + Duration::from_secs(seconds) + if flags.test { town.life } else { Duration::ZERO };
    let due = life.due(began);
    let pacing = {
        let (target, work) = (target.clone(), Arc::clone(&life) as Arc<dyn Work>);
        tokio::spawn(async move { pace(&target, LINES, work, due, until).await })
    };
    let couriers: Vec<_> = crowd.seats.iter().take(town.drivers).map(Arc::clone).collect();
    let moving = tokio::spawn(locate(couriers, town.locations));
    let mut ticks = interval(Duration::from_millis(50));
    while Instant::now() < until && !pacing.is_finished() {
        tokio::select! {
            _ = ticks.tick() => {}
            order = new.recv() => welcome(target, flags, &mut crowd, order).await?,
        }
    }
    let sent = pacing.await??;
    moving.abort();
    running.finish(&mut stage).await?;
    while let Ok(order) = new.try_recv() {
        welcome(target, flags, &mut crowd, Some(order)).await?;
    }
    crowd.all_settled().await?;
    let mut log = Log::after(before);
    log.read(target).await?;
    let heard = crowd.verify(&log).await?;
    ensure!(sent > 0, "nothing was sent");
    stage.fact("sockets over the time", float(crowd.seats.len() as u64), "");
    stage.fact("sockets lost by the way", float(crowd.losses()), "");
    let all = crowd.seats.len();
    stage.verified(format!("{all} sockets heard {heard} events, each once and in order"));
    crowd.leave().await;
    Ok(stage)
}

/// The customer of a new order comes and watches, if it is one who does.
async fn welcome(
    target: &Target,
    flags: &Flags,
    crowd: &mut Crowd,
    order: Option<(usize, String)>,
) -> anyhow::Result<()> {
    let Some((nth, order)) = order.filter(|(nth, _)| nth % 2 == 0) else { return Ok(()) };
    let tokens = target.customers(std::slice::from_ref(&order)).await?;
    for token in tokens {
        let (address, codec) = (target.address, flags.codec.of(nth / 2));
        crowd.invite(Invited {
            address,
            codec,
            token,
            channel: Some(format!("order:{order}").into()),
        });
    }
    Ok(())
}

/// Couriers say where they are, in turns, at this rate a second.
async fn locate(couriers: Vec<Arc<Seat>>, rate: f64) {
    let mut ticks = interval(Duration::from_millis(10));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (mut owed, mut sent) = (0.0, 0_u64);
    let mut all = couriers.iter().cycle();
    loop {
        ticks.tick().await;
        owed += rate / 100.0;
        while owed >= 1.0 {
            owed -= 1.0;
            sent += 1;
            let Some(courier) = all.next() else { return };
            let at = ordercast::auth::now().as_millisecond();
            // Up and down a street: slow enough to be believed.
            let drift = f64::from(u32::try_from(sent % 1_000).unwrap_or(0)) * 1e-7;
            let data = format!(
                r#"{{"p":[[{sent},{at},{:.6},{:.6},12,90,6.2,0.8]]}}"#,
                52.521 + drift,
                13.406 + drift
            );
            // One that is full, or away, says it the next time.
            courier.say(&message::call(courier.codec, LOCATIONS, "locations", &data));
        }
    }
}
