//! What is measured: a server that runs already, or servers and a private PostgreSQL of our own.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use ordercast::embedded::{Durability, Postgres, Settings};

use crate::flags::Flags;
use crate::http::{Http, request};
use crate::past;
use crate::server::{Server, Start};
use crate::usage::Watched;

/// Where and as whom to speak.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    /// The platform's API key.
    pub(crate) key: Arc<str>,
}

/// The servers under test, and the database behind them, if they are ours.
pub(crate) struct Rig {
    pub(crate) target: Target,
    pub(crate) servers: Vec<Server>,
    start: Option<Start>,
    remote_pid: Option<u32>,
    /// Events that were in the log before.
    past: u64,
    /// How long our first server took to serve.
    started_in: Duration,
    /// Dropped after the servers, which are above.
    postgres: Option<Postgres>,
}

impl Rig {
    /// Looks up the server that is named, or starts one.
    pub(crate) async fn new(flags: &Flags) -> anyhow::Result<Self> {
        if let Some(url) = &flags.url {
            let host = url.strip_prefix("http://").unwrap_or(url).trim_end_matches('/');
            ensure!(!host.starts_with("https://"), "--url must be plain HTTP: http://host:port");
            let mut addresses =
                host.to_socket_addrs().with_context(|| format!("looking up {host}"))?;
            let address =
                addresses.find(SocketAddr::is_ipv4).context("--url needs an IPv4 host")?;
            let key = flags.key.clone().context("--url needs --key, an API key of the platform")?;
            let target = Target { address, key: key.into() };
            let rig = Self {
                target,
                servers: vec![],
                start: None,
                remote_pid: flags.pid,
                past: 0,
                started_in: Duration::ZERO,
                postgres: None,
            };
            rig.head().await.context("asking the server for its log")?;
            return Ok(rig);
        }
        let durability = if flags.no_fsync { Durability::ThrowAway } else { Durability::Durable };
        let settings = Settings {
            bin_dir: std::env::var_os("ORDERCAST_POSTGRES_BIN_DIR").map(Into::into),
            data_dir: flags.data_dir.clone(),
            durability,
            max_connections: 200,
            shared_buffers_mb: flags.shared_buffers_mb,
        };
        // It waits, and the thread that starts it must live as long as the server.
        let postgres = match &settings.data_dir {
            Some(_) => Postgres::start(&settings),
            None => Postgres::temporary(&settings),
        };
        let postgres = postgres.context("starting a private PostgreSQL")?;
        let start = Start {
            database_url: postgres.url("postgres"),
            secret: "a secret of the load test, at least 32 bytes".to_owned(),
            port: 0,
        };
        // Brings the schema up to date as well. A tenant of its own for each run.
        let tenant = format!("load {}", uuid::Uuid::now_v7());
        let made = start.command().args(["token", "--tenant", &tenant]).output()?;
        if !made.status.success() {
            bail!("making an API key: {}", String::from_utf8_lossy(&made.stderr));
        }
        let key = String::from_utf8(made.stdout)?.trim().into();
        // Couriers are named here.
        let off = start.command().args(["tenant", &tenant, "--offer-mode", "off"]).output()?;
        if !off.status.success() {
            bail!("setting the tenant up: {}", String::from_utf8_lossy(&off.stderr));
        }
        if flags.log > 0 {
            past::write(&start.database_url, flags.log).await?;
        }
        let began = Instant::now();
        let server = start.serve()?;
        let started_in = began.elapsed();
        Ok(Self {
            target: Target { address: server.address, key },
            servers: vec![server],
            start: Some(start),
            remote_pid: None,
            past: flags.log,
            started_in,
            postgres: Some(postgres),
        })
    }

    /// In a few words, for people.
    pub(crate) fn describe(&self) -> String {
        match &self.postgres {
            Some(postgres) => format!(
                "ordercast {} as a process of its own (after {:.2} s it served, {} events in its \
                 log), PostgreSQL {} of its own",
                env!("CARGO_PKG_VERSION"),
                self.started_in.as_secs_f64(),
                self.past,
                postgres.server_version()
            ),
            None => format!("the server at {}", self.target.address),
        }
    }

    /// Starts as many servers on the same database as are missing.
    pub(crate) fn grow(&mut self, count: usize) -> anyhow::Result<()> {
        let start = self.own()?.clone();
        while self.servers.len() < count {
            self.servers.push(start.serve()?);
        }
        Ok(())
    }

    /// Kills the first server.
    pub(crate) fn kill_server(&mut self) -> anyhow::Result<()> {
        self.own()?;
        self.servers.remove(0).kill();
        Ok(())
    }

    /// Starts the first server again where it was.
    pub(crate) fn restart_server(&mut self) -> anyhow::Result<()> {
        let start = Start { port: self.target.address.port(), ..self.own()?.clone() };
        self.servers.insert(0, start.serve()?);
        Ok(())
    }

    fn own(&self) -> anyhow::Result<&Start> {
        self.start.as_ref().context("this needs a server of our own: leave out --url")
    }

    /// Where our database is.
    pub(crate) fn database_url(&self) -> Option<&str> {
        self.start.as_ref().map(|start| start.database_url.as_str())
    }

    /// The server's processes.
    pub(crate) fn server_processes(&self) -> Vec<Watched> {
        let own = self.servers.iter().map(Server::pid);
        own.chain(self.remote_pid).map(Watched::One).collect()
    }

    /// The database's processes.
    pub(crate) fn database_processes(&self) -> Vec<Watched> {
        self.postgres.iter().map(|postgres| Watched::Family(postgres.pid())).collect()
    }

    /// What the servers have warned of.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.servers.iter().flat_map(Server::warnings).collect()
    }

    /// The newest position of the log.
    pub(crate) async fn head(&self) -> anyhow::Result<u64> {
        let mut http = Http::open(self.target.address).await?;
        // Of a type that is seldom, so that few pages lead to the end.
        let mut after = 0;
        loop {
            let path = format!("/v1/events?after={after}&limit=1000&types=token.revoked");
            let answer = http.ask(&request("GET", &path, &self.target.key, "")).await?;
            let page = answer.json()?;
            let next = page.get("next").and_then(serde_json::Value::as_u64).unwrap_or(after);
            if next <= after {
                return Ok(after);
            }
            after = next;
        }
    }
}

/// Lets this process and those it starts have as many descriptors as the system allows; how many.
pub(crate) fn raise_descriptor_limit() -> anyhow::Result<(u64, u64)> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok((soft, hard))
}
