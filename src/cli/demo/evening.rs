//! One evening from the first store to the last word about it.

use std::cell::OnceCell;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Context as _;
use awc::http::Method;
use futures::future::{join_all, join5};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout, timeout_at};

use super::city::{City, EVENTS_MAX};
use super::courier::Courier;
use super::dispatcher::Dispatcher;
use super::guests;
use super::line::Line;
use super::names::{FIRST, LAST, STORES, VEHICLES};
use super::pace::{COURIERS, Pace};
use super::picture::Picture;
use super::platform;
use super::store::Store;
use super::summary::Summary;
use super::truth::Truth;
use super::wire::text;

/// Between two pictures.
const PICTURE_INTERVAL: Duration = Duration::from_millis(250);
/// Stores and couriers set up at once.
const SET_UP_AT_ONCE: usize = 8;
/// Longest wait for what players have begun.
const ENDING_LIMIT: Duration = Duration::from_secs(30);
/// Longest wait for everything that was committed to be heard.
const HEARING_LIMIT: Duration = Duration::from_secs(10);

/// What is to be played.
#[derive(Debug)]
pub(super) struct Plan {
    /// The server, as in `http://127.0.0.1:8080`.
    pub(super) base: String,
    /// An API key of a tenant that has nothing yet.
    pub(super) key: String,
    pub(super) pace: Pace,
    /// How long; until stopped when absent.
    pub(super) span: Option<Duration>,
}

/// Everybody who plays.
struct Cast {
    stores: Vec<(String, Rc<Store>)>,
    couriers: Vec<Rc<Courier>>,
    dispatcher: Rc<Dispatcher>,
    platform: Rc<Line>,
    /// The position from which on everything is heard.
    start: u64,
}

/// Plays an evening until its time is over or `stop` turns true, and judges it.
pub(super) async fn play(
    plan: Plan,
    pictures: watch::Sender<Picture>,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<Summary> {
    let Plan { base, key, pace, span } = plan;
    let city = City::new(base, key, pace);
    let doors = OnceCell::new();
    let show = |phase: &'static str| {
        let mut picture = Picture::of(&city, phase, span);
        picture.doors = doors.get().cloned().unwrap_or_default();
        pictures.send_replace(picture);
    };
    let cast = tokio::select! {
        cast = set_up(&city) => cast.context("setting up the city")?,
        _ = stop.wait_for(|stop| *stop) => anyhow::bail!("stopped before the evening began"),
    };
    let _unset = doors.set(open_doors(&city).await.context("making tokens for people")?);
    city.meter.borrow_mut().begin();
    let ends_at = span.map(|span| Instant::now() + span);

    let stores: Vec<String> = cast.stores.iter().map(|(id, _)| id.clone()).collect();
    let mut playing = std::pin::pin!(join5(
        platform::work(&city, &stores),
        join_all(cast.stores.iter().map(|(_, store)| store.work())),
        join_all(cast.couriers.iter().map(|courier| courier.work())),
        cast.dispatcher.work(),
        guests::watch(&city, &cast.platform),
    ));
    let mut tick = interval(PICTURE_INTERVAL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ending: Option<Instant> = None;
    loop {
        tokio::select! {
            _done = &mut playing => break,
            _ = tick.tick() => {}
        }
        let is_over = *stop.borrow()
            || ends_at.is_some_and(|at| Instant::now() >= at)
            || city.meter.borrow().events >= EVENTS_MAX;
        if is_over && ending.is_none() {
            city.end();
            ending = Some(Instant::now() + ENDING_LIMIT);
        }
        if ending.is_some_and(|at| Instant::now() >= at) {
            city.fail("players did not come to an end");
            break;
        }
        show(if ending.is_some() { "closing" } else { "open" });
    }
    let lasted = city.meter.borrow().elapsed();
    show("listening to the end");
    let truth = Truth::read(&city.rest, &city.key, cast.start).await.context("reading the log")?;
    hear_out(&city, &truth).await;
    Ok(Summary::of(&city, &truth, lasted))
}

/// The pages on which people look in, and take a part if they like.
async fn open_doors(city: &City) -> anyhow::Result<Vec<(&'static str, String)>> {
    let mut doors = vec![];
    for (name, page, kind, subject) in [
        ("the board", "dispatch", "ops", Some("demo")),
        ("a store", "store", "store", city.guests.store.id()),
        ("a courier", "courier", "driver", city.guests.courier.id()),
    ] {
        let token = city.guest_token(kind, subject.context("nobody has this part")?).await?;
        doors.push((name, city.door(page, &token)));
    }
    Ok(doors)
}

/// Waits until every line has heard all that was committed, then hangs it up.
async fn hear_out(city: &City, truth: &Truth) {
    let until = Instant::now() + HEARING_LIMIT;
    let lines = city.lines();
    join_all(lines.iter().map(|line| async {
        let last = truth.of(&line.channel).last().copied().unwrap_or(0);
        // What has not come by then counts as missed.
        let _late = timeout_at(until, line.reach(last)).await;
        city.archive(line).await;
    }))
    .await;
}

/// Makes stores and couriers and gives everybody a line.
async fn set_up(city: &Rc<City>) -> anyhow::Result<Cast> {
    // First of all those who must hear everything.
    let platform = platform::listen(city).await;
    let start = platform.reached().context("the platform's socket does not stand")?;
    city.keep(&platform);
    let token = city.token("ops", "dispatcher").await?;
    let (dispatcher, line) = Dispatcher::start(city, token).await;
    city.keep(&line);
    let stores: Vec<(String, Rc<Store>)> = stream::iter(STORES.iter().zip(1_u32..))
        .map(|(store, nth)| set_up_store(city, store, nth))
        .buffer_unordered(SET_UP_AT_ONCE)
        .try_collect()
        .await?;
    let couriers: Vec<Rc<Courier>> = stream::iter(0..COURIERS)
        .map(|nth| set_up_courier(city, nth))
        .buffer_unordered(SET_UP_AT_ONCE)
        .try_collect()
        .await?;
    let all = timeout(HEARING_LIMIT, join_all(city.lines().iter().map(|line| line.reach(0)))).await;
    anyhow::ensure!(all.is_ok_and(|all| all.iter().all(|stands| *stands)), "not all sockets stand");
    Ok(Cast { stores, couriers, dispatcher, platform, start })
}

async fn set_up_store(
    city: &Rc<City>,
    (name, lat, lng): &(&str, f64, f64),
    nth: u32,
) -> anyhow::Result<(String, Rc<Store>)> {
    let body = json!({"name": name, "lat": lat, "lng": lng, "tz": "Europe/Berlin",
        "phone": format!("+49 30 55500{nth:02}"), "default_prep_min": 15});
    let id = put(city, &format!("/v1/stores/ext/demo-{nth}"), &body).await?;
    if nth == 1 {
        city.guests.store.give(&id);
    }
    let token = city.token("store", &id).await?;
    let (store, line) = Store::open(city, &id, name, token).await;
    city.keep(&line);
    Ok((id, store))
}

async fn set_up_courier(city: &Rc<City>, nth: u32) -> anyhow::Result<Rc<Courier>> {
    let at = usize::try_from(nth)?;
    let pick = |names: &'static [&'static str], at: usize| {
        names.get(at % names.len().max(1)).copied().unwrap_or_default()
    };
    let name = format!("{} {}", pick(FIRST, at), pick(LAST, at / FIRST.len() + at * 7));
    let (vehicle, colour) = VEHICLES.get(at % VEHICLES.len()).copied().unwrap_or_default();
    let body = json!({"name": name, "phone": format!("+49 170 55500{nth:02}"),
        "vehicle": {"type": vehicle, "colour": colour, "plate": format!("B-OC {}", 100 + nth)},
        "capacity": city.pace.capacity()});
    let id = put(city, &format!("/v1/drivers/ext/demo-{nth}"), &body).await?;
    let is_peoples = nth == 0;
    if is_peoples {
        city.guests.courier.give(&id);
    }
    let corner = STORES.first().filter(|_| is_peoples).map(|(_name, lat, lng)| (*lat, *lng));
    let token = city.token("driver", &id).await?;
    let (courier, line) = Courier::start(city, &id, &name, token, corner).await?;
    city.keep(&line);
    Ok(courier)
}

async fn put(city: &City, path: &str, body: &Value) -> anyhow::Result<String> {
    let made = city.rest.write(Method::PUT, path, &city.key, body).await?;
    Ok(text(&made, "id").to_owned())
}
