//! Those who look out for couriers: what each may see, and how long it took to come.
//!
//! A courier's points are numbered over all couriers, so that a number says whose point it is, where
//! and when it was to be told. Whoever sees one that is not its to see, or an older one after a newer,
//! is noted, and fails the run.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use crate::http::{Answer, request};
use crate::message::{Event, FIRST_CALL, call, member, number};
use crate::meter::Meter;
use crate::pacer::Work;
use crate::socket::{Audience, Seat};

/// Degrees between the lanes in which couriers ride, each in its own.
const LANE: f64 = 1e-4;
/// Degrees between two points of a courier: 33 metres.
const STEP: f64 = 3e-4;
/// Points of a lane, after which a courier turns round.
const TURN: u64 = 200;
/// Lanes lie south of all stores and doors, so that nobody arrives by chance.
const SOUTH: f64 = 52.4;
const WEST: f64 = 13.0;

/// What is measured.
pub(crate) const DIALS: [&str; 5] = [
    "point to its answer",
    "point to customer",
    "point to customer, beyond the pace",
    "point to board, beyond the pace",
    "change to its answer",
];
pub(crate) const COUNTS: [&str; 5] = [
    "points",
    "locations to customers",
    "locations to stores",
    "locations to the board",
    "changes",
];

/// What the customer of an order may see of its courier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Window {
    /// Nothing at any time: the courier has another order with it.
    Shut,
    /// Nothing before the pick-up.
    Before,
    /// The pick-up is asked for: who hears of it may see where the courier is.
    Opening,
    /// Where it is.
    Open,
    /// Nothing any more.
    Over,
}

/// An order that is watched.
pub(crate) struct Watched {
    pub(crate) order: String,
    /// Its courier.
    pub(crate) courier: usize,
    pub(crate) store: String,
    pub(crate) window: Window,
}

/// What one who looks has seen last of a courier.
#[derive(Debug, Clone, Copy)]
struct Sight {
    window: Window,
    /// Since when it may see.
    since: Instant,
    /// The number of the last point, and when it came.
    last: u64,
    came: Option<Instant>,
}

impl Sight {
    const fn new(window: Window, since: Instant) -> Self {
        Self { window, since, last: 0, came: None }
    }
}

/// A point as it was told.
#[derive(Debug, Clone, Copy)]
struct Told {
    courier: usize,
    due: Instant,
    lat: f64,
}

/// Couriers, their orders, and who watches them.
pub(crate) struct Lookout {
    orders: Vec<Watched>,
    by_order: HashMap<String, usize>,
    /// By order: its customer.
    customers: Vec<Mutex<Sight>>,
    /// By courier: the last point that the store saw to which it comes with its only order.
    coming: Vec<Mutex<Option<u64>>>,
    drivers: Vec<(String, Arc<str>)>,
    /// By courier: what the board has seen.
    board: Vec<Mutex<Sight>>,
    /// By courier: the number of its newest point.
    newest: Vec<AtomicU64>,
    told: Vec<OnceLock<Told>>,
    paces: Paces,
    /// From an order's pick-up to its end.
    ride: Duration,
    meter: Arc<Meter>,
    wrong: Mutex<Vec<String>>,
}

/// How often a courier is seen, at most.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paces {
    pub(crate) customer: Duration,
    pub(crate) board: Duration,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The decimal number at the beginning.
fn decimal(text: &[u8]) -> Option<f64> {
    let end = text.iter().position(|byte| matches!(byte, b',' | b'}'))?;
    std::str::from_utf8(text.get(..end)?).ok()?.parse().ok()
}

impl Lookout {
    /// One for these orders and couriers, who tell at most so many `points`. Of the orders the
    /// first are one of each courier.
    pub(crate) fn new(
        orders: Vec<Watched>,
        drivers: Vec<(String, Arc<str>)>,
        points: usize,
        (paces, ride): (Paces, Duration),
        meter: Arc<Meter>,
    ) -> Self {
        let now = Instant::now();
        let by_order = orders.iter().enumerate().map(|(nth, it)| (it.order.clone(), nth)).collect();
        let sight = |window| Mutex::new(Sight::new(window, now));
        Self {
            by_order,
            customers: orders.iter().map(|it| sight(it.window)).collect(),
            coming: orders
                .iter()
                .map(|it| Mutex::new((it.window == Window::Before).then_some(0)))
                .collect(),
            orders,
            board: drivers.iter().map(|_| sight(Window::Open)).collect(),
            newest: drivers.iter().map(|_| AtomicU64::new(0)).collect(),
            drivers,
            told: (0..points).map(|_| OnceLock::new()).collect(),
            paces,
            ride,
            meter,
            wrong: Mutex::default(),
        }
    }

    /// The next point of a courier, number `n` of all; false when its socket does not take it.
    pub(crate) fn tell(&self, seat: &Seat, courier: usize, nth: u64, n: u64, due: Instant) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "a few thousand lanes and points")]
        let (lane, steps) =
            (courier as f64, (nth % (2 * TURN)).min(2 * TURN - nth % (2 * TURN)) as f64);
        let (lat, lng) = (SOUTH + steps * STEP, WEST + lane * LANE);
        let Some(slot) = usize::try_from(n).ok().and_then(|n| self.told.get(n)) else {
            return false;
        };
        if slot.set(Told { courier, due, lat }).is_err() {
            return false;
        }
        let Ok(id) = u32::try_from(n) else { return false };
        let at = ordercast::auth::now().as_millisecond();
        let data = format!(r#"{{"p":[[{n},{at},{lat:.6},{lng:.6},12,90,6.2,0.8]]}}"#);
        if !seat.say(&call(seat.codec, FIRST_CALL + id, "locations", &data)) {
            return false;
        }
        if let Some(newest) = self.newest.get(courier) {
            newest.store(n, Ordering::Release);
        }
        self.meter.add(0, 1);
        true
    }

    fn note_wrong(&self, what: String) {
        let mut wrong = locked(&self.wrong);
        if wrong.len() < 10 {
            wrong.push(what);
        }
    }

    /// Fails if anybody saw what was not to be seen.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let wrong = locked(&self.wrong);
        ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
        Ok(())
    }

    /// Customers who may see their courier now and have not seen its newest point.
    pub(crate) fn behind(&self) -> usize {
        let waits = |(watched, sight): &(&Watched, &Mutex<Sight>)| {
            let sight = locked(sight);
            let newest = self.newest.get(watched.courier).map_or(0, |n| n.load(Ordering::Acquire));
            sight.window == Window::Open && sight.last < newest
        };
        self.orders.iter().zip(&self.customers).filter(waits).count()
    }

    /// Orders that go on while it is measured.
    pub(crate) fn going(&self) -> Vec<usize> {
        let goes = |(_, it): &(usize, &Watched)| it.window == Window::Before;
        self.orders.iter().enumerate().filter(goes).map(|(nth, _)| nth).collect()
    }

    /// The point that a publication is, if it is what was told.
    fn point(&self, data: &[u8]) -> Option<(u64, Told)> {
        let n = number(member(data, b"\"n\":")?);
        let told = *self.told.get(usize::try_from(n).ok()?)?.get()?;
        let lat = decimal(member(data, b"\"lat\":")?)?;
        let lng = decimal(member(data, b"\"lng\":")?)?;
        #[expect(clippy::cast_precision_loss, reason = "a few thousand lanes")]
        let lane = WEST + told.courier as f64 * LANE;
        let there = (lat - told.lat).abs() < 1e-6 && (lng - lane).abs() < 1e-6;
        there.then_some((n, told))
    }

    /// Takes a point that somebody sees; the time since it could have come first: since it was
    /// told, or since it may be seen; and that without what the pace held it back.
    fn see(
        &self,
        sight: &mut Sight,
        (n, told): (u64, Told),
        pace: Duration,
        at: Instant,
        who: &str,
    ) -> Option<(Duration, Duration)> {
        if !matches!(sight.window, Window::Opening | Window::Open) || n <= sight.last {
            let Sight { window, last, .. } = sight;
            self.note_wrong(format!("{who}: {window:?}, saw point {n} after {last}"));
            return None;
        }
        let first = told.due.max(sight.since);
        let paced = sight.came.map_or(first, |came| first.max(came + pace));
        sight.last = n;
        sight.came = Some(at);
        Some((at.saturating_duration_since(first), at.saturating_duration_since(paced)))
    }
}

impl Audience for Lookout {
    fn hear(&self, seat: &Seat, event: &Event<'_>, at: Instant) {
        let Some(channel) = seat.channel.as_deref() else { return };
        let is = |kind: &[u8]| member(event.data, kind).is_some();
        let picked_up = is(b"\"type\":\"order.picked_up\"");
        if !picked_up && !is(b"\"type\":\"order.delivered\"") {
            return;
        }
        let nth = event.order().and_then(|(order, _n)| self.by_order.get(order));
        let Some(nth) = nth.copied() else { return };
        if channel.starts_with("store:") {
            if let Some(coming) = self.coming.get(nth) {
                *locked(coming) = None;
            }
        } else if channel.starts_with("order:")
            && let Some(sight) = self.customers.get(nth)
        {
            let mut sight = locked(sight);
            match (sight.window, picked_up) {
                (Window::Opening, true) => {
                    sight.window = Window::Open;
                    sight.since = at;
                }
                (Window::Open, false) => sight.window = Window::Over,
                (window, _) => self.note_wrong(format!("{channel}: {window:?}, and goes on")),
            }
        }
    }

    fn passed(&self, seat: &Seat, data: &[u8], at: Instant) {
        let Some(channel) = seat.channel.as_deref() else { return };
        let Some((n, told)) = self.point(data) else {
            let text = String::from_utf8_lossy(data);
            return self.note_wrong(format!("{channel}: nobody told {text}"));
        };
        let its = |it: &Watched| it.courier == told.courier;
        let named = |order: &str| self.by_order.get(order).copied();
        if let Some(nth) = channel.strip_prefix("order:").and_then(named) {
            if !self.orders.get(nth).is_some_and(its) || member(data, b"\"driver\":").is_some() {
                return self.note_wrong(format!("{channel}: saw another's courier, or its name"));
            }
            let Some(sight) = self.customers.get(nth) else { return };
            let mut sight = locked(sight);
            let waited = self.see(&mut sight, (n, told), self.paces.customer, at, channel);
            if let Some((all, beyond)) = waited {
                self.meter.add(1, 1);
                self.meter.record(1, seat.nth, all);
                self.meter.record(2, seat.nth, beyond);
            }
        } else if let Some(store) = channel.strip_prefix("store:") {
            self.meter.add(2, 1);
            let here = self.orders.get(told.courier).is_some_and(|it| it.store == store);
            let last = self.coming.get(told.courier).filter(|_| here);
            let mut last = last.map(locked);
            match last.as_deref_mut() {
                Some(Some(last)) if *last < n => *last = n,
                last => self.note_wrong(format!("{channel}: saw point {n} after {last:?}")),
            }
        } else if channel == "dispatch" {
            let driver = self.drivers.get(told.courier).map_or("", |(id, _)| id.as_str());
            if member(data, format!("\"driver\":\"{driver}\"").as_bytes()).is_none() {
                return self.note_wrong(format!("{channel}: the point of {driver} is another's"));
            }
            let Some(sight) = self.board.get(told.courier) else { return };
            let mut sight = locked(sight);
            let waited = self.see(&mut sight, (n, told), self.paces.board, at, channel);
            if let Some((_all, beyond)) = waited {
                self.meter.add(3, 1);
                self.meter.record(3, seat.nth, beyond);
            }
        } else {
            self.note_wrong(format!("{channel}: saw a courier"));
        }
    }

    fn answered(&self, seat: &Seat, id: u32, answer: Result<&[u8], u32>, at: Instant) {
        let told = id.checked_sub(FIRST_CALL).and_then(|n| self.told.get(usize::try_from(n).ok()?));
        let known = |data: &[u8]| member(data, b"\"refused\":").map(number) == Some(0);
        match (told.and_then(OnceLock::get), answer) {
            (Some(told), Ok(data)) if known(data) && member(data, b"dropped").is_none() => {
                self.meter.record(0, seat.nth, at.saturating_duration_since(told.due));
            }
            (_, answer) => {
                let answer = answer.map(String::from_utf8_lossy);
                self.note_wrong(format!("a point was answered by {answer:?}"));
            }
        }
    }
}

impl Work for Lookout {
    fn request(&self, subject: usize, _due: Instant) -> Option<Vec<u8>> {
        let watched = self.orders.get(subject)?;
        let (_driver, token) = self.drivers.get(watched.courier)?;
        let mut sight = locked(self.customers.get(subject)?);
        let action = if sight.window == Window::Before { "pickup" } else { "deliver" };
        if sight.window == Window::Before {
            sight.window = Window::Opening;
        }
        drop(sight);
        Some(request("POST", &format!("/v1/orders/{}/{action}", watched.order), token, "{}"))
    }

    fn answered(
        &self,
        subject: usize,
        due: Instant,
        at: Instant,
        answer: &Answer,
    ) -> anyhow::Result<Option<Instant>> {
        let watched = self.orders.get(subject).context("an order")?;
        let body = answer.good().with_context(|| format!("going on with {}", watched.order))?;
        self.meter.record(4, subject, at.saturating_duration_since(due));
        self.meter.add(4, 1);
        let is_over = member(body, b"\"status\":\"delivered\"").is_some();
        Ok((!is_over).then(|| due + self.ride))
    }
}
