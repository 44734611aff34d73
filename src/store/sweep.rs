//! Forgetting what has had its time.

use std::time::Duration;

use super::{Database, Error, statement};

/// Pause between two rounds of forgetting.
const EVERY: Duration = Duration::from_mins(10);
/// Keys forgotten in one statement: some milliseconds of work, and a short transaction.
const KEYS_AT_ONCE: i64 = 5_000;

/// Forgets Idempotency-Keys older than `ttl`, for the life of the process. Several processes may
/// do so at once.
pub async fn run_sweep(database: Database, ttl: Duration) {
    loop {
        match database.sweep_idempotency_keys(ttl).await {
            // Without a pause while there is more, so that the rest does not pile up.
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "old keys could not be forgotten"),
        }
        tokio::time::sleep(EVERY).await;
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
            client.execute(&statement, &[/* ttl_s */ &ttl_s, /* limit */ &KEYS_AT_ONCE]).await?;
        Ok(i64::try_from(swept).unwrap_or(i64::MAX) >= KEYS_AT_ONCE)
    }
}
