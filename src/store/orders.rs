//! Reading orders as they stand.

use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use super::log::{Scope, unsigned};
use super::record::{DriverRecord, OrderRecord, StoreRecord};
use super::{Database, Error, query_planned, read, statement};
use crate::domain::{
    BatchId, Driver, DriverId, Leg, Order, OrderId, Status, StoreId, TenantId, Word as _,
};
use crate::view::Sheet;

/// The open orders of a feed at an exact position.
#[derive(Debug)]
pub struct OpenOrders {
    /// The position they were read at: every event up to it is in them, none after.
    pub position: u64,
    /// Oldest first.
    pub orders: Vec<Sheet>,
    /// Whether there are more than were asked for.
    pub truncated: bool,
}

/// Which orders to list. What is `None` filters nothing.
#[derive(Debug, Clone, Default)]
pub struct OrderFilter {
    /// Any of these statuses.
    pub statuses: Option<Vec<Status>>,
    /// Any of these legs.
    pub legs: Option<Vec<Leg>>,
    /// This store.
    pub store: Option<StoreId>,
    /// This courier.
    pub driver: Option<DriverId>,
    /// The platform's own name.
    pub external_id: Option<String>,
    /// Placed then or later.
    pub placed_from: Option<Timestamp>,
    /// Placed before.
    pub placed_to: Option<Timestamp>,
    /// Changed then or later.
    pub updated_since: Option<Timestamp>,
    /// Of this tour.
    pub batch: Option<BatchId>,
    /// Whether it was told to be late with something.
    pub late: Option<bool>,
    /// Older than this one: the last of the page before.
    pub before: Option<(Timestamp, OrderId)>,
}

impl OrderFilter {
    /// Whether only open orders can be what is asked for: those are found among the open ones, however
    /// long the history is.
    fn is_of_open(&self) -> bool {
        let open = |some: &Vec<Status>| some.iter().all(|status| !status.is_terminal());
        // With the end of an order its leg is closed, whatever it was.
        let going = |some: &Vec<Leg>| some.iter().all(|leg| *leg != Leg::Closed);
        self.statuses.as_ref().is_some_and(open) || self.legs.as_ref().is_some_and(going)
    }
}

/// One page of a list.
#[derive(Debug)]
pub struct OrderPage {
    /// Newest first.
    pub orders: Vec<Sheet>,
    /// What to pass as `before` for the next page; absent on the last.
    pub next: Option<(Timestamp, OrderId)>,
}

fn sheet(
    record: OrderRecord,
    store: StoreRecord,
    driver: Option<DriverRecord>,
) -> Result<Sheet, Error> {
    Ok(Sheet {
        order: Order::try_from(record)?,
        store: store.into(),
        driver: driver.map(Driver::try_from).transpose()?,
    })
}

pub(super) fn sheet_from_row(row: &Row) -> Result<Sheet, Error> {
    sheet(row.try_get("record")?, row.try_get("store")?, row.try_get("driver")?)
}

impl Database {
    /// One order of the tenant, and the position it was read at.
    pub async fn find_order(
        &self,
        tenant: TenantId,
        id: OrderId,
    ) -> Result<Option<(u64, Sheet)>, Error> {
        let rows =
            read!(self, FIND_ORDER, /* tenant */ &tenant.uuid(), /* id */ &id.uuid());
        let Some(row) = rows.first() else { return Ok(None) };
        let position: i64 = row.try_get("position")?;
        Ok(Some((unsigned(position), sheet_from_row(row)?)))
    }

    /// The open orders of `scope`, at most `limit`. `stores` and `statuses` narrow a tenant's.
    pub async fn list_open_orders(
        &self,
        tenant: TenantId,
        scope: Scope,
        stores: Option<&[StoreId]>,
        statuses: Option<&[Status]>,
        limit: u32,
    ) -> Result<OpenOrders, Error> {
        let tenant = tenant.uuid();
        // One more than asked for tells whether there are more.
        let limit_rows = i64::from(limit) + 1;
        let rows = match scope {
            Scope::Order(id) => {
                let found = self.find_order(TenantId::from_uuid(tenant), id).await?;
                let (position, sheet) = match found {
                    Some((position, sheet)) => (position, Some(sheet)),
                    None => (self.read_head().await?, None),
                };
                let orders = sheet.into_iter().collect();
                return Ok(OpenOrders { position, orders, truncated: false });
            }
            Scope::Store(id) => {
                read!(self, LIST_OPEN_STORE_ORDERS, &tenant, &id.uuid(), &limit_rows)
            }
            Scope::Driver(id) => {
                read!(self, LIST_OPEN_DRIVER_ORDERS, &tenant, &id.uuid(), &limit_rows)
            }
            Scope::Tenant => {
                let stores: Option<Vec<Uuid>> =
                    stores.map(|stores| stores.iter().map(|store| store.uuid()).collect());
                let statuses: Option<Vec<&str>> =
                    statuses.map(|statuses| statuses.iter().map(|status| status.word()).collect());
                read!(self, LIST_OPEN_ORDERS, &tenant, &stores, &statuses, &limit_rows)
            }
        };
        let mut position = 0;
        let mut orders = Vec::with_capacity(rows.len());
        for row in &rows {
            position = unsigned(row.try_get("position")?);
            let record: Option<OrderRecord> = row.try_get("record")?;
            let store: Option<StoreRecord> = row.try_get("store")?;
            if let (Some(record), Some(store)) = (record, store) {
                orders.push(sheet(record, store, row.try_get("driver")?)?);
            }
        }
        let keep = usize::try_from(limit).unwrap_or(usize::MAX);
        let truncated = orders.len() > keep;
        orders.truncate(keep);
        Ok(OpenOrders { position, orders, truncated })
    }

    /// A page of the tenant's orders; of one store's or courier's when `scope` says so.
    pub async fn list_orders(
        &self,
        tenant: TenantId,
        scope: Scope,
        filter: &OrderFilter,
        limit: u32,
    ) -> Result<OrderPage, Error> {
        let statuses: Option<Vec<&str>> =
            filter.statuses.as_ref().map(|some| some.iter().map(|status| status.word()).collect());
        let legs: Option<Vec<&str>> =
            filter.legs.as_ref().map(|some| some.iter().map(|leg| leg.word()).collect());
        let open = filter.is_of_open();
        let tenant = tenant.uuid();
        let store = filter.store.map(StoreId::uuid);
        let driver = filter.driver.map(DriverId::uuid);
        let batch = filter.batch.map(BatchId::uuid);
        let before_at = filter.before.map(|(at, _id)| at);
        let before_id = filter.before.map(|(_at, id)| id.uuid());
        let rows_wanted = i64::from(limit) + 1;
        let client = self.reading().await?;
        let (statement, owner) = match scope {
            Scope::Store(id) => (statement::LIST_STORE_ORDERS, Some(id.uuid())),
            Scope::Driver(id) => (statement::LIST_DRIVER_ORDERS, Some(id.uuid())),
            Scope::Tenant | Scope::Order(_) => (statement::LIST_ORDERS, None),
        };
        let statement = statement.prepare(&client).await?;
        let mut parameters: Vec<&(dyn postgres_types::ToSql + Sync)> = vec![
            &tenant,
            &statuses,
            &legs,
            &store,
            &driver,
            &filter.external_id,
            &filter.placed_from,
            &filter.placed_to,
            &filter.updated_since,
            &batch,
            &filter.late,
            &before_at,
            &before_id,
        ];
        if let Some(owner) = &owner {
            parameters.push(owner);
        }
        parameters.extend([&open as &(dyn postgres_types::ToSql + Sync), &rows_wanted]);
        let rows = query_planned(&client, &statement, &parameters).await?;
        let mut orders = rows.iter().map(sheet_from_row).collect::<Result<Vec<_>, _>>()?;
        let keep = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = orders.len() > keep;
        orders.truncate(keep);
        let last = orders.last().map(|sheet| (sheet.order.stamps.created, sheet.order.id));
        Ok(OrderPage { next: last.filter(|_| more), orders })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_open_orders_can_be_is_looked_for_among_them() {
        let by = |statuses: Option<&[Status]>, legs: Option<&[Leg]>| {
            let (statuses, legs) = (statuses.map(<[_]>::to_vec), legs.map(<[_]>::to_vec));
            OrderFilter { statuses, legs, ..OrderFilter::default() }.is_of_open()
        };
        assert!(!by(None, None));
        assert!(by(Some(&[Status::Placed, Status::Returning]), None));
        assert!(!by(Some(&[Status::Placed, Status::Failed]), None));
        assert!(by(None, Some(&[Leg::Offering, Leg::None])));
        assert!(!by(None, Some(&[Leg::Offering, Leg::Closed])));
        assert!(by(Some(&[Status::Failed]), Some(&[Leg::AtDoor])), "that is none");
    }
}
