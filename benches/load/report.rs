//! What a run says at its end, to people and to later runs.

use std::fmt::Write as _;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Quantiles that are told.
const QUANTILES: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];

/// One run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) scenario: String,
    /// When it began, RFC 3339.
    pub(crate) at: String,
    /// The machine, the server, the database.
    pub(crate) conditions: Vec<String>,
    /// The command that shows the same.
    pub(crate) command: String,
    pub(crate) stages: Vec<Stage>,
}

/// One part of a run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Stage {
    pub(crate) name: String,
    pub(crate) facts: Vec<Fact>,
    pub(crate) waits: Vec<Wait>,
    pub(crate) series: Vec<Series>,
    /// What was held against the log, in a sentence each.
    pub(crate) verified: Vec<String>,
}

/// A number.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Fact {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: String,
}

/// How long something took, in milliseconds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Wait {
    pub(crate) name: String,
    pub(crate) count: u64,
    /// Milliseconds at the quantiles that are told.
    pub(crate) quantiles: Vec<(String, f64)>,
    /// Quantile and milliseconds, for the plot.
    pub(crate) curve: Vec<(f64, f64)>,
}

/// Something over time: seconds and value.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Series {
    pub(crate) name: String,
    /// The plot that it is part of.
    pub(crate) plot: String,
    pub(crate) unit: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// Microseconds as a histogram counts them.
pub(crate) fn micros(wait: Duration) -> u64 {
    u64::try_from(wait.as_micros()).unwrap_or(u64::MAX).max(1)
}

/// A number to calculate with.
#[expect(clippy::cast_precision_loss, reason = "numbers to be looked at")]
pub(crate) const fn float(number: u64) -> f64 {
    number as f64
}

/// Milliseconds at a quantile of a histogram of microseconds.
pub(crate) fn at(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    float(histogram.value_at_quantile(quantile)) / 1e3
}

impl Wait {
    /// Of a histogram of microseconds.
    pub(crate) fn new(name: &str, histogram: &Histogram<u64>) -> Self {
        let quantiles =
            QUANTILES.iter().map(|(name, q)| ((*name).to_owned(), at(histogram, *q))).collect();
        // Evenly over the powers of ten of what lies beyond.
        let curve = (0..=50)
            .map(|nth| 1.0 - 10_f64.powf(f64::from(nth) / -10.0))
            .take_while(|quantile| (1.0 - quantile) * float(histogram.len()) >= 1.0)
            .map(|quantile| (quantile, at(histogram, quantile)));
        Self { name: name.to_owned(), count: histogram.len(), quantiles, curve: curve.collect() }
    }
}

impl Stage {
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    pub(crate) fn fact(&mut self, name: &str, value: f64, unit: &str) {
        self.facts.push(Fact { name: name.to_owned(), value, unit: unit.to_owned() });
    }

    pub(crate) fn verified(&mut self, what: impl Into<String>) {
        self.verified.push(what.into());
    }

    /// As text, a line for each.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("\n{}\n", self.name);
        for Fact { name, value, unit } in &self.facts {
            let _infallible = writeln!(text, "  {name:<44} {:>14} {unit}", number(*value));
        }
        for wait in &self.waits {
            let quantiles =
                wait.quantiles.iter().map(|(name, ms)| format!("{name} {}", number(*ms)));
            let quantiles: Vec<_> = quantiles.collect();
            let Wait { name, count, .. } = wait;
            let _infallible =
                writeln!(text, "  {name:<44} {} ms (of {count})", quantiles.join("  "));
        }
        for what in &self.verified {
            let _infallible = writeln!(text, "  verified: {what}");
        }
        text
    }
}

impl Report {
    /// As text for a terminal.
    pub(crate) fn head(&self) -> String {
        let mut text = format!("{} at {}\n", self.scenario, self.at);
        for condition in &self.conditions {
            let _infallible = writeln!(text, "  {condition}");
        }
        text
    }
}

/// A number as people read it: digits by its size, thousands parted.
pub(crate) fn number(value: f64) -> String {
    let digits = match value.abs() {
        large if large >= 100.0 || value.fract() == 0.0 => 0,
        small if small < 1.0 => 3,
        middle if middle < 10.0 => 2,
        _ => 1,
    };
    let text = format!("{value:.digits$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let (sign, whole) = whole.strip_prefix('-').map_or(("", whole), |whole| ("-", whole));
    let mut parted = String::new();
    for (nth, digit) in whole.chars().enumerate() {
        if nth > 0 && (whole.len() - nth) % 3 == 0 {
            parted.push(',');
        }
        parted.push(digit);
    }
    format!("{sign}{parted}{rest}")
}
