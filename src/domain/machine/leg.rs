//! L1 to L9: who brings a delivery, and how far along that courier is. The status stays.

use std::ops::RangeInclusive;
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::{
    Ask, BROADCAST_MAX, Candidate, Driver, DriverId, Duty, Fact, Given, Leg, Notice, Offer,
    OfferId, OfferMode, OfferState, Order, Reason, ReasonCode, Refusal, Role, Route, Status,
};

use super::advance::Advance;
use super::estimate::{earlier, later};
use super::{Facts, eta, fields, guards};

/// How long a courier may be given to think, in seconds.
const OFFER_S: RangeInclusive<i32> = 15..=120;

type Done = Result<(), Refusal>;

/// When the search for a courier begins by itself: so early before the order is ready that one
/// is there by then.
pub(super) fn plan_search(order: &mut Order, facts: &Facts<'_>) {
    // One that goes its way by itself is given a courier when its turn comes.
    let searches = facts.rules.offers.mode.is_some() && order.robo.is_none();
    let waits = order.leg == Leg::None && searches;
    let is_delivery = order.fulfilment == crate::domain::Fulfilment::Delivery;
    let ready = order.stamps.ready.or(order.ready_eta);
    order.search.at = ready
        .filter(|_| waits && is_delivery)
        .map(|eta| earlier(eta, facts.rules.offers.lead).max(facts.now));
}

/// L1.
pub(super) fn search(advance: &mut Advance<'_>, ask: &Ask) -> Done {
    let rules = advance.facts.rules.offers;
    let offer_s = ask.offer_s.unwrap_or(rules.offer_s);
    if !OFFER_S.contains(&offer_s) {
        let (least, most) = (OFFER_S.start(), OFFER_S.end());
        return Err(fields::invalid("offer_s", format!("{least} to {most} seconds")));
    }
    if ask.named && ask.candidates.is_empty() {
        let detail = "none of these couriers is on duty with room and was not asked before";
        return Err(fields::invalid("drivers", detail.to_owned()));
    }
    let now = advance.now();
    let search = &mut advance.order.search;
    search.at = None;
    search.since = Some(now);
    search.round = 0;
    search.mode = Some(ask.mode.or(rules.mode).unwrap_or(OfferMode::OneByOne));
    search.offer_s = offer_s;
    advance.order.leg = Leg::Offering;
    open_round(advance, &ask.candidates);
    Ok(())
}

/// L1 goes on: nobody of the round before has accepted.
pub(super) fn next_round(advance: &mut Advance<'_>) -> Done {
    let open = advance.order.search.until.is_some_and(|until| advance.now() < until);
    let candidates = advance.facts.candidates.filter(|_| !open);
    let candidates = candidates.ok_or(Refusal::OutsideWindow("the round is not over"))?;
    expire(advance);
    open_round(advance, candidates);
    Ok(())
}

fn open_round(advance: &mut Advance<'_>, candidates: &[Candidate]) {
    let now = advance.now();
    let search = &mut advance.order.search;
    search.round += 1;
    let (round, since) = (search.round, search.since.unwrap_or(now));
    let wait = Duration::from_secs(u64::from(search.offer_s.unsigned_abs()));
    let expires_at = later(now, wait);
    // Also when there is nobody to ask: somebody may come on duty.
    search.until = Some(expires_at);
    let at_once = match search.mode {
        Some(OfferMode::Broadcast) => BROADCAST_MAX,
        Some(OfferMode::OneByOne) | None => 1,
    };
    advance.record(Fact::CourierSearching { round });
    for candidate in candidates.iter().take(at_once) {
        let offer = Offer {
            id: candidate.offer,
            order: advance.order.id,
            driver: candidate.driver,
            since,
            round,
            state: OfferState::Pending,
            sent_at: now,
            expires_at,
            closed_at: None,
            distance_m: candidate.distance_m,
        };
        advance.change_offer(offer);
    }
}

/// Closes the offers whose time is over.
fn expire(advance: &mut Advance<'_>) {
    let now = advance.now();
    for offer in advance.pending_offers() {
        if offer.expires_at <= now {
            advance.close_offer(&offer, OfferState::Expired);
        }
    }
}

/// L4.
pub(super) fn search_failed(advance: &mut Advance<'_>) {
    expire(advance);
    advance.order.leg = Leg::None;
    advance.order.search.until = None;
    advance.record(Fact::CourierSearchFailed);
}

/// The offer that a courier answers, and whether it still can be.
fn answered(advance: &Advance<'_>, id: OfferId) -> Result<Offer, Refusal> {
    let found = advance.facts.offers.iter().find(|offer| offer.id == id);
    let offer = found.filter(|offer| offer.driver.to_string() == advance.by.id);
    let offer = offer.ok_or(Refusal::NotFound)?;
    match offer.state {
        OfferState::Pending if offer.expires_at <= advance.now() => {
            Err(Refusal::OfferClosed(OfferState::Expired))
        }
        OfferState::Pending => Ok(offer.clone()),
        OfferState::Accepted
        | OfferState::Declined
        | OfferState::Expired
        | OfferState::Withdrawn
        | OfferState::Lost => Err(Refusal::OfferClosed(offer.state)),
    }
}

/// L2 by the courier. The first who comes finds the offer pending; the others find it lost.
pub(super) fn accept_offer(advance: &mut Advance<'_>, id: OfferId) -> Done {
    let offer = answered(advance, id)?;
    assign(advance, offer.driver)?;
    advance.close_offer(&offer, OfferState::Accepted);
    Ok(())
}

/// The courier does not want it. Once nobody is left who could, the round is over.
pub(super) fn decline_offer(advance: &mut Advance<'_>, id: OfferId) -> Done {
    let offer = answered(advance, id)?;
    advance.close_offer(&offer, OfferState::Declined);
    if advance.pending_offers().is_empty() {
        advance.order.search.until = Some(advance.now());
    }
    Ok(())
}

/// L2 and L3, L9, and another courier instead of one who is still coming.
pub(super) fn assign(advance: &mut Advance<'_>, named: DriverId) -> Done {
    is_free(advance, named)?;
    let now = advance.now();
    let prior = advance.order.driver;
    let order = &mut advance.order;
    let carried = matches!(order.leg, Leg::EnRoute | Leg::AtDoor);
    order.driver = Some(named);
    order.stamps.assigned = Some(now);
    order.search.at = None;
    order.search.until = None;
    // The tour was the other courier's.
    order.route = Route::default();
    order.told.retain(|notice| !matches!(notice, Notice::NearStore | Notice::NearDoor));
    if !carried {
        order.leg = Leg::Assigned;
        order.stamps.at_store = None;
    }
    if prior.is_some() {
        order.search.lost_by = prior;
    }
    eta::refresh(order, advance.facts);
    let pickup_eta = order.pickup_eta;
    match prior {
        None => advance.record(Fact::CourierAssigned { pickup_eta }),
        Some(_) => advance.record_loss(Fact::CourierChanged { pickup_eta }, prior),
    }
    Ok(())
}

/// Whether the named courier works and has room.
fn is_free(advance: &Advance<'_>, named: DriverId) -> Done {
    let known = advance.facts.driver.filter(|courier| courier.driver.id == named);
    let courier = known.ok_or(Refusal::NotFound)?;
    let driver: &Driver = courier.driver;
    if driver.tenant != advance.order.tenant {
        return Err(Refusal::NotFound);
    }
    match driver.duty {
        Duty::Off | Duty::Paused => Err(Refusal::DriverOffDuty),
        Duty::On if courier.active >= i64::from(driver.capacity) => Err(Refusal::DriverAtCapacity),
        Duty::On => Ok(()),
    }
}

/// L5.
pub(super) fn at_store(advance: &mut Advance<'_>) {
    advance.order.leg = Leg::AtStore;
    advance.order.stamps.at_store = Some(advance.now());
    advance.record(Fact::CourierAtStore);
}

/// L6, said by others.
pub(super) fn unassign(advance: &mut Advance<'_>, given: &Given) -> Done {
    let reason = guards::unassign_reason(given, advance.by)?;
    lose(advance, reason);
    Ok(())
}

/// L6, said by the courier.
pub(super) fn drop_out(advance: &mut Advance<'_>, given: &Given) -> Done {
    let reason = guards::drop_reason(given, advance.by)?;
    lose(advance, reason);
    Ok(())
}

/// L6, because nothing is heard of the courier any more.
pub(super) fn lose_by_silence(advance: &mut Advance<'_>, code: ReasonCode) {
    lose(advance, Reason { code, by: Role::System, note: None });
}

/// The order has no courier again; what that courier had reached no longer counts.
fn lose(advance: &mut Advance<'_>, reason: Reason) {
    let order = &mut advance.order;
    let prior = order.driver.take();
    order.leg = Leg::None;
    order.pickup_eta = None;
    order.stamps.assigned = None;
    order.stamps.at_store = None;
    order.route = Route::default();
    order.told.retain(|notice| !matches!(notice, Notice::NearStore));
    order.search.lost_by = prior;
    // Whoever takes a courier off has another in mind; a courier who drops out has not.
    let others = !matches!(advance.by.role, Role::Ops | Role::Platform);
    if others && is_in_store(advance.order.status) {
        plan_search(&mut advance.order, advance.facts);
    }
    advance.record_loss(Fact::CourierUnassigned { reason }, prior);
}

const fn is_in_store(status: Status) -> bool {
    matches!(status, Status::Accepted | Status::Preparing | Status::Ready)
}

/// L8.
pub(super) fn at_door(advance: &mut Advance<'_>) {
    advance.order.leg = Leg::AtDoor;
    advance.order.stamps.at_door = Some(advance.now());
    advance.record(Fact::CourierAtDoor);
}

impl Order {
    /// When the search for a courier goes on by itself.
    pub(super) fn search_due(&self) -> Option<Timestamp> {
        if !is_in_store(self.status) {
            return None;
        }
        match self.leg {
            Leg::None => self.search.at,
            Leg::Offering => self.search.until,
            Leg::Assigned | Leg::AtStore | Leg::EnRoute | Leg::AtDoor | Leg::Closed => None,
        }
    }
}
