//! One look at the evening, as text.

use std::time::Duration;

use super::city::City;
use super::meter::{Latency, clock, millis};

/// Columns of the bar of time.
const BAR: usize = 40;

/// One look at the evening.
#[derive(Debug, Clone, Default)]
pub(super) struct Picture {
    /// Where people look in: what it is, and its address; empty until there is something to see.
    pub(super) doors: Vec<(&'static str, String)>,
    /// Where an open order's customer is.
    pub(super) order_url: Option<String>,
    phase: &'static str,
    elapsed: Duration,
    span: Option<Duration>,
    per_minute: u32,
    placed: u64,
    counts: Vec<(&'static str, u64)>,
    events_rate: u64,
    heard_rate: u64,
    sockets: u64,
    drops: u64,
    recovered: u64,
    restarted: u64,
    cut: u64,
    failures: u64,
    latency: Latency,
    notable: Vec<String>,
}

impl Picture {
    /// The city as it is now.
    pub(super) fn of(city: &City, phase: &'static str, span: Option<Duration>) -> Self {
        let mut meter = city.meter.borrow_mut();
        let board = city.board.borrow();
        let (events_rate, heard_rate) = meter.sample();
        Self {
            doors: vec![],
            order_url: city.shown_url(),
            phase,
            elapsed: meter.elapsed(),
            span,
            per_minute: city.pace.per_minute(),
            placed: board.placed(),
            counts: board.counts(),
            events_rate,
            heard_rate,
            sockets: meter.sockets,
            drops: meter.drops,
            recovered: meter.recovered,
            restarted: meter.restarted,
            cut: meter.cut,
            failures: meter.failures,
            latency: meter.latency(),
            notable: meter.notable(),
        }
    }

    /// The picture in lines; the notable things, which may be left out, apart.
    pub(super) fn lines(&self) -> (Vec<String>, Vec<String>) {
        let counts = |from: usize, to: usize| -> String {
            let counts = self.counts.get(from..to).unwrap_or_default().iter();
            counts.map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(" · ")
        };
        let latency = if self.latency.count == 0 {
            "nothing heard yet".to_owned()
        } else {
            let Latency { p50, p99, max, .. } = self.latency;
            format!(
                "commit to socket p50 {} · p99 {} · max {}",
                millis(p50),
                millis(p99),
                millis(max)
            )
        };
        let lines = vec![
            self.time(),
            format!("orders   {} placed at {} a minute", self.placed, self.per_minute),
            format!("         open   {}", counts(0, 4)),
            format!("         ended  {}", counts(4, 9)),
            format!(
                "events   {}/s committed · {}/s heard on {} sockets",
                self.events_rate, self.heard_rate, self.sockets
            ),
            format!("latency  {latency}"),
            format!(
                "sockets  {} dropped on purpose · {} recovered · {} restarted · {} lost",
                self.drops, self.recovered, self.restarted, self.cut
            ),
        ];
        let mut notable = self.notable.clone();
        if self.failures > 0 {
            notable.push(format!("{} failures", self.failures));
        }
        (lines, notable)
    }

    /// The picture in one line, for a log.
    pub(super) fn line(&self) -> String {
        let open: u64 = self.counts.iter().take(4).map(|(_, count)| count).sum();
        format!(
            "{}  placed {} open {} delivered {}  events {}/s heard {}/s  p50 {} p99 {}  sockets {} \
             dropped {} recovered {}",
            clock(self.elapsed),
            self.placed,
            open,
            self.counts.get(4).map_or(0, |(_, count)| *count),
            self.events_rate,
            self.heard_rate,
            millis(self.latency.p50),
            millis(self.latency.p99),
            self.sockets,
            self.drops,
            self.recovered,
        )
    }

    fn time(&self) -> String {
        let Some(span) = self.span else {
            return format!("evening  {} · {} · Ctrl-C ends it", clock(self.elapsed), self.phase);
        };
        let part = self.elapsed.as_millis() * (BAR as u128) / span.as_millis().max(1);
        let full = usize::try_from(part).unwrap_or(BAR).min(BAR);
        format!(
            "evening  {}{} {} of {} · {}",
            "━".repeat(full),
            "─".repeat(BAR - full),
            clock(self.elapsed.min(span)),
            clock(span),
            self.phase
        )
    }
}
