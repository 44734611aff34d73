//! An event of the log, and its envelope for each audience.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use super::offer::trim_offer;
use super::order::{trim_order, trim_reason_fields};
use super::proof::{is_for_customer, trim_added};
use super::{Audience, Moment, put, stamp};
use crate::domain::{
    Actor, DriverId, EventId, Notice, OrderId, Role, Status, StoreId, TenantId, Word as _,
};

/// One event as the log keeps it.
#[derive(Debug, Clone)]
pub struct LogEvent {
    /// Its place in the log.
    pub position: u64,
    /// Its identifier.
    pub id: EventId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The store concerned.
    pub store: Option<StoreId>,
    /// The order concerned.
    pub order: Option<OrderId>,
    /// The courier who has the order after it, or whom it is about.
    pub driver: Option<DriverId>,
    /// The courier who has just lost the order.
    pub prior_driver: Option<DriverId>,
    /// The order's version after it.
    pub n: Option<i64>,
    /// Its type, as in `order.ready`.
    pub kind: String,
    /// Who did it.
    pub by: Actor,
    /// The order's status before it.
    pub was: Option<Status>,
    /// The order's status after it.
    pub status: Option<Status>,
    /// When it happened, by the actor's device if it said so.
    pub occurred_at: Timestamp,
    /// When the database recorded it.
    pub recorded_at: Timestamp,
    /// Everything any audience may see of it.
    pub data: Value,
}

#[derive(Serialize)]
struct Envelope<'a> {
    v: u8,
    id: String,
    position: u64,
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    driver: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<i64>,
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    occurred_at: Option<String>,
    by: By<'a>,
    data: Value,
}

#[derive(Serialize)]
struct By<'a> {
    role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
}

impl LogEvent {
    /// The envelope for `audience` as JSON text without line breaks, or `None` when this type
    /// is not for it: what is published, and what a subscriber recovers.
    pub fn render(&self, audience: Audience) -> Option<String> {
        self.render_at(audience, Moment::AsItSays)
    }

    /// The same for one who looks back: an order that is over by now is shown as such.
    pub fn render_at(&self, audience: Audience, standing: Moment) -> Option<String> {
        if !is_for(&self.kind, audience) || !self.concerns(audience) {
            return None;
        }
        let inside = audience.is_inside();
        let data = self.data_for(audience, standing);
        if self.kind == "order.updated" && data.as_object().is_some_and(Map::is_empty) {
            return None;
        }
        let own = match audience {
            Audience::Store => self.by.role == Role::Store,
            Audience::Driver | Audience::FormerDriver => self.by.role == Role::Driver,
            Audience::Customer | Audience::Link | Audience::PastLink => false,
            Audience::Ops | Audience::Platform => true,
        };
        // The party of an event that is about no order; an order's are in its view.
        let alone = self.order.is_none();
        // Whose offer it is says the offer; of the order it is about its area is enough.
        let asked = audience == Audience::Driver && self.kind.starts_with("offer.");
        let envelope = Envelope {
            v: 1,
            id: self.id.to_string(),
            position: self.position,
            kind: &self.kind,
            tenant: inside.then(|| self.tenant.to_string()),
            order: self.order.filter(|_| !asked).map(|order| order.to_string()),
            store: self.store.filter(|_| alone || inside).map(|store| store.to_string()),
            driver: self.driver.filter(|_| alone || inside).map(|driver| driver.to_string()),
            n: self.n,
            at: stamp(self.recorded_at),
            occurred_at: (self.occurred_at != self.recorded_at && !audience.is_customer())
                .then(|| stamp(self.occurred_at)),
            by: By {
                role: self.by.role.word(),
                id: Some(self.by.id.as_str()).filter(|id| own && !id.is_empty()),
            },
            data,
        };
        serde_json::to_string(&envelope).ok()
    }

    /// Whether it is for those of the audience who hear this type, by what it says.
    fn concerns(&self, audience: Audience) -> bool {
        let says = |key: &str| self.data.get(key).and_then(Value::as_str);
        match (self.kind.as_str(), audience) {
            (_, Audience::Ops | Audience::Platform) => true,
            ("order.late", audience) if audience.is_customer() => {
                says("kind") == Some(Notice::Delivery.word())
            }
            ("courier.near", audience) if audience.is_customer() => says("end") == Some("door"),
            ("courier.near", Audience::Store) => says("end") == Some("store"),
            ("proof.added", audience) if audience.is_customer() => {
                self.data.as_object().is_some_and(is_for_customer)
            }
            // Remarks are between those who run it all and whoever made them.
            ("order.noted", Audience::Store) => self.by.role == Role::Store,
            ("order.noted", Audience::Driver) => {
                self.driver.is_some_and(|driver| driver.to_string() == self.by.id)
            }
            _ => true,
        }
    }

    fn data_for(&self, audience: Audience, standing: Moment) -> Value {
        let Value::Object(full) = &self.data else { return Value::Object(Map::new()) };
        let mut data = full.clone();
        match self.kind.as_str() {
            "order.placed" => {
                data.remove("place");
                trim_order(&mut data, audience, standing);
                return Value::Object(data);
            }
            "offer.sent" | "offer.closed" if audience == Audience::Driver => {
                trim_offer(&mut data);
                return Value::Object(data);
            }
            "proof.added" if !audience.is_inside() => {
                data.remove("place");
                trim_added(&mut data);
                if audience.is_customer() {
                    data.remove("attempt");
                }
                return Value::Object(data);
            }
            "order.updated" => return updated_for(&data, audience, standing),
            // Whoever hears a remark may read it; it is not the note of a reason.
            "order.noted" => {
                if !audience.is_inside() {
                    data.remove("place");
                }
                return Value::Object(data);
            }
            _ => {}
        }
        // The whole order goes to those for whom this is the first they hear of it.
        let carries_order = match self.kind.as_str() {
            "order.scheduled" => true,
            "courier.assigned" | "courier.changed" => audience == Audience::Driver,
            _ => false,
        };
        if let Some(Value::Object(mut order)) = data.remove("order") {
            trim_order(&mut order, audience, standing);
            // The courier is shown as in the order: which fields, its leg decides.
            if let Some(driver) = order.get("driver").filter(|_| data.contains_key("driver")) {
                put(&mut data, "driver", driver.clone());
            } else {
                data.remove("driver");
            }
            if carries_order {
                put(&mut data, "order", Value::Object(order));
            }
        }
        if !audience.is_inside() {
            data.remove("place");
        }
        match audience {
            Audience::Ops | Audience::Platform => {}
            Audience::FormerDriver => {
                data.retain(|key, _| matches!(key.as_str(), "code" | "by"));
            }
            Audience::Customer | Audience::Link | Audience::PastLink => {
                trim_reason_fields(&mut data, None);
                if self.kind == "courier.unassigned" {
                    data.clear();
                }
                for key in [
                    "prep_min",
                    "why",
                    "proof_refs",
                    "pickup_eta",
                    "return_eta",
                    "attempt",
                    "release_at",
                    "batch",
                    "stop_seq",
                ] {
                    data.remove(key);
                }
            }
            Audience::Store => {
                trim_reason_fields(&mut data, Some("store"));
                if self.kind == "courier.unassigned" {
                    data.clear();
                }
                for key in ["proof_refs", "batch", "stop_seq", "stops_before"] {
                    data.remove(key);
                }
            }
            Audience::Driver => {
                data.remove("why");
                trim_reason_fields(&mut data, Some("driver"));
                data.remove("proof_refs");
            }
        }
        if matches!(self.kind.as_str(), "order.cancelled" | "order.rejected")
            && !audience.is_customer()
            && let Some(was) = self.was
        {
            put(&mut data, "was", was.word());
        }
        Value::Object(data)
    }
}

/// Only the changed fields, each as the audience may see it; `null` for one that was cleared.
fn updated_for(data: &Map<String, Value>, audience: Audience, standing: Moment) -> Value {
    let (Some(Value::Object(full)), Some(fields)) =
        (data.get("order"), data.get("fields").and_then(Value::as_array))
    else {
        return Value::Object(Map::new());
    };
    let mut seen = full.clone();
    trim_order(&mut seen, audience, standing);
    let mut changed = Map::new();
    for field in fields.iter().filter_map(Value::as_str) {
        match (full.contains_key(field), seen.remove(field)) {
            (true, Some(value)) => put(&mut changed, field, value),
            // There, but not for this audience.
            (true, None) => {}
            (false, _) => put(&mut changed, field, Value::Null),
        }
    }
    Value::Object(changed)
}

/// The table of types and audiences: whether events of this type are for this audience.
pub fn is_for(kind: &str, audience: Audience) -> bool {
    match audience {
        Audience::Ops | Audience::Platform => true,
        Audience::FormerDriver => matches!(kind, "courier.changed" | "courier.unassigned"),
        _ if kind == "order.erased" => false,
        Audience::Customer | Audience::Link | Audience::PastLink => {
            matches!(
                kind,
                "courier.assigned"
                    | "courier.changed"
                    | "courier.unassigned"
                    | "courier.at_store"
                    | "courier.at_door"
                    | "courier.near"
                    | "proof.added"
            ) || (kind.starts_with("order.") && kind != "order.noted")
        }
        Audience::Store => {
            kind.starts_with("order.")
                || kind.starts_with("courier.")
                || kind.starts_with("store.")
                || kind == "proof.added"
        }
        Audience::Driver => {
            kind.starts_with("driver.")
                || kind.starts_with("offer.")
                || kind.starts_with("order.")
                || kind == "proof.added"
                || (kind.starts_with("courier.")
                    && !matches!(kind, "courier.searching" | "courier.search_failed"))
        }
    }
}
