//! All sockets cut at once: how long until the last has subscribed and recovered, and is anything
//! lost?
//!
//! While nobody is connected every order goes on, so each has something to recover. Time counts
//! from the moment when they are let in. With `--kill` it is the server that goes: it is killed
//! without a warning, and started again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::json;

use crate::crowd::{Crowd, Invited};
use crate::database;
use crate::flags::Flags;
use crate::ledger::Log;
use crate::meter::{Meter, histogram};
use crate::report::{Stage, Wait, float, micros};
use crate::rig::Rig;
use crate::socket::{Audience, Seat};

/// When each was back, since all were let in.
struct Returns {
    began: Mutex<Instant>,
    waits: Mutex<hdrhistogram::Histogram<u64>>,
    recovered: AtomicU64,
}

impl Audience for Returns {
    fn subscribed(&self, _seat: &Seat, recovered: bool, at: Instant) {
        let began = *self.began.lock().unwrap_or_else(PoisonError::into_inner);
        let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        waits.record(micros(at.saturating_duration_since(began))).ok();
        self.recovered.fetch_add(u64::from(recovered), Ordering::Relaxed);
    }
}

/// Runs the scenario.
pub(crate) async fn run(rig: &mut Rig, flags: &Flags) -> anyhow::Result<Vec<Stage>> {
    let mut stages = Vec::new();
    let kills: &[bool] =
        if flags.test && flags.url.is_none() { &[false, true] } else { &[flags.kill] };
    for kill in kills {
        for sockets in flags.sockets(&[10_000], 200) {
            stages.push(with(rig, flags, sockets, *kill).await?);
        }
    }
    Ok(stages)
}

async fn with(rig: &mut Rig, flags: &Flags, sockets: usize, kill: bool) -> anyhow::Result<Stage> {
    let target = rig.target.clone();
    let before = rig.head().await?;
    let stores = target.stores(100.min(sockets)).await?;
    let orders = target.open_orders(&stores, sockets).await?;
    let tokens = target.customers(&orders).await?;
    let ops = target.token("ops", "kitchen").await?;
    let invited = orders.iter().zip(tokens).enumerate().map(|(nth, (order, token))| Invited {
        address: target.address,
        codec: flags.codec.of(nth),
        token,
        channel: Some(format!("order:{order}").into()),
    });
    let returns = Arc::new(Returns {
        began: Mutex::new(Instant::now()),
        waits: Mutex::new(histogram()),
        recovered: AtomicU64::new(0),
    });
    let crowd = Crowd::gather(invited.collect(), Arc::clone(&returns) as Arc<dyn Audience>).await?;
    let what = if kill { "the server killed" } else { "all cut" };
    let mut stage = Stage::new(format!("{sockets} sockets, {what}"));
    crowd.cut();
    crowd.all_out().await;
    if kill {
        // Another process makes the changes meanwhile.
        rig.grow(2)?;
        let other = rig.servers.get(1).context("another server")?.address;
        rig.kill_server()?;
        let other = crate::rig::Target { address: other, ..target.clone() };
        other.bulk(&ops, "ready", &orders, &json!({})).await?;
        rig.restart_server()?;
        rig.servers.truncate(1);
    } else {
        target.bulk(&ops, "ready", &orders, &json!({})).await?;
    }
    // What was changed is to be known before anybody asks.
    let mut log = Log::after(before);
    log.read(&target).await?;
    let reads = log_reads(rig).await?;
    let meter = Meter::new(rig, &[], &[]);
    *returns.waits.lock().unwrap_or_else(PoisonError::into_inner) = histogram();
    returns.recovered.store(0, Ordering::Relaxed);
    let running = meter.run(&stage.name);
    let began = Instant::now();
    *returns.began.lock().unwrap_or_else(PoisonError::into_inner) = began;
    crowd.let_in();
    crowd.all_stand().await?;
    let took = began.elapsed();
    running.finish(&mut stage).await?;
    stage.fact("until the last has recovered", took.as_secs_f64(), "s");
    let recovered = returns.recovered.load(Ordering::Relaxed);
    stage.fact("recovered without a snapshot", float(recovered), "");
    if let (Some(before), Some(after)) = (reads, settled(rig, reads).await?) {
        stage.fact("scans of the log's indexes meanwhile", float(after - before), "");
        stage.fact("the same, a feed", float(after - before) / float(sockets as u64), "");
    }
    {
        let waits = returns.waits.lock().unwrap_or_else(PoisonError::into_inner);
        stage.waits.push(Wait::new("let in to recovered", &waits));
    }
    log.read(&target).await?;
    let heard = crowd.verify(&log).await?;
    ensure!(recovered >= sockets as u64, "{recovered} of {sockets} have recovered");
    stage.verified(format!("{sockets} sockets heard {heard} events, each once and in order"));
    crowd.leave().await;
    Ok(stage)
}

/// How often indexes of the log have been looked into, if the database is ours.
async fn log_reads(rig: &Rig) -> anyhow::Result<Option<u64>> {
    let Some(url) = rig.database_url() else { return Ok(None) };
    let query = "
        select coalesce(sum(idx_scan), 0)::int8 from pg_stat_user_indexes
        where relname like 'events%'";
    let row = database::ask(url, async |client| Ok(client.query_one(query, &[]).await?)).await?;
    let scans: i64 = row.try_get(0)?;
    Ok(Some(scans.unsigned_abs()))
}

/// The same once PostgreSQL's sessions have told what they did: they do so a second later.
async fn settled(rig: &Rig, before: Option<u64>) -> anyhow::Result<Option<u64>> {
    if before.is_none() {
        return Ok(None);
    }
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    log_reads(rig).await
}
