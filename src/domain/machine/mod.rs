//! The machine: judges one command against one order.
//!
//! `table` says who may do what from where, `status`, `leg` and `details` what follows,
//! `guards` and `fields` what a body must bring, `estimate` and `eta` when things should happen,
//! `late` whether they do, `due` what happens by itself, `walk` all of it in robo mode. A judgement reads the order and never alters it; the caller stores what
//! comes back.
//!
//! Absent on purpose: a wrong PIN is refused but not counted here, because a refusal changes
//! nothing; the caller counts it in `pin_tries`. Nor does anything here wait for a deadline: `due`
//! says when the next one is and what it comes to, and somebody has to ask.

mod advance;
mod details;
mod due;
mod erase;
mod estimate;
mod eta;
mod fields;
mod guards;
mod late;
mod leg;
mod place;
mod proofs;
mod status;
mod table;
#[cfg(test)]
mod tests;
mod walk;

use jiff::{SignedDuration, Timestamp};

use advance::Advance;
pub use estimate::{distance_m, travel_time};
pub use eta::{WATCH_EVERY, is_near};
pub use place::place;

use super::{
    Action, Actor, Candidate, Command, Driver, Event, Fulfilment, Leg, Offer, OfferId, OfferState,
    Order, Place, Refusal, Role, Route, Status, Store, TenantRules, Word,
};

/// Wrong PINs a customer's order takes before only a dispatcher can go on.
pub const PIN_TRIES: i32 = 5;

/// A preparation time said again counts as said twice, not as a new promise, when it moves the
/// estimate by less than this: taps and retries fall below it, a second thought does not.
const SAME_PROMISE: SignedDuration = SignedDuration::from_secs(60);

/// A courier as far as the machine must know it.
#[derive(Debug, Clone, Copy)]
pub struct Courier<'a> {
    /// Who.
    pub driver: &'a Driver,
    /// How many orders it has that are not over; known of the one named by a command.
    pub active: i64,
    /// Where it was when it was last heard of, and when that was.
    pub seen: Option<(Place, Timestamp)>,
}

/// What the machine has to know beside the order, gathered by the caller.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The database's time.
    pub now: Timestamp,
    /// The tenant's rules.
    pub rules: TenantRules,
    /// The order's store.
    pub store: &'a Store,
    /// The courier named by [`Command::Assign`], who accepts an offer, or who is to bring an order
    /// that goes its way by itself; absent when the tenant has no such courier.
    pub driver: Option<Courier<'a>>,
    /// The courier who has the order.
    pub courier: Option<Courier<'a>>,
    /// How many open orders come before this one in its courier's tour, if that was looked up.
    pub stops_before: Option<i32>,
    /// The order's offers that are pending, and the one that is answered.
    pub offers: &'a [Offer],
    /// Who could be asked now, the best first; `None` when nobody has looked.
    pub candidates: Option<&'a [Candidate]>,
    /// Whether it was looked, nobody at the store can see the order, and that is to be told.
    pub unseen: bool,
    /// When it happened by the actor's device, if the device said so.
    pub occurred_at: Option<Timestamp>,
    /// The version that the caller has seen, if it insists on it.
    pub if_match: Option<i64>,
}

/// The order after something happened to it, and what happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The order after it.
    pub order: Order,
    /// What happened, in order of `n`. None when only what has no version changed: an offer, or
    /// what is remembered.
    pub events: Vec<Event>,
    /// Offers that were made or closed, as they are after it, in the order in which that happened.
    pub offers: Vec<Offer>,
}

/// Offers with the changes of some of them.
fn merged(offers: &[Offer], changed: &[Offer]) -> Vec<Offer> {
    let mut all = offers.to_vec();
    for offer in changed {
        match all.iter_mut().find(|known| known.id == offer.id) {
            Some(known) => known.clone_from(offer),
            None => all.push(offer.clone()),
        }
    }
    all
}

/// The machine's answer to a command.
#[derive(Debug, Clone, PartialEq)]
pub enum Judgement {
    /// The command is carried out.
    Accepted(Box<Step>),
    /// The command took effect before; the order stands as it was asked to.
    Repeated,
    /// The command is not carried out.
    Refused(Refusal),
}

impl Order {
    /// Judges what `by` asks of this order.
    pub fn judge(&self, command: &Command, by: &Actor, facts: &Facts<'_>) -> Judgement {
        match self.decide(command, by, facts) {
            Ok(Some(advance)) => Judgement::Accepted(Box::new(advance.finish())),
            Ok(None) => Judgement::Repeated,
            Err(refusal) => Judgement::Refused(refusal),
        }
    }

    /// What this actor could do now if it brought the right body, in the order of [`Action`].
    pub fn allowed(&self, by: &Actor) -> Vec<Action> {
        if !self.concerns(by) {
            return Vec::new();
        }
        Action::ALL.iter().copied().filter(|action| table::open(self, *action, by.role)).collect()
    }

    /// `None` is a repeat.
    fn decide<'a>(
        &self,
        command: &Command,
        by: &'a Actor,
        facts: &'a Facts<'a>,
    ) -> Result<Option<Advance<'a>>, Refusal> {
        let action = command.action();
        let asked =
            if let Command::AcceptOffer { offer } | Command::DeclineOffer { offer } = command {
                asked(*offer, by, facts)
            } else {
                None
            };
        if !self.concerns(by) && asked.is_none() {
            return Err(Refusal::NotFound);
        }
        if !self.is_walked(action, by.role) && !table::ever(action, by.role) {
            return Err(Refusal::RoleNotAllowed);
        }
        if self.repeats(command, by, facts) {
            return Ok(None);
        }
        if facts.if_match.is_some_and(|seen| seen != self.version) {
            return Err(Refusal::VersionMismatch);
        }
        if !table::open(self, action, by.role) {
            return Err(asked.map_or_else(
                || self.closed_to(action),
                |offer| Refusal::OfferClosed(offer.state),
            ));
        }
        let mut advance = Advance::begin(self.clone(), by, facts);
        match command {
            Command::Release => status::release(&mut advance)?,
            Command::Accept { prep_min } => status::accept(&mut advance, *prep_min)?,
            Command::Reject { reason } => status::reject(&mut advance, reason)?,
            Command::Start => status::start(&mut advance)?,
            Command::Ready => status::ready(&mut advance),
            Command::Unready => status::unready(&mut advance),
            Command::Prep { prep_min, why } => {
                details::prep(&mut advance, *prep_min, why.as_ref())?;
            }
            Command::Pickup { proofs } => status::pickup(&mut advance, proofs)?,
            Command::Deliver { pin, proofs } => {
                status::deliver(&mut advance, pin.as_deref(), proofs)?;
            }
            Command::Collect { pin, proofs } => {
                status::collect(&mut advance, pin.as_deref(), proofs)?;
            }
            Command::Cancel { reason } => status::cancel(&mut advance, reason)?,
            Command::Fail { reason } => status::fail(&mut advance, reason)?,
            Command::Return { reason } => status::turn_back(&mut advance, reason)?,
            Command::Returned { proofs } => status::returned(&mut advance, proofs)?,
            Command::Redeliver => status::redeliver(&mut advance),
            Command::Update(patch) => details::update(&mut advance, patch)?,
            Command::Search(ask) => leg::search(&mut advance, ask)?,
            Command::NextRound => leg::next_round(&mut advance)?,
            Command::AcceptOffer { offer } => leg::accept_offer(&mut advance, *offer)?,
            Command::DeclineOffer { offer } => leg::decline_offer(&mut advance, *offer)?,
            Command::SearchFailed => leg::search_failed(&mut advance),
            Command::Assign { driver } => leg::assign(&mut advance, *driver)?,
            Command::Unassign { reason } => leg::unassign(&mut advance, reason)?,
            Command::Drop { reason } => leg::drop_out(&mut advance, reason)?,
            Command::AtStore => leg::at_store(&mut advance),
            Command::AtDoor => leg::at_door(&mut advance),
            Command::Route { batch, seq, before } => {
                let route = Route { batch: Some(*batch), seq: Some(*seq), before: *before };
                eta::route(&mut advance, route);
            }
            Command::Eta(promise) => eta::say(&mut advance, promise)?,
            Command::Watch => {
                if !eta::watch(&mut advance) {
                    return Ok(None);
                }
            }
            Command::Late(notice) => late::tell(&mut advance, *notice)?,
            Command::Note { text } => details::note(&mut advance, text)?,
            Command::Erase => erase::erase(&mut advance),
            Command::AddProof(proof) => proofs::add(&mut advance, proof)?,
        }
        Ok(Some(advance))
    }

    /// Whether the order exists for this actor. A courier knows only the orders it has, a store
    /// only its own; a customer's token names one order, and the caller has compared it.
    fn concerns(&self, by: &Actor) -> bool {
        match by.role {
            Role::Driver => self.driver.is_some_and(|driver| driver.to_string() == by.id),
            Role::Store => self.store.to_string() == by.id,
            Role::Customer | Role::Ops | Role::Platform | Role::System => true,
        }
    }

    /// Whether the command asks for what is so already, and so is answered like the first time.
    ///
    /// A status repeats for the actor who asked for it. A courier's step repeats for that
    /// courier, an assignment for that courier whoever asks. A change of details repeats when
    /// it would change nothing, an estimate when it would not be told, a proof when the order has it.
    /// A search, its end, a
    /// remark, and taking a courier off never repeat.
    fn repeats(&self, command: &Command, by: &Actor, facts: &Facts<'_>) -> bool {
        let asked_for = |status: Status| self.status == status && self.status_by == *by;
        let collection = self.fulfilment == Fulfilment::Collection;
        match command {
            Command::Release => asked_for(Status::Placed),
            Command::Accept { .. } => {
                let started_at_once = self.stamps.preparing == self.stamps.accepted;
                asked_for(Status::Accepted) || (asked_for(Status::Preparing) && started_at_once)
            }
            Command::Reject { .. } => asked_for(Status::Rejected),
            Command::Start | Command::Unready => asked_for(Status::Preparing),
            Command::Ready => asked_for(Status::Ready),
            Command::Pickup { .. } => asked_for(Status::PickedUp),
            Command::Deliver { .. } => asked_for(Status::Delivered) && !collection,
            Command::Collect { .. } => asked_for(Status::Delivered) && collection,
            Command::Cancel { .. } => asked_for(Status::Cancelled),
            Command::Fail { .. } => asked_for(Status::Failed),
            Command::Return { .. } => asked_for(Status::Returning),
            Command::Returned { .. } => asked_for(Status::Returned),
            Command::Redeliver => asked_for(Status::PickedUp) && self.attempt > 1,
            Command::Prep { prep_min, .. } => {
                let promise = estimate::ready_eta(self, *prep_min, facts);
                let moved = |eta: Timestamp| promise.duration_since(eta).abs();
                matches!(self.status, Status::Accepted | Status::Preparing)
                    && self.prep_min == Some(*prep_min)
                    && self.ready_eta.is_some_and(|eta| moved(eta) < SAME_PROMISE)
            }
            Command::Update(patch) => !details::Changes::between(self, patch).any(),
            Command::Assign { driver } => self.leg.has_driver() && self.driver == Some(*driver),
            Command::AtStore => self.leg == Leg::AtStore,
            Command::AtDoor => self.leg == Leg::AtDoor,
            Command::Erase => self.erased_at.is_some(),
            Command::AcceptOffer { offer } => asked(*offer, by, facts).is_some_and(|offer| {
                offer.state == OfferState::Accepted && self.driver == Some(offer.driver)
            }),
            Command::DeclineOffer { offer } => {
                asked(*offer, by, facts).is_some_and(|offer| offer.state == OfferState::Declined)
            }
            Command::Route { batch, seq, before } => {
                let route = Route { batch: Some(*batch), seq: Some(*seq), before: *before };
                self.route == route
            }
            Command::Eta(promise) => eta::is_said(self, promise),
            Command::Late(notice) => self.told.contains(notice),
            Command::AddProof(proof) => proofs::is_held(self, proof),
            Command::Search(_)
            | Command::NextRound
            | Command::SearchFailed
            | Command::Unassign { .. }
            | Command::Drop { .. }
            | Command::Watch
            | Command::Note { .. } => false,
        }
    }

    /// Why the table has no row for the action. Only a cancellation says more than that.
    fn closed_to(&self, action: Action) -> Refusal {
        let has_left = match self.status {
            Status::PickedUp
            | Status::Delivered
            | Status::Failed
            | Status::Returning
            | Status::Returned => true,
            Status::Scheduled
            | Status::Placed
            | Status::Accepted
            | Status::Preparing
            | Status::Ready
            | Status::Rejected
            | Status::Cancelled => false,
        };
        if action == Action::Cancel && has_left {
            Refusal::AlreadyPickedUp
        } else {
            Refusal::InvalidTransition
        }
    }
}

/// The offer, if this courier was asked.
fn asked<'a>(offer: OfferId, by: &Actor, facts: &Facts<'a>) -> Option<&'a Offer> {
    let mine = |it: &&Offer| it.id == offer && it.driver.to_string() == by.id;
    facts.offers.iter().find(mine).filter(|_| by.role == Role::Driver)
}
