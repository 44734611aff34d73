//! Schemas of offers.

use utoipa::ToSchema;

use super::{DriverId, OfferId, OfferState, OrderId, Place, Time};

/// An offer as it stands, for dispatchers and the platform.
#[derive(ToSchema)]
pub struct Offer {
    /// Its identifier.
    pub offer: OfferId,
    /// What is to be brought.
    pub order: OrderId,
    /// Who is asked.
    pub driver: DriverId,
    /// What became of it.
    pub state: OfferState,
    /// In which round of the search.
    pub round: i32,
    /// When the courier was asked.
    pub sent_at: Time,
    /// Until when it may be accepted.
    pub expires_at: Time,
    /// When it was answered or ended.
    #[schema(required = false)]
    pub closed_at: Time,
    /// Metres from the courier to the store as it was sent.
    #[schema(required = false)]
    pub distance_m: i32,
}

/// An offer as the courier who is asked sees it: enough to say yes or no. Of one that is closed
/// only what became of it.
#[derive(ToSchema)]
pub struct OfferData {
    /// Its identifier.
    pub offer: OfferId,
    /// Who is asked; for dispatchers and the platform.
    #[schema(required = false)]
    pub driver: DriverId,
    /// What became of it.
    pub state: OfferState,
    /// In which round of the search.
    #[schema(required = false)]
    pub round: i32,
    /// When the courier was asked.
    #[schema(required = false)]
    pub sent_at: Time,
    /// Until when it may be accepted.
    #[schema(required = false)]
    pub expires_at: Time,
    /// Metres from the courier to the store as it was sent.
    #[schema(required = false)]
    pub distance_m: i32,
    /// Where it is fetched.
    #[schema(required = false)]
    pub pickup: Pickup,
    /// Where it goes.
    #[schema(required = false)]
    pub dropoff: Area,
    /// How many things.
    #[schema(required = false)]
    pub items: i64,
    /// Where the actor's device was; for dispatchers and the platform.
    #[schema(required = false)]
    pub place: Place,
}

/// Where an order is fetched.
#[derive(ToSchema)]
pub struct Pickup {
    /// The store.
    pub name: String,
    /// Latitude, WGS84 degrees.
    pub lat: f64,
    /// Longitude, WGS84 degrees.
    pub lng: f64,
    /// When it is expected to be ready.
    #[schema(required = false)]
    pub ready_eta: Time,
}

/// About where an order goes.
#[derive(ToSchema)]
pub struct Area {
    /// The address without street and number.
    #[schema(required = false)]
    pub area: String,
    /// Metres from the store to the door.
    pub distance_m: i32,
}
