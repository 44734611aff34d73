//! When an order is picked up and delivered, and what the courier's place says about it.
//!
//! A platform or a courier may say when; that holds for a while. Else it is computed: the straight
//! line from where the courier is, or from the store, at a town speed, and some minutes for each
//! stop before.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::domain::{
    Duty, EtaSource, Fact, Fulfilment, Leg, Notice, Order, Place, Promise, ReasonCode, Refusal,
    Role, Status,
};

use super::advance::Advance;
use super::estimate::{ASSUMED_VEHICLE, distance, earlier, later, travel_time};
use super::{Courier, Facts, fields, leg};

/// From the kerb to the customer's hands.
const HANDOVER: Duration = Duration::from_mins(2);
/// What each stop before costs.
const PER_STOP: Duration = Duration::from_mins(3);
/// Half the delivery window that a customer is shown ("18:20-18:30"): five minutes is what one
/// more red light or a long staircase costs, and a narrower promise would often be broken.
const SPREAD: Duration = Duration::from_mins(5);
/// A time that moves by less is not told again.
const MOVED: SignedDuration = SignedDuration::from_mins(2);
/// Computed times are told no more often.
const TOLD_EVERY: Duration = Duration::from_secs(30);
/// So long the word of a platform or a courier holds against what is computed.
const WORD_HOLDS: Duration = Duration::from_mins(5);
/// A courier may be anywhere by now who was there so long ago.
const FRESH: Duration = Duration::from_mins(2);
/// A courier of whom nothing was heard for so long, and who is off duty, is not coming.
const GONE_AFTER: Duration = Duration::from_mins(5);
/// Near is so many metres away, or so much time.
const NEAR_M: f64 = 80.0;
const NEAR: Duration = Duration::from_mins(1);

/// How often it is looked where the courier of an order is.
pub const WATCH_EVERY: Duration = Duration::from_mins(1);

/// The courier who has the order, if that is known.
fn courier<'a>(order: &Order, facts: &Facts<'a>) -> Option<Courier<'a>> {
    let has = |courier: &Courier<'_>| order.driver == Some(courier.driver.id);
    [facts.driver, facts.courier].into_iter().flatten().find(has)
}

/// Where the courier is.
fn whereabouts(courier: Option<Courier<'_>>, now: Timestamp) -> Option<Place> {
    let (place, at) = courier?.seen?;
    (later(at, FRESH) > now).then_some(place)
}

/// The earliest moment at which the order can leave the store.
fn ready_at(order: &Order, now: Timestamp) -> Timestamp {
    match (order.stamps.ready, order.ready_eta) {
        (None, Some(eta)) => eta.max(now),
        (Some(_), _) | (None, None) => now,
    }
}

/// When the order is picked up and delivered; `None` where nobody can say.
fn forecast(order: &Order, facts: &Facts<'_>) -> (Option<Timestamp>, Option<Timestamp>) {
    let now = facts.now;
    let courier = courier(order, facts);
    let vehicle = courier.map_or(ASSUMED_VEHICLE, |courier| courier.driver.vehicle.kind.as_str());
    let place = whereabouts(courier, now);
    let stops = PER_STOP * order.route.before.max(0).unsigned_abs();
    let door = order.dropoff.as_ref().filter(|_| order.fulfilment != Fulfilment::Collection);
    match order.status {
        Status::Placed | Status::Accepted | Status::Preparing | Status::Ready => {
            let ready = ready_at(order, now);
            let there = place
                .filter(|_| order.leg == Leg::Assigned)
                .map(|place| later(now, travel_time(place, facts.store.place, vehicle)));
            let leaves = there.map_or(ready, |there| there.max(ready));
            let pickup = order.leg.has_driver().then_some(leaves);
            let way = |door: Place| travel_time(facts.store.place, door, vehicle);
            let dropoff = door
                .filter(|_| order.status != Status::Placed)
                .map(|door| later(leaves, way(door.place) + HANDOVER + stops));
            (pickup, dropoff)
        }
        Status::PickedUp => {
            let left = order.stamps.picked_up.is_none_or(|left| left == now);
            let way = match (order.leg, place, door) {
                (Leg::AtDoor, _, _) => Some(Duration::ZERO),
                // Who has just left was at the store, whatever was heard last.
                (_, _, Some(door)) if left => {
                    Some(travel_time(facts.store.place, door.place, vehicle) + stops)
                }
                (_, Some(place), Some(door)) => {
                    Some(travel_time(place, door.place, vehicle) + stops)
                }
                (_, _, None) | (_, None, _) => None,
            };
            let arrives = way.map(|way| later(now, way + HANDOVER));
            (order.pickup_eta, arrives.or(order.dropoff_eta))
        }
        Status::Scheduled
        | Status::Delivered
        | Status::Rejected
        | Status::Cancelled
        | Status::Failed
        | Status::Returning
        | Status::Returned => (order.pickup_eta, order.dropoff_eta),
    }
}

/// When an order that was turned back is at its store, from where its courier is, or else from the
/// door; of one that was on its way already, what was expected before.
fn way_back(order: &Order, facts: &Facts<'_>) -> Option<Timestamp> {
    let courier = courier(order, facts);
    let vehicle = courier.map_or(ASSUMED_VEHICLE, |courier| courier.driver.vehicle.kind.as_str());
    let door = order.dropoff.as_ref().map(|door| door.place);
    let from = whereabouts(courier, facts.now).or(door.filter(|_| order.return_eta.is_none()));
    let there = from.map(|from| later(facts.now, travel_time(from, facts.store.place, vehicle)));
    there.or(order.return_eta)
}

/// Whether what a platform or a courier has said is not old yet.
fn word_holds(order: &Order, now: Timestamp) -> bool {
    let said = matches!(order.eta_source, Some(EtaSource::Platform | EtaSource::Driver));
    said && order.eta_at.is_some_and(|at| later(at, WORD_HOLDS) > now)
}

fn set(order: &mut Order, pickup: Option<Timestamp>, dropoff: Option<Timestamp>, now: Timestamp) {
    order.pickup_eta = pickup;
    if order.dropoff_eta != dropoff {
        order.dropoff_eta = dropoff;
        order.dropoff_eta_lo = dropoff.map(|eta| earlier(eta, SPREAD).max(now));
        order.dropoff_eta_hi = dropoff.map(|eta| later(eta, SPREAD));
    }
}

/// Computes the times anew, as part of what has just happened to the order: its event tells them.
pub(super) fn refresh(order: &mut Order, facts: &Facts<'_>) {
    if order.status == Status::Returning {
        order.return_eta = way_back(order, facts);
        return;
    }
    if word_holds(order, facts.now) {
        return;
    }
    let (pickup, dropoff) = forecast(order, facts);
    if (pickup, dropoff) != (order.pickup_eta, order.dropoff_eta) {
        set(order, pickup, dropoff, facts.now);
        order.eta_source = Some(EtaSource::Computed);
        order.eta_at = Some(facts.now);
    }
}

/// The same for an order that sets out to its door, whatever was said of the door before.
pub(super) fn set_out(order: &mut Order, facts: &Facts<'_>) {
    if !word_holds(order, facts.now) {
        order.dropoff_eta = None;
    }
    refresh(order, facts);
}

/// An order that is not on its way to the customer has no time of arrival there, and what was said
/// of it says nothing of another attempt.
pub(super) fn clear_dropoff(order: &mut Order) {
    order.eta_source = None;
    order.eta_at = None;
    order.dropoff_eta = None;
    order.dropoff_eta_lo = None;
    order.dropoff_eta_hi = None;
}

fn has_moved(before: Option<Timestamp>, after: Option<Timestamp>) -> bool {
    match (before, after) {
        (Some(before), Some(after)) => after.duration_since(before).abs() >= MOVED,
        (before, after) => before != after,
    }
}

/// Whether the times would be what they are, give or take what is not told.
pub(super) fn is_said(order: &Order, promise: &Promise) -> bool {
    if check(order, promise).is_err() {
        return false;
    }
    let same = |given: Option<Timestamp>, known| given.is_none() || !has_moved(known, given);
    same(promise.pickup, order.pickup_eta)
        && same(promise.dropoff, order.dropoff_eta)
        && same(promise.lo, order.dropoff_eta_lo)
        && same(promise.hi, order.dropoff_eta_hi)
}

/// Whether the promise is one.
fn check(order: &Order, promise: &Promise) -> Result<(), Refusal> {
    let Promise { pickup, dropoff, lo, hi } = *promise;
    if pickup.is_none() && dropoff.is_none() {
        return Err(fields::invalid("dropoff_eta", "or pickup_eta is required".to_owned()));
    }
    if (lo.is_some() || hi.is_some()) && dropoff.is_none() {
        return Err(fields::invalid("dropoff_eta", "is required with its window".to_owned()));
    }
    let eta = dropoff.or(order.dropoff_eta);
    if lo.zip(eta).is_some_and(|(lo, eta)| lo > eta) {
        return Err(fields::invalid("lo", "must not be later than dropoff_eta".to_owned()));
    }
    if hi.zip(eta).is_some_and(|(hi, eta)| hi < eta) {
        return Err(fields::invalid("hi", "must not be earlier than dropoff_eta".to_owned()));
    }
    Ok(())
}

/// A platform or the courier says when.
pub(super) fn say(advance: &mut Advance<'_>, promise: &Promise) -> Result<(), Refusal> {
    check(&advance.order, promise)?;
    let Promise { pickup, dropoff, lo, hi } = *promise;
    if pickup.is_some()
        && !matches!(advance.order.status, Status::Accepted | Status::Preparing | Status::Ready)
    {
        return Err(Refusal::AlreadyPickedUp);
    }
    let eta = dropoff.or(advance.order.dropoff_eta);
    let now = advance.now();
    let pickup = pickup.or(advance.order.pickup_eta);
    set(&mut advance.order, pickup, eta, now);
    if dropoff.is_some() {
        advance.order.dropoff_eta_lo = lo.or(advance.order.dropoff_eta_lo);
        advance.order.dropoff_eta_hi = hi.or(advance.order.dropoff_eta_hi);
    }
    advance.order.eta_source =
        Some(if advance.by.role == Role::Driver { EtaSource::Driver } else { EtaSource::Platform });
    advance.order.eta_at = Some(now);
    advance.record(Fact::Eta);
    Ok(())
}

/// The order's place in its courier's tour, which has changed.
pub(super) fn route(advance: &mut Advance<'_>, route: crate::domain::Route) {
    advance.order.route = route;
    refresh(&mut advance.order, advance.facts);
    advance.record(Fact::Eta);
}

/// Looks where the courier is, and tells what follows; false when nothing does.
pub(super) fn watch(advance: &mut Advance<'_>) -> bool {
    let now = advance.now();
    if is_gone(&advance.order, advance.facts) {
        leg::lose_by_silence(advance, ReasonCode::NoResponse);
        return true;
    }
    let mut followed = false;
    if let Some((notice, fact)) = arrival(&advance.order, advance.facts) {
        advance.order.told.push(notice);
        advance.record(fact);
        followed = true;
    }
    let toured = advance.order.route.seq.is_some();
    let stops = advance.facts.stops_before.filter(|_| toured).unwrap_or(advance.order.route.before);
    let passed = stops != advance.order.route.before;
    let rested = advance.order.eta_at.is_none_or(|at| later(at, TOLD_EVERY) <= now);
    if passed || (rested && !word_holds(&advance.order, now)) {
        let mut order = advance.order.clone();
        order.route.before = stops;
        let (pickup, dropoff) = forecast(&order, advance.facts);
        let moved = has_moved(order.pickup_eta, pickup) || has_moved(order.dropoff_eta, dropoff);
        if passed || moved {
            advance.order.route.before = stops;
            refresh(&mut advance.order, advance.facts);
            advance.record(Fact::Eta);
            followed = true;
        }
    }
    followed
}

/// Whether the courier who was to come is off duty and has not been heard of.
fn is_gone(order: &Order, facts: &Facts<'_>) -> bool {
    let coming = matches!(order.leg, Leg::Assigned | Leg::AtStore);
    let Some(courier) = courier(order, facts).filter(|_| coming) else { return false };
    let heard = courier.seen.map(|(_place, at)| at).max(order.stamps.assigned);
    courier.driver.duty == Duty::Off && heard.is_some_and(|at| later(at, GONE_AFTER) <= facts.now)
}

/// Whether a courier is about to arrive: 80 metres away, or a minute.
pub fn is_near(place: Place, target: Place, vehicle: &str) -> bool {
    distance(place, target) <= NEAR_M || travel_time(place, target, vehicle) <= NEAR
}

/// What is to be told of a courier who is about to arrive, if that was not told before.
fn arrival(order: &Order, facts: &Facts<'_>) -> Option<(Notice, Fact)> {
    let (notice, target, door) = match order.leg {
        Leg::Assigned => (Notice::NearStore, facts.store.place, false),
        Leg::EnRoute if order.status == Status::PickedUp && order.route.before == 0 => {
            (Notice::NearDoor, order.dropoff.as_ref()?.place, true)
        }
        Leg::None | Leg::Offering | Leg::AtStore | Leg::EnRoute | Leg::AtDoor | Leg::Closed => {
            return None;
        }
    };
    let courier = courier(order, facts)?;
    let place = whereabouts(Some(courier), facts.now)?;
    let near = is_near(place, target, &courier.driver.vehicle.kind);
    let news = near && !order.told.contains(&notice);
    news.then_some((notice, Fact::CourierNear { door }))
}
