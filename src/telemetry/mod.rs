//! What the process tells of itself: structured events on standard error, for people or for
//! collectors; and numbers, for Prometheus.

mod metrics;

use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;

use crate::config;

pub use metrics::{Gauges, Metrics, metrics};

/// Sends what is traced to standard error. `RUST_LOG` overrides the filter. Only the first call
/// of a process counts.
pub fn start(settings: &config::Log) {
    let filter = EnvFilter::try_from_default_env()
        .or_else(|_| EnvFilter::try_new(&settings.filter))
        .unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    let started = if settings.format == "json" { logs.json().try_init() } else { logs.try_init() };
    if started.is_err() {
        tracing::debug!("logging has been started before");
    }
}
