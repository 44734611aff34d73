//! What does it cost to deliver an event to a socket, beside a bare server that writes the same
//! bytes to as many?
//!
//! One feed (a store's) with all sockets, an event at a time and in bursts; then feeds of one to
//! three sockets each. CPU counts of the server's process alone: of ordercast with all that it does
//! for the change, of the bare server with nothing but its writes.
//!
//! Act when a delivery of one feed takes more than 1.15 times the bare server's CPU, or a burst
//! less than 5 times the deliveries of single events.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use ordercast::protocol::Codec;
use serde_json::json;

use crate::baseline::Baseline;
use crate::crowd::{Crowd, Invited, Nobody};
use crate::flags::Flags;
use crate::http::{Http, request};
use crate::ledger::Log;
use crate::meter::Meter;
use crate::report::{Stage, float};
use crate::rig::Rig;
use crate::town::{BULK, all_done, bulk};
use crate::usage::Watched;

/// Events of a burst.
const BURST: usize = 64;
/// What a push adds to its event, besides the channel's name.
const ENVELOPE: usize = 50;

/// Runs the scenario.
pub(crate) async fn run(rig: &Rig, flags: &Flags) -> anyhow::Result<Vec<Stage>> {
    let sockets = flags.size(flags.sockets(&[10_000], 60).first().copied(), 10_000, 60);
    let span = Duration::from_secs(flags.seconds(8)) / if flags.test { 2 } else { 1 };
    let mut stages = Vec::new();
    one_feed(rig, sockets, span, &mut stages).await?;
    many_feeds(rig, sockets, span, &mut stages).await?;
    Ok(stages)
}

/// Deliveries and what they took, as told by the stage's facts.
struct Cost {
    rate: f64,
    cpu: Option<f64>,
}

/// Sends again and again until the time is over, each time when all have heard the last.
async fn again(
    crowd: &Crowd,
    meter: &Arc<Meter>,
    stage: &mut Stage,
    span: Duration,
    each: u64,
    mut send: impl AsyncFnMut(u64) -> anyhow::Result<()>,
) -> anyhow::Result<Cost> {
    let mut heard = crowd.heard();
    let running = meter.run(&stage.name);
    let began = Instant::now();
    let mut turn = 0;
    while began.elapsed() < span || turn % 2 == 1 {
        let sending = Instant::now();
        send(turn).await?;
        heard += each;
        crowd.hear(heard).await?;
        meter.record(0, 0, sending.elapsed());
        meter.add(0, each);
        turn += 1;
    }
    let measured = running.finish(stage).await?;
    let count = float(measured.counted.first().copied().unwrap_or(0));
    let cpu = measured.server_cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / count.max(1.0));
    Ok(Cost { rate: count / measured.seconds, cpu })
}

const DIALS: [&str; 1] = ["sent to heard by the last"];
const COUNTS: [&str; 1] = ["deliveries"];

async fn one_feed(
    rig: &Rig,
    sockets: usize,
    span: Duration,
    stages: &mut Vec<Stage>,
) -> anyhow::Result<()> {
    let target = &rig.target;
    let before = rig.head().await?;
    let stores = target.stores(1).await?;
    let store = stores.first().context("a store")?;
    let token = target.token("store", store).await?;
    let channel: Arc<str> = format!("store:{store}").into();
    let invited = (0..sockets).map(|_| Invited {
        address: target.address,
        codec: Codec::Json,
        token: Arc::clone(&token),
        channel: Some(Arc::clone(&channel)),
    });
    // Before there are orders, so that the snapshots are small.
    let crowd = Crowd::gather(invited.collect(), Arc::new(Nobody)).await?;
    let orders = target.open_orders(&stores, BURST).await?;
    let mut log = Log::after(before);
    log.read(target).await?;
    crowd.verify(&log).await?;
    let bytes = crowd.bytes();
    let heard = crowd.heard();
    let meter = Meter::new(rig, &DIALS, &COUNTS);
    let mut http = Http::open(target.address).await?;

    let mut stage = Stage::new(format!("one feed, {sockets} sockets, one event at a time"));
    let order = orders.first().context("an order")?;
    let single = again(&crowd, &meter, &mut stage, span, sockets as u64, async |turn| {
        let word = if turn % 2 == 0 { "ready" } else { "unready" };
        let path = format!("/v1/orders/{order}/{word}");
        http.ask(&request("POST", &path, &token, "{}")).await?.good()?;
        Ok(())
    })
    .await?;
    let payload = (crowd.bytes() - bytes) / (crowd.heard() - heard).max(1);
    let payload = usize::try_from(payload)? + channel.len() + ENVELOPE;
    stage.fact("bytes of a frame", float(payload as u64), "B");
    stages.push(stage);

    let mut stage = Stage::new(format!("one feed, {sockets} sockets, bursts of {BURST} events"));
    let each = (sockets * BURST) as u64;
    let burst = again(&crowd, &meter, &mut stage, span, each, async |turn| {
        let word = if turn % 2 == 0 { "ready" } else { "unready" };
        all_done(&http.ask(&bulk(&token, word, &orders, &json!({}))).await?)
    })
    .await?;
    stage.fact("times the rate of single events", burst.rate / single.rate, "");
    log.read(target).await?;
    let heard = crowd.verify(&log).await?;
    stage.verified(format!("{sockets} sockets heard {heard} events, each once and in order"));
    stage.fact("sockets lost by the way", float(crowd.losses()), "");
    stages.push(stage);
    crowd.leave().await;

    let (bare_single, bare_burst) = {
        let mut bare = Bare::start(sockets, payload).await?;
        let mut stage = Stage::new(format!("bare server, {sockets} sockets, one frame at a time"));
        let one = bare.again(&mut stage, span, 1, &[(0, sockets)]).await?;
        stages.push(stage);
        let name = format!("bare server, {sockets} sockets, {BURST} frames a write");
        let mut stage = Stage::new(name);
        let many = bare.again(&mut stage, span, BURST, &[(0, sockets)]).await?;
        stages.push(stage);
        bare.leave().await;
        (one, many)
    };
    let mut stage = Stage::new("one feed, beside the bare server");
    compare(&mut stage, "one event at a time", &single, &bare_single);
    compare(&mut stage, "bursts", &burst, &bare_burst);
    stages.push(stage);
    Ok(())
}

/// How many sockets listen to the feed of this number: 1 to 3, 1.8 on average.
const fn listeners(nth: usize) -> usize {
    match nth % 5 {
        0 | 1 => 1,
        2 | 3 => 2,
        _ => 3,
    }
}

async fn many_feeds(
    rig: &Rig,
    feeds: usize,
    span: Duration,
    stages: &mut Vec<Stage>,
) -> anyhow::Result<()> {
    let target = &rig.target;
    let before = rig.head().await?;
    let stores = target.stores(100.min(feeds)).await?;
    let orders = target.open_orders(&stores, feeds).await?;
    let ops = target.token("ops", "kitchen").await?;
    let tokens = target.customers(&orders).await?;
    let mut invited = Vec::new();
    for (nth, (order, token)) in orders.iter().zip(tokens).enumerate() {
        let channel: Arc<str> = format!("order:{order}").into();
        invited.extend((0..listeners(nth)).map(|_| Invited {
            address: target.address,
            codec: Codec::Json,
            token: Arc::clone(&token),
            channel: Some(Arc::clone(&channel)),
        }));
    }
    let sockets = invited.len();
    let mut http = Http::open(target.address).await?;
    let change = unheard(rig, &mut http, &ops, &orders, span, stages).await?;
    let crowd = Crowd::gather(invited, Arc::new(Nobody)).await?;
    let meter = Meter::new(rig, &DIALS, &COUNTS);
    let name = format!("{feeds} feeds, {sockets} sockets, every feed in turn, {BULK} a request");
    let mut stage = Stage::new(name);
    let mut events = Vec::new();
    let mut first = 0;
    let mut groups = Vec::new();
    for group in orders.chunks(BULK) {
        let count: usize = (0..group.len()).map(|nth| listeners(events.len() + nth)).sum();
        groups.push((first, first + count));
        first += count;
        events.extend(group);
    }
    // Every feed once is one turn.
    let cost = again(&crowd, &meter, &mut stage, span, sockets as u64, async |turn| {
        let word = if turn % 2 == 0 { "ready" } else { "unready" };
        for group in orders.chunks(BULK) {
            all_done(&http.ask(&bulk(&ops, word, group, &json!({}))).await?)?;
        }
        Ok(())
    })
    .await?;
    let payload = usize::try_from(crowd.bytes() / crowd.heard().max(1))? + 31 + ENVELOPE;
    let mut log = Log::after(before);
    log.read(target).await?;
    let heard = crowd.verify(&log).await?;
    stage.verified(format!("{sockets} sockets heard {heard} events, each once and in order"));
    stage.fact("sockets lost by the way", float(crowd.losses()), "");
    stages.push(stage);
    crowd.leave().await;
    let mut bare = Bare::start(sockets, payload).await?;
    let mut stage = Stage::new(format!("bare server, {sockets} sockets in turn"));
    let plain = bare.again(&mut stage, span, 1, &groups).await?;
    stages.push(stage);
    bare.leave().await;
    let mut stage = Stage::new("many feeds, beside the bare server");
    compare(&mut stage, "every feed in turn", &cost, &plain);
    if let (Some(all), Some(change), Some(bare)) = (cost.cpu, change, plain.cpu) {
        // Of each delivery its part of a change.
        let own = all - change * float(feeds as u64) / float(sockets as u64);
        stage.fact("CPU of a delivery without the changes", own, "µs");
        stage.fact("that, times the bare server's", own / bare.max(1e-3), "");
    }
    stages.push(stage);
    Ok(())
}

/// The same changes while nobody listens: the server's CPU of one, in microseconds.
async fn unheard(
    rig: &Rig,
    http: &mut Http,
    token: &str,
    orders: &[String],
    span: Duration,
    stages: &mut Vec<Stage>,
) -> anyhow::Result<Option<f64>> {
    let mut stage = Stage::new(format!("{} feeds to which nobody listens", orders.len()));
    let meter = Meter::new(rig, &[], &["changes"]);
    let running = meter.run(&stage.name);
    let began = Instant::now();
    while began.elapsed() < span {
        // There and back, so that all stand as before.
        for word in ["ready", "unready"] {
            for group in orders.chunks(BULK) {
                all_done(&http.ask(&bulk(token, word, group, &json!({}))).await?)?;
                meter.add(0, group.len() as u64);
            }
        }
    }
    let measured = running.finish(&mut stage).await?;
    stages.push(stage);
    let changes = float(measured.counted.first().copied().unwrap_or(0)).max(1.0);
    Ok(measured.server_cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / changes))
}

fn compare(stage: &mut Stage, name: &str, cost: &Cost, bare: &Cost) {
    stage.fact(&format!("{name}: deliveries"), cost.rate, "/s");
    stage.fact(&format!("{name}: deliveries of the bare server"), bare.rate, "/s");
    if let (Some(cpu), Some(bare)) = (cost.cpu, bare.cpu) {
        stage.fact(&format!("{name}: CPU of a delivery"), cpu, "µs");
        stage.fact(&format!("{name}: that of the bare server"), bare, "µs");
        stage.fact(&format!("{name}: times the bare server's"), cpu / bare.max(1e-3), "");
    }
}

/// The bare server and those who listen to it.
struct Bare {
    server: Baseline,
    crowd: Crowd,
    payload: usize,
}

impl Bare {
    async fn start(sockets: usize, payload: usize) -> anyhow::Result<Self> {
        let server = Baseline::start()?;
        let invited = (0..sockets).map(|_| Invited {
            address: server.address,
            codec: Codec::Json,
            token: "".into(),
            channel: None,
        });
        let crowd = Crowd::gather(invited.collect(), Arc::new(Nobody)).await?;
        Ok(Self { server, crowd, payload })
    }

    async fn again(
        &mut self,
        stage: &mut Stage,
        span: Duration,
        times: usize,
        groups: &[(usize, usize)],
    ) -> anyhow::Result<Cost> {
        let watched = vec![Watched::One(self.server.pid())];
        let meter = Meter::of(watched, vec![], &DIALS, &COUNTS);
        self.server.prepare(self.payload, times)?;
        let each = (self.crowd.seats.len() * times) as u64;
        let server = &mut self.server;
        again(&self.crowd, &meter, stage, span, each, async |_turn| {
            for (from, to) in groups {
                server.send(*from, *to)?;
            }
            Ok(())
        })
        .await
    }

    async fn leave(self) {
        self.crowd.leave().await;
    }
}
