//! Where a courier is, as those see it who may.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{Audience, put, put_text, put_time, stamp};
use crate::domain::{DriverId, Location, OrderId};

/// The type of its publications.
pub const LOCATION_KIND: &str = "driver.location";

/// A courier's place for one audience; `heard_at` where it is part of a state.
pub fn location(
    driver: DriverId,
    location: &Location,
    heard_at: Option<Timestamp>,
    audience: Audience,
) -> Value {
    let mut view = Map::new();
    // A customer's order says who comes, and nothing says who else that is.
    if !audience.is_customer() {
        put_text(&mut view, "driver", Some(&driver.to_string()));
    }
    put(&mut view, "n", location.n);
    put_time(&mut view, "at", Some(location.at));
    put_time(&mut view, "heard_at", heard_at);
    put(&mut view, "lat", location.place.lat);
    put(&mut view, "lng", location.place.lng);
    let battery = location.battery.filter(|_| audience.is_inside() || audience == Audience::Driver);
    for (key, value) in [
        ("acc", location.accuracy_m),
        ("hdg", location.heading),
        ("spd", location.speed),
        ("bat", battery),
    ] {
        if let Some(value) = value {
            put(&mut view, key, readable(value));
        }
    }
    Value::Object(view)
}

/// A measurement to two decimals: that is more than a device knows.
fn readable(value: f32) -> f64 {
    (f64::from(value) * 100.0).round() / 100.0
}

#[derive(Serialize)]
struct Envelope<'a> {
    v: u8,
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<String>,
    at: String,
    data: Value,
}

/// The publication of a courier's place, heard at `heard_at`, as JSON text without line breaks; on an
/// order's channel it names the order. It is no event: it has no identifier, no position and no
/// `n`.
pub fn render_location(
    driver: DriverId,
    place: &Location,
    heard_at: Timestamp,
    order: Option<OrderId>,
    audience: Audience,
) -> Option<String> {
    let envelope = Envelope {
        v: 1,
        kind: LOCATION_KIND,
        order: order.map(|order| order.to_string()),
        at: stamp(heard_at),
        data: location(driver, place, None, audience),
    };
    serde_json::to_string(&envelope).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Place;
    use serde_json::json;

    #[test]
    fn each_sees_what_is_its_to_see() {
        let place = Location {
            n: 7,
            at: Timestamp::UNIX_EPOCH,
            place: Place { lat: 52.5, lng: 13.4 },
            accuracy_m: Some(12.0),
            heading: None,
            speed: Some(6.2),
            battery: Some(0.5),
        };
        let driver = DriverId::new();
        let seen = |audience| location(driver, &place, None, audience);
        let at = "1970-01-01T00:00:00.000Z";
        let bare = json!({"n": 7, "at": at, "lat": 52.5, "lng": 13.4, "acc": 12.0, "spd": 6.2});
        assert_eq!(seen(Audience::Customer), bare);
        assert_eq!(seen(Audience::Link), bare);
        let mut more = bare;
        more["driver"] = driver.to_string().into();
        assert_eq!(seen(Audience::Store), more);
        more["bat"] = 0.5.into();
        assert_eq!(seen(Audience::Ops), more);
    }
}
