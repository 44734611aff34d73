//! The load testers' tool: how many changes, how many sockets, how fast, and at what cost?
//!
//! `cargo bench --bench load -- SCENARIO` starts a server of this build as a process of its own,
//! with a private PostgreSQL that syncs to disk, or loads a server that runs already (`--url`).
//! Requests leave at the times they were meant for, and latencies count from there, so a server
//! that stalls cannot hide it. Each scenario holds what its sockets heard against the log: every
//! event exactly once, in order; else it fails. What the load itself costs is told beside what
//! the server does.
//!
//! Unit, conditions and what to compare are told with each number. Act when a number is a tenth
//! worse than the same command on the same machine showed before (`--json`, then `--compare`).
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench reports")]
#![expect(clippy::let_underscore_must_use, reason = "writing to a text cannot fail")]

mod baseline;
mod crowd;
mod database;
mod evening;
mod fanout;
mod flags;
mod frame;
mod holder;
mod http;
mod idle;
mod latency;
mod ledger;
mod life;
mod locations;
mod lookout;
mod message;
mod meter;
mod pacer;
mod page;
mod past;
mod plot;
mod report;
mod rig;
mod server;
mod soak;
mod socket;
mod storm;
mod toggle;
mod town;
mod usage;
mod walk;
mod writes;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use tokio::signal::unix::{SignalKind, signal};

use flags::{Flags, Scenario};
use report::{Report, Stage};
use rig::Rig;

fn main() -> ExitCode {
    let flags = Flags::parse();
    match run(&flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(flags: &Flags) -> anyhow::Result<()> {
    let (soft, hard) = rig::raise_descriptor_limit()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("load")
        .enable_all()
        .build()?;
    let scenarios = match flags.scenario() {
        Some(Scenario::Baseline) => return baseline::serve(),
        Some(Scenario::Holder) => return runtime.block_on(holder::hold(flags)),
        Some(one) => vec![one],
        None => Scenario::ALL.to_vec(),
    };
    let mut rig = runtime.block_on(Rig::new(flags))?;
    for scenario in scenarios {
        let began = std::time::Instant::now();
        let report = runtime.block_on(async {
            // What we have started ends with us, however we end.
            tokio::select! {
                report = one(&mut rig, scenario, flags, (soft, hard)) => report,
                () = asked_to_stop() => Err(anyhow::anyhow!("asked to stop")),
            }
        })?;
        if flags.test {
            eprintln!("{}: {:.1} s", scenario.name(), began.elapsed().as_secs_f64());
        }
        keep(flags, &report)?;
    }
    Ok(())
}

/// Resolves when SIGINT or SIGTERM comes.
async fn asked_to_stop() {
    let (interrupt, terminate) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    match (interrupt, terminate) {
        (Ok(mut interrupt), Ok(mut terminate)) => {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
        // Without handlers the signals end the process, as they would anyway.
        _ => std::future::pending().await,
    }
}

/// Runs one scenario and says what came of it.
async fn one(
    rig: &mut Rig,
    scenario: Scenario,
    flags: &Flags,
    limits: (u64, u64),
) -> anyhow::Result<Report> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (soft, hard) = limits;
    let mut report = Report {
        scenario: scenario.name().to_owned(),
        at: ordercast::auth::now().to_string(),
        conditions: vec![
            format!("{}, on {cores} cores that all of it shares", rig.describe()),
            format!("{hard} descriptors a process, raised from {soft}"),
        ],
        command: std::env::args()
            .skip(1)
            .filter(|flag| flag != "--bench")
            .collect::<Vec<_>>()
            .join(" "),
        stages: vec![],
    };
    if flags.no_fsync {
        report.conditions.push("commits do NOT wait for the disk".to_owned());
    }
    println!("{}", report.head());
    let stages: Vec<Stage> = match scenario {
        Scenario::Writes => writes::run(rig, flags).await?,
        Scenario::Latency => latency::run(rig, flags).await?,
        Scenario::Fanout => fanout::run(rig, flags).await?,
        Scenario::Idle => idle::run(rig, flags).await?,
        Scenario::Storm => storm::run(rig, flags).await?,
        Scenario::Evening => evening::run(rig, flags).await?,
        Scenario::Soak => soak::run(rig, flags).await?,
        Scenario::Locations => locations::run(rig, flags).await?,
        // Served before there is a rig.
        Scenario::Baseline | Scenario::Holder => vec![],
    };
    for stage in &stages {
        println!("{}", stage.text());
    }
    for warning in rig.warnings().iter().take(5) {
        eprintln!("the server warned: {warning}");
    }
    report.stages = stages;
    Ok(report)
}

/// Writes what is to be kept.
fn keep(flags: &Flags, report: &Report) -> anyhow::Result<()> {
    if let Some(path) = &flags.html {
        let old = flags.compare.as_ref().map(|path| -> anyhow::Result<Report> {
            let text = std::fs::read_to_string(path);
            let text = text.with_context(|| format!("reading {}", path.display()))?;
            serde_json::from_str(&text).with_context(|| format!("reading {}", path.display()))
        });
        let page = page::page(report, old.transpose()?.as_ref());
        std::fs::write(path, page).with_context(|| format!("writing {}", path.display()))?;
    }
    if let Some(path) = &flags.json {
        let text = serde_json::to_string_pretty(report)?;
        std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}
