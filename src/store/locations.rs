//! Where couriers were last heard of, and what they are about. Outside the log and its
//! transactions, on a connection of its own: the newest is enough, and may be lost.

use std::collections::{BTreeSet, HashMap};

use deadpool_postgres::ClientWrapper;
use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use super::log::unsigned;
use super::record::DriverRecord;
use super::{Database, Error, read, statement};
use crate::domain::{
    Driver, DriverId, Errand, Leg, Location, OrderId, Place, Status, StoreId, TenantId, Word as _,
};

/// Squares of this many degrees make the grid on which couriers near a store are found.
const CELL: f64 = 0.05;
/// Squares around the earth.
const COLUMNS: i32 = 7_200;
/// Metres of one degree of latitude.
const DEGREE_M: f64 = 111_195.0;

/// Where a courier was last heard of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Heard {
    /// Who.
    pub driver: DriverId,
    /// Where.
    pub location: Location,
    /// When that was heard.
    pub heard_at: Timestamp,
}

/// A courier who is near a place.
#[derive(Debug, Clone)]
pub struct Near {
    /// Who.
    pub driver: Driver,
    /// How far from the place, in metres.
    pub distance_m: i32,
    /// Where it was last heard of.
    pub heard: Heard,
    /// Seconds since then.
    pub age_s: f64,
}

/// An open order of a courier, and what the courier is about to arrive at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OpenErrand {
    /// The order.
    pub errand: Errand,
    /// The store or the door, if its arrival there is yet to be told.
    pub target: Option<Place>,
}

/// What a courier has to do.
#[derive(Debug, Clone, Default)]
pub struct Errands {
    /// What it rides.
    pub vehicle: String,
    /// Its open orders.
    pub open: Vec<OpenErrand>,
}

/// The square that a place is in.
fn cell(place: Place) -> i32 {
    line(place.lat) * COLUMNS + column(place.lng)
}

#[expect(clippy::cast_possible_truncation, reason = "at most 3,600")]
fn line(lat: f64) -> i32 {
    ((lat + 90.0) / CELL).floor() as i32
}

#[expect(clippy::cast_possible_truncation, reason = "at most 7,200")]
fn column(lng: f64) -> i32 {
    ((lng + 180.0) / CELL).floor() as i32
}

/// The squares that reach at least `radius_m` around a place.
fn cells(place: Place, radius_m: f64) -> Vec<i32> {
    let north = radius_m / DEGREE_M;
    // Degrees of longitude are shorter away from the equator; at a pole all of them are near.
    let widest = place.lat.abs() + north;
    let east = if widest < 90.0 { (north / widest.to_radians().cos()).min(180.0) } else { 180.0 };
    let lines = line((place.lat - north).max(-90.0))..=line((place.lat + north).min(90.0));
    let columns = column(place.lng - east)..=column(place.lng + east);
    let squares = lines.flat_map(|line| {
        // Across the date line it goes on at the other side.
        columns.clone().map(move |column| line * COLUMNS + column.rem_euclid(COLUMNS))
    });
    squares.collect::<BTreeSet<i32>>().into_iter().collect()
}

impl Database {
    /// Notes where couriers are, unless something newer is known of them. Who is not there is
    /// left out.
    pub async fn note_locations(
        &self,
        points: &[(TenantId, DriverId, Location)],
    ) -> Result<(), Error> {
        let client = self.locating.get().await?;
        let statement = statement::UPSERT_LOCATIONS.prepare(&client).await?;
        let of = |value: fn(&Location) -> Option<f32>| -> Vec<Option<f32>> {
            points.iter().map(|(_, _, location)| value(location)).collect()
        };
        let drivers: Vec<Uuid> = points.iter().map(|(_, driver, _)| driver.uuid()).collect();
        let tenants: Vec<Uuid> = points.iter().map(|(tenant, _, _)| tenant.uuid()).collect();
        let ns: Vec<i64> = points.iter().map(|(_, _, location)| location.n).collect();
        let ats: Vec<Timestamp> = points.iter().map(|(_, _, location)| location.at).collect();
        let lats: Vec<f64> = points.iter().map(|(_, _, location)| location.place.lat).collect();
        let lngs: Vec<f64> = points.iter().map(|(_, _, location)| location.place.lng).collect();
        let cells: Vec<i32> = points.iter().map(|(_, _, location)| cell(location.place)).collect();
        let (accs, headings) = (of(|it| it.accuracy_m), of(|it| it.heading));
        let (speeds, batteries) = (of(|it| it.speed), of(|it| it.battery));
        let parameters: &[&(dyn postgres_types::ToSql + Sync)] = &[
            &drivers, &tenants, &ns, &ats, &lats, &lngs, &accs, &headings, &speeds, &batteries,
            &cells,
        ];
        client.execute(&statement, parameters).await?;
        Ok(())
    }

    /// What these couriers have to do, and the position of the log at which that is so. Who is
    /// not there is not in it.
    pub async fn list_errands(
        &self,
        couriers: &[(TenantId, DriverId)],
    ) -> Result<(u64, HashMap<DriverId, Errands>), Error> {
        list_errands(&*self.locating.get().await?, couriers).await
    }

    /// The same for a reader, who does not wait for what is written meanwhile.
    pub async fn find_errands(
        &self,
        tenant: TenantId,
        driver: DriverId,
    ) -> Result<Option<Errands>, Error> {
        let client = self.reading().await?;
        let (_position, mut found) = list_errands(&client, &[(tenant, driver)]).await?;
        Ok(found.remove(&driver))
    }

    /// Tells the other processes where couriers are; each payload is shorter than 8,000 bytes, as
    /// PostgreSQL demands.
    pub async fn notify_locations(&self, payloads: &[String]) -> Result<(), Error> {
        let client = self.locating.get().await?;
        let statement = statement::NOTIFY_LOCATIONS.prepare(&client).await?;
        client.query(&statement, &[/* payloads */ &payloads]).await?;
        Ok(())
    }

    /// Where these couriers of a tenant were last heard of.
    pub async fn find_locations(
        &self,
        tenant: TenantId,
        drivers: &[DriverId],
    ) -> Result<Vec<Heard>, Error> {
        let drivers: Vec<Uuid> = drivers.iter().map(|driver| driver.uuid()).collect();
        let rows = read!(self, FIND_LOCATIONS, &tenant.uuid(), &drivers);
        rows.iter().map(|row| heard(DriverId::from_uuid(row.try_get("driver_id")?), row)).collect()
    }

    /// Where the couriers of a tenant were last heard of, if that was within `age`; at most
    /// `limit`.
    pub async fn list_locations(
        &self,
        tenant: TenantId,
        age: std::time::Duration,
        limit: u32,
    ) -> Result<Vec<Heard>, Error> {
        let (age_s, limit) = (age.as_secs_f64(), i64::from(limit));
        let rows = read!(self, LIST_LOCATIONS, &tenant.uuid(), &age_s, &limit);
        rows.iter().map(|row| heard(DriverId::from_uuid(row.try_get("driver_id")?), row)).collect()
    }

    /// The couriers of a tenant that were last heard of within `radius_m` of a place, the nearest
    /// first; at most `limit`.
    pub async fn list_near_drivers(
        &self,
        tenant: TenantId,
        place: Place,
        radius_m: f64,
        limit: u32,
    ) -> Result<Vec<Near>, Error> {
        let (cells, limit) = (cells(place, radius_m), i64::from(limit));
        let (lat, lng) = (place.lat, place.lng);
        let rows =
            read!(self, LIST_NEAR_DRIVERS, &tenant.uuid(), &cells, &lat, &lng, &radius_m, &limit);
        let near = rows.iter().map(|row| {
            let driver = Driver::try_from(row.try_get::<_, DriverRecord>("driver")?)?;
            let heard = heard(driver.id, row)?;
            let (distance_m, age_s) = (row.try_get("distance_m")?, row.try_get("age_s")?);
            Ok(Near { driver, distance_m, heard, age_s })
        });
        near.collect()
    }
}

async fn list_errands(
    client: &ClientWrapper,
    couriers: &[(TenantId, DriverId)],
) -> Result<(u64, HashMap<DriverId, Errands>), Error> {
    let statement = statement::LIST_ERRANDS.prepare(client).await?;
    let drivers: Vec<Uuid> = couriers.iter().map(|(_, driver)| driver.uuid()).collect();
    let tenants: BTreeSet<Uuid> = couriers.iter().map(|(tenant, _)| tenant.uuid()).collect();
    let tenants: Vec<Uuid> = tenants.into_iter().collect();
    let rows = client.query(&statement, &[&drivers, &tenants]).await?;
    let mut position = 0;
    let mut found: HashMap<DriverId, Errands> = HashMap::new();
    for row in &rows {
        position = unsigned(row.try_get("position")?);
        let Some(driver) = row.try_get::<_, Option<Uuid>>("driver_id")? else { continue };
        let its = found.entry(DriverId::from_uuid(driver)).or_default();
        its.vehicle = row.try_get::<_, Option<String>>("vehicle")?.unwrap_or_default();
        if let Some(order) = row.try_get::<_, Option<Uuid>>("order_id")? {
            its.open.push(open_errand(OrderId::from_uuid(order), row)?);
        }
    }
    Ok((position, found))
}

fn open_errand(order: OrderId, row: &Row) -> Result<OpenErrand, Error> {
    let errand = Errand {
        order,
        store: StoreId::from_uuid(row.try_get("store_id")?),
        status: Status::find(row.try_get("status")?)?,
        leg: Leg::find(row.try_get("leg")?)?,
        toured: row.try_get("toured")?,
        stops_before: row.try_get("stops_before")?,
    };
    let (lat, lng): (Option<f64>, Option<f64>) =
        (row.try_get("near_lat")?, row.try_get("near_lng")?);
    Ok(OpenErrand { errand, target: lat.zip(lng).map(|(lat, lng)| Place { lat, lng }) })
}

pub(super) fn heard(driver: DriverId, row: &Row) -> Result<Heard, Error> {
    let location = Location {
        n: row.try_get("n")?,
        at: row.try_get("at")?,
        place: Place { lat: row.try_get("lat")?, lng: row.try_get("lng")? },
        accuracy_m: row.try_get("acc_m")?,
        heading: row.try_get("heading")?,
        speed: row.try_get("speed")?,
        battery: row.try_get("battery")?,
    };
    Ok(Heard { driver, location, heard_at: row.try_get("recv_at")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_squares_around_a_place_hold_whatever_is_that_near() {
        for (lat, lng) in [(52.52, 13.4), (-33.9, 179.99), (0.0, -180.0), (89.95, 0.0)] {
            let place = Place { lat, lng };
            let around = cells(place, 2_000.0);
            assert!(around.contains(&cell(place)), "{lat} {lng}");
            let east = 2_000.0 / DEGREE_M / lat.to_radians().cos();
            for (north, east) in [(0.0, east), (0.0, -east), (2_000.0 / DEGREE_M, 0.0)] {
                let lng = (lng + east + 540.0).rem_euclid(360.0) - 180.0;
                let other = Place { lat: (lat + north * 0.99).min(90.0), lng };
                assert!(around.contains(&cell(other)), "{lat} {lng} {other:?}");
            }
        }
        assert!(cells(Place { lat: 52.5, lng: 13.4 }, 50_000.0).len() < 1_000);
    }
}
