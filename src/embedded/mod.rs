//! A private Postgres for the demo and the tests: found on this machine, set up, started and
//! stopped by us, with nothing for the reader to configure.
//!
//! Who owns what: `binaries` finds the server's programs, `folder` keeps a folder ours, `cluster`
//! makes and runs what is in it, `program` ties a child process to our life, and [`Postgres`] is
//! the running server. The code is synchronous and waits; async callers use `spawn_blocking`.
//!
//! Invariants: a folder has one owner, held by a file lock that dies with the owner. The server
//! ends with us: by `Drop` on every orderly way out and on a panic, by the kernel's parent-death
//! signal (Linux) when we are killed, and at the next start elsewhere. The server listens on a
//! socket in a folder that only its account may enter, never on a port.
//!
//! Absent on purpose: no download, no password, no TCP, no `pg_ctl`, no signal handler. Whoever
//! runs us decides what a signal means and drops [`Postgres`] last.

mod binaries;
mod cluster;
mod folder;
mod program;

use std::fmt::Write as _;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use binaries::{Binaries, Version};
use cluster::Cluster;
use folder::Folder;
use program::{Account, Program};

/// Time for a start as a whole, first set-up and crash recovery included.
const START_LIMIT: Duration = Duration::from_mins(1);
/// Time for a fast shutdown, which ends sessions and writes a checkpoint.
const FAST_STOP_LIMIT: Duration = Duration::from_secs(10);
/// Time for an immediate shutdown. The server itself kills stubborn backends after 5 seconds.
const IMMEDIATE_STOP_LIMIT: Duration = Duration::from_secs(8);
/// Time that the children of a killed program get to notice and to let go of memory and files.
const LEAVING_LIMIT: Duration = Duration::from_secs(5);
/// Between two looks at a file or a process: short against the 30 ms of a warm start.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);
/// The server's superuser. The socket's folder is what protects it; there is no password.
const SUPERUSER: &str = "ordercast";

/// What to run and where.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The folder of `initdb` and `postgres`. `None` looks in PATH, then in the usual folders.
    pub bin_dir: Option<PathBuf>,
    /// The folder to keep the cluster in: absent, empty, or made by an earlier start. `None` is
    /// `$XDG_STATE_HOME/ordercast/postgres` or `~/.local/state/ordercast/postgres`, and
    /// `/var/lib/ordercast-0` for root, whose home the server's account cannot enter.
    pub data_dir: Option<PathBuf>,
    /// What a crash may cost.
    pub durability: Durability,
    /// Sessions at once, 1 or more. The server refuses to start with 0.
    pub max_connections: u16,
    /// The server's page cache in MiB, 1 or more. The server refuses to start with 0.
    pub shared_buffers_mb: u32,
}

/// What a crash may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// A committed transaction stays committed, whatever crashes.
    Durable,
    /// Commits do not wait for the disk. A crash of the server, or of our process, loses up to
    /// the last second of them; a crash of the machine may lose the whole cluster.
    ThrowAway,
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No server is installed where we look.
    #[error(
        "no PostgreSQL server found. Install it (Debian, Ubuntu: apt-get install postgresql; \
         Fedora: dnf install postgresql-server; Alpine: apk add postgresql; macOS: brew install \
         postgresql@17) or name the folder of initdb and postgres in ORDERCAST_POSTGRES_BIN_DIR. \
         Searched: {}",
        join(searched)
    )]
    NotFound {
        /// Every folder looked at, in order; `*` stands for any name.
        searched: Vec<PathBuf>,
    },
    /// There is a server, but not in a version that we can use.
    #[error("need PostgreSQL {wanted}, found {}", found.join(", "))]
    Unsuitable {
        /// The versions that would do, and why.
        wanted: String,
        /// Each version found, with its folder.
        found: Vec<String>,
    },
    /// Another process has a server on this folder. Stop it, or choose another folder.
    #[error("{} is in use by {owner}; stop it or choose another data folder", .data_dir.display())]
    InUse {
        /// The folder.
        data_dir: PathBuf,
        /// Who holds it, with the process id.
        owner: String,
    },
    /// The folder holds something else, which we leave alone. Choose an absent or an empty one.
    #[error("{} is not empty and was not made by ordercast; choose another data folder", .0.display())]
    NotOurs(PathBuf),
    /// We run as root, and the account that must run the server cannot get to its folder.
    #[error("account {account} cannot enter {}; choose another data folder or allow it (chmod o+x)", .folder.display())]
    Unsearchable {
        /// The first folder of the path that is closed.
        folder: PathBuf,
        /// The account.
        account: String,
    },
    /// We run as root, the server refuses to, and there is no account to give it to.
    #[error(
        "PostgreSQL refuses to run as root, and there is neither an account postgres nor nobody"
    )]
    NoAccount,
    /// The system refused an operation on a file or folder.
    #[error("{doing} {}", .path.display())]
    Folder {
        /// The operation.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// `initdb` or `postgres` could not be started.
    #[error("running {}", .program.display())]
    Run {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// `initdb` or `postgres` gave up or took too long.
    #[error("{program} {ended}; the end of its log:\n{log}")]
    Failed {
        /// `initdb` or `postgres`.
        program: &'static str,
        /// What happened to it.
        ended: String,
        /// The last lines of its log, at most 8 KiB.
        log: String,
    },
    /// The server did not stop in the time it had and was killed; its next start recovers.
    #[error("the server (process {0}) ignored two requests to stop and was killed")]
    Killed(u32),
}

fn join(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// A running server. Dropping it stops the server and waits for that, at most 23 seconds.
///
/// In a `static` it is never dropped; then the kernel stops the server (Linux), and the folder of
/// a temporary one is removed by the next [`Postgres::temporary`] of the same user.
#[derive(Debug)]
pub struct Postgres {
    server: Program,
    version: Version,
    socket_dir: PathBuf,
    // Released after the server has stopped, because fields are dropped after `Drop::drop`.
    _socket: Option<Folder>,
    folder: Folder,
}

impl Postgres {
    /// Starts a server on the cluster in the data folder; makes both when they are not there.
    ///
    /// Returns when the server takes connections: 30 ms for an existing cluster, about 1 s with
    /// set-up, at most 60 s. A cluster left by a killed process is recovered.
    pub fn start(settings: &Settings) -> Result<Postgres, Error> {
        let account = Account::for_programs()?;
        let path = settings.data_dir.clone().unwrap_or_else(folder::default_dir);
        // Before the folder is made: without programs nothing is left behind.
        let made_by = Cluster::major_in(&path);
        let binaries = Binaries::find(settings.bin_dir.as_deref(), made_by, account.as_ref())?;
        Self::start_in(Folder::open(&path, account.as_ref())?, settings, binaries, account.as_ref())
    }

    /// Starts a server on a new cluster in the system's folder for temporary files. Dropping it
    /// removes the cluster. [`Settings::data_dir`] is not used.
    ///
    /// Up to 8 clusters of the same user whose owners were killed are removed on the way.
    pub fn temporary(settings: &Settings) -> Result<Postgres, Error> {
        let account = Account::for_programs()?;
        let binaries = Binaries::find(settings.bin_dir.as_deref(), None, account.as_ref())?;
        let folder = Folder::scratch(usize::MAX, account.as_ref())?;
        Self::start_in(folder, settings, binaries, account.as_ref())
    }

    fn start_in(
        folder: Folder,
        settings: &Settings,
        binaries: Binaries,
        account: Option<&Account>,
    ) -> Result<Postgres, Error> {
        let began = Instant::now();
        let deadline = began + START_LIMIT;
        let cluster = Cluster::new(folder.path(), account);
        cluster.evict_orphan()?;
        cluster.truncate_log()?;
        if !cluster.exists() {
            cluster.initialize(&binaries, settings.durability, deadline)?;
        }
        let (socket_dir, socket) = cluster.make_socket_dir()?;
        let server = loop {
            let server = cluster.spawn_server(&binaries, settings, &socket_dir)?;
            while !server.has_ended()
                && !cluster.is_ready(server.pid())
                && Instant::now() < deadline
            {
                thread::sleep(LOOK_INTERVAL);
            }
            if cluster.is_ready(server.pid()) {
                break server;
            }
            if !server.has_ended() {
                end(&server).ok();
                return Err(
                    cluster.failure("postgres", format!("was not ready after {START_LIMIT:?}"))
                );
            }
            // Backends of a server that was killed leave a moment after it, and a new one refuses
            // to start before the last of them is gone.
            let failure = cluster.failure("postgres", "ended while it was starting".to_owned());
            let leaving = failure.to_string().contains("shared memory block");
            if !leaving || began.elapsed() > LEAVING_LIMIT {
                return Err(failure);
            }
            thread::sleep(LOOK_INTERVAL * 10);
        };
        let version = binaries.version;
        tracing::info!(
            pid = server.pid(),
            version = version.text(),
            data_dir = %folder.path().display(),
            took = ?began.elapsed(),
            "PostgreSQL started"
        );
        Ok(Postgres { server, version, socket_dir, _socket: socket, folder })
    }

    /// Where to connect, as the superuser, to a database of that name. A new cluster has
    /// `postgres`. The URL carries the socket's folder as a percent-encoded host.
    pub fn url(&self, database: &str) -> String {
        let host = percent_encoded(self.socket_dir.as_os_str().as_bytes());
        format!("postgresql://{SUPERUSER}@{host}/{}", percent_encoded(database.as_bytes()))
    }

    /// The folder that holds everything of this server; give it to the next start to reuse it.
    /// The cluster is its `data`, the server's log its `postgres.log`.
    pub fn data_dir(&self) -> &Path {
        self.folder.path()
    }

    /// The server's version as it says it, such as `15.18`.
    pub fn server_version(&self) -> &str {
        self.version.text()
    }

    /// The server's process.
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// Stops the server as dropping does, and says when it had to be killed.
    pub fn stop(self) -> Result<(), Error> {
        end(&self.server)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Err(error) = end(&self.server) {
            tracing::warn!(%error, "PostgreSQL did not stop by itself");
        }
    }
}

/// Ends a server: fast, else immediately, else by force. Nothing when it has ended already.
fn end(server: &Program) -> Result<(), Error> {
    for (signal, limit) in
        [(Signal::SIGINT, FAST_STOP_LIMIT), (Signal::SIGQUIT, IMMEDIATE_STOP_LIMIT)]
    {
        server.signal(signal);
        if server.ends_before(Instant::now() + limit) {
            return Ok(());
        }
    }
    server.kill_group();
    server.ends_before(Instant::now() + LEAVING_LIMIT);
    Err(Error::Killed(server.pid()))
}

fn percent_encoded(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            text.push(char::from(*byte));
        } else {
            write!(text, "%{byte:02X}").expect("writing to a String never fails");
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use nix::sys::signal::kill;
    use nix::unistd::Pid;

    use super::*;

    fn settings(data_dir: Option<&Path>) -> Settings {
        Settings {
            bin_dir: None,
            data_dir: data_dir.map(Path::to_path_buf),
            durability: Durability::ThrowAway,
            max_connections: 10,
            shared_buffers_mb: 16,
        }
    }

    /// A folder that does not exist yet, in one that is removed with the value.
    fn place(name: &str) -> (Folder, PathBuf) {
        let account = Account::for_programs().unwrap();
        let holder = Folder::scratch(usize::MAX, account.as_ref()).unwrap();
        let path = holder.path().join(name);
        (holder, path)
    }

    fn ask(postgres: &Postgres, sql: &str) -> Option<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let url = postgres.url("postgres");
            let (client, connection) =
                tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
            tokio::spawn(connection);
            let messages = client.simple_query(sql).await.unwrap();
            let row = messages.iter().find_map(|message| {
                if let tokio_postgres::SimpleQueryMessage::Row(row) = message {
                    Some(row)
                } else {
                    None
                }
            });
            row.and_then(|row| row.get(0).map(str::to_owned))
        })
    }

    fn is_gone(pid: u32) -> bool {
        kill(Pid::from_raw(pid.try_into().unwrap()), None).is_err()
    }

    #[test]
    fn a_cluster_is_made_once_and_found_again() {
        let (_holder, path) = place("cluster");
        let first = Postgres::start(&settings(Some(&path))).unwrap();
        let pid = first.pid();
        ask(&first, "create table kept as select 7 as n");
        assert_eq!(ask(&first, "show timezone").as_deref(), Some("UTC"));
        assert_eq!(ask(&first, "show fsync").as_deref(), Some("off"));
        assert_eq!(
            ask(&first, "show server_version").unwrap().split(' ').next(),
            Some(first.server_version())
        );
        first.stop().unwrap();
        assert!(is_gone(pid));

        let durable = Settings { durability: Durability::Durable, ..settings(Some(&path)) };
        let second = Postgres::start(&durable).unwrap();
        assert_eq!(ask(&second, "select n from kept").as_deref(), Some("7"));
        assert_eq!(ask(&second, "show fsync").as_deref(), Some("on"));
        let mode = fs::metadata(&second.socket_dir).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn a_folder_in_use_is_refused_with_the_owners_process() {
        let (_holder, path) = place("cluster");
        let _first = Postgres::start(&settings(Some(&path))).unwrap();
        let refused = Postgres::start(&settings(Some(&path))).unwrap_err();
        assert!(matches!(refused, Error::InUse { .. }), "{refused}");
        assert!(
            refused.to_string().contains(&format!("process {}", std::process::id())),
            "{refused}"
        );
    }

    #[test]
    fn a_killed_server_is_recovered() {
        let (_holder, path) = place("cluster");
        let durable = Settings { durability: Durability::Durable, ..settings(Some(&path)) };
        let first = Postgres::start(&durable).unwrap();
        ask(&first, "create table kept as select 7 as n");
        kill(Pid::from_raw(first.pid().try_into().unwrap()), Signal::SIGKILL).unwrap();
        drop(first);
        let second = Postgres::start(&settings(Some(&path))).unwrap();
        assert_eq!(ask(&second, "select n from kept").as_deref(), Some("7"));
    }

    #[test]
    fn a_stale_pid_file_that_names_a_stranger_is_no_obstacle() {
        let (_holder, path) = place("cluster");
        let mut stranger = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        Postgres::start(&settings(Some(&path))).unwrap().stop().unwrap();
        let stale = format!("{}\n{}\n0\n5432\n/nowhere\n\n", stranger.id(), path.display());
        fs::write(path.join("data/postmaster.pid"), stale).unwrap();
        let second = Postgres::start(&settings(Some(&path)));
        let stranger_lives = stranger.try_wait().unwrap().is_none();
        stranger.kill().unwrap();
        stranger.wait().unwrap();
        second.unwrap();
        assert!(stranger_lives);
    }

    #[test]
    fn a_temporary_cluster_goes_with_its_server_even_in_a_panic() {
        let postgres = Postgres::temporary(&settings(None)).unwrap();
        let (pid, path) = (postgres.pid(), postgres.data_dir().to_path_buf());
        assert_eq!(ask(&postgres, "select 1").as_deref(), Some("1"));
        catch_unwind(AssertUnwindSafe(move || {
            let _held = postgres;
            panic!("on purpose");
        }))
        .unwrap_err();
        assert!(is_gone(pid));
        assert!(!path.exists());
    }

    #[test]
    fn a_long_or_odd_path_gets_its_socket_elsewhere() {
        let (_holder, path) = place(&format!("it's \"{}, too", "long".repeat(30)));
        let postgres = Postgres::start(&settings(Some(&path))).unwrap();
        assert_eq!(ask(&postgres, "select 1").as_deref(), Some("1"));
        assert!(!postgres.socket_dir.starts_with(postgres.data_dir()));
        let socket_dir = postgres.socket_dir.clone();
        postgres.stop().unwrap();
        assert!(!socket_dir.exists());
    }

    #[test]
    fn a_failed_start_shows_the_servers_last_words() {
        let refused =
            Postgres::temporary(&Settings { max_connections: 0, ..settings(None) }).unwrap_err();
        assert!(refused.to_string().contains("max_connections"), "{refused}");
    }
}
