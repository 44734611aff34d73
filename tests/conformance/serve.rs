//! What the SDKs' own suites run against: `cargo run --example conformance -- 8000`.
//!
//! The port is the first argument (8000), everything else comes from the environment:
//! `CONFORMANCE_SECRET` signs tokens (`secret`), `CONFORMANCE_API_KEY` opens `/api`
//! (`test-api-key`), `CONFORMANCE_PRESENCE=off` answers questions for presence by error 108.
#![expect(clippy::print_stdout, reason = "says where it listens")]
#![expect(unreachable_pub, reason = "tests include the same modules")]

#[path = "mod.rs"]
mod conformance;

use std::env;

use anyhow::Context as _;
use conformance::{Server, Settings};
use ordercast::config::{Config, Overrides};
use ordercast::telemetry;

#[actix_web::main]
async fn main() -> anyhow::Result<()> {
    let port = env::args().nth(1).map_or(Ok(8000), |port| port.parse()).context("the port")?;
    let text = |name: &str, default: &str| env::var(name).unwrap_or_else(|_| default.to_owned());
    let config = Config::load(None, &Overrides::default())?;
    telemetry::start(&config.log);
    let settings = Settings {
        port,
        secret: text("CONFORMANCE_SECRET", "secret"),
        api_key: text("CONFORMANCE_API_KEY", "test-api-key"),
        offers_presence: text("CONFORMANCE_PRESENCE", "on") != "off",
    };
    let server = Server::start(config, settings)?;
    println!("serving {}", server.url);
    tokio::signal::ctrl_c().await?;
    server.stop().await;
    Ok(())
}
