//! Looking after the log: it lies in partitions, which are dropped when they are old.
//!
//! The newest partition has no end. Once a day it is given one: a border is drawn ahead of the
//! head of the log, the partition is looked through for what lies beyond while others write, and
//! then, in one short transaction, it ends there and the next begins. Whoever appends waits for
//! that one, and no longer than `retention.lock_ms`; what comes to the border before takes it away
//! ([`lift_border`]), and it is drawn anew another time. Each step is a transaction of its own that
//! looks at what is there, so a process may die between any two, and any other goes on.

use std::time::Duration;

use deadpool_postgres::Object;
use postgres_types::ToSql;
use tokio_postgres::Row;

use super::statement::{self, Statement};
use super::{Database, Error};
use crate::config;

/// Partitions there may be, about: what is kept for longer is cut in longer pieces, as each read
/// that goes far back has to look at each.
const PIECES: u32 = 100;
/// How often a step is tried again that others did not make room for, and the pause before.
const TRIES: usize = 10;
const PAUSE: Duration = Duration::from_millis(500);
/// How long a writer waits for others to leave the partition whose border it takes away: these are
/// writers like itself. In milliseconds.
const LIFT_MS: i32 = 5_000;

impl Database {
    /// Cuts the log if it is time, and drops what is older than it is kept. What others do not
    /// make room for is left for the next time.
    pub async fn keep_log(&self, settings: &config::Retention) -> Result<(), Error> {
        let days = settings.events_days;
        if days == 0 {
            return Ok(());
        }
        let client = self.keeping.get().await?;
        let patience_ms = i32::try_from(settings.lock_ms.get().as_millis()).unwrap_or(i32::MAX);
        let every_days = signed(days.div_ceil(PIECES));
        let days = signed(days);
        let patience: &(dyn ToSql + Sync) = &patience_ms;
        let every: &(dyn ToSql + Sync) = &every_days;
        if run(&client, statement::BEGIN_CUT, &[every, patience]).await?.try_get("begun")? {
            run(&client, statement::CHECK_CUT, &[]).await?;
            let cut = run(&client, statement::FINISH_CUT, &[patience]).await?;
            if let Some(border) = cut.try_get::<_, Option<i64>>("border")? {
                tracing::info!(border, "the log goes on in a new partition");
            }
        }
        let parameters: [&(dyn ToSql + Sync); 2] = [/* days */ &days, patience];
        loop {
            let dropped = run(&client, statement::DROP_OLD_EVENTS, &parameters).await?;
            let Some(oldest) = dropped.try_get::<_, Option<i64>>("oldest")? else { break };
            tracing::info!(oldest, "what was older has been dropped from the log");
        }
        // Not needed for hours: no connection is kept for it.
        drop(Object::take(client));
        Ok(())
    }
}

fn signed(days: u32) -> i32 {
    i32::try_from(days).unwrap_or(i32::MAX)
}

/// Runs a step; again, for some seconds, while others hold a lock against it.
async fn run(
    client: &Object,
    step: Statement,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Row, Error> {
    let statement = step.prepare(client).await?;
    let mut tried = 0;
    loop {
        match client.query_one(&statement, parameters).await.map_err(Error::from) {
            Err(error) if error.is_locked() && tried < TRIES => {
                tried += 1;
                tokio::time::sleep(PAUSE).await;
            }
            result => return result,
        }
    }
}

/// Takes the border away that a batch has come to, so that it can be written.
pub(super) async fn lift_border(client: &Object) -> Result<(), Error> {
    let statement = statement::LIFT_BORDER.prepare(client).await?;
    client.execute(&statement, &[/* patience_ms */ &LIFT_MS]).await?;
    Ok(())
}
