//! A server under test as a process of its own: the binary of this build.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// Lines of its log that are kept, the newest.
const LINES_MAX: usize = 200;

/// A running `ordercast serve`; stopped when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// What it has warned of.
    warnings: Arc<Mutex<Vec<String>>>,
}

/// What a server is started with.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    pub(crate) database_url: String,
    pub(crate) secret: String,
    /// 0 takes a free one.
    pub(crate) port: u16,
}

impl Start {
    /// The binary with this configuration.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ordercast"));
        command
            .env("ORDERCAST_DATABASE_URL", &self.database_url)
            .env("ORDERCAST_AUTH__SECRET", &self.secret)
            .env("ORDERCAST_LOG__FORMAT", "json")
            // What a platform may ask for is what is measured.
            .env("ORDERCAST_LIMITS__TENANT_WRITES_PER_S", "0")
            .env("ORDERCAST_LIMITS__TENANT_READS_PER_S", "0")
            .env("ORDERCAST_LIMITS__STORE_SOCKETS_MAX", "100000")
            .env_remove("RUST_LOG");
        command
    }

    /// Starts it and waits until it serves.
    pub(crate) fn serve(&self) -> anyhow::Result<Server> {
        let mut command = self.command();
        command.args(["serve", "--host", "127.0.0.1", "--port", &self.port.to_string()]);
        let mut child = command.stderr(Stdio::piped()).spawn().context("starting a server")?;
        let stderr = child.stderr.take().context("a server's log")?;
        let mut lines = BufReader::new(stderr).lines();
        let mut said = Vec::new();
        let address = loop {
            let Some(Ok(line)) = lines.next() else {
                drop(child.wait());
                bail!("the server ended instead of serving:\n{}", said.join("\n"));
            };
            let event: Value = serde_json::from_str(&line).unwrap_or_default();
            let field = |name| event.pointer(name).and_then(Value::as_str);
            if field("/fields/message") == Some("serving") {
                let address = field("/fields/address").context("a server's address")?;
                break address.parse().context("a server's address")?;
            }
            said.push(line);
        };
        let warnings = Arc::<Mutex<Vec<String>>>::default();
        let kept = Arc::clone(&warnings);
        // Read on, so that it never waits for us. Ends with the process.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let event: Value = serde_json::from_str(&line).unwrap_or_default();
                if event.get("level").and_then(Value::as_str) == Some("INFO") {
                    continue;
                }
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.len() < LINES_MAX {
                    kept.push(line);
                }
            }
        });
        Ok(Server { child, address, warnings })
    }
}

impl Server {
    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The first of what it has warned of.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Kills it without any warning.
    pub(crate) fn kill(mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM).ok();
        }
        drop(self.child.wait());
    }
}
