//! What processes cost: CPU time and resident memory, as the system counts them.
//!
//! Read from `/proc`, so on Linux alone; elsewhere, and for processes of other machines, there is
//! nothing to read, and the report says so by leaving it out.

use std::fs;
use std::time::Duration;

/// Ticks of the kernel's CPU clock in a second, as `/proc` counts them on every Linux.
const TICKS: u64 = 100;

/// Bytes of a page, as on every machine that this is for.
const PAGE: u64 = 4_096;

/// A process, or a family of them, that is watched.
#[derive(Debug, Clone)]
pub(crate) enum Watched {
    /// One process.
    One(u32),
    /// A process and its children, those that have ended included.
    Family(u32),
}

/// What was used until a moment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// CPU time, of user and kernel.
    pub(crate) cpu: Duration,
    /// Resident memory in bytes.
    pub(crate) rss: u64,
}

impl Watched {
    /// What it has used; none where that cannot be read, as when it has ended.
    pub(crate) fn usage(&self) -> Option<Usage> {
        match self {
            Self::One(pid) => stat(*pid).map(|(stat, _parent)| stat),
            Self::Family(pid) => {
                let (mut sum, _) = stat(*pid)?;
                for entry in fs::read_dir("/proc").ok()?.flatten() {
                    let name = entry.file_name();
                    let Some(child) = name.to_str().and_then(|name| name.parse().ok()) else {
                        continue;
                    };
                    if let Some((stat, parent)) = stat(child)
                        && parent == *pid
                    {
                        sum.cpu += stat.cpu;
                        // Shared memory is counted once for each: an upper bound.
                        sum.rss += stat.rss;
                    }
                }
                Some(sum)
            }
        }
    }
}

/// What is used by all of them together.
pub(crate) fn total(watched: &[Watched]) -> Option<Usage> {
    let mut sum = Usage::default();
    for usage in watched.iter().map(Watched::usage) {
        let usage = usage?;
        sum.cpu += usage.cpu;
        sum.rss += usage.rss;
    }
    (!watched.is_empty()).then_some(sum)
}

/// A process's usage with that of its ended children, and its parent.
fn stat(pid: u32) -> Option<(Usage, u32)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |nth: usize| fields.get(nth)?.parse::<u64>().ok();
    let ticks = number(11)? + number(12)? + number(13)? + number(14)?;
    let cpu = Duration::from_millis(ticks * 1_000 / TICKS);
    let parent = u32::try_from(number(1)?).ok()?;
    Some((Usage { cpu, rss: number(21)? * PAGE }, parent))
}
