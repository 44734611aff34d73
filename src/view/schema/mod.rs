//! What the views look like, for those who read it in a document rather than see it happen: the
//! schemas of `OpenAPI` and `AsyncAPI`.
//!
//! The types of this folder are never made. The views themselves are built member by member, each
//! for its audience; a schema says what any audience may find, so a member that one of them is
//! not shown is optional. The behaviour tests hold every answer and every frame against them.

pub mod data;
pub mod event;
pub mod offer;
pub mod order;
pub mod party;
pub mod snapshot;
pub mod tenant;

pub use event::{Event, EventSchema, events};
pub use offer::{Offer, OfferData};
pub use order::{Dropoff, Item, Order, Reason, Required, Search, Stamps, Step, Window};
pub use party::{Courier, Driver, Store, StoreOfOrder, Vehicle};
pub use snapshot::{DriverSnapshot, OrderSnapshot, OrdersSnapshot, StoreSnapshot};
pub use tenant::Tenant;

use std::borrow::Cow;

use utoipa::openapi::schema::{
    AdditionalProperties, KnownFormat, ObjectBuilder, SchemaFormat, SchemaType, Type,
};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::{self, Word};

/// Schemas of their own for texts of a certain form.
macro_rules! texts {
    ($($(#[doc = $doc:literal])+ $name:ident = $schema:expr;)+) => {$(
        $(#[doc = $doc])+
        pub enum $name {}
        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let doc = concat!($($doc, "\n"),+).trim();
                $schema.description(Some(doc)).build().into()
            }
        }
        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                stringify!($name).into()
            }
        }
    )+};
}

texts! {
    /// An order.
    OrderId = id::<domain::OrderId>("or");
    /// A store.
    StoreId = id::<domain::StoreId>("st");
    /// A courier.
    DriverId = id::<domain::DriverId>("dr");
    /// A courier, or `me` for the one who asks.
    DriverOrMe = text().pattern(Some("^(me|dr_[0-7][0-9a-hjkmnp-tv-z]{25})$"));
    /// An offer.
    OfferId = id::<domain::OfferId>("of");
    /// A courier's tour.
    BatchId = id::<domain::BatchId>("ba");
    /// A courier's answer to an offer.
    OfferVerb = text().enum_values(Some(["accept", "decline"]));
    /// How couriers are asked.
    OfferMode = words::<domain::OfferMode>();
    /// How couriers are asked by themselves, or that they are not.
    SearchMode = text().enum_values(Some(["one_by_one", "broadcast", "off"]));
    /// The last status in which a customer may cancel.
    CancelUntil =
        text().enum_values(Some(["scheduled", "placed", "accepted", "preparing", "ready"]));
    /// What became of an offer.
    OfferState = words::<domain::OfferState>();
    /// By whose word times are expected.
    EtaSource = words::<domain::EtaSource>();
    /// What is late.
    Late = text().enum_values(Some(domain::Notice::LATE.iter().map(|late| late.word())));
    /// An event.
    EventId = id::<domain::EventId>("ev");
    /// A token or API key.
    CredentialId = id::<domain::CredentialId>("cr");
    /// The token of a tracking link.
    LinkToken = text().pattern(Some("^tl_[0-9a-f]{64}$"));
    /// A webhook.
    WebhookId = id::<domain::WebhookId>("wh");
    /// A tenant.
    TenantId = id::<domain::TenantId>("tn");
    /// A moment in UTC, to the millisecond.
    Time = text()
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .pattern(Some(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$"));
    /// Where an order stands.
    Status = words::<domain::Status>();
    /// Where the courier of a delivery stands.
    Leg = words::<domain::Leg>();
    /// How an order reaches the customer.
    Fulfilment = words::<domain::Fulfilment>();
    /// What becomes of an order that cannot be handed over.
    Undeliverable = words::<domain::Undeliverable>();
    /// Why something was refused, called off or failed.
    ReasonCode = words::<domain::ReasonCode>();
    /// What proves a hand-over.
    ProofKind = words::<domain::ProofKind>();
    /// Of which hand-over a proof is.
    ProofPoint = words::<domain::ProofPoint>();
    /// What a picture that is kept here is.
    PictureType = words::<domain::PictureType>();
    /// A proof.
    ProofId = id::<domain::ProofId>("pf");
    /// What an actor is.
    Role = words::<domain::Role>();
    /// Whether a courier takes orders.
    Duty = words::<domain::Duty>();
    /// What may be done to an order.
    Action = words::<domain::Action>();
    /// Data of the platform's own: an object of at most 4096 bytes as JSON, without U+0000.
    Meta = ObjectBuilder::new()
        .schema_type(SchemaType::new(Type::Object))
        .additional_properties(Some(AdditionalProperties::FreeForm(true)));
}

/// A point on the map.
#[derive(ToSchema)]
pub struct Place {
    /// Latitude, WGS84 degrees.
    #[schema(minimum = -90, maximum = 90)]
    pub lat: f64,
    /// Longitude, WGS84 degrees.
    #[schema(minimum = -180, maximum = 180)]
    pub lng: f64,
}

/// What proved a hand-over.
#[derive(ToSchema)]
pub struct Proof {
    /// What it is.
    pub kind: ProofKind,
    /// Where it is: a URL, or a hash of what was shown.
    #[schema(rename = "ref")]
    pub reference: String,
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::new(Type::String))
}

/// The words of a closed list.
fn words<W: Word>() -> ObjectBuilder {
    text().enum_values(Some(W::WORDS.iter().copied()))
}

/// The text of an identifier; the prefix stands here as well, so that an example of another kind
/// does not compile into it unnoticed.
fn id<I: Default + ToString>(prefix: &str) -> ObjectBuilder {
    debug_assert!(I::default().to_string().starts_with(prefix), "{prefix} is another's");
    // 128 bits in groups of five: the first holds three.
    text().pattern(Some(format!("^{prefix}_[0-7][0-9a-hjkmnp-tv-z]{{25}}$")))
}
