//! Schemas of events: one envelope, and the data of each type.

use serde_json::{Value, json};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::data::{
    CourierData, DutyData, EtaData, LateData, NearData, NotedData, PausedData, PickedUpData,
    PlainData, PrepData, ProofAddedData, ProofsData, ReadyData, ReasonData, RedeliveryData,
    ReturningData, RevokedData, ScheduledData, SearchingData, UnassignedData, UpdatedData,
};
use super::{DriverId, EventId, OfferData, Order, OrderId, Role, StoreId, TenantId, Time};

/// What happened, as it is published, recovered and read from the log.
#[derive(ToSchema)]
pub struct Event {
    /// The version of this form: 1.
    #[schema(minimum = 1, maximum = 1)]
    pub v: u8,
    /// Its identifier.
    pub id: EventId,
    /// Its place in the log: grows, and may skip.
    #[schema(minimum = 1)]
    pub position: u64,
    /// Its type. More will come: ignore what you do not know.
    #[schema(rename = "type")]
    pub kind: String,
    /// Whose it is; for dispatchers and the platform.
    #[schema(required = false)]
    pub tenant: TenantId,
    /// The order that it is about.
    #[schema(required = false)]
    pub order: OrderId,
    /// The store that it is about; that of the order for dispatchers and the platform alone.
    #[schema(required = false)]
    pub store: StoreId,
    /// The courier that it is about; that of the order for dispatchers and the platform alone.
    #[schema(required = false)]
    pub driver: DriverId,
    /// The order's version after it.
    #[schema(required = false, minimum = 1)]
    pub n: i64,
    /// When it was recorded.
    pub at: Time,
    /// When it happened by the actor's device, if that said so; not for customers.
    #[schema(required = false)]
    pub occurred_at: Time,
    /// Who did it.
    pub by: By,
    /// What there is to know of it.
    #[schema(value_type = Object)]
    pub data: Value,
}

/// Who did something.
#[derive(ToSchema)]
pub struct By {
    /// What the actor is.
    pub role: Role,
    /// Which one; for dispatchers, the platform and the actor's own kind.
    #[schema(required = false)]
    pub id: String,
}

/// One type of event.
pub struct EventSchema {
    /// The type, as `order.ready`.
    pub kind: &'static str,
    /// The name of the schema of its data.
    pub data: String,
    /// That schema, and those that it refers to.
    pub schemas: Vec<(String, RefOr<Schema>)>,
}

impl EventSchema {
    fn of<T: ToSchema>(kind: &'static str) -> Self {
        let mut schemas = vec![(T::name().into_owned(), T::schema())];
        T::schemas(&mut schemas);
        Self { kind, data: T::name().into_owned(), schemas }
    }

    /// The name of the event's own schema: `OrderReady` for `order.ready`.
    pub fn name(&self) -> String {
        let mut up = true;
        let letter = |letter: char| {
            if matches!(letter, '.' | '_') {
                up = true;
                return None;
            }
            Some(if std::mem::take(&mut up) { letter.to_ascii_uppercase() } else { letter })
        };
        self.kind.chars().filter_map(letter).collect()
    }

    /// The schema of the whole event: the envelope with this type and its data.
    #[expect(clippy::indexing_slicing, reason = "a schema is an object")]
    pub fn schema(&self) -> Value {
        let mut schema = json!(Event::schema());
        let mut required = vec!["v", "id", "position", "type", "at", "by", "data"];
        match self.kind.split_once('.') {
            Some(("order" | "courier" | "proof", _)) => required.extend(["order", "n"]),
            Some((noun @ ("store" | "driver"), _)) => required.push(noun),
            _ => {}
        }
        schema["required"] = json!(required);
        schema["description"] = json!(format!("The event `{}`.", self.kind));
        schema["properties"]["type"] = json!({"type": "string", "const": self.kind});
        schema["properties"]["data"] = self.data_schema();
        schema
    }

    /// The data, with where it happened for those who may see that.
    fn data_schema(&self) -> Value {
        json!({"$ref": format!("#/components/schemas/{}", self.data)})
    }
}

macro_rules! kinds {
    ($($kind:literal $data:ty;)+) => {
        /// Every type of event, in the order of the README.
        pub fn events() -> Vec<EventSchema> {
            vec![$(EventSchema::of::<$data>($kind)),+]
        }
    };
}

kinds! {
    "order.placed" Order;
    "order.scheduled" ScheduledData;
    "order.accepted" PrepData;
    "order.rejected" ReasonData;
    "order.cancelled" ReasonData;
    "order.preparing" ReadyData;
    "order.ready" ReadyData;
    "order.unready" ReadyData;
    "order.prep_changed" PrepData;
    "order.picked_up" PickedUpData;
    "order.delivered" ProofsData;
    "order.failed" ReasonData;
    "order.returning" ReturningData;
    "order.returned" ProofsData;
    "order.redelivery" RedeliveryData;
    "order.updated" UpdatedData;
    "order.eta" EtaData;
    "order.late" LateData;
    "order.noted" NotedData;
    "order.erased" PlainData;
    "proof.added" ProofAddedData;
    "offer.sent" OfferData;
    "offer.closed" OfferData;
    "courier.searching" SearchingData;
    "courier.search_failed" PlainData;
    "courier.assigned" CourierData;
    "courier.changed" CourierData;
    "courier.unassigned" UnassignedData;
    "courier.near" NearData;
    "courier.at_store" PlainData;
    "courier.at_door" PlainData;
    "driver.duty" DutyData;
    "driver.deleted" PlainData;
    "store.paused" PausedData;
    "store.silent" PlainData;
    "store.deleted" PlainData;
    "token.revoked" RevokedData;
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_fact_of_the_log_has_a_schema() {
        // A fact cannot be made without its fields, so their words are read where they are given.
        let text = include_str!("../../domain/fact.rs");
        let words = text.split('"').skip(1).step_by(2).filter(|word| word.contains('.'));
        let facts: BTreeSet<&str> = words.collect();
        let known: BTreeSet<&str> = events().iter().map(|event| event.kind).collect();
        assert!(facts.len() > 20, "{facts:?}");
        assert_eq!(facts, known, "add the missing ones to `kinds!`");
    }

    #[test]
    fn no_two_events_share_a_name() {
        let names: BTreeSet<String> = events().iter().map(EventSchema::name).collect();
        assert_eq!(names.len(), events().len());
        assert!(names.contains("OrderPickedUp"), "{names:?}");
    }
}
