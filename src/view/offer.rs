//! An offer as dispatchers see it, and as the courier who is asked does: enough to say yes or no.

use serde_json::{Map, Value};

use super::{area, put, put_time, put_word};
use crate::domain::{Fulfilment, Offer, Order, Store, Word as _, distance_m};

/// What the courier who is asked may see of an offer.
const COURIERS: &[&str] = &[
    "offer",
    "state",
    "round",
    "sent_at",
    "expires_at",
    "distance_m",
    "pickup",
    "dropoff",
    "items",
];

/// The offer with what it is of, in areas and counts: what the log keeps.
pub(super) fn full_offer(offer: &Offer, order: &Order, store: &Store) -> Map<String, Value> {
    let mut view = Map::new();
    put(&mut view, "offer", offer.id.to_string());
    put(&mut view, "driver", offer.driver.to_string());
    put_word(&mut view, "state", offer.state);
    put(&mut view, "round", offer.round);
    put_time(&mut view, "sent_at", Some(offer.sent_at));
    put_time(&mut view, "expires_at", Some(offer.expires_at));
    if let Some(metres) = offer.distance_m {
        put(&mut view, "distance_m", metres);
    }
    let mut pickup = Map::new();
    put(&mut pickup, "name", store.name.as_str());
    put(&mut pickup, "lat", store.place.lat);
    put(&mut pickup, "lng", store.place.lng);
    put_time(&mut pickup, "ready_eta", order.ready_eta);
    put(&mut view, "pickup", Value::Object(pickup));
    if let Some(door) = order.dropoff.as_ref().filter(|_| order.fulfilment == Fulfilment::Delivery)
    {
        let mut dropoff = Map::new();
        let about = area(&door.address);
        if !about.is_empty() {
            put(&mut dropoff, "area", about);
        }
        put(&mut dropoff, "distance_m", distance_m(store.place, door.place));
        put(&mut view, "dropoff", Value::Object(dropoff));
    }
    let count: i64 = order.items.iter().map(|item| i64::from(item.qty)).sum();
    put(&mut view, "items", count);
    view
}

/// Takes from an offer what the courier who is asked may not see.
pub(super) fn trim_offer(view: &mut Map<String, Value>) {
    view.retain(|key, _| COURIERS.contains(&key.as_str()));
}

/// An offer for the courier who is asked.
pub fn asked(offer: &Offer, order: &Order, store: &Store) -> Value {
    let mut view = full_offer(offer, order, store);
    trim_offer(&mut view);
    Value::Object(view)
}

/// An offer as it stands, for dispatchers and the platform.
pub fn offer(offer: &Offer) -> Value {
    let mut view = Map::new();
    put(&mut view, "offer", offer.id.to_string());
    put(&mut view, "order", offer.order.to_string());
    put(&mut view, "driver", offer.driver.to_string());
    put(&mut view, "state", offer.state.word());
    put(&mut view, "round", offer.round);
    put_time(&mut view, "sent_at", Some(offer.sent_at));
    put_time(&mut view, "expires_at", Some(offer.expires_at));
    put_time(&mut view, "closed_at", offer.closed_at);
    if let Some(metres) = offer.distance_m {
        put(&mut view, "distance_m", metres);
    }
    Value::Object(view)
}
