//! The one room that knows SQL: reads, the batched writer, and the log.
//!
//! A [`Database`] owns five pools: one for reads and seldom writes, and of a single connection each
//! one for the [`Writer`], one for the feed's LISTEN, one to look after the log, and one for where
//! couriers are. Everything that an order becomes goes through the writer; nothing else touches `orders` and `events`.
//!
//! Absent on purpose: it knows no socket, no channel and no token.

mod batch;
mod change;
mod commit;
mod connect;
mod ending;
mod erase;
mod flight;
mod judge;
mod kept;
mod links;
mod listen;
mod locations;
mod log;
mod members;
mod migrate;
mod offers;
mod once;
mod orders;
mod parties;
mod pipeline;
mod proofs;
mod queue;
mod record;
mod robo;
pub mod statement;
mod sweep;
mod tenants;
mod timers;
mod tour;
mod trails;
mod upkeep;
mod webhooks;
mod writer;
mod writes;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use deadpool_postgres::{ClientWrapper, Pool, PoolError, TimeoutType};
use tokio::sync::{Notify, mpsc};

pub use change::{Change, IdempotencyKey, LookedUp, Outcome, Target, WriteError};
pub use flight::{Crashed, Flights};
pub use links::{FoundLink, Link};
pub use listen::{Listening, RevokedToken, Woken};
pub use locations::{Errands, Heard, Near, OpenErrand};
pub use log::{Missed, Scope};
pub use members::{MemberRow, Seen};
pub use migrate::{SchemaState, migrate, schema_state};
pub use offers::{Asked, Candidates};
pub use once::{Claim, Kept, Known};
pub use orders::{OpenOrders, OrderFilter, OrderPage};
pub use parties::{DriverPatch, StorePatch};
pub use proofs::KeptPicture;
pub use queue::Queue;
pub use robo::RoboCouriers;
pub use sweep::run_sweep;
pub use tenants::Credential;
pub use timers::{Alarm, Look, Subject};
pub use webhooks::{Attempt, Delivered, Failed, Webhook, WebhookPatch};
pub use writer::{Writer, run_writer};

use crate::config;
use crate::domain::UnknownWord;

/// What went wrong with the database, by what a caller can do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Try again a little later.
    #[error("no connection to PostgreSQL became free in time")]
    Busy,
    /// PostgreSQL cannot be reached; try again later.
    #[error("connecting to PostgreSQL")]
    Unreachable(#[source] PoolError),
    /// A statement failed.
    #[error("running a statement")]
    Statement(#[from] tokio_postgres::Error),
    /// The database holds a word this release does not know.
    #[error("reading a row")]
    Word(#[from] UnknownWord),
    /// The database's URL does not do.
    #[error("reading the database's URL")]
    Url(#[source] tokio_postgres::Error),
    /// A pool could not be made.
    #[error("making a connection pool")]
    Pool(#[source] deadpool_postgres::BuildError),
    /// A migration failed; the schema is as it was before it.
    #[error("migrating the schema")]
    Migration(#[source] refinery::Error),
}

impl Error {
    /// Whether the connection is gone, as opposed to a statement refused by a living server.
    pub fn is_disconnect(&self) -> bool {
        match self {
            Self::Busy | Self::Unreachable(_) => true,
            Self::Statement(error) => {
                let cause = std::error::Error::source(error);
                error.is_closed()
                    || cause.is_some_and(<dyn std::error::Error>::is::<std::io::Error>)
                    || error.code().is_some_and(|code| {
                        // Shut down, crashed, not yet up; or we idled too long in a transaction
                        // and were cut off.
                        matches!(code.code(), "57P01" | "57P02" | "57P03" | "25P03")
                    })
            }
            Self::Word(_) | Self::Url(_) | Self::Pool(_) | Self::Migration(_) => false,
        }
    }
}

impl Error {
    /// Whether another process wrote the same at the same time and was faster: what it wrote is
    /// there for the next try.
    fn is_clash(&self) -> bool {
        let Self::Statement(error) = self else { return false };
        // A row that is there already, a deadlock that this side lost.
        error.code().is_some_and(|code| matches!(code.code(), "23505" | "40P01"))
    }
}

impl Error {
    /// Whether somebody held a lock for longer than was waited for it.
    fn is_locked(&self) -> bool {
        let Self::Statement(error) = self else { return false };
        error.code().is_some_and(|code| code.code() == "55P03")
    }

    /// Whether the log has come to the border that is drawn in it: see [`upkeep`].
    fn is_border(&self) -> bool {
        let Self::Statement(error) = self else { return false };
        let refused = error.as_db_error();
        refused.is_some_and(|refused| refused.constraint() == Some("events_border"))
    }
}

impl From<PoolError> for Error {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Timeout(TimeoutType::Wait) => Self::Busy,
            PoolError::Timeout(TimeoutType::Create | TimeoutType::Recycle)
            | PoolError::Backend(_)
            | PoolError::Closed
            | PoolError::NoRuntimeSpecified
            | PoolError::PostCreateHook(_) => Self::Unreachable(error),
        }
    }
}

/// Connections for batches: as many as `writer.batches_max` may be at most; each is made when it is
/// first needed.
const WRITING_MAX: usize = 16;

/// What other processes told, waiting to be heard; more is not heard, as nothing durable hangs on
/// it.
const TOLD_WAITING: usize = 256;

/// The database: its pools, and which log it holds.
#[derive(Clone)]
pub struct Database {
    pool: Pool,
    writing: Pool,
    listening: Pool,
    keeping: Pool,
    locating: Pool,
    epoch: Arc<RwLock<Arc<str>>>,
    committed: Arc<AtomicU64>,
    alarm: Arc<Alarm>,
    /// The one connection that this one has apart from all others.
    hold: Option<Arc<once::Hold>>,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("epoch", &self.epoch()).finish_non_exhaustive()
    }
}

impl Database {
    /// The pools for these settings; connects to nothing yet. Must be called on the runtime that
    /// the connections shall live on.
    pub fn new(settings: &config::Database) -> Result<(Self, Listening), Error> {
        let url = settings.url.0.as_str();
        let listen_url = Some(settings.listen_url.0.as_str()).filter(|url| !url.is_empty());
        let (bell, rung) = mpsc::channel(1);
        let (tell, told) = mpsc::channel(TOLD_WAITING);
        let (locate, located) = mpsc::channel(TOLD_WAITING);
        let down = Arc::new(Notify::new());
        let ear = connect::Ear { bell, tell, locate, down: Arc::clone(&down) };
        let database = Self {
            // Planned once for any values: of a log in many partitions that is some milliseconds, more
            // than most reads take, while those that a read has no need of are left out as it starts.
            pool: connect::pool(
                url,
                settings.pool_size,
                "reads",
                "-c plan_cache_mode=force_generic_plan",
                settings,
                None,
            )?,
            // Array parameters defeat the planner's guess at a custom plan, and at how many rows they
            // bring: a batch is small beside its tables, so it is always looked up row by row.
            writing: connect::pool(
                url,
                WRITING_MAX,
                "writer",
                "-c plan_cache_mode=force_generic_plan -c enable_hashjoin=off \
                 -c enable_mergejoin=off",
                settings,
                None,
            )?,
            listening: connect::pool(
                listen_url.unwrap_or(url),
                1,
                "feed",
                "-c plan_cache_mode=force_generic_plan",
                settings,
                Some(ear),
            )?,
            keeping: connect::pool(
                url,
                1,
                "upkeep",
                &format!("-c statement_timeout={}", settings.upkeep_timeout_s.get().as_millis()),
                settings,
                None,
            )?,
            // Nothing durable is written there: no commit waits for a disk.
            locating: connect::pool(
                url,
                1,
                "locations",
                "-c plan_cache_mode=force_generic_plan -c enable_hashjoin=off \
                 -c enable_mergejoin=off -c synchronous_commit=off",
                settings,
                None,
            )?,
            epoch: Arc::new(RwLock::new(Arc::from(""))),
            committed: Arc::default(),
            alarm: Arc::default(),
            hold: None,
        };
        let patience = settings.statement_timeout_ms.get();
        let listening = Listening::new(database.clone(), patience, rung, (told, located), down);
        Ok((database, listening))
    }

    /// Which log this is, as last read by the feed; empty before the first read.
    pub fn epoch(&self) -> Arc<str> {
        Arc::clone(&self.epoch.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The newest position that this process has committed and told a caller of; 0 before the
    /// first. The log may be further: other processes write as well.
    pub fn committed(&self) -> u64 {
        self.committed.load(Ordering::Acquire)
    }

    /// What wakes whoever looks after the timers when this process sets an earlier one.
    pub fn alarm(&self) -> &Alarm {
        &self.alarm
    }

    fn note_committed(&self, position: u64) {
        self.committed.fetch_max(position, Ordering::AcqRel);
    }

    fn set_epoch(&self, epoch: &Arc<str>) {
        // Positions of another log say nothing about this one.
        if *self.epoch() != **epoch {
            self.committed.store(0, Ordering::Release);
        }
        *self.epoch.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(epoch);
    }

    /// Closes every pool; what is under way ends first.
    pub fn close(&self) {
        self.pool.close();
        self.writing.close();
        self.keeping.close();
        self.locating.close();
        self.listening.close();
    }
}

/// Runs one read: prepares through the cache and queries on a pooled connection.
macro_rules! read {
    ($database:expr, $statement:ident, $($parameter:expr),* $(,)?) => {{
        let client = $database.reading().await?;
        let statement = $crate::store::statement::$statement.prepare(&client).await?;
        client.query(&statement, &[$($parameter),*]).await?
    }};
}
use read;

/// Runs one read that is planned for the values at hand, in one round trip.
///
/// For statements whose parameters may be null to filter nothing. Left to itself the server
/// changes, after some requests for rare things, to one plan for any values: it can assume no
/// filter and no cursor, so it reads a tenant's whole history for every page.
async fn query_planned(
    client: &ClientWrapper,
    statement: &tokio_postgres::Statement,
    parameters: &[&(dyn postgres_types::ToSql + Sync)],
) -> Result<Vec<tokio_postgres::Row>, tokio_postgres::Error> {
    // Sent in this order without waiting in between. In a transaction, so that the setting ends
    // with it and a pooler keeps the three together.
    let (begun, rows, ended) = futures::join!(
        client.batch_execute("begin read only; set local plan_cache_mode = force_custom_plan"),
        client.query(statement, parameters),
        client.batch_execute("commit"),
    );
    begun?;
    let rows = rows?;
    ended?;
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use tokio_postgres::{Client, NoTls};

    use crate::embedded::{Durability, Postgres, Settings};

    static SERVER: OnceLock<Postgres> = OnceLock::new();

    fn server() -> &'static Postgres {
        SERVER.get_or_init(|| {
            Postgres::temporary(&Settings {
                bin_dir: std::env::var_os("ORDERCAST_POSTGRES_BIN_DIR").map(Into::into),
                data_dir: None,
                durability: Durability::ThrowAway,
                max_connections: 20,
                shared_buffers_mb: 16,
            })
            .unwrap()
        })
    }

    pub(super) async fn connect(url: &str) -> Client {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// A connection to a new and migrated database, and its URL.
    pub(super) async fn migrated(name: &str) -> (Client, String) {
        let server = tokio::task::spawn_blocking(server).await.unwrap();
        let admin = connect(&server.url("postgres")).await;
        admin.batch_execute(&format!("create database {name}")).await.unwrap();
        let url = server.url(name);
        super::migrate(&url).await.unwrap();
        (connect(&url).await, url)
    }
}
