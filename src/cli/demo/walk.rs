//! Where a courier is: on its way in a straight line to where it has to be next.
//!
//! An evening is short and streets are long: it goes as fast as a server believes, and may
//! arrive before it is there.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use jiff::Timestamp;
use rand::Rng as _;
use serde_json::{Value, json};
use tokio::time::Instant;

/// Between two reports of where a courier is.
pub(super) const REPORT: Duration = Duration::from_secs(3);
/// How fast a courier moves, in metres a second: below what a server takes for a mistake.
const SPEED: f64 = 32.0;
/// Metres of one degree of latitude.
const DEGREE: f64 = 111_195.0;
/// Where an evening begins for couriers: degrees around the middle of the city.
const HOME: (f64, f64) = (52.5167, 13.4);
const AROUND: f64 = 0.03;
/// What is around the corner: degrees.
const CORNER: f64 = 0.004;

/// A place: latitude and longitude in degrees.
pub(super) type Spot = (f64, f64);

/// The place of a store or a door in an order's view.
pub(super) fn spot(view: &Value) -> Option<Spot> {
    view.get("lat").and_then(Value::as_f64).zip(view.get("lng").and_then(Value::as_f64))
}

/// Around the corner of a place.
pub(super) fn around_the_corner(place: Spot) -> Spot {
    around(place, CORNER)
}

/// Somewhere in a box around a place; degrees of longitude are shorter here.
fn around((lat, lng): Spot, wide: f64) -> Spot {
    let mut rng = rand::rng();
    (lat + rng.random_range(-wide..wide), lng + rng.random_range(-wide..wide) * 1.6)
}

/// A courier's way.
#[derive(Debug)]
pub(super) struct Walk {
    at: Cell<Spot>,
    to: RefCell<Option<Spot>>,
    moved: Cell<Instant>,
}

impl Walk {
    /// Stands somewhere in the city, or around the corner of a place.
    pub(super) fn new(corner: Option<Spot>) -> Self {
        let at = match corner {
            Some(place) => around(place, CORNER),
            None => around(HOME, AROUND),
        };
        Self { at: Cell::new(at), to: RefCell::default(), moved: Cell::new(Instant::now()) }
    }

    /// Where it has to be next.
    pub(super) fn head_for(&self, to: Option<Spot>) {
        if to.is_some() {
            self.step(Instant::now());
            *self.to.borrow_mut() = to;
        }
    }

    /// Goes as far as it came since the last look; returns its heading and speed.
    fn step(&self, now: Instant) -> (f64, f64) {
        let reach = SPEED * now.duration_since(self.moved.replace(now)).as_secs_f64();
        let Some((lat, lng)) = *self.to.borrow() else { return (0.0, 0.0) };
        let (from_lat, from_lng) = self.at.get();
        let narrow = from_lat.to_radians().cos();
        let (north, east) = ((lat - from_lat) * DEGREE, (lng - from_lng) * DEGREE * narrow);
        let far = north.hypot(east);
        let heading = east.atan2(north).to_degrees().rem_euclid(360.0);
        if far <= reach.max(1.0) {
            self.at.set((lat, lng));
            return (heading, 0.0);
        }
        let part = reach / far;
        self.at.set((from_lat + (lat - from_lat) * part, from_lng + (lng - from_lng) * part));
        (heading, SPEED)
    }

    /// A report of where it is now, as the body of `locations`.
    pub(super) fn report(&self, now: Timestamp) -> Value {
        let (heading, speed) = self.step(Instant::now());
        let (lat, lng) = self.at.get();
        // Numbered by time: a person's phone may have reported meanwhile.
        let at = now.as_millisecond();
        json!({"p": [[at, at, lat, lng, 8, heading, speed]]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_straight_to_where_it_has_to_be_and_stays_there() {
        let walk = Walk::new(None);
        walk.at.set((52.5, 13.4));
        walk.head_for(Some((52.51, 13.4)));
        let start = walk.moved.get();
        let (heading, speed) = walk.step(start + Duration::from_secs(10));
        let gone = (walk.at.get().0 - 52.5) * DEGREE;
        assert!((gone - 320.0).abs() < 1.0, "{gone} m in 10 s");
        assert!(heading.abs() < 0.1 && speed > 0.0);
        let (_heading, speed) = walk.step(start + Duration::from_mins(1));
        assert!(speed < f64::EPSILON);
        assert_eq!(walk.at.get(), (52.51, 13.4));
    }
}
