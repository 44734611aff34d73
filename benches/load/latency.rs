//! How long from a request to the frames of those who listen, at a fixed rate?
//!
//! Each customer listens to its own order; stores listen to theirs, boards to everything. Times
//! count from the moment the request was meant to leave.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::crowd::{Crowd, Invited};
use crate::flags::Flags;
use crate::ledger::Log;
use crate::meter::Meter;
use crate::pacer::{Work, pace};
use crate::report::{Stage, float};
use crate::rig::Rig;
use crate::socket::Audience;
use crate::toggle::Toggles;

const RATE: u32 = 2_000;
const STORES: usize = 100;
const BOARDS: usize = 5;
/// Connections that requests come over: with fewer a slow disk would hold back what is due.
const LINES: usize = 256;
/// Before it is measured.
const WARMING: Duration = Duration::from_secs(2);

/// The dial of the frames of a channel.
fn dial(channel: &str) -> Option<usize> {
    match channel.split(':').next() {
        Some("order") => Some(1),
        Some("store") => Some(2),
        Some("dispatch") => Some(3),
        _ => None,
    }
}

/// Runs the scenario.
pub(crate) async fn run(rig: &Rig, flags: &Flags) -> anyhow::Result<Vec<Stage>> {
    let mut stages = Vec::new();
    for sockets in flags.sockets(&[2_000, 10_000], 100) {
        stages.push(with(rig, flags, sockets).await?);
    }
    Ok(stages)
}

async fn with(rig: &Rig, flags: &Flags, sockets: usize) -> anyhow::Result<Stage> {
    let target = &rig.target;
    let rate = flags.rate.unwrap_or(if flags.test { 200 } else { RATE });
    let before = rig.head().await?;
    let stores = target.stores(flags.size(None, STORES, 4)).await?;
    let orders = target.open_orders(&stores, flags.open.unwrap_or(0).max(sockets)).await?;
    let ops = target.token("ops", "boards").await?;
    let watched = orders.get(..sockets).unwrap_or(&orders);
    let mut invited = Vec::new();
    let mut invite = |token: &Arc<str>, channel: String| {
        invited.push(Invited {
            address: target.address,
            codec: flags.codec.of(invited.len()),
            token: Arc::clone(token),
            channel: Some(channel.into()),
        });
    };
    for (token, order) in target.customers(watched).await?.iter().zip(watched) {
        invite(token, format!("order:{order}"));
    }
    for (token, store) in target.tokens("store", &stores).await?.iter().zip(&stores) {
        invite(token, format!("store:{store}"));
    }
    for _ in 0..BOARDS {
        invite(&ops, "dispatch".to_owned());
    }
    let listeners = invited.len();
    let dials =
        ["request to answer", "request to customer", "request to store", "request to board"];
    let meter = Meter::new(rig, &dials, &["changes", "frames"]);
    let every = Duration::from_secs(1) * u32::try_from(watched.len())? / rate;
    let toggles = Toggles::new(watched, ops, every, Arc::clone(&meter), dial);
    let toggles = Arc::new(toggles);
    let crowd = Crowd::gather(invited, Arc::clone(&toggles) as Arc<dyn Audience>).await?;
    let mut stage = Stage::new(format!("{sockets} sockets on their own orders, {rate} changes/s"));
    let warming = if flags.test { Duration::ZERO } else { WARMING };
    let began = Instant::now() + Duration::from_millis(20);
    let until = began + warming + Duration::from_secs(flags.seconds(20));
    let due = toggles.due(began);
    let work = Arc::clone(&toggles) as Arc<dyn Work>;
    let pacing = {
        let target = target.clone();
        tokio::spawn(async move { pace(&target, LINES, work, due, until).await })
    };
    tokio::time::sleep_until((began + warming).into()).await;
    let running = meter.run(&stage.name);
    let sent = pacing.await??;
    running.finish(&mut stage).await?;
    let done = toggles.done.load(Ordering::Relaxed);
    let mut log = Log::after(before);
    log.read(target).await?;
    let heard = crowd.verify(&log).await?;
    ensure!(sent == done, "{sent} requests were sent and {done} answered");
    let strange = toggles.strange.load(Ordering::Relaxed);
    stage.fact("sockets", float(listeners as u64), "");
    stage.fact("sockets lost by the way", float(crowd.losses()), "");
    stage.fact("events made by the server itself", float(strange), "");
    stage.verified(format!("{listeners} sockets heard {heard} events, each once and in order"));
    stage.verified(format!("each of {done} changes is in the log"));
    crowd.leave().await;
    Ok(stage)
}
