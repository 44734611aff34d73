//! The orders of an evening: each goes its way from its placing to the door, step by step, and
//! then another takes its place.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::http::{Answer, request};
use crate::message::{Event, member};
use crate::meter::Meter;
use crate::pacer::Work;
use crate::socket::{Audience, Seat};
use crate::town;

/// Who does a step.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    Platform,
    Store,
    Driver,
}

/// Steps of an order: what is asked, by whom, and the event it makes.
const STEPS: [(&str, Who, &str); 8] = [
    ("", Who::Platform, "order.placed"),
    ("accept", Who::Store, "order.accepted"),
    ("driver", Who::Platform, "courier.assigned"),
    ("at_store", Who::Driver, "courier.at_store"),
    ("ready", Who::Store, "order.ready"),
    ("pickup", Who::Driver, "order.picked_up"),
    ("at_door", Who::Driver, "courier.at_door"),
    ("deliver", Who::Driver, "order.delivered"),
];

/// Dials and counts of an evening.
pub(crate) const DIALS: [&str; 5] = [
    "request to answer",
    "request to customer",
    "request to store",
    "request to courier",
    "request to board",
];
pub(crate) const COUNTS: [&str; 4] = ["changes", "frames", "locations", "locations refused"];

/// The dial of the frames of a channel.
fn dial(channel: &str) -> Option<usize> {
    let kinds = ["order", "store", "driver", "dispatch"];
    let kind = channel.split(':').next()?;
    kinds.iter().position(|known| *known == kind).map(|nth| nth + 1)
}

/// A place in the town where one order after the other lives.
#[derive(Debug, Default)]
struct Slot {
    order: String,
    step: usize,
    /// What was asked for this order, and when it was to be sent.
    asked: Vec<(&'static str, Instant)>,
}

/// Those who act, with their tokens.
pub(crate) struct People {
    pub(crate) stores: Vec<(String, Arc<str>)>,
    pub(crate) drivers: Vec<(String, Arc<str>)>,
    pub(crate) key: Arc<str>,
}

/// The orders that are under way.
pub(crate) struct Life {
    slots: Vec<Mutex<Slot>>,
    by_order: Mutex<HashMap<String, usize>>,
    pub(crate) people: People,
    /// Between two steps of an order.
    pub(crate) every: Duration,
    meter: Arc<Meter>,
    /// Orders that were placed: their place and their name.
    placed: mpsc::Sender<(usize, String)>,
}

impl Life {
    /// Orders that have been accepted, each in a place of its own.
    pub(crate) fn new(
        orders: &[String],
        people: People,
        every: Duration,
        meter: Arc<Meter>,
        placed: mpsc::Sender<(usize, String)>,
    ) -> Self {
        let slot = |order: &String| Slot { order: order.clone(), step: 2, asked: vec![] };
        let by_order = orders.iter().enumerate().map(|(nth, order)| (order.clone(), nth));
        Self {
            slots: orders.iter().map(|order| Mutex::new(slot(order))).collect(),
            by_order: Mutex::new(by_order.collect()),
            people,
            every,
            meter,
            placed,
        }
    }

    fn slot(&self, nth: usize) -> Option<MutexGuard<'_, Slot>> {
        Some(self.slots.get(nth)?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn of(people: &[(String, Arc<str>)], nth: usize) -> Option<&(String, Arc<str>)> {
        people.get(nth % people.len().max(1))
    }

    /// Brings some of the orders further before it begins, so that all steps occur from then on.
    pub(crate) async fn scatter(
        &self,
        target: &crate::rig::Target,
        ops: &str,
    ) -> anyhow::Result<()> {
        let names = |from: usize| -> Vec<(usize, String)> {
            let slots = (0..self.slots.len()).filter(|nth| nth % 3 >= from);
            slots.filter_map(|nth| Some((nth, self.slot(nth)?.order.clone()))).collect()
        };
        let assigned = names(1);
        for group in assigned.chunks(town::BULK) {
            let items: Vec<Value> = group
                .iter()
                .filter_map(|(nth, order)| {
                    let driver = &Self::of(&self.people.drivers, *nth)?.0;
                    Some(json!({"order": order, "driver": driver}))
                })
                .collect();
            let body = json!({"items": items}).to_string();
            let asked = request("POST", "/v1/orders/bulk/assign", &self.people.key, &body);
            let answers = town::spread(target, vec![asked], 1).await?;
            town::all_done(answers.first().context("an answer")?).context("assigning couriers")?;
        }
        let under_way: Vec<String> = names(2).into_iter().map(|(_nth, order)| order).collect();
        target.bulk(ops, "pickup", &under_way, &json!({})).await?;
        for nth in 0..self.slots.len() {
            if let Some(mut slot) = self.slot(nth) {
                slot.step = match nth % 3 {
                    0 => 2,
                    1 => 3,
                    _ => 6,
                };
            }
        }
        Ok(())
    }

    /// When each order is due first.
    pub(crate) fn due(&self, began: Instant) -> Vec<(Instant, usize)> {
        let count = u32::try_from(self.slots.len()).unwrap_or(u32::MAX).max(1);
        let nth = 0..self.slots.len();
        nth.map(|nth| (began + self.every * u32::try_from(nth).unwrap_or(0) / count, nth)).collect()
    }

    /// When the change that made an event was to be sent, if it was one of ours.
    fn asked(&self, event: &Event<'_>) -> Option<Instant> {
        let (order, _n) = event.order()?;
        let by_order = self.by_order.lock().unwrap_or_else(PoisonError::into_inner);
        let nth = *by_order.get(order)?;
        drop(by_order);
        let kind = member(event.data, b"\"type\":\"")?;
        let slot = self.slot(nth)?;
        if slot.order != order {
            return None;
        }
        let asked = slot.asked.iter().find(|(asked, _)| {
            kind.strip_prefix(asked.as_bytes()).is_some_and(|rest| rest.first() == Some(&b'"'))
        });
        asked.map(|(_, due)| *due)
    }
}

impl Work for Life {
    fn request(&self, subject: usize, due: Instant) -> Option<Vec<u8>> {
        let mut slot = self.slot(subject)?;
        let (word, who, event) = *STEPS.get(slot.step)?;
        let store = Self::of(&self.people.stores, subject)?;
        let driver = Self::of(&self.people.drivers, subject)?;
        let token = match who {
            Who::Platform => &self.people.key,
            Who::Store => &store.1,
            Who::Driver => &driver.1,
        };
        slot.asked.push((event, due));
        let path = format!("/v1/orders/{}/{word}", slot.order);
        Some(match word {
            "" => {
                let body = town::order(&store.0, &format!("evening-{}", uuid::Uuid::new_v4()));
                request("POST", "/v1/orders", token, &body.to_string())
            }
            "driver" => request("PUT", &path, token, &json!({"driver": driver.0}).to_string()),
            "accept" => request("POST", &path, token, r#"{"prep_min":240}"#),
            _ => request("POST", &path, token, "{}"),
        })
    }

    fn answered(
        &self,
        subject: usize,
        due: Instant,
        at: Instant,
        answer: &Answer,
    ) -> anyhow::Result<Option<Instant>> {
        self.meter.record(0, subject, at - due);
        self.meter.add(0, 1);
        let mut slot = self.slot(subject).context("an order's place")?;
        let step = STEPS.get(slot.step).map_or("", |step| step.0);
        let body = answer.good().with_context(|| format!("{step:?} of {}", slot.order))?;
        if slot.step == 0 {
            let id = member(body, b"\"id\":\"or_").context("an order without an id")?;
            let id: Vec<u8> = id.iter().copied().take_while(|byte| *byte != b'"').collect();
            let order = format!("or_{}", String::from_utf8_lossy(&id));
            let mut by_order = self.by_order.lock().unwrap_or_else(PoisonError::into_inner);
            by_order.remove(&slot.order);
            by_order.insert(order.clone(), subject);
            drop(by_order);
            slot.order.clone_from(&order);
            slot.asked.clear();
            self.placed.try_send((subject, order)).context("telling of a new order")?;
        }
        slot.step = (slot.step + 1) % STEPS.len();
        Ok(Some(due + self.every))
    }
}

impl Audience for Life {
    fn hear(&self, seat: &Seat, event: &Event<'_>, at: Instant) {
        self.meter.add(1, 1);
        let Some(channel) = seat.channel.as_deref() else { return };
        if let (Some(dial), Some(due)) = (dial(channel), self.asked(event)) {
            self.meter.record(dial, seat.nth, at.saturating_duration_since(due));
        }
        let over = b"\"type\":\"order.delivered\"";
        if channel.starts_with("order:") && member(event.data, over).is_some() {
            seat.go_home();
        }
    }

    fn answered(&self, _seat: &Seat, _id: u32, answer: Result<&[u8], u32>, _at: Instant) {
        self.meter.add(if answer.is_ok() { 2 } else { 3 }, 1);
    }
}
