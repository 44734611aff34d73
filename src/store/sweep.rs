//! Forgetting what is kept for a while only.

use std::time::Duration;

use super::{Database, Error, statement};

/// Pause between two rounds of forgetting.
const EVERY: Duration = Duration::from_mins(10);
/// Rows forgotten by one statement, so that none runs long.
const AT_ONCE: i64 = 1_000;

/// Forgets idempotency keys older than `ttl`, for the life of the process. Several processes may
/// do so at once.
pub async fn run_sweep(database: Database, ttl: Duration) {
    loop {
        if let Err(error) = sweep(&database, ttl).await {
            tracing::warn!(%error, "old idempotency keys could not be forgotten");
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn sweep(database: &Database, ttl: Duration) -> Result<(), Error> {
    let age = i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX);
    loop {
        let client = database.reading().await?;
        let statement = statement::DELETE_IDEMPOTENCY_KEYS.prepare(&client).await?;
        let parameters: [&(dyn postgres_types::ToSql + Sync); 2] =
            [/* age_s */ &age, /* limit */ &AT_ONCE];
        let forgotten = client.execute(&statement, &parameters).await?;
        if forgotten < AT_ONCE.unsigned_abs() {
            return Ok(());
        }
    }
}
