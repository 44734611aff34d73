//! Where couriers were: kept only for tenants that want it, appended by COPY, dropped by age.

use std::collections::HashSet;
use std::pin::pin;

use jiff::Timestamp;
use postgres_types::{ToSql, Type};
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use uuid::Uuid;

use super::locations::{Heard, heard};
use super::{Database, Error, read, statement};
use crate::domain::{DriverId, Location, TenantId};

/// What appends. No file of its own: it has no plan and no parameters, and cannot be prepared.
const COPY: &str = "copy location_trail \
     (tenant_id, driver_id, n, at, lat, lng, acc_m, heading, speed, battery) from stdin binary";
/// Its columns.
const COLUMNS: [Type; 10] = [
    Type::UUID,
    Type::UUID,
    Type::INT8,
    Type::TIMESTAMPTZ,
    Type::FLOAT8,
    Type::FLOAT8,
    Type::FLOAT4,
    Type::FLOAT4,
    Type::FLOAT4,
    Type::FLOAT4,
];

impl Database {
    /// The tenants that want the ways of their couriers kept.
    pub async fn list_trailed_tenants(&self) -> Result<HashSet<TenantId>, Error> {
        let rows = read!(self, LIST_TRAILED_TENANTS,);
        rows.iter().map(|row| Ok(TenantId::from_uuid(row.try_get("id")?))).collect()
    }

    /// Where a courier of a tenant was, in order: after a point, its time and number, and before
    /// `to`; at most `limit` points.
    pub async fn list_trail(
        &self,
        tenant: TenantId,
        driver: DriverId,
        (at, n): (Timestamp, i64),
        to: Timestamp,
        limit: u32,
    ) -> Result<Vec<Heard>, Error> {
        let limit = i64::from(limit);
        let rows = read!(self, LIST_TRAIL, &tenant.uuid(), &driver.uuid(), &at, &n, &to, &limit);
        rows.iter().map(|row| heard(driver, row)).collect()
    }

    /// Makes room for what is to be appended in the next two hours, and drops what is older than
    /// it is kept.
    pub async fn keep_trails(&self) -> Result<(), Error> {
        let client = self.keeping.get().await?;
        let statement = statement::KEEP_TRAILS.prepare(&client).await?;
        let row = client.query_one(&statement, &[]).await?;
        let dropped: i32 = row.try_get("dropped")?;
        if dropped > 0 {
            tracing::info!(dropped, "hours of couriers' ways have been dropped");
        }
        Ok(())
    }

    /// Appends to the ways of couriers.
    pub async fn append_trail(
        &self,
        points: &[(TenantId, DriverId, Location)],
    ) -> Result<(), Error> {
        let client = self.locating.get().await?;
        let sink = client.copy_in(COPY).await?;
        let mut writer = pin!(BinaryCopyInWriter::new(sink, &COLUMNS));
        for (tenant, driver, location) in points {
            let (tenant, driver): (Uuid, Uuid) = (tenant.uuid(), driver.uuid());
            let Location { n, at, place, accuracy_m, heading, speed, battery } = location;
            let at: &Timestamp = at;
            let values: [&(dyn ToSql + Sync); 10] = [
                &tenant, &driver, n, at, &place.lat, &place.lng, accuracy_m, heading, speed,
                battery,
            ];
            writer.as_mut().write(&values).await?;
        }
        writer.finish().await?;
        Ok(())
    }
}
