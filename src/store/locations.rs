//! Where couriers were last heard of. Outside the log: the newest is enough, and may be lost.

use jiff::Timestamp;
use uuid::Uuid;

use super::{Database, Error, statement};
use crate::domain::{DriverId, OrderId, Place, TenantId};

/// Squares of this many degrees make the grid on which couriers near a store are found.
const CELL: f64 = 0.05;
/// Squares around the earth.
const COLUMNS: i32 = 7_200;

/// Where a courier is, as its device says.
#[derive(Debug, Clone, PartialEq)]
pub struct Location {
    /// The device's number of the point.
    pub n: i64,
    /// When it was there, by the device.
    pub at: Timestamp,
    /// Where.
    pub place: Place,
    /// Metres by which that may be wrong.
    pub accuracy_m: Option<f32>,
    /// Degrees clockwise from north.
    pub heading: Option<f32>,
    /// Metres a second.
    pub speed: Option<f32>,
    /// What is left in the device: 0 to 1.
    pub battery: Option<f32>,
}

/// The square that a place is in.
fn cell(place: Place) -> i32 {
    #[expect(clippy::cast_possible_truncation, reason = "at most 3,600 and 7,200")]
    let square = |degrees: f64| (degrees / CELL).floor() as i32;
    square(place.lat + 90.0) * COLUMNS + square(place.lng + 180.0)
}

impl Database {
    /// Notes where a courier is, unless something newer is known; the open orders that it seems to
    /// be about to arrive with.
    pub async fn note_location(
        &self,
        tenant: TenantId,
        driver: DriverId,
        location: &Location,
    ) -> Result<Vec<OrderId>, Error> {
        let client = self.reading().await?;
        let statement = statement::UPSERT_LOCATIONS.prepare(&client).await?;
        let place = location.place;
        let (drivers, tenants) = (vec![driver.uuid()], vec![tenant.uuid()]);
        let (ns, ats, cells) = (vec![location.n], vec![location.at], vec![cell(place)]);
        let (lats, lngs) = (vec![place.lat], vec![place.lng]);
        let (accs, headings) = (vec![location.accuracy_m], vec![location.heading]);
        let (speeds, batteries) = (vec![location.speed], vec![location.battery]);
        let parameters: &[&(dyn postgres_types::ToSql + Sync)] = &[
            &drivers, &tenants, &ns, &ats, &lats, &lngs, &accs, &headings, &speeds, &batteries,
            &cells,
        ];
        let rows = client.query(&statement, parameters).await?;
        let orders =
            rows.iter().map(|row| Ok(OrderId::from_uuid(row.try_get::<_, Uuid>("order_id")?)));
        orders.collect()
    }
}
