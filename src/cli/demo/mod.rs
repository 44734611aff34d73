//! `ordercast demo`: a city that orders, cooks and delivers for one evening, and keeps account of
//! every event that each player heard.
//!
//! The players live on a thread of their own and know nothing but the public address, an API
//! key, REST and the socket protocol. What each of them heard goes into its [`ledger`]; when the
//! play is over the log is read as the [`truth`], and each ledger is judged by it.
//!
//! Absent on purpose: no player looks into the server, and what it should hear is not computed
//! by the code that decides what it is sent.

mod agenda;
mod board;
mod city;
mod courier;
mod customer;
mod dispatcher;
mod evening;
mod guests;
mod ledger;
mod line;
mod meter;
mod names;
mod pace;
mod picture;
mod platform;
mod rest;
mod screen;
mod store;
mod summary;
mod truth;
mod walk;
mod wire;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};

use super::Listen;
use super::admin;
use super::database;
use super::serve::{asked_to_stop, block_on, raise_descriptor_limit};
use crate::app::{self, App};
use crate::auth;
use crate::config::Config;
use crate::domain::TenantPatch;
use crate::store as storage;
use evening::Plan;
use pace::Pace;
use picture::Picture;
use screen::Screen;
use summary::Summary;

/// Play an evening in a city: see orders live, and every event accounted for.
#[derive(Debug, clap::Args)]
pub(super) struct Demo {
    #[command(flatten)]
    pub(super) listen: Listen,
    /// End by itself after so long, as in 30s, 5m or 1h; else Ctrl-C ends it
    #[arg(long = "for", value_name = "SPAN", value_parser = pace::span)]
    span: Option<Duration>,
    /// Pace of the evening, at most 6000
    #[arg(long, value_name = "N", default_value_t = 120,
          value_parser = clap::value_parser!(u32).range(1..=6_000))]
    orders_per_minute: u32,
}

impl Demo {
    /// The settings this command would rather have, unless somebody chose others: logs do not
    /// scramble the picture, and a database of somebody else's needs no secret of its own, as
    /// tokens need not outlive the evening.
    pub(super) fn defaults() -> Vec<(&'static str, String)> {
        vec![("log.filter", "warn".to_owned()), ("auth.secret", auth::new_secret())]
    }
}

/// Plays an evening. Fails unless every player heard every event once and in order.
pub(super) fn demo(config: Config, demo: &Demo) -> anyhow::Result<ExitCode> {
    raise_descriptor_limit();
    let mut screen = Screen::new();
    // Dropped last, also in a panic: the private server stops after everything that uses it.
    let mut prepared = None;
    let summary = block_on(async {
        let mut asked = pin!(asked_to_stop());
        // From now on a signal no longer ends the process by itself.
        let _ready = futures::poll!(&mut asked);
        screen.say("ordercast demo · setting up");
        let prepared = prepared.insert(database::for_one_run(config)?);
        screen.say(&format!("ordercast demo · {}", prepared.describe()));
        let mut app = tokio::select! {
            () = &mut asked => anyhow::bail!("stopped before the evening began"),
            app = start(prepared.config.clone()) => app?,
        };
        let played = play(&mut app, demo, &mut screen, asked).await;
        if let Ok(summary) = &played {
            screen.say(&format!("\n{}", summary.text()));
        }
        app.stop().await;
        played
    })?;
    drop(prepared);
    Ok(if summary?.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn start(config: Config) -> anyhow::Result<App> {
    storage::migrate(&config.database.url.0).await?;
    App::start(config).await.map_err(explain)
}

/// Says what to do about a port that is taken.
fn explain(error: app::Error) -> anyhow::Error {
    let taken = match &error {
        app::Error::Listen { source, .. } => source.kind() == io::ErrorKind::AddrInUse,
        app::Error::Database(_)
        | app::Error::Schema(_)
        | app::Error::Keys(_)
        | app::Error::Roots(_)
        | app::Error::Serving(_)
        | app::Error::Ended(_) => false,
    };
    let error = anyhow::Error::from(error);
    if taken {
        error.context("the port is taken: choose another by --port, or --port 0")
    } else {
        error
    }
}

/// Where players find the server: a wildcard is no address to call.
fn public_url(address: SocketAddr) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    format!("http://{}", SocketAddr::new(ip, address.port()))
}

/// Sets the players going and shows how they do, until they are done.
async fn play(
    app: &mut App,
    demo: &Demo,
    screen: &mut Screen,
    mut asked: Pin<&mut impl Future<Output = ()>>,
) -> anyhow::Result<Summary> {
    let database = &app.api().database;
    // A name of its own, so that evenings on one database do not meet.
    let name = format!("demo {}", uuid::Uuid::now_v7());
    let tenant = database.upsert_tenant(&name).await?;
    // Its dispatcher names the couriers.
    let off = TenantPatch { offer_mode: Some(None), ..TenantPatch::default() };
    database.update_tenant(tenant, &off).await?;
    let (_id, key) = admin::make_api_key(database, tenant, "demo").await?;
    let pace = Pace::new(demo.orders_per_minute);
    let plan = Plan { base: public_url(app.address()), key, pace, span: demo.span };

    let (pictures, mut picture) = watch::channel(Picture::default());
    let (stop, stopping) = watch::channel(false);
    let (done, mut finished) = oneshot::channel();
    let players = std::thread::Builder::new()
        .name("players".to_owned())
        .spawn(move || {
            let summary = actix_rt::System::new().block_on(evening::play(plan, pictures, stopping));
            // Nobody waits any more when the command has been told to stop twice.
            drop(done.send(summary));
        })
        .context("starting the players' thread")?;
    let mut resized = signal(SignalKind::window_change()).context("watching the window")?;
    let mut is_asked = false;
    let summary = loop {
        tokio::select! {
            summary = &mut finished => break summary.context("the players ended unexpectedly")?,
            error = app.supervise() => return Err(error.into()),
            () = &mut asked, if !is_asked => {
                is_asked = true;
                stop.send_replace(true);
            }
            () = asked_to_stop(), if is_asked => {
                anyhow::bail!("stopped twice, so without a summary");
            }
            Some(()) = resized.recv() => screen.resize(),
            Ok(()) = picture.changed() => {
                let picture = picture.borrow_and_update().clone();
                screen.show(&picture);
            }
        }
    };
    if players.join().is_err() {
        anyhow::bail!("a player panicked");
    }
    summary
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn players_call_an_address_that_can_be_called() {
        let url = |address: &str| public_url(address.parse().unwrap());
        assert_eq!(url("0.0.0.0:8080"), "http://127.0.0.1:8080");
        assert_eq!(url("[::]:80"), "http://[::1]:80");
        assert_eq!(url("10.1.2.3:9"), "http://10.1.2.3:9");
    }
}
