//! Numbers of the process in the text format of `OpenMetrics`.
//!
//! Counters count since the process began, wherever something happens; gauges are read when they
//! are asked for. No label names a tenant, a person or an order: whoever may read how busy a
//! process is learns nothing of anyone.

use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// Buckets of durations: 1 ms, doubled up to 8 s.
const SHORTEST_S: f64 = 0.001;
const DOUBLINGS: u16 = 14;
/// Buckets of batch sizes: 1, doubled up to 4,096, the largest there is.
const BATCH_DOUBLINGS: u16 = 13;

/// The labels of a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Request {
    method: String,
    /// The pattern of its route, never its path: a path may carry a secret.
    route: String,
    status: u16,
}

/// One word that tells what kind something was of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kind(&'static str, String);

impl EncodeLabelSet for Request {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        let Self { method, route, status } = self;
        [("method", method), ("route", route)].encode(encoder)?;
        [("status", u32::from(*status))].encode(encoder)
    }
}

impl EncodeLabelSet for Kind {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        [(self.0, &self.1)].encode(encoder)
    }
}

/// What is as it is now, and is looked up when somebody asks.
#[derive(Debug, Clone, Copy, Default)]
pub struct Gauges {
    /// Sockets and streams open.
    pub connections: usize,
    /// Changes that wait for the writer.
    pub queued: usize,
    /// Whether the log is heard.
    pub heard: bool,
    /// The last position published.
    pub published: u64,
    /// The last position that this process knows to have committed.
    pub committed: u64,
}

/// The counters of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<Request, Counter>,
    request_seconds: Histogram,
    changes: Counter,
    batch_changes: Histogram,
    batch_seconds: Histogram,
    failed_batches: Counter,
    events: Counter,
    frames: Counter,
    writes: Counter,
    closes: Family<Kind, Counter>,
    timers: Counter,
    letters: Family<Kind, Counter>,
}

/// The counters of this process, for all threads.
pub fn metrics() -> &'static Metrics {
    static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);
    &METRICS
}

impl Metrics {
    fn new() -> Self {
        let mut registry = Registry::with_prefix("ordercast");
        let seconds = || Histogram::new(exponential_buckets(SHORTEST_S, 2.0, DOUBLINGS));
        let (request_seconds, batch_seconds) = (seconds(), seconds());
        let batch_changes = Histogram::new(exponential_buckets(1.0, 2.0, BATCH_DOUBLINGS));
        let requests = Family::default();
        let (changes, failed_batches) = (Counter::default(), Counter::default());
        let (events, frames) = (Counter::default(), Counter::default());
        let (writes, timers) = (Counter::default(), Counter::default());
        let (closes, letters) = (Family::default(), Family::default());
        registry.register("http_requests", "Requests answered", requests.clone());
        registry.register_with_unit(
            "http_request",
            "From a request's head to its answer's; long polls wait on purpose",
            Unit::Seconds,
            request_seconds.clone(),
        );
        registry.register("changes", "Changes judged in a batch that committed", changes.clone());
        registry.register("batch_changes", "Changes of each batch", batch_changes.clone());
        registry.register_with_unit(
            "batch",
            "From a batch's first statement until its commit was answered",
            Unit::Seconds,
            batch_seconds.clone(),
        );
        registry.register(
            "batches_failed",
            "Batches whose commit failed or is not known",
            failed_batches.clone(),
        );
        registry.register("events", "Events read from the log and published", events.clone());
        registry.register(
            "frames",
            "Frames made of events, for any number of sockets",
            frames.clone(),
        );
        registry.register(
            "socket_writes",
            "Writes to sockets, each of many frames",
            writes.clone(),
        );
        registry.register("closes", "Connections that we closed, by code", closes.clone());
        registry.register("timers", "Orders that were looked at when due", timers.clone());
        registry.register("webhook_letters", "Posts to webhooks, by outcome", letters.clone());
        Self {
            registry,
            requests,
            request_seconds,
            changes,
            batch_changes,
            batch_seconds,
            failed_batches,
            events,
            frames,
            writes,
            closes,
            timers,
            letters,
        }
    }

    /// A request was answered.
    pub fn answered(&self, method: &str, route: Option<&str>, status: u16, took: Duration) {
        // What no route takes is made up by others, and has no end.
        let (method, route) = match route {
            Some(route) => (method.to_owned(), route.to_owned()),
            None => (String::new(), String::new()),
        };
        self.requests.get_or_create(&Request { method, route, status }).inc();
        self.request_seconds.observe(took.as_secs_f64());
    }

    /// A batch committed.
    #[expect(clippy::cast_precision_loss, reason = "a batch is small")]
    pub fn committed(&self, changes: usize, took: Duration) {
        self.changes.inc_by(changes as u64);
        self.batch_changes.observe(changes as f64);
        self.batch_seconds.observe(took.as_secs_f64());
    }

    /// A batch did not commit, or nobody knows.
    pub fn failed(&self) {
        self.failed_batches.inc();
    }

    /// Events were read from the log.
    pub fn heard(&self, events: usize) {
        self.events.inc_by(events as u64);
    }

    /// An event became a frame.
    pub fn encoded(&self) {
        self.frames.inc();
    }

    /// Something was written to a socket.
    pub fn wrote(&self) {
        self.writes.inc();
    }

    /// We closed a connection.
    pub fn closed(&self, code: u16) {
        self.closes.get_or_create(&Kind("code", code.to_string())).inc();
    }

    /// Orders were due.
    pub fn fired(&self, orders: usize) {
        self.timers.inc_by(orders as u64);
    }

    /// A webhook was posted to.
    pub fn posted(&self, outcome: &str) {
        self.letters.get_or_create(&Kind("outcome", outcome.to_owned())).inc();
    }

    /// All of it, as text.
    ///
    /// # Errors
    /// None: a `String` takes everything.
    pub fn text(&self, gauges: Gauges) -> Result<String, fmt::Error> {
        let mut text = String::with_capacity(16_384);
        encode(&mut text, &self.registry)?;
        let mut now = Registry::with_prefix("ordercast");
        let count = |number: usize| ConstGauge::new(i64::try_from(number).unwrap_or(i64::MAX));
        let position = |number: u64| ConstGauge::new(i64::try_from(number).unwrap_or(i64::MAX));
        now.register("connections", "Sockets and streams open", count(gauges.connections));
        now.register("queued_changes", "Changes that wait to be written", count(gauges.queued));
        now.register("log_heard", "1 while the log is heard", count(gauges.heard.into()));
        now.register("published_position", "Last position published", position(gauges.published));
        now.register(
            "committed_position",
            "Last position written here",
            position(gauges.committed),
        );
        // One end, not two: what was encoded first has its own.
        text.truncate(text.trim_end_matches("# EOF\n").len());
        encode(&mut text, &now)?;
        Ok(text)
    }
}
