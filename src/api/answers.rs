//! Schemas of what is answered: pages, tokens, webhooks, problems. Of orders, stores, couriers and
//! events [`crate::view::schema`] has them.
//!
//! The types of this file are never made: answers are built as JSON, beside what they show. The
//! behaviour tests hold every answer against them.

use utoipa::ToSchema;

use crate::view::schema::event::By;
use crate::view::schema::{
    Action, BatchId, CredentialId, Driver, Event, EventId, Leg, LinkToken, Location, Offer,
    OfferData, Order, OrderId, Store, Time, WebhookId,
};
use crate::view::schema::{PictureType, Place, ProofId, ProofKind, ProofPoint};

/// A page of orders, newest first.
#[derive(ToSchema)]
pub struct OrdersPage {
    /// The orders.
    pub orders: Vec<Order>,
    /// The `cursor` of the next page; null when this is the last.
    #[schema(required)]
    pub next: Option<String>,
}

/// A page of stores.
#[derive(ToSchema)]
pub struct StoresPage {
    /// The stores.
    pub stores: Vec<Store>,
    /// The `cursor` of the next page; null when this is the last.
    #[schema(required)]
    pub next: Option<String>,
}

/// A page of couriers.
#[derive(ToSchema)]
pub struct DriversPage {
    /// The couriers.
    pub drivers: Vec<Driver>,
    /// The `cursor` of the next page; null when this is the last.
    #[schema(required)]
    pub next: Option<String>,
}

/// A page of a courier's way, the oldest point first.
#[derive(ToSchema)]
pub struct TrailPage {
    /// The points.
    pub points: Vec<Location>,
    /// The `cursor` of the next page; null when this is the last.
    #[schema(required)]
    pub next: Option<String>,
}

/// A page of events, in the order of the log.
#[derive(ToSchema)]
pub struct EventsPage {
    /// The identity of the log: positions of another mean nothing here.
    pub epoch: String,
    /// The events.
    pub events: Vec<Event>,
    /// The `after` of the next page.
    #[schema(minimum = 0)]
    pub next: u64,
}

/// Offers of an order, the latest first.
#[derive(ToSchema)]
pub struct OffersPage {
    /// The offers.
    pub offers: Vec<Offer>,
}

/// What a courier is asked now.
#[derive(ToSchema)]
pub struct AskedPage {
    /// The offers, as the courier sees them.
    pub offers: Vec<OfferData>,
}

/// What an answer to an offer came to: the order that was accepted, or the offer that was declined.
#[derive(ToSchema)]
#[expect(clippy::large_enum_variant, reason = "only a schema")]
#[serde(untagged)]
pub enum OfferAnswer {
    /// It was accepted.
    Accepted(Order),
    /// It was declined.
    Declined(OfferData),
}

/// A courier's tour.
#[derive(ToSchema)]
pub struct Tour {
    /// The tour; null when it has no stops.
    #[schema(required)]
    pub batch: Option<BatchId>,
    /// Its stops, the first first.
    pub orders: Vec<Stop>,
}

/// Where an order comes in a tour.
#[derive(ToSchema)]
pub struct Stop {
    /// The order.
    pub id: OrderId,
    /// Its version.
    #[schema(minimum = 1)]
    pub version: i64,
    /// Where in the tour it comes.
    #[schema(required)]
    pub stop_seq: Option<i32>,
    /// Stops of the tour before it.
    pub stops_before: i32,
}

/// What became of many orders, in the order of the items.
#[derive(ToSchema)]
pub struct BulkResults {
    /// One for each.
    pub results: Vec<BulkResult>,
}

/// What became of one of many: it has an `order`, or a `problem`.
#[derive(ToSchema)]
pub struct BulkResult {
    /// The status that it would have been answered with by itself; not over a socket.
    #[schema(required = false)]
    pub status: u16,
    /// The order as it is now.
    #[schema(required = false)]
    pub order: Order,
    /// Whether it was made just now.
    #[schema(required = false)]
    pub created: bool,
    /// Whether its key was answered like this before, and nothing was done this time.
    #[schema(required = false)]
    pub replayed: bool,
    /// Why it was not done.
    #[schema(required = false)]
    pub problem: ItemProblem,
}

/// Why one of many was not done.
#[derive(ToSchema)]
pub struct ItemProblem {
    /// Always `about:blank`; not over a socket.
    #[schema(rename = "type", required = false)]
    pub kind: String,
    /// The name of the HTTP status; not over a socket.
    #[schema(required = false)]
    pub title: String,
    /// Where the order stands, when a change of it was refused; else the HTTP status, or over a
    /// socket nothing.
    #[schema(schema_with = status, required = false)]
    pub status: String,
    /// The word to act upon.
    pub code: String,
    /// A sentence for people.
    pub detail: String,
    /// The fields at fault.
    #[schema(required = false)]
    pub fields: Vec<FieldAtFault>,
    /// Where the courier of the order stands.
    #[schema(required = false)]
    pub leg: Leg,
    /// The order's version.
    #[schema(required = false)]
    pub version: i64,
    /// What the caller may do to the order as it stands.
    #[schema(required = false)]
    pub allowed: Vec<Action>,
}

/// A proof of a hand-over, as the caller may see it.
#[derive(ToSchema)]
pub struct OrderProof {
    /// Its identifier.
    pub id: ProofId,
    /// The order that it is of.
    pub order: OrderId,
    /// Of which hand-over.
    pub point: ProofPoint,
    /// What it is.
    pub kind: ProofKind,
    /// When it was recorded.
    pub at: Time,
    /// What its picture is, if that is kept here.
    #[schema(required = false)]
    pub content_type: PictureType,
    /// Bytes of that picture.
    #[schema(required = false, minimum = 1)]
    pub bytes: u64,
    /// Where it is, if it is kept elsewhere; for who may look at it.
    #[schema(required = false)]
    pub url: String,
    /// The path of its picture, if that is kept here; for who may look at it.
    #[schema(required = false)]
    pub href: String,
    /// The attempt at delivering that it is of; not for customers.
    #[schema(required = false)]
    pub attempt: i32,
    /// When it was made by the device; not for customers.
    #[schema(required = false)]
    pub occurred_at: Time,
    /// Who handed it in; not for customers.
    #[schema(required = false)]
    pub by: By,
    /// The text of a scanned code, or another reference; for dispatchers and the platform.
    #[schema(rename = "ref", required = false)]
    pub reference: String,
    /// Where the device was; for dispatchers and the platform.
    #[schema(required = false)]
    pub place: Place,
    /// The order's version; to who hands it in.
    #[schema(required = false, minimum = 1)]
    pub version: i64,
}

/// An order's proofs that the caller may look at, the oldest first.
#[derive(ToSchema)]
pub struct ProofsPage {
    /// The proofs.
    pub proofs: Vec<OrderProof>,
}

/// A tracking link.
#[derive(ToSchema)]
pub struct Link {
    /// What it is revoked by.
    pub id: CredentialId,
    /// What it shows.
    pub order: OrderId,
    /// Hours that it lasts after the order's end.
    #[schema(minimum = 1)]
    pub ttl_h: u64,
    /// When it ends; null while the order goes on.
    #[schema(required)]
    pub ends_at: Option<Time>,
    /// When it was made.
    pub created_at: Time,
    /// Its token, to who makes it.
    #[schema(required = false)]
    pub token: LinkToken,
    /// The path of its page, to who makes it.
    #[schema(required = false)]
    pub url: String,
}

/// An order's tracking links.
#[derive(ToSchema)]
pub struct LinksPage {
    /// The links.
    pub links: Vec<Link>,
}

/// What was made of points.
#[derive(ToSchema)]
pub struct Noted {
    /// The highest number among those that are known by now.
    #[schema(required)]
    pub n: Option<i64>,
    /// How many make no sense, or were known before.
    #[schema(minimum = 0)]
    pub refused: u64,
    /// How many were more than may be told now: the oldest of them. They are not known.
    #[schema(required = false, minimum = 1)]
    pub dropped: u64,
}

/// A token. It is shown here and never again.
#[derive(ToSchema)]
pub struct Token {
    /// What it is revoked by.
    pub id: CredentialId,
    /// The token.
    pub token: String,
    /// Whom it speaks for.
    pub kind: super::tokens::TokenKind,
    /// Which one.
    pub subject: String,
    /// When it ends.
    pub expires_at: Time,
    /// The only channel that it opens.
    #[schema(required = false)]
    pub channel: String,
}

/// A webhook.
#[derive(ToSchema)]
pub struct Webhook {
    /// Its identifier.
    pub id: WebhookId,
    /// Where it is posted to.
    pub url: String,
    /// The types of events that it wants; null for all.
    #[schema(required)]
    pub types: Option<Vec<String>>,
    /// Whether anything is posted.
    pub state: super::webhooks::State,
    /// Why nothing is posted: `asked`, `gone`, `failing` or `cursor_too_old`.
    #[schema(required)]
    pub reason: Option<String>,
    /// Since when nothing is posted.
    #[schema(required)]
    pub disabled_at: Option<Time>,
    /// The position of the last event that was posted, or passed over.
    #[schema(minimum = 0)]
    pub position: u64,
    /// How often the next event was posted in vain.
    #[schema(minimum = 0)]
    pub failures: i32,
    /// Since when it fails.
    #[schema(required)]
    pub failing_since: Option<Time>,
    /// When it is tried again.
    #[schema(required)]
    pub next_try_at: Option<Time>,
    /// Until when the old secret signs as well.
    #[schema(required)]
    pub prior_secret_until: Option<Time>,
    /// When it was made.
    pub created_at: Time,
    /// Its secret; only when it is made or rotated.
    #[schema(required = false)]
    pub secret: String,
}

/// A page of webhooks.
#[derive(ToSchema)]
pub struct WebhooksPage {
    /// The webhooks.
    pub webhooks: Vec<Webhook>,
    /// The `cursor` of the next page; null when this is the last.
    #[schema(required)]
    pub next: Option<String>,
}

/// One letter to a webhook.
#[derive(ToSchema)]
pub struct Attempt {
    /// Its number.
    #[schema(minimum = 1)]
    pub n: i64,
    /// The event that it carried.
    pub event: EventId,
    /// That event's position; null for a ping.
    #[schema(required)]
    pub position: Option<u64>,
    /// What came of it.
    pub outcome: String,
    /// The status of the answer, if there was one.
    #[schema(required)]
    pub status: Option<u16>,
    /// How long it took, in milliseconds.
    #[schema(minimum = 0)]
    pub duration_ms: u64,
    /// When it was posted.
    pub at: Time,
}

/// A page of letters, newest first.
#[derive(ToSchema)]
pub struct AttemptsPage {
    /// The letters.
    pub attempts: Vec<Attempt>,
    /// The `cursor` of the next page; null when this is the last.
    #[schema(required)]
    pub next: Option<String>,
}

/// What came of a ping.
#[derive(ToSchema)]
pub struct Ping {
    /// The event that it carried, which is none of the log.
    pub event: EventId,
    /// What came of it.
    pub outcome: String,
    /// The status of the answer, if there was one.
    #[schema(required)]
    pub status: Option<u16>,
    /// How long it took, in milliseconds.
    #[schema(minimum = 0)]
    pub duration_ms: u64,
}

/// The process answers.
#[derive(ToSchema)]
pub struct Alive {
    /// `ok`.
    pub status: String,
}

/// The process can do its work.
#[derive(ToSchema)]
pub struct Ready {
    /// `ready`.
    pub status: String,
    /// The identity of the log.
    pub epoch: String,
    /// The newest position of the log.
    #[schema(minimum = 0)]
    pub position: u64,
    /// Events that this process has not published yet.
    #[schema(minimum = 0)]
    pub lag: u64,
}

/// Why something was not done.
#[derive(ToSchema)]
#[schema(as = Problem)]
pub struct ProblemAnswer {
    /// Always `about:blank`: `code` is what tells.
    #[schema(rename = "type")]
    pub kind: String,
    /// The name of the HTTP status.
    pub title: String,
    /// Where the order stands, when a change of it was refused; else the HTTP status.
    #[schema(schema_with = status)]
    pub status: String,
    /// The word to act upon.
    pub code: String,
    /// A sentence for people.
    pub detail: String,
    /// What to name when asking us about it.
    pub request_id: String,
    /// The fields at fault.
    #[schema(required = false)]
    pub fields: Vec<FieldAtFault>,
    /// Where the courier of the order stands; not for customers.
    #[schema(required = false)]
    pub leg: Leg,
    /// The order's version.
    #[schema(required = false)]
    pub version: i64,
    /// What the caller may do to the order as it stands.
    #[schema(required = false)]
    pub allowed: Vec<Action>,
}

/// A field at fault.
#[derive(ToSchema)]
pub struct FieldAtFault {
    /// Its path in the body, or the name of a parameter or header.
    pub field: String,
    /// What is wrong with it.
    pub detail: String,
}

/// A word or a number: see [`ProblemAnswer::status`].
fn status() -> utoipa::openapi::Schema {
    use utoipa::PartialSchema as _;
    use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, SchemaType, Type};

    let number = ObjectBuilder::new()
        .schema_type(SchemaType::new(Type::Integer))
        .minimum(Some(400))
        .maximum(Some(599));
    OneOfBuilder::new().item(crate::view::schema::Status::schema()).item(number).build().into()
}
