//! Stores and couriers: seldom written, one statement each, no events.

use postgres_types::ToSql;

use super::record::{DriverRecord, StoreRecord};
use super::{Database, Error, query_planned, read, statement};
use crate::domain::{Driver, DriverId, Place, Store, StoreId, TenantId};

/// What to change of a store; `None` stays.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "the fields of domain::Store")]
pub struct StorePatch {
    pub name: Option<String>,
    pub place: Option<Place>,
    pub tz: Option<String>,
    pub phone: Option<String>,
    pub auto_accept: Option<bool>,
    pub default_prep_min: Option<i32>,
}

/// What to change of a courier; `None` stays.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "the fields of domain::Driver")]
pub struct DriverPatch {
    pub name: Option<String>,
    pub display_name: Option<String>,
    pub phone: Option<String>,
    pub vehicle_type: Option<String>,
    pub vehicle_make: Option<String>,
    pub vehicle_colour: Option<String>,
    pub vehicle_plate: Option<String>,
    pub capacity: Option<i32>,
}

fn store_of(row: &tokio_postgres::Row) -> Result<Store, Error> {
    let record: StoreRecord = row.try_get("store")?;
    Ok(record.into())
}

fn driver_of(row: &tokio_postgres::Row) -> Result<Driver, Error> {
    let record: DriverRecord = row.try_get("driver")?;
    Ok(record.try_into()?)
}

impl Database {
    /// Makes a store or brings the one with this external id up to date; true when made.
    pub async fn upsert_store(&self, store: &Store) -> Result<(Store, bool), Error> {
        let rows = read!(
            self,
            UPSERT_STORE,
            /* id */ &store.id.uuid(),
            /* tenant */ &store.tenant.uuid(),
            /* external_id */ &store.external_id,
            /* name */ &store.name,
            /* lat */ &store.place.lat,
            /* lng */ &store.place.lng,
            /* tz */ &store.tz,
            /* phone */ &store.phone,
            /* auto_accept */ &store.auto_accept,
            /* default_prep_min */ &store.default_prep_min,
        );
        match rows.first() {
            Some(row) => Ok((store_of(row)?, row.try_get("created")?)),
            None => Ok((store.clone(), false)),
        }
    }

    /// Changes what is given of a store.
    pub async fn update_store(
        &self,
        tenant: TenantId,
        id: StoreId,
        patch: &StorePatch,
    ) -> Result<Option<Store>, Error> {
        let rows = read!(
            self,
            UPDATE_STORE,
            /* tenant */ &tenant.uuid(),
            /* id */ &id.uuid(),
            /* name */ &patch.name,
            /* lat */ &patch.place.map(|place| place.lat),
            /* lng */ &patch.place.map(|place| place.lng),
            /* tz */ &patch.tz,
            /* phone */ &patch.phone,
            /* auto_accept */ &patch.auto_accept,
            /* default_prep_min */ &patch.default_prep_min,
        );
        rows.first().map(store_of).transpose()
    }

    /// One store.
    pub async fn find_store(&self, tenant: TenantId, id: StoreId) -> Result<Option<Store>, Error> {
        let rows =
            read!(self, FIND_STORE, /* tenant */ &tenant.uuid(), /* id */ &id.uuid());
        rows.first().map(store_of).transpose()
    }

    /// The tenant's stores after `after`, in order of their ids, at most `limit`.
    pub async fn list_stores(
        &self,
        tenant: TenantId,
        after: Option<StoreId>,
        external_id: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Store>, Error> {
        let client = self.reading().await?;
        let statement = statement::LIST_STORES.prepare(&client).await?;
        let parameters: &[&(dyn ToSql + Sync)] = &[
            /* tenant */ &tenant.uuid(),
            /* after */ &after.map(StoreId::uuid),
            /* external_id */ &external_id,
            /* limit */ &i64::from(limit),
        ];
        let rows = query_planned(&client, &statement, parameters).await?;
        rows.iter().map(store_of).collect()
    }

    /// The tenant's stores between these degrees: south, west, north, east; at most `limit`.
    pub async fn list_area_stores(
        &self,
        tenant: TenantId,
        [south, west, north, east]: [f64; 4],
        limit: u32,
    ) -> Result<Vec<StoreId>, Error> {
        let (tenant, limit) = (tenant.uuid(), i64::from(limit));
        let rows = read!(self, LIST_AREA_STORES, &tenant, &south, &west, &north, &east, &limit);
        rows.iter().map(|row| Ok(StoreId::from_uuid(row.try_get("id")?))).collect()
    }

    /// Makes a courier or brings the one with this external id up to date; true when made.
    pub async fn upsert_driver(&self, driver: &Driver) -> Result<(Driver, bool), Error> {
        let rows = read!(
            self,
            UPSERT_DRIVER,
            /* id */ &driver.id.uuid(),
            /* tenant */ &driver.tenant.uuid(),
            /* external_id */ &driver.external_id,
            /* name */ &driver.name,
            /* display_name */ &driver.display_name,
            /* phone */ &driver.phone,
            /* vehicle_type */ &driver.vehicle.kind,
            /* vehicle_make */ &driver.vehicle.make,
            /* vehicle_colour */ &driver.vehicle.colour,
            /* vehicle_plate */ &driver.vehicle.plate,
            /* capacity */ &driver.capacity,
        );
        match rows.first() {
            Some(row) => Ok((driver_of(row)?, row.try_get("created")?)),
            None => Ok((driver.clone(), false)),
        }
    }

    /// Changes what is given of a courier.
    pub async fn update_driver(
        &self,
        tenant: TenantId,
        id: DriverId,
        patch: &DriverPatch,
    ) -> Result<Option<Driver>, Error> {
        let rows = read!(
            self,
            UPDATE_DRIVER,
            /* tenant */ &tenant.uuid(),
            /* id */ &id.uuid(),
            /* name */ &patch.name,
            /* display_name */ &patch.display_name,
            /* phone */ &patch.phone,
            /* vehicle_type */ &patch.vehicle_type,
            /* vehicle_make */ &patch.vehicle_make,
            /* vehicle_colour */ &patch.vehicle_colour,
            /* vehicle_plate */ &patch.vehicle_plate,
            /* capacity */ &patch.capacity,
        );
        rows.first().map(driver_of).transpose()
    }

    /// One courier.
    pub async fn find_driver(
        &self,
        tenant: TenantId,
        id: DriverId,
    ) -> Result<Option<Driver>, Error> {
        let rows =
            read!(self, FIND_DRIVER, /* tenant */ &tenant.uuid(), /* id */ &id.uuid());
        rows.first().map(driver_of).transpose()
    }

    /// The tenant's couriers after `after`, in order of their ids, at most `limit`.
    pub async fn list_drivers(
        &self,
        tenant: TenantId,
        after: Option<DriverId>,
        external_id: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Driver>, Error> {
        let client = self.reading().await?;
        let statement = statement::LIST_DRIVERS.prepare(&client).await?;
        let parameters: &[&(dyn ToSql + Sync)] = &[
            /* tenant */ &tenant.uuid(),
            /* after */ &after.map(DriverId::uuid),
            /* external_id */ &external_id,
            /* limit */ &i64::from(limit),
        ];
        let rows = query_planned(&client, &statement, parameters).await?;
        rows.iter().map(driver_of).collect()
    }
}
