//! What is measured while a stage runs: waits, rates, CPU and memory, each second.

use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::report::{Series, Stage, Wait, at, float, micros, number};
use crate::rig::Rig;
use crate::usage::{Usage, Watched, total};

/// Parts of a dial, so that threads seldom meet.
const SHARDS: usize = 8;
/// Points of a plot; of a longer run neighbours are averaged.
const POINTS_MAX: usize = 600;
/// Between two lines of progress where nobody can see one line change.
const QUIET: u64 = 10;

/// How long something takes.
#[derive(Debug)]
pub(crate) struct Dial {
    name: &'static str,
    shards: Vec<Mutex<Histogram<u64>>>,
}

/// Three digits are enough, and any length fits.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new(3).expect("3 is a number of digits that a histogram takes")
}

impl Dial {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, shards: (0..SHARDS).map(|_| Mutex::new(histogram())).collect() }
    }

    /// Records a wait; `nth` spreads callers.
    pub(crate) fn record(&self, nth: usize, wait: Duration) {
        if let Some(shard) = self.shards.get(nth % SHARDS) {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.record(micros(wait)).ok();
        }
    }

    fn take(&self) -> Histogram<u64> {
        let mut all = histogram();
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            if all.add(&*shard).is_ok() {
                shard.reset();
            }
        }
        all
    }
}

/// What is counted.
#[derive(Debug, Default)]
pub(crate) struct Count {
    name: &'static str,
    value: AtomicU64,
}

impl Count {
    pub(crate) const fn new(name: &'static str) -> Self {
        Self { name, value: AtomicU64::new(0) }
    }

    pub(crate) fn add(&self, more: u64) {
        self.value.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.value.load(Ordering::Relaxed)
    }
}

/// What a stage measures.
#[derive(Debug)]
pub(crate) struct Meter {
    pub(crate) dials: Vec<Dial>,
    pub(crate) counts: Vec<Count>,
    watched: Vec<(&'static str, Vec<Watched>)>,
}

/// A second of it.
#[derive(Debug, Clone)]
struct Second {
    at: f64,
    counts: Vec<u64>,
    usages: Vec<Option<Usage>>,
    /// p50 and p99 of each dial in this second, milliseconds; none when nothing was recorded.
    quantiles: Vec<Option<(f64, f64)>>,
}

/// A meter that runs.
pub(crate) struct Running {
    meter: Arc<Meter>,
    began: Instant,
    start: Vec<Option<Usage>>,
    counted: Vec<u64>,
    end: watch::Sender<bool>,
    task: JoinHandle<(Vec<Histogram<u64>>, Vec<Second>)>,
}

impl Meter {
    pub(crate) fn new(rig: &Rig, dials: &[&'static str], counts: &[&'static str]) -> Arc<Self> {
        Self::of(rig.server_processes(), rig.database_processes(), dials, counts)
    }

    /// The same for other processes.
    pub(crate) fn of(
        server: Vec<Watched>,
        database: Vec<Watched>,
        dials: &[&'static str],
        counts: &[&'static str],
    ) -> Arc<Self> {
        Arc::new(Self {
            dials: dials.iter().map(|name| Dial::new(name)).collect(),
            counts: counts.iter().map(|name| Count::new(name)).collect(),
            watched: vec![
                ("server", server),
                ("PostgreSQL", database),
                ("load", vec![Watched::One(std::process::id())]),
            ],
        })
    }

    /// Records a wait on a dial.
    pub(crate) fn record(&self, dial: usize, nth: usize, wait: Duration) {
        if let Some(dial) = self.dials.get(dial) {
            dial.record(nth, wait);
        }
    }

    /// Counts.
    pub(crate) fn add(&self, count: usize, more: u64) {
        if let Some(count) = self.counts.get(count) {
            count.add(more);
        }
    }

    fn usages(&self) -> Vec<Option<Usage>> {
        self.watched.iter().map(|(_name, watched)| total(watched)).collect()
    }

    fn counted(&self) -> Vec<u64> {
        self.counts.iter().map(Count::get).collect()
    }

    /// Begins to look each second, and says how it goes.
    pub(crate) fn run(self: &Arc<Self>, title: &str) -> Running {
        // What was recorded before is not of this stage.
        for dial in &self.dials {
            dial.take();
        }
        let (end, ended) = watch::channel(false);
        let began = Instant::now();
        let task = tokio::spawn(Arc::clone(self).look(began, ended, title.to_owned()));
        let (start, counted) = (self.usages(), self.counted());
        Running { meter: Arc::clone(self), began, start, counted, end, task }
    }

    async fn look(
        self: Arc<Self>,
        began: Instant,
        mut ended: watch::Receiver<bool>,
        title: String,
    ) -> (Vec<Histogram<u64>>, Vec<Second>) {
        let mut totals: Vec<_> = self.dials.iter().map(|_| histogram()).collect();
        let mut seconds = vec![self.second(began, &mut totals)];
        let mut ticks = interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        let terminal = std::io::stderr().is_terminal();
        for nth in 1_u64.. {
            let last = tokio::select! {
                _ = ticks.tick() => false,
                _ = ended.wait_for(|ended| *ended) => true,
            };
            seconds.push(self.second(began, &mut totals));
            if terminal || nth % QUIET == 0 {
                progress(&title, &self.line(&seconds), terminal);
            }
            if last {
                break;
            }
        }
        if terminal {
            progress("", "", true);
        }
        (totals, seconds)
    }

    fn second(&self, began: Instant, totals: &mut [Histogram<u64>]) -> Second {
        let taken = self.dials.iter().map(Dial::take);
        let quantiles = taken.zip(totals).map(|(fresh, total)| {
            total.add(&fresh).ok();
            (!fresh.is_empty()).then(|| (at(&fresh, 0.5), at(&fresh, 0.99)))
        });
        let quantiles = quantiles.collect();
        Second {
            at: began.elapsed().as_secs_f64(),
            counts: self.counted(),
            usages: self.usages(),
            quantiles,
        }
    }

    /// One line of how it goes.
    fn line(&self, seconds: &[Second]) -> String {
        let [.., before, now] = seconds else { return String::new() };
        let span = (now.at - before.at).max(1e-3);
        let mut parts = vec![format!("{:.0} s", now.at)];
        for (nth, count) in self.counts.iter().enumerate() {
            let value = |second: &Second| second.counts.get(nth).copied().unwrap_or(0);
            let rate = float(value(now) - value(before)) / span;
            parts.push(format!("{} {}/s", number(rate), count.name));
        }
        for (dial, quantiles) in self.dials.iter().zip(&now.quantiles) {
            if let Some((p50, p99)) = quantiles {
                parts.push(format!("{} p50 {} p99 {} ms", dial.name, number(*p50), number(*p99)));
            }
        }
        for (nth, (name, _watched)) in self.watched.iter().enumerate() {
            if let Some((cpu, rss)) = load(before, now, nth) {
                parts.push(format!("{name} {cpu:.0} % {rss:.0} MB"));
            }
        }
        parts.join(", ")
    }
}

/// CPU in per cent of one core, and resident MB, of one of the watched in a second.
fn load(before: &Second, now: &Second, nth: usize) -> Option<(f64, f64)> {
    let usage = |second: &Second| second.usages.get(nth).copied().flatten();
    let (first, last) = (usage(before)?, usage(now)?);
    let span = (now.at - before.at).max(1e-3);
    let cpu = last.cpu.saturating_sub(first.cpu).as_secs_f64() / span * 100.0;
    Some((cpu, float(last.rss) / 1e6))
}

#[expect(clippy::print_stderr, reason = "how it goes is not what it says at the end")]
fn progress(title: &str, line: &str, terminal: bool) {
    if terminal {
        eprint!("\r\x1b[2K{title}{}{line}", if title.is_empty() { "" } else { ": " });
        drop(std::io::stderr().flush());
    } else {
        eprintln!("{title}: {line}");
    }
}

/// What has been measured, in short.
pub(crate) struct Measured {
    pub(crate) seconds: f64,
    /// By count.
    pub(crate) counted: Vec<u64>,
    /// CPU of the server, if it can be seen.
    pub(crate) server_cpu: Option<Duration>,
}

impl Running {
    /// Ends the measurement and writes it into the stage.
    pub(crate) async fn finish(self, stage: &mut Stage) -> anyhow::Result<Measured> {
        let seconds = self.began.elapsed().as_secs_f64();
        let (end, counted) = (self.meter.usages(), self.meter.counted());
        self.end.send_replace(true);
        let (totals, looks) = self.task.await?;
        let counted: Vec<u64> =
            counted.iter().zip(&self.counted).map(|(end, start)| end - start).collect();
        for (count, value) in self.meter.counts.iter().zip(&counted) {
            stage.fact(count.name, float(*value) / seconds, "/s");
        }
        let mut server_cpu = None;
        for ((name, _), (start, end)) in self.meter.watched.iter().zip(self.start.iter().zip(&end))
        {
            let (Some(start), Some(end)) = (start, end) else { continue };
            let used = end.cpu.saturating_sub(start.cpu);
            let share = used.as_secs_f64() / seconds * 100.0;
            stage.fact(&format!("CPU of {name}"), share, "% of a core");
            if let Some(first) = counted.first().filter(|first| **first > 0) {
                let each = used.as_secs_f64() * 1e6 / float(*first);
                stage.fact(&format!("CPU of {name}, each"), each, "µs");
            }
            if *name == "server" {
                stage.fact("memory of server", float(end.rss) / 1e6, "MB");
                server_cpu = Some(used);
            }
        }
        for (dial, total) in self.meter.dials.iter().zip(&totals) {
            if !total.is_empty() {
                stage.waits.push(Wait::new(dial.name, total));
            }
        }
        stage.series.extend(self.meter.series(&looks));
        Ok(Measured { seconds, counted, server_cpu })
    }
}

impl Meter {
    fn series(&self, looks: &[Second]) -> Vec<Series> {
        let step = looks.len().div_ceil(POINTS_MAX).max(1);
        let looks: Vec<&Second> = looks.iter().step_by(step).collect();
        let pairs: Vec<_> = looks.iter().zip(looks.iter().skip(1)).collect();
        let mut series = Vec::new();
        for (nth, count) in self.counts.iter().enumerate() {
            let rate = pairs.iter().map(|(before, now)| {
                let value = |second: &Second| second.counts.get(nth).copied().unwrap_or(0);
                (now.at, float(value(now) - value(before)) / (now.at - before.at).max(1e-3))
            });
            series.push(one(count.name, "rate", "/s", rate.collect()));
        }
        for (nth, dial) in self.dials.iter().enumerate() {
            type Pick = fn((f64, f64)) -> f64;
            let picks: [(&str, Pick); 2] = [("p50", |both| both.0), ("p99", |both| both.1)];
            for (name, pick) in picks {
                let points = looks.iter().filter_map(|second| {
                    Some((second.at, pick(second.quantiles.get(nth).copied().flatten()?)))
                });
                let name = format!("{} {name}", dial.name);
                series.push(one(&name, "latency over time", "ms", points.collect()));
            }
        }
        for (nth, (name, _)) in self.watched.iter().enumerate() {
            let loads: Vec<_> = pairs
                .iter()
                .filter_map(|(before, now)| Some((now.at, load(before, now, nth)?)))
                .collect();
            let cpu = loads.iter().map(|(at, (cpu, _))| (*at, *cpu));
            series.push(one(name, "CPU", "% of a core", cpu.collect()));
            if *name != "load" {
                let memory = loads.iter().map(|(at, (_, rss))| (*at, *rss));
                series.push(one(name, "memory", "MB", memory.collect()));
            }
        }
        series.retain(|series| !series.points.is_empty());
        series
    }
}

fn one(name: &str, plot: &str, unit: &str, points: Vec<(f64, f64)>) -> Series {
    Series { name: name.to_owned(), plot: plot.to_owned(), unit: unit.to_owned(), points }
}
