//! The database's clock, which the evenings set: time passes in leaps, and for all alike.

use jiff::Timestamp;
use tokio_postgres::Client;

use crate::support::Scratch;

/// Statements find these before the server's own: nothing of ordercast knows that time leaps.
const FUNCTIONS: &str = "
    create schema clock;
    create table clock.skew (ahead interval not null);
    insert into clock.skew values ('0');
    create function clock.now() returns timestamptz language sql stable as
        'select pg_catalog.now() + ahead from clock.skew';
    create function clock.clock_timestamp() returns timestamptz language sql volatile as
        'select pg_catalog.clock_timestamp() + ahead from clock.skew';";

pub struct Clock(Client);

impl Clock {
    /// Installs it for all connections that are made from now on.
    pub async fn install(database: &Scratch) -> Self {
        let client = database.connect().await;
        client.batch_execute(FUNCTIONS).await.unwrap();
        let path =
            format!("alter database {} set search_path = clock, public, pg_catalog", database.name);
        client.batch_execute(&path).await.unwrap();
        Self(database.connect().await)
    }

    /// So many seconds pass at once.
    pub async fn leap(&self, seconds: f64) {
        let leap = "update clock.skew set ahead = ahead + make_interval(secs => $1)";
        self.0.execute(leap, &[&seconds]).await.unwrap();
    }

    pub async fn now(&self) -> Timestamp {
        self.0.query_one("select now()", &[]).await.unwrap().try_get(0).unwrap()
    }
}
