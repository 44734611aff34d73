//! How much memory does a connected and subscribed socket take?
//!
//! Each listens to an order of its own as its customer. Resident memory of the server's processes
//! is read before and after the sockets came; each process takes as many as its descriptors allow.
//! At the end each order changes once, and each socket must hear it once.
//!
//! Act above 4 KB a socket.

use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use crate::flags::Flags;
use crate::holder::{Held, Holder};
use crate::report::{Stage, float};
use crate::rig::Rig;
use crate::usage::{Usage, total};

/// Sockets of one process, of servers and of those that hold them.
const EACH: usize = 15_000;

/// Runs the scenario.
pub(crate) async fn run(rig: &mut Rig, flags: &Flags) -> anyhow::Result<Vec<Stage>> {
    let mut stages = Vec::new();
    let counts = flags.sockets(&[10_000, 50_000, 100_000], 200);
    let most = counts.iter().copied().max().unwrap_or(0);
    let target = rig.target.clone();
    let stores = target.stores(100.min(most)).await?;
    let orders = target.open_orders(&stores, most).await?;
    let tokens = target.customers(&orders).await?;
    let ops = target.token("ops", "kitchen").await?;
    let mut ready = vec![false; orders.len()];
    for count in &counts {
        // A process that has worked before keeps some memory, in which sockets would seem free.
        if rig.database_url().is_some() {
            rig.kill_server()?;
            rig.servers.clear();
            rig.restart_server()?;
        }
        let processes = if rig.database_url().is_some() { count.div_ceil(EACH) } else { 1 };
        if rig.database_url().is_some() {
            rig.grow(processes)?;
        }
        let watched = orders.iter().zip(&tokens).take(*count);
        let watched: Vec<_> =
            watched.map(|(order, token)| (format!("order:{order}"), token.to_string())).collect();
        let mut stage = Stage::new(format!("{count} sockets, {processes} server processes"));
        let before = settled(rig).await;
        let mut holders = Vec::new();
        for (nth, seats) in watched.chunks(EACH).enumerate() {
            let address = rig.servers.get(nth).map_or(target.address, |server| server.address);
            holders.push(Holder::start(flags, &Held { address, seats: seats.to_vec() })?);
        }
        let mut holders = tokio::task::spawn_blocking(move || {
            holders.iter_mut().try_for_each(Holder::ready).map(|()| holders)
        })
        .await??;
        let connected = settled(rig).await;
        let span = Duration::from_secs(flags.seconds(30));
        sleep(span).await;
        let after = settled(rig).await;
        if let (Some(before), Some(connected), Some(after)) = (before, connected, after) {
            let each =
                |now: Usage| float(now.rss.saturating_sub(before.rss)) / float(*count as u64);
            stage.fact("resident memory a socket", each(after), "B");
            stage.fact("the same right after they came", each(connected), "B");
            stage.fact("resident memory of the servers", float(after.rss) / 1e6, "MB");
            let cpu = after.cpu.saturating_sub(connected.cpu).as_secs_f64();
            stage.fact(
                "CPU of the servers while idle",
                cpu / span.as_secs_f64() * 100.0,
                "% of a core",
            );
            let cpu = connected.cpu.saturating_sub(before.cpu).as_secs_f64() * 1e6;
            stage.fact("CPU of a connect and subscribe", cpu / float(*count as u64), "µs");
        }
        let (mut cooking, mut done) = (Vec::new(), Vec::new());
        for (order, ready) in orders.iter().zip(&mut ready).take(*count) {
            let group = if *ready { &mut done } else { &mut cooking };
            group.push(order.clone());
            *ready = !*ready;
        }
        target.bulk(&ops, "ready", &cooking, &json!({})).await?;
        target.bulk(&ops, "unready", &done, &json!({})).await?;
        tokio::task::spawn_blocking(move || holders.iter_mut().try_for_each(Holder::heard))
            .await??;
        stage.verified(format!("each of {count} sockets heard the one change of its order, once"));
        stages.push(stage);
    }
    Ok(stages)
}

/// What the servers use once that no longer changes much, at most ten seconds later.
async fn settled(rig: &Rig) -> Option<Usage> {
    let mut before = total(&rig.server_processes())?;
    for _ in 0..40 {
        sleep(Duration::from_millis(250)).await;
        let now = total(&rig.server_processes())?;
        if now.rss.abs_diff(before.rss) < 64 * 1024 {
            return Some(now);
        }
        before = now;
    }
    Some(before)
}
