//! Migrations: forward only, run by refinery, one process at a time.

use std::collections::BTreeMap;

use tokio_postgres::NoTls;

use super::Error;

mod embedded {
    // The macro writes items of its own.
    #![allow(
        missing_docs,
        unreachable_pub,
        clippy::all,
        clippy::pedantic,
        clippy::allow_attributes,
        clippy::allow_attributes_without_reason,
        reason = "code made by refinery"
    )]
    refinery::embed_migrations!("sql/migrations");
}

/// Any process that migrates holds this advisory lock: refinery takes none, and two would race.
/// The number is "ordercst" in ASCII.
const LOCK: i64 = 0x6f72_6465_7263_7374;

/// How a database's schema compares with what this release knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemaState {
    /// Every migration of this release, and no other, has been applied.
    Current,
    /// Migrations are missing: run `ordercast migrate`.
    Older {
        /// How many.
        missing: usize,
    },
    /// The database knows migrations that this release does not: run a newer release.
    Newer {
        /// The newest one's number.
        version: i64,
    },
    /// A migration was applied with another text.
    Different {
        /// Its number.
        version: i64,
    },
}

async fn connect(url: &str) -> Result<tokio_postgres::Client, Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "the migrating connection ended");
        }
    });
    Ok(client)
}

/// Applies what is missing, each migration in a transaction of its own; returns how many.
pub async fn migrate(url: &str) -> Result<usize, Error> {
    let mut client = connect(url).await?;
    client.execute("select pg_advisory_lock($1)", &[&LOCK]).await?;
    let report = embedded::migrations::runner()
        .set_migration_table_name("schema_migrations")
        .run_async(&mut client)
        .await
        .map_err(Error::Migration)?;
    Ok(report.applied_migrations().len())
}

/// Compares the database's schema with what this release knows.
pub async fn schema_state(url: &str) -> Result<SchemaState, Error> {
    let client = connect(url).await?;
    let table = client.query_one("select to_regclass('schema_migrations')::text", &[]).await?;
    let known: BTreeMap<i64, u64> = embedded::migrations::runner()
        .get_migrations()
        .iter()
        .map(|migration| (i64::from(migration.version()), migration.checksum()))
        .collect();
    if table.try_get::<_, Option<String>>(0)?.is_none() {
        return Ok(SchemaState::Older { missing: known.len() });
    }
    let rows = client
        .query("select version::int8, checksum from schema_migrations order by version", &[])
        .await?;
    let mut applied = 0;
    for row in &rows {
        let version: i64 = row.try_get(0)?;
        let checksum: String = row.try_get(1)?;
        match known.get(&version) {
            None => return Ok(SchemaState::Newer { version }),
            Some(ours) if ours.to_string() != checksum => {
                return Ok(SchemaState::Different { version });
            }
            Some(_) => applied += 1,
        }
    }
    Ok(match known.len() - applied {
        0 => SchemaState::Current,
        missing => SchemaState::Older { missing },
    })
}
