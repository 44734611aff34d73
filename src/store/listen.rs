//! The connection that listens: one for a process, taken from a pool of its own and owned by the
//! feed.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Object;
use jiff::Timestamp;
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::log::{signed, unsigned};
use super::record::event_from_row;
use super::{Database, Error, statement};
use crate::domain::{CredentialId, TenantId};
use crate::view::LogEvent;

/// The channel of notifications by which processes tell each other where couriers are.
pub(super) const LOCATIONS: &str = "ordercast_locations";

/// A token or API key that speaks for nobody any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevokedToken {
    /// Whose: of another tenant the same identifier says nothing.
    pub tenant: TenantId,
    /// Which.
    pub id: CredentialId,
    /// Until when that must be remembered.
    pub keep_until: Timestamp,
}

/// Why a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    /// Something was committed.
    Rung,
    /// Nothing was heard for the longest time one would wait.
    Late,
    /// The connection is down.
    Down,
}

/// The ear at the log: owned by the feed, which reconnects it.
pub struct Listening {
    database: Database,
    client: Option<Object>,
    /// Longest wait for an answer. The server gives a statement up after as long, so whoever
    /// says nothing by then is frozen or cut off.
    patience: Duration,
    rung: mpsc::Receiver<()>,
    told: Option<mpsc::Receiver<String>>,
    located: Option<mpsc::Receiver<String>>,
    down: Arc<Notify>,
}

impl std::fmt::Debug for Listening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listening").field("up", &self.client.is_some()).finish_non_exhaustive()
    }
}

impl Listening {
    pub(super) fn new(
        database: Database,
        patience: Duration,
        rung: mpsc::Receiver<()>,
        (told, located): (mpsc::Receiver<String>, mpsc::Receiver<String>),
        down: Arc<Notify>,
    ) -> Self {
        let (told, located) = (Some(told), Some(located));
        Self { database, client: None, patience, rung, told, located, down }
    }

    /// What other processes tell of who is there, for the one who asks first.
    pub fn take_told(&mut self) -> Option<mpsc::Receiver<String>> {
        self.told.take()
    }

    /// Where other processes say that couriers are, for the one who asks first.
    pub fn take_located(&mut self) -> Option<mpsc::Receiver<String>> {
        self.located.take()
    }

    /// Connects, listens, and only then reads which log this is and where it ends: what commits
    /// after this read is notified. Returns the epoch, which is not made known to others yet, and
    /// the newest position.
    pub async fn connect(&mut self) -> Result<(Arc<str>, u64), Error> {
        self.hang_up();
        // Ours from here on: a failure below must not give it back.
        let client = self.client.insert(self.database.listening.get().await?);
        let (epoch, last) = within(self.patience, async {
            client
                .batch_execute(
                    "listen ordercast; listen ordercast_processes; listen ordercast_locations",
                )
                .await?;
            let statement = statement::READ_EPOCH.prepare(client).await?;
            let row = client.query_one(&statement, &[]).await?;
            Ok((row.try_get::<_, String>("epoch")?, row.try_get::<_, i64>("last")?))
        })
        .await?;
        Ok((Arc::from(epoch), unsigned(last)))
    }

    /// Makes known which log this is: [`Database::epoch`] says it from here on.
    pub fn tell_epoch(&self, epoch: &Arc<str>) {
        self.database.set_epoch(epoch);
    }

    /// Drops the connection for good: one that did LISTEN must never go back to a pool.
    pub fn hang_up(&mut self) {
        if let Some(client) = self.client.take() {
            drop(Object::take(client));
        }
    }

    /// Waits until something was committed, or `longest` has passed. Cancel-safe.
    pub async fn wait(&mut self, longest: Duration) -> Woken {
        let until = tokio::time::Instant::now() + longest;
        loop {
            if self.client.as_ref().is_none_or(|client| client.is_closed()) {
                return Woken::Down;
            }
            tokio::select! {
                biased;
                // Perhaps an earlier connection that we dropped ourselves: look again.
                () = self.down.notified() => {}
                rung = self.rung.recv() => {
                    return if rung.is_some() { Woken::Rung } else { Woken::Down };
                }
                () = tokio::time::sleep_until(until) => return Woken::Late,
            }
        }
    }

    /// One page of the log after `after`, in order, over the feed's own connection: the feed
    /// never waits behind other readers.
    pub async fn read_events(&self, after: u64, limit: u32) -> Result<Vec<LogEvent>, Error> {
        let Some(client) = &self.client else { return Err(Error::Busy) };
        let rows = within(self.patience, async {
            let statement = statement::READ_EVENTS.prepare(client).await?;
            let parameters: [&(dyn ToSql + Sync); 2] =
                [/* after */ &signed(after), /* limit */ &i64::from(limit)];
            Ok(client.query(&statement, &parameters).await?)
        })
        .await?;
        rows.iter().map(event_from_row).collect()
    }

    /// A page of all that is revoked, after the last of the page before, over the feed's own
    /// connection: pages read after a position hold all that the log revokes up to there.
    pub async fn read_revoked(
        &self,
        after: Option<RevokedToken>,
        limit: u32,
    ) -> Result<Vec<RevokedToken>, Error> {
        let Some(client) = &self.client else { return Err(Error::Busy) };
        let (tenant, id) = after
            .map_or((Uuid::nil(), Uuid::nil()), |after| (after.tenant.uuid(), after.id.uuid()));
        let rows = within(self.patience, async {
            let statement = statement::READ_REVOKED_TOKENS.prepare(client).await?;
            let parameters: [&(dyn ToSql + Sync); 3] = [
                /* after_tenant */ &tenant,
                /* after_id */ &id,
                /* limit */ &i64::from(limit),
            ];
            Ok(client.query(&statement, &parameters).await?)
        })
        .await?;
        let revoked = rows.iter().map(|row| {
            Ok(RevokedToken {
                tenant: TenantId::from_uuid(row.try_get("tenant_id")?),
                id: CredentialId::from_uuid(row.try_get("id")?),
                keep_until: row.try_get("keep_until")?,
            })
        });
        revoked.collect()
    }

    /// Asks the server for a sign of life; false when none comes within `longest`.
    pub async fn probe(&self, longest: Duration) -> bool {
        match &self.client {
            None => false,
            Some(client) => matches!(timeout(longest, client.simple_query("")).await, Ok(Ok(_))),
        }
    }
}

/// What `asking` gives, unless it takes longer than `patience`.
async fn within<T>(
    patience: Duration,
    asking: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    timeout(patience, asking).await.unwrap_or(Err(Error::Busy))
}
