//! The schema of an order.

use utoipa::ToSchema;

use super::{
    BatchId, Courier, EtaSource, Fulfilment, Late, Leg, Meta, OrderId, ProofKind, ReasonCode, Role,
    Status, StoreOfOrder, TenantId, Time, Undeliverable,
};

/// An order as it stands. What is optional is not there yet, or not this caller's to see:
/// customers follow `steps` instead of `status`, `leg` and `stamps`.
#[derive(ToSchema)]
pub struct Order {
    /// Its identifier.
    pub id: OrderId,
    /// Whose it is; for dispatchers and the platform.
    #[schema(required = false)]
    pub tenant: TenantId,
    /// The platform's name for it; not for customers.
    #[schema(required = false)]
    pub external_id: String,
    /// What is called out at the counter.
    pub short_code: String,
    /// How it reaches the customer.
    pub fulfilment: Fulfilment,
    /// Where it stands; not for customers.
    #[schema(required = false)]
    pub status: Status,
    /// Where its courier stands; not for customers.
    #[schema(required = false)]
    pub leg: Leg,
    /// Grows by one with each event; the `ETag`.
    #[schema(minimum = 1)]
    pub version: i64,
    /// Who prepares it.
    pub store: StoreOfOrder,
    /// Who brings it, or brought it.
    #[schema(required = false)]
    pub driver: Courier,
    /// Where and to whom it goes.
    #[schema(required = false)]
    pub dropoff: Dropoff,
    /// What it consists of.
    pub items: Vec<Item>,
    /// A wish to the store.
    #[schema(required = false)]
    pub note: String,
    /// When the customer wants it.
    #[schema(required = false)]
    pub window: Window,
    /// Minutes of preparation that the store has said; not for customers.
    #[schema(required = false)]
    pub prep_min: i32,
    /// What becomes of it when it cannot be handed over; not for customers.
    #[schema(required = false)]
    pub undeliverable_action: Undeliverable,
    /// Which proofs its delivery needs.
    pub proof_required: Required,
    /// Which proofs it has, if any; not for customers.
    #[schema(required = false)]
    pub proofs: Held,
    /// Four digits that the customer says at the door; for the customer alone.
    #[schema(required = false)]
    pub pin: String,
    /// Which attempt at delivering this is; not for customers.
    #[schema(required = false)]
    pub attempt: i32,
    /// When it came where; not for customers.
    #[schema(required = false)]
    pub stamps: Stamps,
    /// The steps that it has passed, the last being where it stands; for customers.
    #[schema(required = false)]
    pub steps: Vec<Step>,
    /// Until when the store may answer; not for customers.
    #[schema(required = false)]
    pub accept_by: Time,
    /// When a scheduled order is placed; not for customers.
    #[schema(required = false)]
    pub release_at: Time,
    /// When it is expected to be ready.
    #[schema(required = false)]
    pub ready_eta: Time,
    /// When its courier is expected at the store; not for customers.
    #[schema(required = false)]
    pub pickup_eta: Time,
    /// When it is expected at the door.
    #[schema(required = false)]
    pub dropoff_eta: Time,
    /// Not before.
    #[schema(required = false)]
    pub dropoff_eta_lo: Time,
    /// Not after.
    #[schema(required = false)]
    pub dropoff_eta_hi: Time,
    /// When it is expected back at the store; not for customers.
    #[schema(required = false)]
    pub return_eta: Time,
    /// By whose word the times at store and door are.
    #[schema(required = false)]
    pub eta_source: EtaSource,
    /// The tour of its courier that it is part of; not for stores and customers.
    #[schema(required = false)]
    pub batch: BatchId,
    /// Where in that tour it comes; not for stores and customers.
    #[schema(required = false)]
    pub stop_seq: i32,
    /// Stops of the tour before it; not for stores.
    #[schema(required = false)]
    pub stops_before: i32,
    /// What is late, and was told; not for customers.
    #[schema(required = false)]
    pub late: Vec<Late>,
    /// The search for a courier that is going on; for dispatchers and the platform.
    #[schema(required = false)]
    pub search: Search,
    /// Why it ended, or goes back.
    #[schema(required = false)]
    pub reason: Reason,
    /// Data of the platform's own; for dispatchers and the platform.
    #[schema(required = false)]
    pub meta: Meta,
    /// When what is personal of it was erased; for dispatchers and the platform.
    #[schema(required = false)]
    pub erased_at: Time,
}

/// A search for a courier.
#[derive(ToSchema)]
pub struct Search {
    /// Which round it is in.
    pub round: i32,
}

/// Where and to whom an order goes, as much of it as the caller needs.
#[derive(ToSchema)]
pub struct Dropoff {
    /// The customer: in full, or the first name with or without an initial.
    #[schema(required = false)]
    pub name: String,
    /// The customer's phone: in full, or its end.
    #[schema(required = false)]
    pub phone: String,
    /// The address: in full, or about where it is.
    #[schema(required = false)]
    pub address: String,
    /// Latitude of the door, WGS84 degrees.
    #[schema(required = false)]
    pub lat: f64,
    /// Longitude of the door, WGS84 degrees.
    #[schema(required = false)]
    pub lng: f64,
    /// How to find or ring.
    #[schema(required = false)]
    pub notes: String,
    /// Whether it may be left at the door.
    pub leave_at_door: bool,
}

/// One line of an order.
#[derive(ToSchema)]
pub struct Item {
    /// What it is.
    pub name: String,
    /// How many.
    #[schema(minimum = 1)]
    pub qty: i32,
}

/// When the customer wants it.
#[derive(ToSchema)]
pub struct Window {
    /// Not before.
    pub from: Time,
    /// Not after.
    pub to: Time,
}

/// Which proofs a delivery needs.
#[derive(ToSchema)]
#[expect(clippy::struct_excessive_bools, reason = "each is one kind")]
pub struct Required {
    /// A picture.
    pub photo: bool,
    /// A signature.
    pub signature: bool,
    /// The customer's PIN.
    pub pin: bool,
    /// A scanned code.
    pub scan: bool,
    /// What the pick-up needs, if anything.
    #[schema(required = false)]
    pub pickup: Vec<ProofKind>,
    /// What its return needs, if anything.
    #[schema(rename = "return", required = false)]
    pub back: Vec<ProofKind>,
}

/// Which proofs an order has, by hand-over.
#[derive(ToSchema)]
pub struct Held {
    /// Of the pick-up.
    #[schema(required = false)]
    pub pickup: Vec<ProofKind>,
    /// Of the drop-off.
    #[schema(required = false)]
    pub dropoff: Vec<ProofKind>,
    /// Of its return.
    #[schema(rename = "return", required = false)]
    pub back: Vec<ProofKind>,
}

/// A step that a customer follows.
#[derive(ToSchema)]
pub struct Step {
    /// Its word, as `received`, `preparing`, `on_the_way`, `arriving`, `delivered`.
    pub step: String,
    /// When it began.
    pub at: Time,
}

/// Why an order ended, or goes back. Some codes are `other` to those outside.
#[derive(ToSchema)]
pub struct Reason {
    /// The code.
    pub code: ReasonCode,
    /// Who said so.
    pub by: Role,
    /// In words; for dispatchers, the platform and who wrote it.
    #[schema(required = false)]
    pub note: String,
}

/// When an order came where; the last time, if there were several.
#[derive(ToSchema)]
pub struct Stamps {
    /// It was made.
    pub created: Time,
    /// The store heard of it.
    #[schema(required = false)]
    pub placed: Time,
    /// The store accepted it.
    #[schema(required = false)]
    pub accepted: Time,
    /// Its preparation began.
    #[schema(required = false)]
    pub preparing: Time,
    /// It was ready.
    #[schema(required = false)]
    pub ready: Time,
    /// It had a courier.
    #[schema(required = false)]
    pub assigned: Time,
    /// The courier was at the store.
    #[schema(required = false)]
    pub at_store: Time,
    /// It left the store.
    #[schema(required = false)]
    pub picked_up: Time,
    /// The courier was at the door.
    #[schema(required = false)]
    pub at_door: Time,
    /// It was handed over.
    #[schema(required = false)]
    pub delivered: Time,
    /// The store would not make it.
    #[schema(required = false)]
    pub rejected: Time,
    /// It was called off.
    #[schema(required = false)]
    pub cancelled: Time,
    /// It was lost or given up.
    #[schema(required = false)]
    pub failed: Time,
    /// It went back.
    #[schema(required = false)]
    pub returning: Time,
    /// It was back.
    #[schema(required = false)]
    pub returned: Time,
}
