//! The database behind a server of our own, asked directly.

use tokio_postgres::{Client, NoTls};

/// Asks it over a connection of its own.
pub(crate) async fn ask<T>(
    url: &str,
    ask: impl AsyncFnOnce(&Client) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    let connection = tokio::spawn(connection);
    let answer = ask(&client).await;
    drop(client);
    connection.await??;
    answer
}
