//! What the writer answers to keys: found again before a change is judged, kept after.

use serde_json::Value;

use super::change::{Change, Outcome, Target};
use super::judge::{Room, key_scope};
use super::once::Kept;
use super::record::OrderRecord;
use super::writes::Writes;
use crate::domain::{Command, Order, Refusal};
use crate::view;

/// What a key was answered before.
#[derive(Debug)]
pub(super) struct Before {
    pub(super) request_hash: Vec<u8>,
    pub(super) created: bool,
    pub(super) what: What,
}

#[derive(Debug)]
pub(super) enum What {
    /// An order, as it was then.
    Order(Box<Order>),
    /// Anything else.
    Other(Option<Value>),
}

/// An answer to be kept.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) created: bool,
    pub(super) order: Option<OrderRecord>,
    pub(super) body: Option<Value>,
}

impl Room {
    /// What the change's key was answered before, if it was.
    pub(super) fn recall(&self, change: &Change) -> Option<Outcome> {
        let key = change.idempotency.as_ref()?;
        let place = (change.tenant, key_scope(change), key.key.clone());
        let before = self.keys.get(&place)?;
        let reused = Outcome::Refused(Refusal::IdempotencyKeyReused, None);
        if before.request_hash != key.request_hash {
            return Some(reused);
        }
        let created = before.created;
        Some(match &before.what {
            What::Order(order) => match self.sheet(order) {
                Some(sheet) => Outcome::Replayed { sheet, created },
                None => reused,
            },
            What::Other(body) => Outcome::Answered(Kept { created, body: body.clone() }),
        })
    }
}

impl Writes {
    /// Keeps what the change's key is answered. What was refused may be asked for again.
    pub(super) fn keep(&mut self, change: &Change, outcome: &Outcome) {
        let Some(key) = &change.idempotency else { return };
        let (created, order, body) = match outcome {
            Outcome::Placed(sheet) => (true, Some(OrderRecord::from(&sheet.order)), None),
            Outcome::Changed(sheet) => {
                (makes_proof(change), Some(OrderRecord::from(&sheet.order)), None)
            }
            Outcome::Repeated(sheet) => (false, Some(OrderRecord::from(&sheet.order)), None),
            Outcome::Driver(driver) => (false, None, Some(view::driver(driver))),
            Outcome::Store(store) => (false, None, Some(view::store(store))),
            Outcome::Routed(stops) => (false, None, Some(view::tour(stops))),
            Outcome::Ended => (false, None, None),
            Outcome::Refused(..) | Outcome::Replayed { .. } | Outcome::Answered(_) => return,
        };
        let answer = Answer { created, order, body };
        self.keys.push((change.tenant, key_scope(change), key.clone(), answer));
    }
}

/// Whether what is made by the change is a proof.
fn makes_proof(change: &Change) -> bool {
    let Target::Order { command, .. } = &change.target else { return false };
    matches!(command.as_ref(), Command::AddProof(_))
}
