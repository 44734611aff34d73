//! The one private PostgreSQL, and a database of its own for whoever asks.

use std::path::PathBuf;
use std::sync::OnceLock;

use ordercast::embedded::{Durability, Postgres, Settings};
use tokio_postgres::{Client, NoTls};

static SERVER: OnceLock<Postgres> = OnceLock::new();

fn server() -> &'static Postgres {
    SERVER.get_or_init(|| {
        Postgres::temporary(&Settings {
            bin_dir: std::env::var_os("ORDERCAST_POSTGRES_BIN_DIR").map(PathBuf::from),
            data_dir: None,
            durability: Durability::ThrowAway,
            max_connections: 50,
            shared_buffers_mb: 128,
        })
        .unwrap()
    })
}

/// What the server has logged.
pub(crate) fn log() -> String {
    std::fs::read_to_string(server().data_dir().join("postgres.log")).unwrap()
}

pub(crate) async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// The URL of a new and empty database.
pub(crate) async fn empty(name: &str) -> String {
    let server = tokio::task::spawn_blocking(server).await.unwrap();
    let admin = connect(&server.url("postgres")).await;
    admin.batch_execute(&format!("create database {name}")).await.unwrap();
    server.url(name)
}

/// A connection to a new and migrated database, and its URL.
pub(crate) async fn migrated(name: &str) -> (Client, String) {
    let url = empty(name).await;
    ordercast::store::migrate(&url).await.unwrap();
    (connect(&url).await, url)
}
