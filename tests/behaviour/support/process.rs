//! `ordercast serve` as a process of its own.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{SECRET, Scratch};

/// A running `ordercast serve`; killed when dropped.
pub struct Process {
    child: Child,
    pub url: String,
    /// What it has logged since it serves.
    logged: Arc<Mutex<String>>,
}

impl Process {
    /// Starts a process on `database` and waits until it serves.
    pub async fn serve(database: &Scratch) -> Self {
        Self::serve_with(database, &[]).await
    }

    /// The same with more in its environment.
    pub async fn serve_with(database: &Scratch, environment: &[(&str, &str)]) -> Self {
        let mut command = Self::command(&database.url);
        command.envs(environment.iter().copied());
        tokio::task::spawn_blocking(move || Self::spawn(command)).await.unwrap()
    }

    /// Starts a process that is expected to give up: its exit code and what it said.
    pub async fn give_up(database_url: &str) -> (Option<i32>, String) {
        Self::give_up_with(database_url, &[]).await
    }

    /// The same with more in its environment.
    pub async fn give_up_with(
        database_url: &str,
        environment: &[(&str, &str)],
    ) -> (Option<i32>, String) {
        let mut command = Self::command(database_url);
        command.envs(environment.iter().copied());
        let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }

    fn command(database_url: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ordercast"));
        command
            .args(["serve", "--port", "0"])
            .env("ORDERCAST_DATABASE_URL", database_url)
            .env("ORDERCAST_AUTH__SECRET", SECRET)
            .env("ORDERCAST_LOG__FORMAT", "json")
            // Tests are quicker than platforms may be.
            .env("ORDERCAST_LIMITS__TENANT_WRITES_PER_S", "0")
            .env("ORDERCAST_LIMITS__TENANT_READS_PER_S", "0")
            .env("ORDERCAST_LIMITS__LINK_READS_PER_S", "0")
            // Machines that test are busier than those that serve.
            .env("ORDERCAST_SOCKET__REPLY_TIMEOUT_MS", "20000")
            .env("ORDERCAST_SOCKET__PONG_TIMEOUT_S", "60")
            .env("ORDERCAST_DATABASE__POOL_WAIT_MS", "20000")
            .env("ORDERCAST_DATABASE__CONNECT_TIMEOUT_MS", "20000")
            .env("ORDERCAST_DATABASE__STATEMENT_TIMEOUT_MS", "30000")
            .env_remove("RUST_LOG")
            .stderr(Stdio::piped());
        command
    }

    fn spawn(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = Vec::new();
        let address = loop {
            let Some(Ok(line)) = lines.next() else {
                panic!("it ended instead of serving:\n{}", said.join("\n"))
            };
            let event: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
            if event["fields"]["message"] == "serving" {
                break event["fields"]["address"].as_str().unwrap().to_owned();
            }
            said.push(line);
        };
        // Read on, so that it never waits for us.
        let logged = Arc::<Mutex<String>>::default();
        let log = Arc::clone(&logged);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mut log = log.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        Self { child, url: format!("http://{address}"), logged }
    }

    /// What it has logged since it serves.
    pub fn logged(&self) -> String {
        self.logged.lock().unwrap().clone()
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    /// Asks it to stop, as an operator does, and waits for no answer.
    pub fn ask_to_stop(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// Asks it to stop, as an operator does; its exit code.
    pub fn terminate(mut self) -> Option<i32> {
        self.signal(Signal::SIGTERM);
        self.child.wait().unwrap().code()
    }

    /// Kills it without any warning.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
