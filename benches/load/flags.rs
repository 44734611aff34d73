//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use ordercast::protocol::Codec;

/// Loads an ordercast server, verifies what it did, and reports what it took.
#[derive(Debug, Clone, Parser)]
#[command(name = "load", bin_name = "cargo bench --bench load --")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct Flags {
    /// What to do; with --test all of them, in miniature
    #[arg(value_enum, required_unless_present_any = ["test", "child"])]
    pub(crate) scenario: Option<Scenario>,
    /// A server that runs already, as in `http://10.0.0.7:8080`; without it one is started
    #[arg(long, value_name = "URL", requires = "key")]
    pub(crate) url: Option<String>,
    /// API key of the platform, for --url
    #[arg(long, value_name = "KEY", env = "ORDERCAST_LOAD_KEY", hide_env_values = true)]
    pub(crate) key: Option<String>,
    /// Process of the server behind --url, if it is on this machine: its CPU and memory are shown
    #[arg(long, value_name = "PID")]
    pub(crate) pid: Option<u32>,
    /// How long each part is measured
    #[arg(long, value_name = "S")]
    pub(crate) seconds: Option<u64>,
    /// Changes a second, sent at their times whether or not earlier ones are answered
    #[arg(long, value_name = "N")]
    pub(crate) rate: Option<u32>,
    /// Sockets; a list is measured one after the other
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    pub(crate) sockets: Option<Vec<usize>>,
    /// writes: callers at once
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    pub(crate) callers: Option<Vec<usize>>,
    /// writes: the ways in
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["http", "rpc", "bulk"])]
    pub(crate) via: Vec<Via>,
    /// Open orders that are there before
    #[arg(long, value_name = "N")]
    pub(crate) open: Option<usize>,
    /// Events that are in the log before the server starts
    #[arg(long, value_name = "N", default_value_t = 0, conflicts_with = "url")]
    pub(crate) log: u64,
    /// Codec of the sockets
    #[arg(long, value_enum, default_value = "mixed")]
    pub(crate) codec: CodecFlag,
    /// evening, soak: the profile of which a share is played
    #[arg(long, value_enum, ignore_case = true, default_value = "m")]
    pub(crate) profile: Profile,
    /// evening, soak, locations: which part of the profile; of locations always L
    #[arg(long, value_name = "PART")]
    pub(crate) share: Option<f64>,
    /// storm: the server is killed and started again, instead of cutting the sockets
    #[arg(long)]
    pub(crate) kill: bool,
    /// Keep the private PostgreSQL here, as on /dev/shm; without it a temporary folder is used
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Commits of the private PostgreSQL do not wait for the disk: only to see what the disk costs
    #[arg(long)]
    pub(crate) no_fsync: bool,
    /// Shared buffers of the private PostgreSQL
    #[arg(long, value_name = "MB", default_value_t = 512)]
    pub(crate) shared_buffers_mb: u32,
    /// Write the report as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write the report as a page with plots
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// An earlier report (JSON) to show beside this one
    #[arg(long, value_name = "FILE")]
    pub(crate) compare: Option<PathBuf>,
    /// Every scenario once, in miniature and verified: that it works, not how fast
    #[arg(long)]
    pub(crate) test: bool,
    /// What cargo adds
    #[arg(long, hide = true)]
    bench: bool,
    /// Where a child process of ours finds its work
    #[arg(long, hide = true)]
    child: Option<String>,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// Changes a second, over HTTP, RPC and in bulk
    Writes,
    /// From a request to the frames of those who listen, at a fixed rate
    Latency,
    /// CPU of each delivery, beside a bare server that writes the same bytes
    Fanout,
    /// Memory of each connected and subscribed socket
    Idle,
    /// All sockets cut at once: how long until all have recovered
    Storm,
    /// A share of a city's, a country's or a leader's evening
    Evening,
    /// An evening for hours: what drifts
    Soak,
    /// From couriers' points at one process to those who see them at another
    Locations,
    /// The bare server of fanout
    #[value(skip)]
    Baseline,
    /// Holds sockets for idle
    #[value(skip)]
    Holder,
}

impl Scenario {
    /// Those that one can ask for.
    pub(crate) const ALL: [Self; 8] = [
        Self::Writes,
        Self::Latency,
        Self::Fanout,
        Self::Idle,
        Self::Storm,
        Self::Evening,
        Self::Soak,
        Self::Locations,
    ];

    /// Its name on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Writes => "writes",
            Self::Latency => "latency",
            Self::Fanout => "fanout",
            Self::Idle => "idle",
            Self::Storm => "storm",
            Self::Evening => "evening",
            Self::Soak => "soak",
            Self::Locations => "locations",
            Self::Baseline => "baseline",
            Self::Holder => "holder",
        }
    }
}

/// A way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Via {
    /// One request a change
    Http,
    /// One call a change, on at most 64 sockets
    Rpc,
    /// 500 changes a request
    Bulk,
}

/// How sockets speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CodecFlag {
    /// All in JSON
    Json,
    /// All in Protobuf
    Protobuf,
    /// In turns
    Mixed,
}

impl CodecFlag {
    /// That of one socket.
    pub(crate) const fn of(self, nth: usize) -> Codec {
        match self {
            Self::Json => Codec::Json,
            Self::Mixed if nth.is_multiple_of(2) => Codec::Json,
            Self::Protobuf | Self::Mixed => Codec::Protobuf,
        }
    }
}

/// An evening.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Profile {
    /// One city: 10 orders a minute in the peak hour
    S,
    /// A country: 200 orders a minute
    M,
    /// A national leader: 2,000 orders a minute
    L,
}

impl Flags {
    /// What one has asked for, or what a child process was told.
    pub(crate) fn scenario(&self) -> Option<Scenario> {
        match self.child.as_deref() {
            Some("baseline") => Some(Scenario::Baseline),
            Some("holder") => Some(Scenario::Holder),
            Some(_) | None => self.scenario,
        }
    }

    /// Seconds of a part; in miniature one.
    pub(crate) fn seconds(&self, usual: u64) -> u64 {
        self.seconds.unwrap_or(if self.test { 1 } else { usual })
    }

    /// What is usual, or what will do in miniature.
    pub(crate) fn size(&self, asked: Option<usize>, usual: usize, miniature: usize) -> usize {
        asked.unwrap_or(if self.test { miniature } else { usual })
    }

    /// Numbers of sockets.
    pub(crate) fn sockets(&self, usual: &[usize], miniature: usize) -> Vec<usize> {
        let usual = if self.test { vec![miniature] } else { usual.to_vec() };
        self.sockets.clone().unwrap_or(usual)
    }
}
