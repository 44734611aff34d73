//! How many changes a second are made durable and heard?
//!
//! Without `--rate` each caller waits for its answer and asks again: the capacity. With it changes
//! come at their times, over as many connections as there are callers. Every change is an event
//! or two, and each event is heard by the socket of its store.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::crowd::{Crowd, Invited, Nobody};
use crate::flags::{Flags, Via};
use crate::http::{Answer, Http, request};
use crate::ledger::Log;
use crate::message;
use crate::meter::{Measured, Meter};
use crate::pacer::{Work, pace};
use crate::report::{Stage, float};
use crate::rig::{Rig, Target};
use crate::socket::{Audience, Seat};
use crate::town::{self, BULK};
use crate::walk::Walk;

/// Stores, each with a socket that hears all of its orders.
const STORES: usize = 64;
/// Sockets that calls come over.
const SOCKETS: usize = 64;
/// The first id of a call.
const FIRST: u32 = 10;

/// The count and the dial of changes.
const CHANGES: usize = 0;
const ANSWER: usize = 0;

/// Runs the scenario.
pub(crate) async fn run(rig: &Rig, flags: &Flags) -> anyhow::Result<Vec<Stage>> {
    let target = &rig.target;
    let before = rig.head().await?;
    let stores = target.stores(flags.size(None, STORES, 8)).await?;
    if let Some(open) = flags.open {
        target.open_orders(&stores, open).await?;
    }
    let tokens = target.tokens("store", &stores).await?;
    let invited = stores.iter().zip(tokens).enumerate().map(|(nth, (store, token))| Invited {
        address: target.address,
        codec: flags.codec.of(nth),
        token,
        channel: Some(format!("store:{store}").into()),
    });
    let crowd = Crowd::gather(invited.collect(), Arc::new(Nobody)).await?;
    let mut log = Log::after(before);
    log.read(target).await?;
    let setting_up = log.count;
    let usual: &[usize] = if flags.test { &[1, 8] } else { &[1, 16, 64, 256] };
    let callers = flags.callers.clone().unwrap_or_else(|| usual.to_vec());
    let seconds = Duration::from_secs(flags.seconds(10));
    let mut stages = Vec::new();
    let mut events = 0;
    for via in &flags.via {
        if *via == Via::Bulk {
            let mut stage = Stage::new("bulk: one caller");
            events += in_bulk(rig, &stores, seconds / 2, &mut stage).await?;
            stages.push(stage);
            continue;
        }
        for count in &callers {
            let name = format!("{via:?}").to_lowercase();
            let mut stage = Stage::new(format!("{name}, {count} callers"));
            let meter = Meter::new(rig, &["answer"], &["changes"]);
            let running = meter.run(&stage.name);
            let walks: Vec<Walk> =
                stores.iter().cycle().take(*count).map(|store| Walk::new(store)).collect();
            let made = match (via, flags.rate) {
                (Via::Http, None) => by_requests(target, walks, &meter, seconds).await?,
                (Via::Http, Some(rate)) => at_times(target, walks, &meter, seconds, rate).await?,
                (Via::Rpc | Via::Bulk, _) => {
                    by_calls(target, walks, &meter, seconds, flags).await?
                }
            };
            events += made;
            let Measured { seconds, .. } = running.finish(&mut stage).await?;
            stage.fact("events", float(made) / seconds, "/s");
            stages.push(stage);
        }
    }
    log.read(target).await?;
    let logged = log.count - setting_up;
    ensure!(logged == events, "{events} events were answered, and the log has {logged}");
    let heard = crowd.verify(&log).await?;
    let mut stage = Stage::new("verification");
    stage.verified(format!("the log has the {logged} events that were answered, and no other"));
    stage.verified(format!("{} stores heard {heard} events, each once and in order", stores.len()));
    stage.fact("sockets lost by the way", float(crowd.losses()), "");
    stages.push(stage);
    crowd.leave().await;
    Ok(stages)
}

/// Callers of the REST API; events made.
async fn by_requests(
    target: &Target,
    walks: Vec<Walk>,
    meter: &Arc<Meter>,
    span: Duration,
) -> anyhow::Result<u64> {
    let mut callers = JoinSet::new();
    let until = Instant::now() + span;
    for (nth, mut walk) in walks.into_iter().enumerate() {
        let (target, meter) = (target.clone(), Arc::clone(meter));
        callers.spawn(async move {
            let mut http = Http::open(target.address).await?;
            let mut events = 0;
            while Instant::now() < until {
                let request = walk.request(&target.key);
                let began = Instant::now();
                let answer = http.ask(&request).await?;
                meter.record(ANSWER, nth, began.elapsed());
                events += walk.take(answer.good()?)?;
                meter.add(CHANGES, 1);
            }
            anyhow::Ok(events)
        });
    }
    let mut events = 0;
    while let Some(caller) = callers.join_next().await {
        events += caller??;
    }
    Ok(events)
}

/// Changes at their times: each walk goes on when it is its turn.
struct Paced {
    walks: Vec<Mutex<Walk>>,
    key: Arc<str>,
    /// Between two changes of one walk.
    every: Duration,
    meter: Arc<Meter>,
    events: AtomicU64,
}

impl Work for Paced {
    fn request(&self, subject: usize, _due: Instant) -> Option<Vec<u8>> {
        let walk = self.walks.get(subject)?.lock().unwrap_or_else(PoisonError::into_inner);
        Some(walk.request(&self.key))
    }

    fn answered(
        &self,
        subject: usize,
        due: Instant,
        at: Instant,
        answer: &Answer,
    ) -> anyhow::Result<Option<Instant>> {
        self.meter.record(ANSWER, subject, at - due);
        self.meter.add(CHANGES, 1);
        let walk = self.walks.get(subject).context("a walk")?;
        let mut walk = walk.lock().unwrap_or_else(PoisonError::into_inner);
        self.events.fetch_add(walk.take(answer.good()?)?, Ordering::Relaxed);
        Ok(Some(due + self.every))
    }
}

async fn at_times(
    target: &Target,
    walks: Vec<Walk>,
    meter: &Arc<Meter>,
    span: Duration,
    rate: u32,
) -> anyhow::Result<u64> {
    let lines = walks.len();
    // More walks than connections, so that each has time to be answered before its next turn.
    let walks: Vec<_> = walks.iter().cycle().take(lines * 4).cloned().map(Mutex::new).collect();
    let count = u32::try_from(walks.len())?;
    let every = Duration::from_secs(1) * count / rate;
    let began = Instant::now();
    let due = (0..count).map(|nth| (began + every * nth / count, nth as usize));
    let due: Vec<_> = due.collect();
    let work = Arc::new(Paced {
        walks,
        key: Arc::clone(&target.key),
        every,
        meter: Arc::clone(meter),
        events: AtomicU64::new(0),
    });
    pace(target, lines, Arc::clone(&work) as Arc<dyn Work>, due, began + span).await?;
    Ok(work.events.load(Ordering::Relaxed))
}

/// Callers on sockets: each answer is followed by the next call at once.
struct Callers {
    walks: Vec<Mutex<(Walk, Instant)>>,
    sockets: usize,
    stop: AtomicBool,
    under_way: AtomicU64,
    events: AtomicU64,
    meter: Arc<Meter>,
    failed: Mutex<Option<anyhow::Error>>,
}

impl Callers {
    fn call(&self, seat: &Seat, nth: usize) -> anyhow::Result<()> {
        let walk = self.walks.get(nth).context("a walk")?;
        let mut walk = walk.lock().unwrap_or_else(PoisonError::into_inner);
        let (method, data) = walk.0.call();
        let id = FIRST + u32::try_from(nth / self.sockets)?;
        walk.1 = Instant::now();
        self.under_way.fetch_add(1, Ordering::AcqRel);
        ensure!(seat.say(&message::call(seat.codec, id, &method, &data)), "a socket is full");
        Ok(())
    }

    fn take(
        &self,
        seat: &Seat,
        id: u32,
        answer: Result<&[u8], u32>,
        at: Instant,
    ) -> anyhow::Result<()> {
        let nth = seat.nth + usize::try_from(id - FIRST)? * self.sockets;
        let answer = answer.map_err(|code| anyhow::anyhow!("a call failed with {code}"))?;
        {
            let walk = self.walks.get(nth).context("a walk")?;
            let mut walk = walk.lock().unwrap_or_else(PoisonError::into_inner);
            self.meter.record(ANSWER, nth, at - walk.1);
            self.events.fetch_add(walk.0.take(answer)?, Ordering::Relaxed);
        }
        self.meter.add(CHANGES, 1);
        if !self.stop.load(Ordering::Acquire) {
            self.call(seat, nth)?;
        }
        self.under_way.fetch_sub(1, Ordering::AcqRel);
        Ok(())
    }

    fn fail(&self, error: anyhow::Error) {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }
}

impl Audience for Callers {
    fn answered(&self, seat: &Seat, id: u32, answer: Result<&[u8], u32>, at: Instant) {
        if let Err(error) = self.take(seat, id, answer, at) {
            self.fail(error);
        }
    }
}

async fn by_calls(
    target: &Target,
    walks: Vec<Walk>,
    meter: &Arc<Meter>,
    span: Duration,
    flags: &Flags,
) -> anyhow::Result<u64> {
    let sockets = walks.len().min(SOCKETS);
    let walks: Vec<_> = walks.into_iter().map(|walk| Mutex::new((walk, Instant::now()))).collect();
    let count = walks.len();
    let callers = Arc::new(Callers {
        walks,
        sockets,
        stop: AtomicBool::new(false),
        under_way: AtomicU64::new(0),
        events: AtomicU64::new(0),
        meter: Arc::clone(meter),
        failed: Mutex::default(),
    });
    let invited = (0..sockets).map(|nth| Invited {
        address: target.address,
        codec: flags.codec.of(nth),
        token: Arc::clone(&target.key),
        channel: None,
    });
    let crowd = Crowd::gather(invited.collect(), Arc::clone(&callers) as Arc<dyn Audience>).await?;
    let until = Instant::now() + span;
    for nth in 0..count {
        let seat = crowd.seats.get(nth % sockets).context("a socket")?;
        callers.call(seat, nth)?;
    }
    let late = until + Duration::from_secs(30);
    loop {
        sleep(Duration::from_millis(2)).await;
        if Instant::now() >= until {
            callers.stop.store(true, Ordering::Release);
        }
        let failed = callers.failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(error) = failed {
            return Err(error);
        }
        if callers.under_way.load(Ordering::Acquire) == 0 {
            break;
        }
        ensure!(Instant::now() < late, "calls are not answered");
    }
    crowd.leave().await;
    Ok(callers.events.load(Ordering::Relaxed))
}

/// One caller who places 500 orders together, and one who places one after the other, in turns;
/// events made.
async fn in_bulk(
    rig: &Rig,
    stores: &[String],
    span: Duration,
    stage: &mut Stage,
) -> anyhow::Result<u64> {
    let target = &rig.target;
    let mut http = Http::open(target.address).await?;
    let mut rates = [(0_u64, Duration::ZERO); 2];
    let body = |store: &String| town::order(store, &format!("bulk-{}", uuid::Uuid::new_v4()));
    for _turn in 0..4 {
        let began = Instant::now();
        let [together, alone] = &mut rates;
        while began.elapsed() < span / 4 {
            let bodies: Vec<_> = stores.iter().cycle().take(BULK).map(body).collect();
            let bodies = json!({"orders": bodies}).to_string();
            let asked = request("POST", "/v1/orders/bulk", &target.key, &bodies);
            let asking = Instant::now();
            town::all_done(&http.ask(&asked).await?)?;
            together.1 += asking.elapsed();
            together.0 += BULK as u64;
        }
        let began = Instant::now();
        for store in stores.iter().cycle() {
            let asked = request("POST", "/v1/orders", &target.key, &body(store).to_string());
            let asking = Instant::now();
            http.ask(&asked).await?.good()?;
            alone.1 += asking.elapsed();
            alone.0 += 1;
            if began.elapsed() >= span / 4 {
                break;
            }
        }
    }
    let [together, alone] = rates.map(|(count, took)| float(count) / took.as_secs_f64());
    stage.fact("orders placed 500 together", together, "/s");
    stage.fact("orders placed one after the other", alone, "/s");
    stage.fact("how many times as many", together / alone, "");
    Ok(rates.iter().map(|(count, _)| count).sum())
}
