//! Reading the log.

use super::record::event_from_row;
use super::{Database, Error, read, statement};
use crate::domain::{DriverId, OrderId, StoreId, TenantId};
use crate::view::LogEvent;

/// Whose part of a tenant's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// One order's events.
    Order(OrderId),
    /// One store's.
    Store(StoreId),
    /// One courier's: those of its orders while it has them, the loss of one included.
    Driver(DriverId),
    /// All of the tenant's.
    Tenant,
}

/// What was missed since a position.
#[derive(Debug)]
pub struct Missed {
    /// The events after it, in order, at most as many as asked for.
    pub events: Vec<LogEvent>,
    /// Everything of this scope up to here is in `events`, if these are fewer than asked for.
    pub position: u64,
    /// The newest position when this was read; a larger one asked after never existed.
    pub last: u64,
    /// The oldest position still held; when none is, the one that will come next.
    pub oldest: u64,
}

/// Positions are whole and never negative; only the database's type is signed.
pub(super) fn unsigned(position: i64) -> u64 {
    position.unsigned_abs()
}

/// Beyond the largest position there is nothing to read.
pub(super) fn signed(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}

impl Database {
    /// The position of the newest committed event.
    pub async fn read_head(&self) -> Result<u64, Error> {
        let rows = read!(self, READ_HEAD,);
        let last: i64 = rows.first().map(|row| row.try_get("last")).transpose()?.unwrap_or(0);
        Ok(unsigned(last))
    }

    /// What a subscriber of `scope` missed since `after`.
    pub async fn read_missed(
        &self,
        tenant: TenantId,
        scope: Scope,
        after: u64,
        limit: u32,
    ) -> Result<Missed, Error> {
        let events = match scope {
            Scope::Order(_) => statement::READ_ORDER_EVENTS,
            Scope::Store(_) => statement::READ_STORE_EVENTS,
            Scope::Driver(_) => statement::READ_DRIVER_EVENTS,
            Scope::Tenant => statement::READ_TENANT_EVENTS,
        };
        self.read_part(events, tenant, scope, after, limit).await
    }

    /// The newest events of `scope` before `before`, newest first.
    pub async fn read_last(
        &self,
        tenant: TenantId,
        scope: Scope,
        before: u64,
        limit: u32,
    ) -> Result<Missed, Error> {
        let events = match scope {
            Scope::Order(_) => statement::READ_LAST_ORDER_EVENTS,
            Scope::Store(_) => statement::READ_LAST_STORE_EVENTS,
            Scope::Driver(_) => statement::READ_LAST_DRIVER_EVENTS,
            Scope::Tenant => statement::READ_LAST_TENANT_EVENTS,
        };
        self.read_part(events, tenant, scope, before, limit).await
    }

    async fn read_part(
        &self,
        events: statement::Statement,
        tenant: TenantId,
        scope: Scope,
        from: u64,
        limit: u32,
    ) -> Result<Missed, Error> {
        let client = self.reading().await?;
        let head = statement::READ_HEAD.prepare(&client).await?;
        let oldest = statement::READ_OLDEST_POSITION.prepare(&client).await?;
        let events = events.prepare(&client).await?;
        let (tenant, from, limit) = (tenant.uuid(), signed(from), i64::from(limit));
        let rows = async {
            let id = match scope {
                Scope::Order(id) => id.uuid(),
                Scope::Store(id) => id.uuid(),
                Scope::Driver(id) => id.uuid(),
                Scope::Tenant => return client.query(&events, &[&tenant, &from, &limit]).await,
            };
            client.query(&events, &[&tenant, &id, &from, &limit]).await
        };
        // Pipelined in this order: the events are read by a later snapshot than the head, so
        // they hold everything of the scope up to the head, and up to the last of themselves.
        // Where it begins is read after them: what is dropped in between is told.
        let (head, rows, oldest) =
            futures::try_join!(client.query_one(&head, &[]), rows, client.query_one(&oldest, &[]))?;
        let last = unsigned(head.try_get("last")?);
        let oldest = unsigned(oldest.try_get("oldest")?);
        let events = rows.iter().map(event_from_row).collect::<Result<Vec<_>, _>>()?;
        let position = events.last().map_or(last, |event| event.position.max(last));
        Ok(Missed { events, position, last, oldest })
    }
}
