//! One PostgreSQL for the test process, and a database for each test.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use ordercast::embedded::{Durability, Postgres, Settings};
use ordercast::store;
use tokio_postgres::{Client, NoTls};

/// The migrated database that each test's is cloned from.
const TEMPLATE: &str = "template_migrated";

fn postgres() -> &'static Postgres {
    // Never dropped: the kernel stops it with this process.
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    SERVER.get_or_init(|| {
        let settings = Settings {
            bin_dir: std::env::var_os("ORDERCAST_POSTGRES_BIN_DIR").map(Into::into),
            data_dir: None,
            durability: Durability::ThrowAway,
            max_connections: 400,
            shared_buffers_mb: 64,
        };
        let server = Postgres::temporary(&settings).unwrap();
        let template = server.url(TEMPLATE);
        let admin = server.url("postgres");
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let client = connect(&admin).await;
                client.batch_execute(&format!("create database {TEMPLATE}")).await.unwrap();
                store::migrate(&template).await.unwrap();
            });
        })
        .join()
        .unwrap();
        server
    })
}

/// A plain connection.
pub async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// A migrated database of one test.
#[derive(Clone)]
pub struct Scratch {
    pub name: String,
    pub url: String,
}

impl Scratch {
    pub async fn create() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let server = tokio::task::spawn_blocking(postgres).await.unwrap();
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let admin = connect(&server.url("postgres")).await;
        // A template must have no connections; that of the migration may still be going.
        super::until("the template to be free", async || {
            let create = format!("create database {name} template {TEMPLATE}");
            admin.batch_execute(&create).await.ok()
        })
        .await;
        let url = server.url(&name);
        Self { name, url }
    }

    /// A connection to this database, to look behind the scenes.
    pub async fn connect(&self) -> Client {
        connect(&self.url).await
    }

    /// How many rows a table has.
    pub async fn count(&self, table: &str) -> i64 {
        let client = self.connect().await;
        client
            .query_one(&format!("select count(*) from {table}"), &[])
            .await
            .unwrap()
            .try_get(0)
            .unwrap()
    }

    /// A digest of each table that a caller can change, to see that nothing was written.
    pub async fn contents(&self) -> Vec<(String, String)> {
        let client = self.connect().await;
        let mut contents = Vec::new();
        let tables = ["log_head", "events", "orders", "stores", "drivers", "idempotency_keys"];
        for table in tables.into_iter().chain([
            "revoked_tokens",
            "credentials",
            "tracking_links",
            // Not where couriers are: that is written a moment after it is answered.
            "offers",
        ]) {
            let digest = format!(
                "select md5(coalesce(string_agg(t::text, ',' order by t::text), '')) from {table} t"
            );
            let digest = client.query_one(&digest, &[]).await.unwrap().try_get(0).unwrap();
            contents.push((table.to_owned(), digest));
        }
        contents
    }
}
