//! When things should happen: straight lines, town speeds and fixed margins. Good enough to
//! plan by; nothing here knows where a courier is.

use std::time::Duration;

use jiff::Timestamp;

use crate::domain::{Dropoff, Fulfilment, Order, Place, Store, Window};

use super::Facts;

/// Mean radius of the earth in metres.
const EARTH_RADIUS: f64 = 6_371_008.8;
/// Streets are longer than the straight line by this factor, in towns of many shapes.
const DETOUR: f64 = 1.35;
/// Who will ride is not known before an assignment, and its vehicle not after; a scooter is the
/// middle of the field.
pub(super) const ASSUMED_VEHICLE: &str = "scooter";
/// A scheduled order is placed this much before preparing must start, so that the store has
/// time to answer.
const RELEASE_MARGIN: Duration = Duration::from_mins(10);
/// An order that was called ready by mistake after its estimate had passed is promised anew for
/// so long from now.
const UNREADY: Duration = Duration::from_mins(5);
/// How far a device's clock may run ahead before we stop believing it.
pub(super) const DEVICE_AHEAD: Duration = Duration::from_mins(2);

/// How long a vehicle takes between two places in town, in whole seconds: the straight line,
/// lengthened by the usual detour, at the vehicle's town speed. An unknown vehicle is a scooter.
pub fn travel_time(from: Place, to: Place, vehicle: &str) -> Duration {
    // Metres per second from door to door, parking and lights included.
    let speed = match vehicle {
        "foot" | "walk" => 1.3,
        "bicycle" | "bike" => 4.2,
        "car" => 6.0,
        _ => 6.9,
    };
    let seconds = distance(from, to) * DETOUR / speed;
    Duration::try_from_secs_f64(seconds.round()).unwrap_or_default()
}

/// Metres between two places as the crow flies, rounded.
pub fn distance_m(from: Place, to: Place) -> i32 {
    // Half the earth's girth fits by far; what is no place is no distance either.
    #[expect(clippy::cast_possible_truncation, reason = "saturates, and NaN becomes 0")]
    let metres = distance(from, to).round() as i32;
    metres
}

/// Metres along the great circle, by the haversine formula.
pub(super) fn distance(from: Place, to: Place) -> f64 {
    let (from_lat, to_lat) = (from.lat.to_radians(), to.lat.to_radians());
    let half_lat = (to_lat - from_lat) / 2.0;
    let half_lng = (to.lng - from.lng).to_radians() / 2.0;
    let chord = half_lat.sin().powi(2) + from_lat.cos() * to_lat.cos() * half_lng.sin().powi(2);
    2.0 * EARTH_RADIUS * chord.clamp(0.0, 1.0).sqrt().asin()
}

pub(super) fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

pub(super) fn earlier(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_sub(by).unwrap_or(Timestamp::MIN)
}

/// Minutes of preparation; what is negative counts as none.
pub(super) fn minutes(count: i32) -> Duration {
    Duration::from_mins(u64::from(count.max(0).unsigned_abs()))
}

/// From the store to the customer; nothing when the customer comes.
fn way(fulfilment: Fulfilment, dropoff: Option<&Dropoff>, store: &Store) -> Duration {
    match (fulfilment, dropoff) {
        (Fulfilment::Collection, _) | (_, None) => Duration::ZERO,
        (Fulfilment::Delivery | Fulfilment::StoreDelivery, Some(dropoff)) => {
            travel_time(store.place, dropoff.place, ASSUMED_VEHICLE)
        }
    }
}

/// When an order for this window is placed: early enough for the store to answer and prepare,
/// and for the way.
pub(super) fn release_at(order: &Order, window: Window, store: &Store) -> Timestamp {
    let way = way(order.fulfilment, order.dropoff.as_ref(), store);
    earlier(window.from, way + minutes(store.default_prep_min) + RELEASE_MARGIN)
}

/// When the order is ready if preparing took so long from now, or as late as its window lets it
/// be and still arrive at the window's start.
pub(super) fn ready_eta(order: &Order, prep_min: i32, facts: &Facts<'_>) -> Timestamp {
    let soonest = later(facts.now, minutes(prep_min));
    let way = way(order.fulfilment, order.dropoff.as_ref(), facts.store);
    order.window.map_or(soonest, |window| soonest.max(earlier(window.from, way)))
}

/// When an order is ready that was called so too early.
pub(super) fn ready_eta_after_undo(order: &Order, now: Timestamp) -> Timestamp {
    order.ready_eta.filter(|eta| *eta > now).unwrap_or_else(|| later(now, UNREADY))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATE: Place = Place { lat: 52.516_275, lng: 13.377_704 };
    const TOWER: Place = Place { lat: 52.520_815, lng: 13.409_419 };

    #[test]
    fn from_the_gate_to_the_tower_it_is_seven_minutes_by_scooter() {
        let metres = distance(GATE, TOWER);
        assert!((2_190.0..2_230.0).contains(&metres), "{metres}");
        let seconds = travel_time(GATE, TOWER, "scooter").as_secs();
        assert!((425..440).contains(&seconds), "{seconds}");
    }

    #[test]
    fn slower_vehicles_take_longer_and_unknown_ones_are_scooters() {
        let by = |vehicle| travel_time(GATE, TOWER, vehicle);
        assert!(by("foot") > by("bicycle") && by("bicycle") > by("car"));
        assert!(by("car") > by("scooter"));
        assert_eq!(by("hovercraft"), by("scooter"));
    }

    #[test]
    fn no_way_takes_no_time_and_the_way_back_takes_as_long() {
        assert_eq!(travel_time(GATE, GATE, "car"), Duration::ZERO);
        assert_eq!(travel_time(GATE, TOWER, "car"), travel_time(TOWER, GATE, "car"));
    }

    #[test]
    fn places_that_are_none_take_no_time_instead_of_a_panic() {
        let nowhere = Place { lat: f64::NAN, lng: f64::INFINITY };
        assert_eq!(travel_time(GATE, nowhere, "car"), Duration::ZERO);
    }
}
