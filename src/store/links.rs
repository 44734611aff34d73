//! Tracking links: by the hash of their token, and by their order.

use std::time::Duration;

use jiff::Timestamp;
use tokio_postgres::Row;

use super::orders::sheet_from_row;
use super::{Database, Error, read};
use crate::domain::{CredentialId, OrderId, TenantId};
use crate::view::Sheet;

/// A tracking link that is not revoked, as its order knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Which: it is revoked by this, as a token is.
    pub id: CredentialId,
    /// Whole hours after the order's end.
    pub ttl: Duration,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A tracking link as its token finds it.
#[derive(Debug, Clone)]
pub struct FoundLink {
    /// Which.
    pub id: CredentialId,
    /// Whose.
    pub tenant: TenantId,
    /// Whole hours after the order's end.
    pub ttl: Duration,
    /// Whether it shows nothing any more, whatever the time.
    pub is_revoked: bool,
    /// When this was read, by the database's clock.
    pub at: Timestamp,
    /// What it shows.
    pub sheet: Sheet,
}

fn ttl(row: &Row) -> Result<Duration, tokio_postgres::Error> {
    let hours: i32 = row.try_get("ttl_h")?;
    Ok(Duration::from_hours(hours.unsigned_abs().into()))
}

impl Database {
    /// Makes a link of an order of the tenant, by this identifier and the hash of its token. It lasts
    /// as its tenant's do unless `ttl_h` says otherwise. `None` when there is no such order, it has
    /// `most` links already, or it has been over for longer than the link would last.
    pub async fn insert_link(
        &self,
        (tenant, order): (TenantId, OrderId),
        (id, hash): (CredentialId, &[u8]),
        ttl_h: Option<i32>,
        most: u32,
    ) -> Result<Option<Link>, Error> {
        let rows = read!(
            self,
            INSERT_LINK,
            /* id */ &id.uuid(),
            /* tenant */ &tenant.uuid(),
            /* order */ &order.uuid(),
            /* hash */ &hash,
            /* ttl_h */ &ttl_h,
            /* most */ &i64::from(most),
        );
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(Some(Link { id, ttl: ttl(row)?, created_at: row.try_get("created_at")? }))
    }

    /// An order's links that are not revoked, oldest first; there is a bound to how many are made.
    pub async fn list_links(&self, tenant: TenantId, order: OrderId) -> Result<Vec<Link>, Error> {
        let rows = read!(
            self,
            LIST_LINKS,
            /* tenant */ &tenant.uuid(),
            /* order */ &order.uuid(),
        );
        let links = rows.iter().map(|row| {
            let id = CredentialId::from_uuid(row.try_get("id")?);
            Ok(Link { id, ttl: ttl(row)?, created_at: row.try_get("created_at")? })
        });
        links.collect()
    }

    /// The link whose token has this hash, as long as it is not forgotten.
    pub async fn find_link(&self, hash: &[u8]) -> Result<Option<FoundLink>, Error> {
        let rows = read!(self, FIND_LINK, /* hash */ &hash);
        let Some(row) = rows.first() else { return Ok(None) };
        let revoked_at: Option<Timestamp> = row.try_get("revoked_at")?;
        Ok(Some(FoundLink {
            id: CredentialId::from_uuid(row.try_get("id")?),
            tenant: TenantId::from_uuid(row.try_get("tenant_id")?),
            ttl: ttl(row)?,
            is_revoked: revoked_at.is_some(),
            at: row.try_get("at")?,
            sheet: sheet_from_row(row)?,
        }))
    }
}
