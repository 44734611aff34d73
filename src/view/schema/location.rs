//! Schemas of where couriers are.

use utoipa::ToSchema;

use super::{DriverId, OrderId, Time};

/// Where a courier is. A lower or equal `n` of the same courier, or an earlier `at`, is a
/// repetition.
#[derive(ToSchema)]
pub struct Location {
    /// Who; not for customers.
    #[schema(required = false)]
    pub driver: DriverId,
    /// The device's number of the point.
    #[schema(minimum = 0)]
    pub n: i64,
    /// When it was there, by the device.
    pub at: Time,
    /// When that was heard; as part of a state.
    #[schema(required = false)]
    pub heard_at: Time,
    /// Latitude, WGS84 degrees.
    #[schema(minimum = -90, maximum = 90)]
    pub lat: f64,
    /// Longitude, WGS84 degrees.
    #[schema(minimum = -180, maximum = 180)]
    pub lng: f64,
    /// Metres by which it may be wrong.
    #[schema(required = false, minimum = 0)]
    pub acc: f64,
    /// Degrees clockwise from north.
    #[schema(required = false, minimum = 0, maximum = 360)]
    pub hdg: f64,
    /// Metres a second.
    #[schema(required = false, minimum = 0)]
    pub spd: f64,
    /// What is left in the device, 0 to 1; for the courier, dispatchers and the platform.
    #[schema(required = false, minimum = 0, maximum = 1)]
    pub bat: f64,
}

/// Where a courier is now. It is no event: a publication without an offset, which is in no log and
/// is not recovered.
#[derive(ToSchema)]
pub struct DriverLocation {
    /// The version of this form: 1.
    #[schema(minimum = 1, maximum = 1)]
    pub v: u8,
    /// `driver.location`.
    #[schema(rename = "type", pattern = "^driver\\.location$")]
    pub kind: String,
    /// The order whose channel it is published on.
    #[schema(required = false)]
    pub order: OrderId,
    /// When it was heard.
    pub at: Time,
    /// Where it is.
    pub data: Location,
}
