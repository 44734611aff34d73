//! Forgetting what has had its time.

use std::time::Duration;

use super::{Database, Error, statement};
use crate::config;

/// Pause between two rounds of forgetting.
const EVERY: Duration = Duration::from_mins(10);
/// Rows forgotten in one statement: some milliseconds of work, and a short transaction.
const ROWS_AT_ONCE: i64 = 5_000;

/// Forgets Idempotency-Keys older than `keys_ttl`, revocations of what has expired, attempts of
/// webhooks older than `attempts_ttl`, and tracking links `links_keep` after their end, and looks
/// after the log, for the life of the process. Several processes may do so at once.
pub async fn run_sweep(
    database: Database,
    keys_ttl: Duration,
    attempts_ttl: Duration,
    links_keep: Duration,
    retention: config::Retention,
) {
    loop {
        if let Err(error) = database.keep_log(&retention).await {
            let cause = std::error::Error::source(&error);
            tracing::warn!(%error, ?cause, "the log could not be looked after");
        }
        if let Err(error) = database.keep_trails().await {
            tracing::warn!(%error, "couriers' ways could not be looked after");
        }
        let mut more = false;
        let keys = database.sweep_idempotency_keys(keys_ttl).await;
        let tokens = database.sweep_revoked_tokens().await;
        let attempts = database.sweep_webhooks(attempts_ttl).await;
        let links = database.sweep_links(links_keep).await;
        for (swept, what) in
            [(keys, "keys"), (tokens, "revocations"), (attempts, "attempts"), (links, "links")]
        {
            match swept {
                Ok(some_left) => more |= some_left,
                Err(error) => tracing::warn!(%error, what, "what is old could not be forgotten"),
            }
        }
        // Without a pause while there is more, so that the rest does not pile up.
        if !more {
            tokio::time::sleep(EVERY).await;
        }
    }
}

impl Database {
    /// Forgets Idempotency-Keys older than `ttl`, by the database's clock, a bounded number at
    /// once; true when there may be more. A key is honoured until it is forgotten.
    pub async fn sweep_idempotency_keys(&self, ttl: Duration) -> Result<bool, Error> {
        let client = self.reading().await?;
        let statement = statement::DELETE_IDEMPOTENCY_KEYS.prepare(&client).await?;
        let ttl_s = ttl.as_secs_f64();
        let swept =
            client.execute(&statement, &[/* ttl_s */ &ttl_s, /* limit */ &ROWS_AT_ONCE]).await?;
        Ok(some_left(swept))
    }

    /// Forgets revocations whose time is over, by the database's clock, a bounded number at once;
    /// true when there may be more.
    pub async fn sweep_revoked_tokens(&self) -> Result<bool, Error> {
        let client = self.reading().await?;
        let statement = statement::DELETE_REVOKED_TOKENS.prepare(&client).await?;
        let swept = client.execute(&statement, &[/* limit */ &ROWS_AT_ONCE]).await?;
        Ok(some_left(swept))
    }

    /// Forgets tracking links that ended, or were revoked, longer than `keep` ago, by the database's
    /// clock, a bounded number at once; true when there may be more. Until then they are known as
    /// ended.
    pub async fn sweep_links(&self, keep: Duration) -> Result<bool, Error> {
        let client = self.reading().await?;
        let statement = statement::DELETE_LINKS.prepare(&client).await?;
        let keep_s = keep.as_secs_f64();
        let swept =
            client.execute(&statement, &[/* keep_s */ &keep_s, /* limit */ &ROWS_AT_ONCE]).await?;
        Ok(some_left(swept))
    }

    /// Forgets attempts of webhooks older than `ttl`, by the database's clock, a bounded number at
    /// once; true when there may be more. Webhooks that have missed nothing are moved to the head
    /// of the log.
    pub async fn sweep_webhooks(&self, ttl: Duration) -> Result<bool, Error> {
        let client = self.reading().await?;
        let statement = statement::ADVANCE_IDLE_WEBHOOKS.prepare(&client).await?;
        client.execute(&statement, &[]).await?;
        let statement = statement::DELETE_WEBHOOK_ATTEMPTS.prepare(&client).await?;
        let ttl_s = ttl.as_secs_f64();
        let swept =
            client.execute(&statement, &[/* ttl_s */ &ttl_s, /* limit */ &ROWS_AT_ONCE]).await?;
        Ok(some_left(swept))
    }
}

fn some_left(swept: u64) -> bool {
    i64::try_from(swept).unwrap_or(i64::MAX) >= ROWS_AT_ONCE
}
