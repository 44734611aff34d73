//! The connection that listens: one for a process, taken from a pool of its own and owned by the
//! feed.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Object;
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

use super::log::{signed, unsigned};
use super::record::event_from_row;
use super::{Database, Error, statement};
use crate::view::LogEvent;

/// The ear at the log: owned by the feed, which reconnects it.
pub struct Listening {
    database: Database,
    client: Option<Object>,
    rung: mpsc::Receiver<()>,
    down: Arc<Notify>,
}

impl std::fmt::Debug for Listening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listening").field("up", &self.client.is_some()).finish_non_exhaustive()
    }
}

impl Listening {
    pub(super) fn new(database: Database, rung: mpsc::Receiver<()>, down: Arc<Notify>) -> Self {
        Self { database, client: None, rung, down }
    }

    /// Connects, listens, and only then reads which log this is and where it ends: what commits
    /// after this read is notified. Returns the epoch and the newest position.
    pub async fn connect(&mut self) -> Result<(Arc<str>, u64), Error> {
        self.hang_up();
        let client = self.database.listening.get().await?;
        client.batch_execute("listen ordercast").await?;
        let statement = statement::READ_EPOCH.prepare(&client).await?;
        let row = client.query_one(&statement, &[]).await?;
        let epoch: String = row.try_get("epoch")?;
        let last: i64 = row.try_get("last")?;
        self.database.set_epoch(&epoch);
        self.client = Some(client);
        Ok((self.database.epoch(), unsigned(last)))
    }

    /// Drops the connection for good: one that did LISTEN must never go back to a pool.
    pub fn hang_up(&mut self) {
        if let Some(client) = self.client.take() {
            drop(Object::take(client));
        }
    }

    /// Waits until something was committed, or `longest` has passed. False when the connection
    /// is down. Cancel-safe.
    pub async fn wait(&mut self, longest: Duration) -> bool {
        let until = tokio::time::Instant::now() + longest;
        loop {
            if self.client.as_ref().is_none_or(|client| client.is_closed()) {
                return false;
            }
            tokio::select! {
                biased;
                // Perhaps an earlier connection that we dropped ourselves: look again.
                () = self.down.notified() => {}
                rung = self.rung.recv() => return rung.is_some(),
                () = tokio::time::sleep_until(until) => return true,
            }
        }
    }

    /// One page of the log after `after`, in order, over the feed's own connection: the feed
    /// never waits behind other readers.
    pub async fn read_events(&self, after: u64, limit: u32) -> Result<Vec<LogEvent>, Error> {
        let Some(client) = &self.client else { return Err(Error::Busy) };
        let statement = statement::READ_EVENTS.prepare(client).await?;
        let rows = client
            .query(&statement, &[/* after */ &signed(after), /* limit */ &i64::from(limit)])
            .await?;
        rows.iter().map(event_from_row).collect()
    }

    /// Asks the server for a sign of life; false when none comes within `longest`.
    pub async fn probe(&self, longest: Duration) -> bool {
        match &self.client {
            None => false,
            Some(client) => matches!(timeout(longest, client.simple_query("")).await, Ok(Ok(_))),
        }
    }
}
