//! An order on its way from one version to the next, with the events that take it there.

use jiff::Timestamp;

use crate::domain::{Actor, DriverId, Event, Fact, Leg, Offer, OfferState, Order, Stamps, Status};

use super::estimate::{DEVICE_AHEAD, later};
use super::{Facts, walk};

/// An order being changed by one command.
///
/// Invariants: `order.version` is the `n` of the last event; `was` is the status after it.
pub(super) struct Advance<'a> {
    /// The order so far. Its status changes only by [`Advance::enter`] and its like.
    pub(super) order: Order,
    pub(super) by: &'a Actor,
    pub(super) facts: &'a Facts<'a>,
    was: Status,
    /// Where it stood; `None` of one that is being placed.
    began: Option<(Status, Leg)>,
    events: Vec<Event>,
    /// Offers that were made or closed, as they are now.
    offers: Vec<Offer>,
}

impl<'a> Advance<'a> {
    pub(super) fn begin(order: Order, by: &'a Actor, facts: &'a Facts<'a>) -> Self {
        let began = (order.version > 0).then_some((order.status, order.leg));
        Self { was: order.status, began, order, by, facts, events: Vec::new(), offers: Vec::new() }
    }

    /// What came of it. Nobody is asked any more for an order that is not searched for.
    pub(super) fn finish(mut self) -> super::Step {
        if self.order.leg != Leg::Offering {
            let state =
                if self.order.leg.has_driver() { OfferState::Lost } else { OfferState::Withdrawn };
            for offer in self.pending_offers() {
                self.close_offer(&offer, state);
            }
        }
        if self.began != Some((self.order.status, self.order.leg)) {
            walk::wind(&mut self.order, self.facts.now);
        }
        super::Step { order: self.order, events: self.events, offers: self.offers }
    }

    /// The order's offers that nobody has answered.
    pub(super) fn pending_offers(&self) -> Vec<Offer> {
        let all = super::merged(self.facts.offers, &self.offers);
        all.into_iter().filter(|offer| offer.state == OfferState::Pending).collect()
    }

    /// An offer is made.
    pub(super) fn change_offer(&mut self, offer: Offer) {
        self.offers.push(offer);
    }

    /// An offer ends so.
    pub(super) fn close_offer(&mut self, offer: &Offer, state: OfferState) {
        let closed_at = Some(self.facts.now);
        self.offers.push(Offer { state, closed_at, ..offer.clone() });
    }

    pub(super) const fn now(&self) -> Timestamp {
        self.facts.now
    }

    /// The order reaches a status because the actor asked for it.
    pub(super) fn enter(&mut self, status: Status, fact: Fact) {
        self.reach(status);
        self.append(fact, self.by.clone(), None);
    }

    /// The order reaches a status as a consequence of what the actor asked for.
    pub(super) fn enter_as_consequence(&mut self, status: Status, fact: Fact) {
        self.reach(status);
        self.append(fact, Actor::system(), None);
    }

    /// Something happened, the status stays.
    pub(super) fn record(&mut self, fact: Fact) {
        self.append(fact, self.by.clone(), None);
    }

    /// Something happened by which this courier lost the order, the status stays.
    pub(super) fn record_loss(&mut self, fact: Fact, prior: Option<DriverId>) {
        self.append(fact, self.by.clone(), prior);
    }

    fn reach(&mut self, status: Status) {
        self.order.status = status;
        // Who asked, also for a consequence: that actor's repeat must find its own name.
        self.order.status_by = self.by.clone();
        set(&mut self.order.stamps, status, self.facts.now);
        if status.is_terminal() {
            self.order.leg = Leg::Closed;
        }
    }

    fn append(&mut self, fact: Fact, by: Actor, prior_driver: Option<DriverId>) {
        self.order.version += 1;
        self.events.push(Event {
            n: self.order.version,
            fact,
            by,
            occurred_at: self.occurred_at(),
            was: self.was,
            status: self.order.status,
            driver: self.order.driver,
            prior_driver,
        });
        self.was = self.order.status;
    }

    /// The device's time, within reason: not before the order was placed, nor in the future by
    /// more than a clock may go wrong.
    fn occurred_at(&self) -> Timestamp {
        let Facts { now, occurred_at, .. } = *self.facts;
        let earliest = self.order.stamps.placed.unwrap_or(self.order.stamps.created);
        occurred_at.map_or(now, |at| at.min(later(now, DEVICE_AHEAD)).max(earliest))
    }
}

fn set(stamps: &mut Stamps, status: Status, at: Timestamp) {
    let stamp = match status {
        // Its moment is that of the creation.
        Status::Scheduled => return,
        Status::Placed => &mut stamps.placed,
        Status::Accepted => &mut stamps.accepted,
        Status::Preparing => &mut stamps.preparing,
        Status::Ready => &mut stamps.ready,
        Status::PickedUp => &mut stamps.picked_up,
        Status::Delivered => &mut stamps.delivered,
        Status::Rejected => &mut stamps.rejected,
        Status::Cancelled => &mut stamps.cancelled,
        Status::Failed => &mut stamps.failed,
        Status::Returning => &mut stamps.returning,
        Status::Returned => &mut stamps.returned,
    };
    *stamp = Some(at);
}
