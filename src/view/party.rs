//! Tenants, stores and couriers as their own screens, dispatchers and platforms see them.

use serde_json::{Map, Value};

use super::{Sheet, put, put_text, put_time, put_word};
use crate::domain::{Driver, Store, Tenant, Word as _};

/// A tenant with its settings: for dispatchers and the platform.
pub fn tenant(tenant: &Tenant) -> Value {
    let mut view = Map::new();
    put(&mut view, "id", tenant.id.to_string());
    put(&mut view, "name", tenant.name.as_str());
    put(&mut view, "accept_s", tenant.accept_s);
    put_word(&mut view, "customer_cancel_until", tenant.customer_cancel_until);
    put(&mut view, "offer_mode", tenant.offer_mode.map_or("off", |mode| mode.word()));
    put(&mut view, "offer_s", tenant.offer_s);
    put(&mut view, "offer_rounds", tenant.offer_rounds);
    put(&mut view, "search_lead_s", tenant.search_lead_s);
    put(&mut view, "link_ttl_h", tenant.link_ttl_h);
    put(&mut view, "location_retention_h", tenant.location_retention_h);
    put(&mut view, "robo", tenant.robo);
    Value::Object(view)
}

/// A store in full: for itself, dispatchers and the platform.
pub fn store(store: &Store) -> Value {
    let mut view = store_in_order(store);
    put(&mut view, "external_id", store.external_id.as_str());
    put(&mut view, "auto_accept", store.auto_accept);
    put(&mut view, "default_prep_min", store.default_prep_min);
    put_time(&mut view, "paused_until", store.paused_until);
    Value::Object(view)
}

/// A store as part of an order.
pub(super) fn store_in_order(store: &Store) -> Map<String, Value> {
    let mut view = Map::new();
    put(&mut view, "id", store.id.to_string());
    put(&mut view, "name", store.name.as_str());
    put(&mut view, "lat", store.place.lat);
    put(&mut view, "lng", store.place.lng);
    put(&mut view, "tz", store.tz.as_str());
    put_text(&mut view, "phone", store.phone.as_ref());
    view
}

/// A courier in full: for itself, dispatchers and the platform.
pub fn driver(driver: &Driver) -> Value {
    let mut view = driver_in_order(driver);
    put(&mut view, "external_id", driver.external_id.as_str());
    put_word(&mut view, "duty", driver.duty);
    put(&mut view, "capacity", driver.capacity);
    Value::Object(view)
}

/// A courier as part of an order.
pub(super) fn driver_in_order(driver: &Driver) -> Map<String, Value> {
    let mut vehicle = Map::new();
    put(&mut vehicle, "type", driver.vehicle.kind.as_str());
    put_text(&mut vehicle, "make", driver.vehicle.make.as_ref());
    put_text(&mut vehicle, "colour", driver.vehicle.colour.as_ref());
    put_text(&mut vehicle, "plate", driver.vehicle.plate.as_ref());
    let mut view = Map::new();
    put(&mut view, "id", driver.id.to_string());
    put(&mut view, "name", driver.name.as_str());
    put(&mut view, "display_name", driver.display_name.as_str());
    put_text(&mut view, "phone", driver.phone.as_ref());
    put(&mut view, "vehicle", Value::Object(vehicle));
    view
}

/// A courier's tour, the first stop first: where each order comes in it, and no more of it.
pub fn tour(stops: &[Sheet]) -> Value {
    let mut view = Map::new();
    let batch = stops.iter().find_map(|stop| stop.order.route.batch);
    put(&mut view, "batch", batch.map(|batch| batch.to_string()));
    let stops = stops.iter().map(|Sheet { order, .. }| {
        let mut stop = Map::new();
        put(&mut stop, "id", order.id.to_string());
        put(&mut stop, "version", order.version);
        put(&mut stop, "stop_seq", order.route.seq);
        put(&mut stop, "stops_before", order.route.before);
        Value::Object(stop)
    });
    put(&mut view, "orders", stops.collect::<Vec<_>>());
    Value::Object(view)
}
