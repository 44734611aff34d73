//! What the evening came to.

use std::fmt::Write as _;
use std::time::Duration;

use super::city::{City, Kind};
use super::ledger::Verdict;
use super::meter::{Latency, clock, millis};
use super::truth::Truth;

/// Channels with a fault that are named.
const FAULTS_MAX: usize = 10;

/// What one evening came to.
#[derive(Debug)]
pub(super) struct Summary {
    lasted: Duration,
    counts: Vec<(&'static str, u64)>,
    placed: u64,
    events: u64,
    is_ordered: bool,
    /// Each kind of player with its channels.
    verdicts: Vec<(Kind, u64, Verdict)>,
    /// Channels with a fault, the first ones in words.
    faults: Vec<String>,
    latency: Latency,
    drops: u64,
    recovered: u64,
    restarted: u64,
    cut: u64,
    cuts: Vec<String>,
    unwatched: u64,
    refused: Vec<(String, u64)>,
    failures: u64,
    failed: Vec<String>,
}

impl Summary {
    /// Judges every line of the city, all of which are hung up, against the log.
    pub(super) fn of(city: &City, truth: &Truth, lasted: Duration) -> Self {
        let ledgers = city.ledgers();
        let mut verdicts: Vec<(Kind, u64, Verdict)> =
            Kind::ALL.iter().map(|kind| (*kind, 0, Verdict::default())).collect();
        let mut faults = vec![];
        for (kind, channel, ledger) in &ledgers {
            let verdict = ledger.judge(truth.of(channel), truth.end());
            if !verdict.is_clean() && faults.len() < FAULTS_MAX {
                faults.push(format!("{channel}: {verdict:?}"));
            }
            for (_, channels, sum) in verdicts.iter_mut().filter(|(of, ..)| of == kind) {
                *channels += 1;
                sum.add(&verdict);
            }
        }
        let meter = city.meter.borrow();
        // The log's: a platform that had to start from a snapshot has not heard of every order.
        let board = truth.board();
        Self {
            lasted,
            counts: board.counts(),
            placed: board.placed(),
            events: truth.events(),
            is_ordered: truth.is_ordered(),
            verdicts,
            faults,
            latency: meter.latency(),
            drops: meter.drops,
            recovered: meter.recovered,
            restarted: meter.restarted,
            cut: meter.cut,
            cuts: meter.cuts.clone(),
            unwatched: meter.unwatched,
            refused: meter.refused.iter().map(|(word, count)| (word.clone(), *count)).collect(),
            failures: meter.failures,
            failed: meter.failed.clone(),
        }
    }

    /// Whether every player heard everything once and in order, and none failed.
    pub(super) fn is_clean(&self) -> bool {
        self.is_ordered && self.failures == 0 && self.total().is_clean()
    }

    fn total(&self) -> Verdict {
        let mut total = Verdict::default();
        self.verdicts.iter().for_each(|(_, _, verdict)| total.add(verdict));
        total
    }

    /// The summary as a table.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text).expect("writing to a String never fails");
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let list = |counts: &[(&'static str, u64)]| {
            let counts = counts.iter().map(|(name, count)| format!("{name} {count}"));
            counts.collect::<Vec<_>>().join(" · ")
        };
        writeln!(out, "the evening is over after {}", clock(self.lasted))?;
        writeln!(out)?;
        writeln!(out, "orders     {} placed", self.placed)?;
        writeln!(out, "           open   {}", list(self.counts.get(..4).unwrap_or_default()))?;
        writeln!(out, "           ended  {}", list(self.counts.get(4..).unwrap_or_default()))?;
        writeln!(out, "log        {} events", self.events)?;
        let Latency { count, p50, p99, max } = self.latency;
        let (p50, p99, max) = (millis(p50), millis(p99), millis(max));
        writeln!(
            out,
            "latency    commit to socket p50 {p50} · p99 {p99} · max {max} ({count} live)"
        )?;
        writeln!(
            out,
            "sockets    {} dropped on purpose · {} recovered · {} restarted · {} lost",
            self.drops, self.recovered, self.restarted, self.cut
        )?;
        for cut in &self.cuts {
            writeln!(out, "           {cut}")?;
        }
        let refused: u64 = self.refused.iter().map(|(_, count)| count).sum();
        let words: Vec<String> =
            self.refused.iter().map(|(word, count)| format!("{word} {count}")).collect();
        if refused > 0 {
            writeln!(
                out,
                "too late   {refused} requests, as when two act at once: {}",
                words.join(" · ")
            )?;
        }
        if self.unwatched > 0 {
            writeln!(out, "unwatched  {} orders", self.unwatched)?;
        }
        writeln!(out)?;
        writeln!(
            out,
            "{:<11}{:>9}{:>10}{:>10}{:>8}{:>10}{:>11}{:>9}",
            "player", "channels", "expected", "heard", "missed", "repeated", "reordered", "foreign"
        )?;
        let total = self.verdicts.iter().map(|(_, channels, _)| channels).sum();
        let rows = self.verdicts.iter().map(|(kind, channels, v)| (kind.name(), *channels, *v));
        for (name, channels, v) in rows.chain([("all", total, self.total())]) {
            writeln!(
                out,
                "{name:<11}{channels:>9}{:>10}{:>10}{:>8}{:>10}{:>11}{:>9}",
                v.expected, v.heard, v.missed, v.repeated, v.reordered, v.foreign
            )?;
        }
        writeln!(out)?;
        if !self.is_ordered {
            writeln!(out, "the log itself was read out of order")?;
        }
        for fault in self.faults.iter().chain(&self.failed) {
            writeln!(out, "  {fault}")?;
        }
        let Verdict { missed, repeated, reordered, .. } = self.total();
        write!(
            out,
            "{}: {missed} missed, {repeated} repeated, {reordered} reordered, {} failed",
            if self.is_clean() { "clean" } else { "NOT CLEAN" },
            self.failures
        )
    }
}
