//! An order and the things it refers to, as the machine sees them.

use jiff::Timestamp;

use super::actor::{Actor, Role};
use super::id::{BatchId, DriverId, OrderId, StoreId, TenantId};
use super::offer::{OfferRules, Search};
use super::proof::{HeldProof, ProofRequired};
use super::robo::Robo;
use super::status::{Fulfilment, Leg, Status, Undeliverable};
use super::words::words;

/// A point on the map, WGS84 degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// Latitude, -90 to 90.
    pub lat: f64,
    /// Longitude, -180 to 180.
    pub lng: f64,
}

/// Where and to whom an order goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Dropoff {
    /// The customer's full name.
    pub name: String,
    /// The customer's phone, in full; views mask it.
    pub phone: Option<String>,
    /// Street and number first, then the rest, parted by commas.
    pub address: String,
    /// The door.
    pub place: Place,
    /// How to find or ring, for the courier.
    pub notes: Option<String>,
    /// Whether it may be left at the door.
    pub leave_at_door: bool,
}

/// One line of an order's summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What it is.
    pub name: String,
    /// How many, 1 or more.
    pub qty: i32,
}

/// When the customer wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Not before.
    pub from: Timestamp,
    /// Not after.
    pub to: Timestamp,
}

words! {
    /// Why something was refused, called off or failed. Which apply where, the machine knows.
    ReasonCode "code" {
        /// The store did not answer in time; the system only.
        NoResponse "no_response",
        /// Too much to do.
        TooBusy "too_busy",
        /// Not open.
        Closed "closed",
        /// Something is sold out.
        ItemUnavailable "item_unavailable",
        /// Closes before it could be made.
        ClosingEarly "closing_early",
        /// The customer's wish cannot be met.
        CannotMeetNote "cannot_meet_note",
        /// The customer asked.
        CustomerRequest "customer_request",
        /// Ordered twice.
        Duplicate "duplicate",
        /// Payment failed.
        Payment "payment",
        /// No courier was found.
        NoCourier "no_courier",
        /// Something happened to the courier.
        CourierIncident "courier_incident",
        /// Something happened at the store.
        StoreProblem "store_problem",
        /// Suspected fraud.
        Fraud "fraud",
        /// Nobody opened.
        NoAnswer "no_answer",
        /// The address is wrong.
        WrongAddress "wrong_address",
        /// The customer would not take it.
        Refused "refused",
        /// The goods are damaged.
        Damaged "damaged",
        /// The goods are lost.
        Lost "lost",
        /// The courier is not safe there.
        Unsafe "unsafe",
        /// The customer is too young, or did not prove the age.
        AgeCheck "age_check",
        /// It could not be brought back.
        FailedToReturn "failed_to_return",
        /// The courier's vehicle.
        Vehicle "vehicle",
        /// Too far for the courier.
        TooFar "too_far",
        /// The courier waited too long.
        LongWait "long_wait",
        /// The courier's own reasons.
        Personal "personal",
        /// Anything else; a note says what.
        Other "other",
    }
}

/// Why, by whom, and in whose words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The code, from the list that fits the action.
    pub code: ReasonCode,
    /// Who gave it.
    pub by: Role,
    /// Free text; required for `other`.
    pub note: Option<String>,
}

/// When each status and leg was last reached, by the database's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "each field is the moment its name says")]
pub struct Stamps {
    pub created: Timestamp,
    pub placed: Option<Timestamp>,
    pub accepted: Option<Timestamp>,
    pub preparing: Option<Timestamp>,
    pub ready: Option<Timestamp>,
    pub assigned: Option<Timestamp>,
    pub at_store: Option<Timestamp>,
    pub picked_up: Option<Timestamp>,
    pub at_door: Option<Timestamp>,
    pub delivered: Option<Timestamp>,
    pub rejected: Option<Timestamp>,
    pub cancelled: Option<Timestamp>,
    pub failed: Option<Timestamp>,
    pub returning: Option<Timestamp>,
    pub returned: Option<Timestamp>,
}

words! {
    /// Who says when an order is picked up and delivered.
    EtaSource "source" {
        /// ordercast, from the courier's place.
        Computed "computed",
        /// The platform.
        Platform "platform",
        /// The courier.
        Driver "driver",
    }
}

words! {
    /// What is told of an order once. The first four are what it can be late with.
    Notice "kind" {
        /// The store takes its time to answer.
        Accept "accept",
        /// It is not ready when it should be.
        Prep "prep",
        /// It has not left when it should have.
        Pickup "pickup",
        /// It is not there when it should be.
        Delivery "delivery",
        /// The courier is about to be at the store.
        NearStore "near_store",
        /// The courier is about to be at the door.
        NearDoor "near_door",
        /// It was looked whether anybody at the store could have seen it.
        Silence "silence",
    }
}

impl Notice {
    /// What an order can be late with.
    pub const LATE: &'static [Self] = &[Self::Accept, Self::Prep, Self::Pickup, Self::Delivery];
}

/// Where an order comes in its courier's tour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Route {
    /// The tour; absent when nobody said in which order to go.
    pub batch: Option<BatchId>,
    /// Its place in the tour, from 1.
    pub seq: Option<i32>,
    /// How many stops come before it, as was told last.
    pub before: i32,
}

/// What a platform asks for: an order before it is one.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// The identifier the order will have.
    pub id: OrderId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The platform's own name for it, unique within the tenant.
    pub external_id: String,
    /// Who prepares it.
    pub store: StoreId,
    /// What people call it at the counter: four characters.
    pub short_code: String,
    /// How it reaches the customer.
    pub fulfilment: Fulfilment,
    /// Where it goes; a delivery has one.
    pub dropoff: Option<Dropoff>,
    /// What it is.
    pub items: Vec<Item>,
    /// The customer's wish to the store.
    pub note: Option<String>,
    /// When it is wanted; absent means as soon as possible.
    pub window: Option<Window>,
    /// What to do when it cannot be handed over.
    pub undeliverable: Undeliverable,
    /// Which proofs the hand-overs need.
    pub proof_required: ProofRequired,
    /// Four digits that only the customer sees; drawn by the caller because the machine rolls
    /// no dice. Present when a PIN is required or the customer collects.
    pub pin: Option<String>,
    /// The platform's own data, a JSON object, carried and never read but for `robo`.
    pub meta: serde_json::Value,
}

/// An order: the projection of its events.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// Which one.
    pub id: OrderId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The platform's own name for it.
    pub external_id: String,
    /// Who prepares it.
    pub store: StoreId,
    /// What people call it at the counter.
    pub short_code: String,
    /// How it reaches the customer.
    pub fulfilment: Fulfilment,
    /// Where it stands.
    pub status: Status,
    /// Where its courier stands.
    pub leg: Leg,
    /// Grows by one with each of its events; 1 is the first.
    pub version: i64,
    /// Who brings it; set exactly while [`Leg::has_driver`], and kept for the record after.
    pub driver: Option<DriverId>,
    /// Where it goes.
    pub dropoff: Option<Dropoff>,
    /// What it is.
    pub items: Vec<Item>,
    /// The customer's wish to the store.
    pub note: Option<String>,
    /// When it is wanted; absent means as soon as possible.
    pub window: Option<Window>,
    /// Minutes of preparation, 0 to 240, once accepted.
    pub prep_min: Option<i32>,
    /// What to do when it cannot be handed over.
    pub undeliverable: Undeliverable,
    /// Which proofs the hand-overs need.
    pub proof_required: ProofRequired,
    /// Which it has, the oldest first.
    pub proofs: Vec<HeldProof>,
    /// The customer's four digits.
    pub pin: Option<String>,
    /// Wrong PINs so far; at [`super::PIN_TRIES`] only a dispatcher can go on.
    pub pin_tries: i32,
    /// Delivery attempts; 1 until a redelivery.
    pub attempt: i32,
    /// When each step was reached.
    pub stamps: Stamps,
    /// Until when the store may accept.
    pub accept_by: Option<Timestamp>,
    /// When a scheduled order is placed.
    pub release_at: Option<Timestamp>,
    /// When it should be ready.
    pub ready_eta: Option<Timestamp>,
    /// When the courier should have it.
    pub pickup_eta: Option<Timestamp>,
    /// When it should be delivered.
    pub dropoff_eta: Option<Timestamp>,
    /// The early end of the delivery estimate.
    pub dropoff_eta_lo: Option<Timestamp>,
    /// The late end of the delivery estimate.
    pub dropoff_eta_hi: Option<Timestamp>,
    /// When whoever brings it back should be at the store; absent before it was turned back.
    pub return_eta: Option<Timestamp>,
    /// Who said the times before it; absent before anybody has.
    pub eta_source: Option<EtaSource>,
    /// When that was.
    pub eta_at: Option<Timestamp>,
    /// How its courier is searched for.
    pub search: Search,
    /// Where it comes in its courier's tour.
    pub route: Route,
    /// What has been told of it already.
    pub told: Vec<Notice>,
    /// Why it ended badly, or is on its way back.
    pub reason: Option<Reason>,
    /// Who asked for the status it is in; tells a repeat from a conflict.
    pub status_by: Actor,
    /// The platform's own data.
    pub meta: serde_json::Value,
    /// When all that is personal in it was erased.
    pub erased_at: Option<Timestamp>,
    /// How it goes its way by itself; `None` when it does not.
    pub robo: Option<Robo>,
}

/// A store.
#[derive(Debug, Clone, PartialEq)]
pub struct Store {
    /// Which one.
    pub id: StoreId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The platform's own name for it, unique within the tenant.
    pub external_id: String,
    /// What people call it.
    pub name: String,
    /// Its door.
    pub place: Place,
    /// An IANA time zone name, as in `Europe/Berlin`.
    pub tz: String,
    /// Its phone.
    pub phone: Option<String>,
    /// Whether placed orders are accepted by the system.
    pub auto_accept: bool,
    /// Minutes of preparation when nobody says, 0 to 240.
    pub default_prep_min: i32,
    /// Takes no new orders until then.
    pub paused_until: Option<Timestamp>,
}

/// A courier's vehicle.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Vehicle {
    /// `bicycle`, `scooter`, `car`, or what the platform calls it.
    pub kind: String,
    /// Maker and model.
    pub make: Option<String>,
    /// Colour.
    pub colour: Option<String>,
    /// Number plate.
    pub plate: Option<String>,
}

words! {
    /// Whether a courier works.
    Duty "duty" {
        /// Not at work.
        Off "off",
        /// At work, takes orders.
        On "on",
        /// At work, takes no further orders.
        Paused "paused",
    }
}

/// A courier.
#[derive(Debug, Clone, PartialEq)]
pub struct Driver {
    /// Which one.
    pub id: DriverId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The platform's own name for it, unique within the tenant.
    pub external_id: String,
    /// Full name.
    pub name: String,
    /// What customers see: first name and initial.
    pub display_name: String,
    /// Phone, in full; views mask it.
    pub phone: Option<String>,
    /// What it rides.
    pub vehicle: Vehicle,
    /// Whether it works.
    pub duty: Duty,
    /// How many orders it carries at once, 1 or more.
    pub capacity: i32,
}

/// A tenant's rules, as far as the machine needs them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TenantRules {
    /// How long a store may think about an order.
    pub accept_window: std::time::Duration,
    /// The last status in which a customer may still cancel.
    pub customer_cancel_until: Status,
    /// How couriers are searched for.
    pub offers: OfferRules,
    /// Whether new orders go their way by themselves.
    pub robo: bool,
}
