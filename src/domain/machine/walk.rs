//! Robo mode: an order of a tenant that tests its integration goes its way by itself, one step
//! after the other, to the end that it was placed with.
//!
//! The system does what store and courier would do, and brings the proofs and the PIN that they
//! would: the events, views and estimates are those of any order. People may still act; the walk
//! goes on from where the order stands then, a step later.

use std::ops::RangeInclusive;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::domain::{
    Action, Actor, Command, Draft, Fulfilment, Leg, Order, Proof, ProofKind, ProofPoint,
    ReasonCode, Refusal, Robo, RoboEnd, Role, Status, TenantRules, Undeliverable, Word as _,
};

use super::estimate::later;
use super::{Facts, Judgement, Step, fields, proofs};

/// Seconds between two steps, where the order does not say.
const STEP_S: i32 = 5;
/// What an order may say.
const STEPS_S: RangeInclusive<i32> = 1..=3_600;
/// What proofs refer to, and reasons have as their note, that nobody has seen or said.
const ROBO: &str = "robo";

/// What the system does to such an order that it does to no other, or under conditions.
const WALKED: &[Action] = &[
    Action::Accept,
    Action::Reject,
    Action::Start,
    Action::Ready,
    Action::Pickup,
    Action::Deliver,
    Action::Collect,
    Action::Cancel,
    Action::Fail,
    Action::Return,
    Action::Returned,
    Action::Assign,
    Action::AtStore,
    Action::AtDoor,
];

/// How a new order walks, by the tenant's rules and its `meta.robo`.
pub(super) fn plan(draft: &Draft, rules: TenantRules) -> Result<Option<Robo>, Refusal> {
    if !rules.robo {
        return Ok(None);
    }
    let mut robo = Robo { end: RoboEnd::Delivered, step_s: STEP_S, at: None };
    let said = match draft.meta.get("robo") {
        None | Some(Value::Null) => return Ok(Some(robo)),
        Some(Value::Object(said)) => said,
        Some(_) => return Err(fields::invalid("meta.robo", "must be an object".to_owned())),
    };
    for (name, value) in said {
        match name.as_str() {
            "end" => robo.end = end(value)?,
            "step_s" => robo.step_s = step_s(value)?,
            _ => {
                let detail = format!("has `end` and `step_s`, and no `{name}`");
                return Err(fields::invalid("meta.robo", detail));
            }
        }
    }
    let goes_back =
        draft.fulfilment != Fulfilment::Collection && draft.undeliverable == Undeliverable::Return;
    if robo.end == RoboEnd::Returned && !goes_back {
        let detail = "a delivery with the undeliverable_action `return` goes back, and no other";
        return Err(fields::invalid("meta.robo.end", detail.to_owned()));
    }
    if robo.end == RoboEnd::Failed && draft.fulfilment == Fulfilment::Collection {
        let detail = "what is collected does not fail";
        return Err(fields::invalid("meta.robo.end", detail.to_owned()));
    }
    Ok(Some(robo))
}

fn end(value: &Value) -> Result<RoboEnd, Refusal> {
    let word = value.as_str().and_then(|word| RoboEnd::find(word).ok());
    word.ok_or_else(|| {
        fields::invalid("meta.robo.end", format!("one of {}", RoboEnd::WORDS.join(", ")))
    })
}

fn step_s(value: &Value) -> Result<i32, Refusal> {
    let seconds = value.as_i64().and_then(|seconds| i32::try_from(seconds).ok());
    seconds.filter(|seconds| STEPS_S.contains(seconds)).ok_or_else(|| {
        let (least, most) = (STEPS_S.start(), STEPS_S.end());
        fields::invalid("meta.robo.step_s", format!("{least} to {most} seconds"))
    })
}

/// The order has come to where it stands now: its next step is due a step later.
pub(super) fn wind(order: &mut Order, now: Timestamp) {
    let goes_on = order.next_walk().is_some();
    if let Some(robo) = &mut order.robo {
        robo.at = goes_on.then(|| later(now, step(*robo)));
    }
}

fn step(robo: Robo) -> Duration {
    Duration::from_secs(u64::from(robo.step_s.unsigned_abs()))
}

impl Order {
    /// Whether the system may do this to it because it goes its way by itself.
    pub(super) fn is_walked(&self, action: Action, role: Role) -> bool {
        role == Role::System && self.robo.is_some() && WALKED.contains(&action)
    }

    /// When the next step of its walk is due.
    pub(super) fn walk_due(&self) -> Option<Timestamp> {
        self.robo?.at
    }

    /// The next step of its walk.
    fn next_walk(&self) -> Option<Action> {
        let end = self.robo?.end;
        match self.status {
            Status::Placed if end == RoboEnd::Rejected => Some(Action::Reject),
            Status::Placed => Some(Action::Accept),
            // Accepted while it was scheduled: it is made when its time comes.
            Status::Accepted => self.stamps.placed.map(|_at| Action::Start),
            Status::Preparing => Some(Action::Ready),
            Status::Ready => Some(self.next_at_store(end)),
            Status::PickedUp => Some(self.next_on_the_way(end)),
            Status::Returning => Some(Action::Returned),
            // Released when its time comes, or over.
            Status::Scheduled
            | Status::Delivered
            | Status::Rejected
            | Status::Cancelled
            | Status::Failed
            | Status::Returned => None,
        }
    }

    fn next_at_store(&self, end: RoboEnd) -> Action {
        match self.fulfilment {
            Fulfilment::Delivery if !self.leg.has_driver() => Action::Assign,
            Fulfilment::Delivery if self.leg == Leg::Assigned => Action::AtStore,
            _ if end == RoboEnd::Cancelled => Action::Cancel,
            Fulfilment::Collection => Action::Collect,
            Fulfilment::Delivery | Fulfilment::StoreDelivery => Action::Pickup,
        }
    }

    /// A second attempt, which somebody has agreed on, succeeds.
    fn next_on_the_way(&self, end: RoboEnd) -> Action {
        match end {
            _ if self.leg == Leg::EnRoute => Action::AtDoor,
            RoboEnd::Returned if self.attempt == 1 => Action::Return,
            RoboEnd::Failed if self.attempt == 1 => Action::Fail,
            RoboEnd::Delivered
            | RoboEnd::Rejected
            | RoboEnd::Cancelled
            | RoboEnd::Returned
            | RoboEnd::Failed => Action::Deliver,
        }
    }

    /// The step that is due. One that is refused is put off where a courier was missing; else
    /// the walk is over, until somebody takes the order further.
    pub(super) fn walk(&self, facts: &Facts<'_>) -> Step {
        let action = self.next_walk();
        if let Some(command) = action.and_then(|action| self.walk_by(action, facts))
            && let Judgement::Accepted(step) = self.judge(&command, &Actor::system(), facts)
        {
            return *step;
        }
        let mut order = self.clone();
        if let Some(robo) = &mut order.robo {
            robo.at = (action == Some(Action::Assign)).then(|| later(facts.now, step(*robo)));
        }
        Step { order, events: Vec::new(), offers: Vec::new() }
    }

    fn walk_by(&self, action: Action, facts: &Facts<'_>) -> Option<Command> {
        let because = |code: ReasonCode| (code, Some(ROBO.to_owned()));
        let pin = || self.pin.clone().filter(|_| self.proof_required.pin);
        let command = match action {
            Action::Accept => Command::Accept { prep_min: None },
            Action::Reject => Command::Reject { reason: because(ReasonCode::NoResponse) },
            Action::Start => Command::Start,
            Action::Ready => Command::Ready,
            Action::Assign => Command::Assign { driver: facts.driver?.driver.id },
            Action::AtStore => Command::AtStore,
            Action::Pickup => Command::Pickup { proofs: self.made_up(ProofPoint::Pickup) },
            Action::AtDoor => Command::AtDoor,
            Action::Deliver => {
                Command::Deliver { pin: pin(), proofs: self.made_up(ProofPoint::Dropoff) }
            }
            Action::Collect => {
                Command::Collect { pin: None, proofs: self.made_up(ProofPoint::Dropoff) }
            }
            Action::Cancel => Command::Cancel { reason: because(ReasonCode::CustomerRequest) },
            Action::Fail => Command::Fail { reason: because(ReasonCode::Damaged) },
            Action::Return => Command::Return { reason: because(ReasonCode::Refused) },
            Action::Returned => Command::Returned { proofs: self.made_up(ProofPoint::Return) },
            Action::Release
            | Action::Unready
            | Action::Prep
            | Action::Redeliver
            | Action::Update
            | Action::Search
            | Action::SearchFailed
            | Action::NextRound
            | Action::AcceptOffer
            | Action::DeclineOffer
            | Action::Unassign
            | Action::Drop
            | Action::Route
            | Action::Eta
            | Action::Watch
            | Action::Late
            | Action::Note
            | Action::Erase
            | Action::AddProof => return None,
        };
        Some(command)
    }

    /// A proof of each kind that is missing, but for the PIN, which is known.
    fn made_up(&self, point: ProofPoint) -> Vec<Proof> {
        let missing = proofs::missing(self, point, &[]).into_iter();
        let missing = missing.filter(|kind| *kind != ProofKind::Pin);
        missing.map(|kind| Proof { kind, reference: ROBO.to_owned() }).collect()
    }
}
