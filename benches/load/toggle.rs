//! Changes that can go on for ever: a kitchen that says ready, and takes it back. Each is one event
//! of one order, heard by all who may hear of it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::http::{Answer, request};
use crate::message::{Event, member, number};
use crate::meter::Meter;
use crate::pacer::Work;
use crate::socket::{Audience, Seat};

/// An order's last changes and the times they were meant for.
#[derive(Debug, Default)]
struct Order {
    ready: bool,
    version: u64,
    /// Before which version it was, and when it was to be sent; the newest last.
    sent: Vec<(u64, Instant)>,
}

/// Changes of each order that are remembered, for frames that come late.
const REMEMBERED: usize = 8;

/// Orders that are changed at their times.
pub(crate) struct Toggles {
    names: Vec<String>,
    orders: Vec<Mutex<Order>>,
    by_name: HashMap<String, usize>,
    token: Arc<str>,
    every: Duration,
    meter: Arc<Meter>,
    /// The dial and the count of answers.
    answer: (usize, usize),
    /// The dials of frames by the kind of the channel, and the count of frames.
    dials: fn(&str) -> Option<usize>,
    frames: usize,
    pub(crate) done: AtomicU64,
    /// Frames for which no change was found.
    pub(crate) strange: AtomicU64,
}

impl Toggles {
    /// Orders that have been accepted; `every` is the time between two changes of one.
    pub(crate) fn new(
        orders: &[String],
        token: Arc<str>,
        every: Duration,
        meter: Arc<Meter>,
        dials: fn(&str) -> Option<usize>,
    ) -> Self {
        let by_name = orders.iter().enumerate().map(|(nth, order)| (order.clone(), nth));
        Self {
            names: orders.to_vec(),
            by_name: by_name.collect(),
            orders: orders.iter().map(|_| Mutex::default()).collect(),
            token,
            every,
            meter,
            answer: (0, 0),
            dials,
            frames: 1,
            done: AtomicU64::new(0),
            strange: AtomicU64::new(0),
        }
    }

    /// When each order is due first: evenly over the time between two changes.
    pub(crate) fn due(&self, began: Instant) -> Vec<(Instant, usize)> {
        let count = u32::try_from(self.orders.len()).unwrap_or(u32::MAX).max(1);
        let nth = 0..self.orders.len();
        nth.map(|nth| (began + self.every * u32::try_from(nth).unwrap_or(0) / count, nth)).collect()
    }

    fn order(&self, nth: usize) -> Option<MutexGuard<'_, Order>> {
        Some(self.orders.get(nth)?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Work for Toggles {
    fn request(&self, subject: usize, due: Instant) -> Option<Vec<u8>> {
        let mut order = self.order(subject)?;
        let version = order.version;
        order.sent.push((version, due));
        if order.sent.len() > REMEMBERED {
            order.sent.remove(0);
        }
        let word = if order.ready { "unready" } else { "ready" };
        let path = format!("/v1/orders/{}/{word}", self.names.get(subject)?);
        Some(request("POST", &path, &self.token, "{}"))
    }

    fn answered(
        &self,
        subject: usize,
        due: Instant,
        at: Instant,
        answer: &Answer,
    ) -> anyhow::Result<Option<Instant>> {
        self.meter.record(self.answer.0, subject, at - due);
        self.meter.add(self.answer.1, 1);
        let body = answer.good()?;
        let version = number(member(body, b"\"version\":").context("an order without a version")?);
        let mut order = self.order(subject).context("an order")?;
        order.ready = !order.ready;
        order.version = version;
        self.done.fetch_add(1, Ordering::Relaxed);
        Ok(Some(due + self.every))
    }
}

impl Audience for Toggles {
    fn hear(&self, seat: &Seat, event: &Event<'_>, at: Instant) {
        self.meter.add(self.frames, 1);
        let Some(dial) = seat.channel.as_deref().and_then(self.dials) else { return };
        let found = event.order().and_then(|(order, n)| {
            let order = self.order(*self.by_name.get(order)?)?;
            // The last that was sent while the order stood below this version.
            order.sent.iter().rev().find(|(version, _)| *version < n).map(|(_, due)| *due)
        });
        match found {
            Some(due) => self.meter.record(dial, seat.nth, at.saturating_duration_since(due)),
            None => {
                self.strange.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
