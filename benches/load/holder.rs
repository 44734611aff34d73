//! A child process that holds sockets: one process has only so many descriptors.
//!
//! What to hold comes as one line of JSON on standard input. It says `ready` when all are
//! subscribed; on `heard N` it waits until they have heard as many events and says `ok`; it ends
//! with its input.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

use crate::crowd::{Crowd, Invited, Nobody};
use crate::flags::Flags;

/// What to hold.
#[derive(Serialize, Deserialize)]
pub(crate) struct Held {
    pub(crate) address: SocketAddr,
    /// Channels and the tokens for them.
    pub(crate) seats: Vec<(String, String)>,
}

/// Holds until standard input ends.
pub(crate) async fn hold(flags: &Flags) -> anyhow::Result<()> {
    let mut lines = std::io::stdin().lines();
    let held = lines.next().context("what to hold")??;
    let held: Held = serde_json::from_str(&held)?;
    let invited = held.seats.into_iter().enumerate().map(|(nth, (channel, token))| Invited {
        address: held.address,
        codec: flags.codec.of(nth),
        token: token.into(),
        channel: Some(channel.into()),
    });
    let crowd = Crowd::gather(invited.collect(), Arc::new(Nobody)).await?;
    say("ready")?;
    // Nobody else waits for this thread: sockets are served by the others.
    for line in lines {
        let line = line?;
        let wanted = line.strip_prefix("heard ").context("a command that is not known")?;
        crowd.hear(wanted.parse()?).await?;
        let disordered = crowd.seats.iter().any(|seat| {
            let state = seat.state();
            state.sum.disordered > 0 || state.sum.count != 1 || state.snapshots > 0
        });
        say(if disordered { "not each once" } else { "ok" })?;
    }
    crowd.leave().await;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what its parent reads")]
fn say(text: &str) -> std::io::Result<()> {
    println!("{text}");
    std::io::stdout().flush()
}

/// A holder as its parent sees it.
pub(crate) struct Holder {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    count: usize,
}

impl Holder {
    /// Starts it; it begins at once.
    pub(crate) fn start(flags: &Flags, held: &Held) -> anyhow::Result<Self> {
        let codec = format!("{:?}", flags.codec).to_lowercase();
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--child", "holder", "--codec", &codec])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut input = child.stdin.take().context("its input")?;
        let output = BufReader::new(child.stdout.take().context("its output")?);
        writeln!(input, "{}", serde_json::to_string(held)?)?;
        Ok(Self { child, input, output, count: held.seats.len() })
    }

    fn said(&mut self, wanted: &str) -> anyhow::Result<()> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        if line.trim() != wanted {
            bail!("a process that holds sockets said {:?} instead of {wanted}", line.trim());
        }
        Ok(())
    }

    /// Waits until all of its sockets are subscribed.
    pub(crate) fn ready(&mut self) -> anyhow::Result<()> {
        self.said("ready")
    }

    /// Waits until each of its sockets has heard one event, and no other.
    pub(crate) fn heard(&mut self) -> anyhow::Result<()> {
        writeln!(self.input, "heard {}", self.count)?;
        self.input.flush()?;
        self.said("ok")
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
