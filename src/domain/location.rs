//! Where a courier is, as its device says; what of that is believed, and who may see it.

use jiff::{SignedDuration, Timestamp};

use super::{Leg, OrderId, Place, Status, StoreId, distance_m};

/// A device's clock may run ahead by so much.
const AHEAD: SignedDuration = SignedDuration::from_mins(2);
/// A point that may be wrong by more metres says nothing.
const ACCURACY_MAX_M: f32 = 200.0;
/// Points of one place may lie so many milliseconds apart, and be told as the same moment.
const MOMENT_MS: i64 = 1_000;
/// Parts of a degree that are told apart: about a centimetre.
const GRAIN: f64 = 1e7;

/// Where a courier is, as its device says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Location {
    /// The device's number of the point.
    pub n: i64,
    /// When it was there, by the device.
    pub at: Timestamp,
    /// Where.
    pub place: Place,
    /// Metres by which that may be wrong.
    pub accuracy_m: Option<f32>,
    /// Degrees clockwise from north.
    pub heading: Option<f32>,
    /// Metres a second.
    pub speed: Option<f32>,
    /// What is left in the device: 0 to 1.
    pub battery: Option<f32>,
}

impl Location {
    /// Whether it can be true at all: not ahead of `now`, somewhere, and not too vague.
    pub fn makes_sense(&self, now: Timestamp) -> bool {
        let nowhere = self.place.lat == 0.0 && self.place.lng == 0.0;
        let vague = self.accuracy_m.is_some_and(|metres| metres > ACCURACY_MAX_M);
        self.at <= now.checked_add(AHEAD).unwrap_or(Timestamp::MAX) && !nowhere && !vague
    }

    /// Whether the courier was there after it was at `other`.
    pub fn is_after(&self, other: &Self) -> bool {
        (self.at, self.n) > (other.at, other.n)
    }

    /// Whether one can get there from `other` in the time between the two, who does at most
    /// `speed_max` metres a second.
    pub fn follows(&self, other: &Self, speed_max: f64) -> bool {
        let ms = self.at.as_millisecond().abs_diff(other.at.as_millisecond());
        let ms = i64::try_from(ms).unwrap_or(i64::MAX).max(MOMENT_MS);
        #[expect(clippy::cast_precision_loss, reason = "a span of time, to the millisecond")]
        let seconds = ms as f64 / 1_000.0;
        f64::from(distance_m(self.place, other.place)) <= speed_max * seconds
    }

    /// The same on the grid that all processes tell each other.
    #[must_use]
    pub fn on_grid(self) -> Self {
        let near = |degrees: f64| (degrees * GRAIN).round() / GRAIN;
        let place = Place { lat: near(self.place.lat), lng: near(self.place.lng) };
        // Milliseconds are told, and no less.
        let at = Timestamp::from_millisecond(self.at.as_millisecond()).unwrap_or(self.at);
        Self { at, place, ..self }
    }
}

/// An open order that a courier has, as far as it decides who sees where the courier is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Errand {
    /// Which.
    pub order: OrderId,
    /// Whose.
    pub store: StoreId,
    /// Where it stands.
    pub status: Status,
    /// Where its courier stands.
    pub leg: Leg,
    /// Whether somebody said where it comes in the courier's tour.
    pub toured: bool,
    /// How many stops come before it.
    pub stops_before: i32,
}

impl Errand {
    /// Whether its customer sees where the courier is, who has `all` of these: when the courier
    /// is on the way to the customer and to nobody else. Of several that are on their way and of
    /// which nobody said which is first, only the door that the courier stands at is known.
    pub fn customer_sees(&self, all: &[Self]) -> bool {
        let comes = self.status == Status::PickedUp
            && matches!(self.leg, Leg::EnRoute | Leg::AtDoor)
            && self.stops_before == 0;
        let under_way = |other: &&Self| {
            other.order != self.order && matches!(other.leg, Leg::EnRoute | Leg::AtDoor)
        };
        let alone = all.iter().find(under_way).is_none();
        comes && (alone || self.toured || self.leg == Leg::AtDoor)
    }

    /// Whether its store does: while the courier comes to it, or is there.
    pub const fn store_sees(&self) -> bool {
        matches!(self.leg, Leg::Assigned | Leg::AtStore)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(n: i64, second: i64, lat: f64) -> Location {
        Location {
            n,
            at: Timestamp::from_second(second).unwrap(),
            place: Place { lat, lng: 13.4 },
            accuracy_m: None,
            heading: None,
            speed: None,
            battery: None,
        }
    }

    #[test]
    fn nobody_flies() {
        let here = point(1, 1_000, 52.5);
        // 0.01 degrees are 1,112 m: 19 seconds at most.
        assert!(point(2, 1_019, 52.51).follows(&here, 60.0));
        assert!(!point(2, 1_018, 52.51).follows(&here, 60.0));
        // Points of one moment jump a little.
        assert!(point(2, 1_000, 52.5005).follows(&here, 60.0));
        assert!(!point(2, 1_000, 52.501).follows(&here, 60.0));
    }

    #[test]
    fn what_is_later_by_its_time_comes_after_whatever_its_number() {
        assert!(point(1, 1_001, 52.5).is_after(&point(9, 1_000, 52.5)));
        assert!(!point(9, 999, 52.5).is_after(&point(1, 1_000, 52.5)));
        assert!(point(2, 1_000, 52.5).is_after(&point(1, 1_000, 52.5)));
        assert!(!point(1, 1_000, 52.5).is_after(&point(1, 1_000, 52.5)));
    }

    fn errand(status: Status, leg: Leg, stops_before: i32, toured: bool) -> Errand {
        let (order, store) = (OrderId::new(), StoreId::new());
        Errand { order, store, status, leg, toured, stops_before }
    }

    #[test]
    fn a_customer_sees_a_courier_who_comes_to_nobody_else_before() {
        let alone = |status, leg, before, toured| {
            let one = errand(status, leg, before, toured);
            one.customer_sees(&[one])
        };
        assert!(alone(Status::PickedUp, Leg::EnRoute, 0, false));
        assert!(alone(Status::PickedUp, Leg::AtDoor, 0, true));
        assert!(!alone(Status::PickedUp, Leg::EnRoute, 1, true));
        assert!(!alone(Status::Returning, Leg::EnRoute, 0, false));
        assert!(!alone(Status::Delivered, Leg::Closed, 0, false));
        for leg in [Leg::None, Leg::Offering, Leg::Assigned, Leg::AtStore, Leg::Closed] {
            assert!(!alone(Status::Ready, leg, 0, false), "{leg:?}");
        }
    }

    #[test]
    fn of_two_on_their_way_the_first_is_seen_if_somebody_said_which_it_is() {
        let one = errand(Status::PickedUp, Leg::EnRoute, 0, false);
        let other = errand(Status::PickedUp, Leg::EnRoute, 0, false);
        assert!(!one.customer_sees(&[one, other]) && !other.customer_sees(&[one, other]));
        let first = Errand { toured: true, ..one };
        let second = Errand { toured: true, stops_before: 1, ..other };
        assert!(first.customer_sees(&[first, second]) && !second.customer_sees(&[first, second]));
        let there = Errand { leg: Leg::AtDoor, ..other };
        assert!(there.customer_sees(&[one, there]) && !one.customer_sees(&[one, there]));
        // One that is yet to be picked up hides nothing.
        let later = errand(Status::Ready, Leg::Assigned, 0, false);
        assert!(one.customer_sees(&[one, later]));
    }
}
