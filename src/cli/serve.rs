//! `ordercast serve`.

use std::process::ExitCode;

use anyhow::Context as _;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use super::database::{self, Share};
use crate::app::App;
use crate::config::Config;
use crate::store;

/// Serves until a signal asks to stop, or something ends that should not.
pub(super) fn serve(config: Config) -> anyhow::Result<ExitCode> {
    raise_descriptor_limit();
    let private = config.database.url.0.is_empty();
    // Dropped last: the private server stops after everything that uses it.
    let prepared = database::prepare(config, Share::No)?;
    let config = prepared.config.clone();
    let result = block_on(async move {
        if private {
            store::migrate(&config.database.url.0).await?;
        }
        let mut app = App::start(config).await?;
        let ended = tokio::select! {
            error = app.supervise() => Some(error),
            () = asked_to_stop() => None,
        };
        if let Some(error) = ended {
            tracing::error!(%error, "the process ends");
            return Err(error.into());
        }
        app.stop().await;
        Ok(ExitCode::SUCCESS)
    })?;
    drop(prepared);
    result
}

/// Runs a future on the process's runtime: the writer, the feed and all connections to the
/// database live there, apart from the workers that serve clients.
pub(super) fn block_on<T>(
    future: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<anyhow::Result<T>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("ordercast")
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let system = actix_rt::System::with_tokio_rt(|| runtime);
    Ok(system.block_on(future))
}

/// Resolves when SIGINT or SIGTERM comes.
pub(super) async fn asked_to_stop() {
    let (interrupt, terminate) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    match (interrupt, terminate) {
        (Ok(mut interrupt), Ok(mut terminate)) => {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
        // Without handlers the signals end the process, as they would anyway.
        _ => std::future::pending().await,
    }
}

/// Each socket is a descriptor; the soft limit is often 1,024.
pub(super) fn raise_descriptor_limit() {
    match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((soft, hard)) if soft < hard => {
            if let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
                tracing::warn!(%error, soft, hard, "the limit of descriptors could not be raised");
            } else {
                tracing::info!(from = soft, to = hard, "raised the limit of descriptors");
            }
        }
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "the limit of descriptors is not known"),
    }
}
