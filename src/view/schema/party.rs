//! Schemas of stores and couriers.

use utoipa::ToSchema;

use super::{DriverId, Duty, Location, StoreId, Time};

/// A store in full: for itself, dispatchers and the platform.
#[derive(ToSchema)]
pub struct Store {
    /// Its identifier.
    pub id: StoreId,
    /// The platform's name for it.
    pub external_id: String,
    /// How it is called.
    pub name: String,
    /// Latitude, WGS84 degrees.
    pub lat: f64,
    /// Longitude, WGS84 degrees.
    pub lng: f64,
    /// Its IANA time zone.
    pub tz: String,
    /// Its phone.
    #[schema(required = false)]
    pub phone: String,
    /// Whether orders are accepted without anyone being asked.
    pub auto_accept: bool,
    /// Minutes of preparation where nothing else is said.
    pub default_prep_min: i32,
    /// It takes no orders until then.
    #[schema(required = false)]
    pub paused_until: Time,
}

/// The store of an order. Customers are not shown its `id`.
#[derive(ToSchema)]
pub struct StoreOfOrder {
    /// Its identifier.
    #[schema(required = false)]
    pub id: StoreId,
    /// How it is called.
    pub name: String,
    /// Latitude, WGS84 degrees; not by a link to what is over.
    #[schema(required = false)]
    pub lat: f64,
    /// Longitude, WGS84 degrees; not by a link to what is over.
    #[schema(required = false)]
    pub lng: f64,
    /// Its IANA time zone.
    pub tz: String,
    /// Its phone.
    #[schema(required = false)]
    pub phone: String,
}

/// A courier in full: for itself, dispatchers and the platform.
#[derive(ToSchema)]
pub struct Driver {
    /// Its identifier.
    pub id: DriverId,
    /// The platform's name for it.
    pub external_id: String,
    /// Its full name.
    pub name: String,
    /// How stores and customers see it called.
    pub display_name: String,
    /// Its phone.
    #[schema(required = false)]
    pub phone: String,
    /// What it rides.
    pub vehicle: Vehicle,
    /// Whether it takes orders.
    pub duty: Duty,
    /// How many orders it may have at once.
    pub capacity: i32,
    /// Where it was last heard of; where couriers are looked for by that.
    #[schema(required = false)]
    pub location: Location,
    /// Metres from the place asked for.
    #[schema(required = false, minimum = 0)]
    pub distance_m: i32,
    /// Seconds since it was heard of.
    #[schema(required = false, minimum = 0)]
    pub age_s: i64,
    /// Whether that is too long for its place to be believed.
    #[schema(required = false)]
    pub stale: bool,
}

/// The courier of an order. Stores and customers are shown what it is called as its `name`, and
/// the end of its phone only while it may be needed.
#[derive(ToSchema)]
pub struct Courier {
    /// Its identifier; not for customers.
    #[schema(required = false)]
    pub id: DriverId,
    /// Its name.
    pub name: String,
    /// How stores and customers see it called.
    #[schema(required = false)]
    pub display_name: String,
    /// Its phone.
    #[schema(required = false)]
    pub phone: String,
    /// What it rides.
    pub vehicle: Vehicle,
}

/// What a courier rides.
#[derive(ToSchema)]
pub struct Vehicle {
    /// What it is, as `bike` or `scooter`.
    #[schema(rename = "type")]
    pub kind: String,
    /// Who made it.
    #[schema(required = false)]
    pub make: String,
    /// Its colour.
    #[schema(required = false)]
    pub colour: String,
    /// Its number plate.
    #[schema(required = false)]
    pub plate: String,
}
