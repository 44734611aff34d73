//! What is counted while the evening goes.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::time::Instant;

/// Slowest latency told apart from slower ones.
const SLOWEST_US: u64 = 60_000_000;
/// Failures kept in their words; further ones are only counted.
const WORDS_MAX: usize = 8;
/// Notable things kept.
const NOTABLE_MAX: usize = 4;
/// Span that rates are taken over.
const RATE_SPAN: Duration = Duration::from_secs(5);

/// Counts, rates and latencies of one evening.
#[derive(Debug)]
pub(super) struct Meter {
    /// Microseconds from an event's `at` to its arrival. `at` is the database's clock before the
    /// commit, cut to milliseconds, so a figure is too high by up to one of them.
    latency: Option<Histogram<u64>>,
    /// Events committed, as the platform's socket heard them.
    pub(super) events: u64,
    /// Events heard by all players together.
    pub(super) heard: u64,
    /// Sockets that stand now.
    pub(super) sockets: u64,
    /// Sockets dropped on purpose.
    pub(super) drops: u64,
    /// Subscriptions that came back with exactly what they missed.
    pub(super) recovered: u64,
    /// Subscriptions that came back with a snapshot instead.
    pub(super) restarted: u64,
    /// Sockets that ended though nobody meant them to.
    pub(super) cut: u64,
    /// The first of them in words.
    pub(super) cuts: Vec<String>,
    /// Customers whose order nobody watched, because too many watched already.
    pub(super) unwatched: u64,
    /// Refusals that come from two players acting at once, by the problem's code.
    pub(super) refused: BTreeMap<String, u64>,
    /// Players that failed unexpectedly.
    pub(super) failures: u64,
    /// The first failures in words.
    pub(super) failed: Vec<String>,
    began: Instant,
    notable: VecDeque<String>,
    /// Samples of `events` and `heard`, oldest first.
    samples: VecDeque<(Instant, u64, u64)>,
}

/// Percentiles of the latency, in microseconds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Latency {
    pub(super) count: u64,
    pub(super) p50: u64,
    pub(super) p99: u64,
    pub(super) max: u64,
}

impl Meter {
    pub(super) fn new() -> Self {
        Self {
            // Three digits and a range of a minute always make a histogram.
            latency: Histogram::new_with_bounds(1, SLOWEST_US, 3).ok(),
            events: 0,
            heard: 0,
            sockets: 0,
            drops: 0,
            recovered: 0,
            restarted: 0,
            cut: 0,
            cuts: vec![],
            unwatched: 0,
            refused: BTreeMap::new(),
            failures: 0,
            failed: vec![],
            began: Instant::now(),
            notable: VecDeque::new(),
            samples: VecDeque::new(),
        }
    }

    /// Begins the evening's clock.
    pub(super) fn begin(&mut self) {
        self.began = Instant::now();
    }

    /// Time since the evening began.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Notes how long an event took to arrive.
    pub(super) fn arrived(&mut self, after_us: u64) {
        if let Some(latency) = &mut self.latency {
            latency.saturating_record(after_us.clamp(1, SLOWEST_US));
        }
    }

    /// Notes something worth showing.
    pub(super) fn note(&mut self, what: &str) {
        if self.notable.len() >= NOTABLE_MAX {
            self.notable.pop_front();
        }
        self.notable.push_back(format!("{}  {what}", clock(self.elapsed())));
    }

    /// Notes that a socket ended though nobody meant it to.
    pub(super) fn cut(&mut self, what: String) {
        self.cut += 1;
        self.note(&what);
        if self.cuts.len() < WORDS_MAX {
            self.cuts.push(what);
        }
    }

    /// Notes that a player failed.
    pub(super) fn fail(&mut self, what: String) {
        self.failures += 1;
        self.note(&what);
        if self.failed.len() < WORDS_MAX {
            self.failed.push(what);
        }
    }

    /// Notes a refusal that was to be expected.
    pub(super) fn refuse(&mut self, word: &str) {
        if let Some(count) = self.refused.get_mut(word) {
            *count += 1;
        } else {
            self.refused.insert(word.to_owned(), 1);
        }
    }

    /// Notable things, oldest first.
    pub(super) fn notable(&self) -> Vec<String> {
        self.notable.iter().cloned().collect()
    }

    /// The latency so far.
    pub(super) fn latency(&self) -> Latency {
        self.latency.as_ref().filter(|latency| !latency.is_empty()).map_or_else(
            Latency::default,
            |latency| Latency {
                count: latency.len(),
                p50: latency.value_at_quantile(0.5),
                p99: latency.value_at_quantile(0.99),
                max: latency.max(),
            },
        )
    }

    /// Takes a sample; events and hearings a second over the last seconds.
    pub(super) fn sample(&mut self) -> (u64, u64) {
        let now = Instant::now();
        self.samples.push_back((now, self.events, self.heard));
        while self.samples.front().is_some_and(|(at, ..)| now.duration_since(*at) > RATE_SPAN) {
            self.samples.pop_front();
        }
        let Some((from, events, heard)) = self.samples.front().copied() else { return (0, 0) };
        let span = u64::try_from(now.duration_since(from).as_millis()).unwrap_or(u64::MAX);
        let rate = |count: u64| (count * 1_000).checked_div(span).unwrap_or(0);
        (rate(self.events - events), rate(self.heard - heard))
    }
}

/// A span as minutes and seconds.
pub(super) fn clock(span: Duration) -> String {
    let seconds = span.as_secs();
    format!("{:02}:{:02}", seconds / 60, seconds % 60)
}

/// Microseconds as milliseconds for people.
pub(super) fn millis(us: u64) -> String {
    let tenths = us.saturating_add(50) / 100;
    if tenths >= 1_000 {
        format!("{} ms", (us + 500) / 1_000)
    } else {
        format!("{}.{} ms", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latency_is_told_by_percentile() {
        let mut meter = Meter::new();
        assert_eq!(meter.latency().count, 0);
        (1..=100).for_each(|ms| meter.arrived(ms * 1_000));
        let latency = meter.latency();
        assert_eq!(millis(latency.p50), "50.0 ms");
        assert_eq!(millis(latency.p99), "99.0 ms");
        assert_eq!(millis(latency.max), "100 ms");
    }

    #[test]
    fn failures_are_counted_and_the_first_kept() {
        let mut meter = Meter::new();
        (0..20).for_each(|nth| meter.fail(format!("failure {nth}")));
        assert_eq!((meter.failures, meter.failed.len()), (20, WORDS_MAX));
        assert_eq!(meter.notable().len(), NOTABLE_MAX);
    }
}
