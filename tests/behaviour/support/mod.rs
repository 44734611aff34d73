//! What tests stand on: a server, those who call it, and those who listen.

mod caller;
mod city;
pub mod contract;
mod database;
pub mod dialect;
mod fleet;
mod follower;
mod issuer;
mod log;
mod phone;
mod process;
pub mod raw;
mod receiver;
mod rest;
mod signer;
pub mod speaker;
mod stream;

pub use caller::Caller;
pub use city::{City, merged};
pub use database::{Scratch, connect};
pub use fleet::{Courier, Fleet, STORE, attentive};
pub use follower::{Follower, Known};
pub use issuer::{Certificate, Issuer};
pub use log::{check_log, forget, note, noted, waiting};
pub use phone::{Closed, Phone};
pub use process::Process;
pub use raw::{Raw, UPGRADE, client_frame, encoded};
pub use receiver::{Letter, Receiver, Says, delivering};
pub use rest::{Answer, Rest};
pub use signer::{RSA_WEAK_MODULUS, Signer, key_set};
pub use stream::Stream;

use std::time::Duration;

use ordercast::app::App;
use ordercast::config::{Config, Overrides, Secret};

/// The longest any test waits for anything: generous, because machines are busy, and only ever
/// used up by a failure.
pub const PATIENCE: Duration = Duration::from_mins(1);

pub const SECRET: &str = "a secret of the tests, at least 32 bytes";

/// An app in this process, on a port and a database of its own.
pub struct Server {
    app: Option<App>,
    pub database: Scratch,
    pub url: String,
}

/// The default settings, for `database`.
pub fn config(database: &Scratch) -> Config {
    let overrides =
        Overrides { host: Some("127.0.0.1".to_owned()), port: Some(0), ..Overrides::default() };
    let mut config = Config::load(None, &overrides).unwrap();
    config.database.url = Secret(database.url.clone());
    config.auth.secret = Secret(SECRET.to_owned());
    config.server.workers = 2;
    // Tests are quicker than platforms may be.
    config.limits.tenant_writes_per_s = 0;
    config.limits.tenant_reads_per_s = 0;
    config.limits.link_reads_per_s = 0;
    // Machines that test are busier than those that serve.
    config.socket.reply_timeout_ms = of(20_000);
    config.socket.pong_timeout_s = of(60);
    config.database.pool_wait_ms = of(20_000);
    config.database.connect_timeout_ms = of(20_000);
    config.database.statement_timeout_ms = of(30_000);
    // Nobody reads the phones of a test that is over: each stop would wait for them.
    config.socket.close_timeout_s = of(1);
    config
}

impl Server {
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// A server whose settings `change` has seen.
    pub async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let database = Scratch::create().await;
        let mut config = config(&database);
        change(&mut config);
        let app = App::start(config).await.unwrap();
        let url = format!("http://{}", app.address());
        Self { app: Some(app), database, url }
    }

    /// Stops as on SIGTERM, and waits until all has ended.
    pub async fn stop(mut self) {
        self.app.take().unwrap().stop().await;
    }

    pub fn app(&self) -> &App {
        self.app.as_ref().unwrap()
    }
}

/// Waits until `check` gives something.
pub async fn until<T>(what: &str, check: impl AsyncFnMut() -> Option<T>) -> T {
    until_within(PATIENCE, what, check).await
}

/// The same for as long as `patience` lasts.
pub async fn until_within<T>(
    patience: Duration,
    what: &str,
    mut check: impl AsyncFnMut() -> Option<T>,
) -> T {
    let end = tokio::time::Instant::now() + patience;
    loop {
        if let Some(value) = check().await {
            return value;
        }
        assert!(tokio::time::Instant::now() < end, "waited in vain for {what}");
        // Between two looks at a condition that cannot be awaited.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A setting of seconds or milliseconds; the bounds of the configuration are not asked.
pub fn of<T: serde::de::DeserializeOwned>(value: u64) -> T {
    serde_json::from_value(value.into()).unwrap()
}
