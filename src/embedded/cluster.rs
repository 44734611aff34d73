//! The folder that a server lives in, and the cluster in it.
//!
//! ```text
//! lock           held by the process that owns the folder; names it
//! postgres.log   of the last start, initdb included
//! socket/        0700, of the server's account; anew at every start
//! data/          0700, of the server's account; complete, because it was renamed from data.new
//! ```
//!
//! Run by root, only `data` and `socket` belong to the server's account. The folder itself stays
//! root's, so that nothing in it can be replaced by a link for root to follow.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, chown};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};

use super::binaries::Binaries;
use super::folder::{Folder, SCRATCH_NAME_BYTES, failed, remove};
use super::program::{Account, Program, command};
use super::{Durability, Error, LOOK_INTERVAL, SUPERUSER, Settings};

/// Bytes of a socket folder's path, at most: a socket's path may have 103 (macOS; Linux: 107), of
/// which `/.s.PGSQL.5432` takes 14.
const SOCKET_DIR_LIMIT: usize = 89;
/// Time for an orphan to stop, and time after which a silent process is taken for a stranger that
/// got the number of a dead server.
const ORPHAN_LIMIT: Duration = Duration::from_secs(10);
const STRANGER_LIMIT: Duration = Duration::from_secs(2);
/// What an error shows of the log.
const LOG_TAIL_BYTES: u64 = 8 * 1024;
const LOG_TAIL_LINES: usize = 15;

pub(super) fn is_alive(pid: i32) -> bool {
    pid > 0 && matches!(kill(Pid::from_raw(pid), None), Ok(()) | Err(Errno::EPERM))
}

/// What a server says about itself in `postmaster.pid`.
struct PidFile {
    text: String,
    pid: i32,
}

impl PidFile {
    fn read(data: &Path) -> Option<PidFile> {
        let text = fs::read_to_string(data.join("postmaster.pid")).ok()?;
        let pid = text.lines().next()?.trim().parse().ok()?;
        Some(PidFile { text, pid })
    }

    fn is_ready(&self) -> bool {
        self.text.lines().nth(7).is_some_and(|status| status.trim() == "ready")
    }

    /// Whether somebody listens on the socket of lines 4 (port) and 5 (folder).
    fn answers(&self) -> bool {
        let mut lines = self.text.lines().skip(3);
        let (Some(port), Some(folder)) = (lines.next(), lines.next()) else { return false };
        UnixStream::connect(Path::new(folder).join(format!(".s.PGSQL.{port}"))).is_ok()
    }
}

/// Ends a server that outlived its owner. Call it with the folder locked: then whoever started
/// the server is gone, and on Linux the server is on its way out too.
pub(super) fn evict_orphan(data: &Path) -> Result<(), Error> {
    let began = Instant::now();
    let mut asked = false;
    while let Some(file) = PidFile::read(data)
        && file.pid != Pid::this().as_raw()
        && is_alive(file.pid)
    {
        if !asked && file.answers() {
            asked = true;
            kill(Pid::from_raw(file.pid), Signal::SIGINT).ok();
        }
        if !asked && began.elapsed() > STRANGER_LIMIT {
            return disown(data, &file);
        }
        if began.elapsed() > ORPHAN_LIMIT {
            let owner = format!("a server that does not stop (process {})", file.pid);
            return Err(Error::InUse { data_dir: data.to_path_buf(), owner });
        }
        thread::sleep(LOOK_INTERVAL);
    }
    Ok(())
}

/// Puts our process in place of a stranger's, which the server would take for a server: usual
/// in a container that starts again, where numbers are small and soon used again. Our number is
/// the one of the server's parent, which it ignores. We do not remove the file because it also
/// says which shared memory must be free.
fn disown(data: &Path, file: &PidFile) -> Result<(), Error> {
    // The account's server ignores processes of other accounts, and root follows no link in its
    // folder.
    if geteuid().is_root() {
        return Ok(());
    }
    let rest = file.text.split_once('\n').map_or("", |(_, rest)| rest);
    let path = data.join("postmaster.pid");
    fs::write(&path, format!("{}\n{rest}", process::id())).map_err(failed("writing", &path))
}

/// The cluster of a folder that this process owns.
pub(super) struct Cluster<'a> {
    folder: &'a Path,
    data: PathBuf,
    log: PathBuf,
    account: Option<&'a Account>,
}

impl<'a> Cluster<'a> {
    pub(super) fn new(folder: &'a Path, account: Option<&'a Account>) -> Cluster<'a> {
        let (data, log) = (folder.join("data"), folder.join("postgres.log"));
        Cluster { folder, data, log, account }
    }

    /// The major version that made the cluster in a folder, if there is one.
    pub(super) fn major_in(folder: &Path) -> Option<u32> {
        fs::read_to_string(folder.join("data/PG_VERSION")).ok()?.trim().parse().ok()
    }

    pub(super) fn exists(&self) -> bool {
        self.data.exists()
    }

    pub(super) fn evict_orphan(&self) -> Result<(), Error> {
        evict_orphan(&self.data)
    }

    /// Begins the log of this start. It grows only by what the server complains about.
    pub(super) fn truncate_log(&self) -> Result<(), Error> {
        // Statements end up in it, and others may pass through root's folder.
        let mut log = OpenOptions::new();
        log.write(true).create(true).truncate(true).mode(0o600);
        log.open(&self.log).map(drop).map_err(failed("making", &self.log))
    }

    /// Makes the cluster. An interrupted attempt is never taken for one.
    pub(super) fn initialize(
        &self,
        binaries: &Binaries,
        durability: Durability,
        deadline: Instant,
    ) -> Result<(), Error> {
        let new = self.folder.join("data.new");
        self.make_private(&new)?;
        let mut initdb = self.command(binaries, "initdb")?;
        initdb.arg("-D").arg(&new).args(["-U", SUPERUSER, "-A", "trust", "-E", "UTF8"]);
        initdb.args(["--locale=C", "--no-instructions"]);
        if durability == Durability::ThrowAway {
            initdb.arg("--no-sync");
        }
        // Killed, because one that is asked to end first removes what may be our successor's.
        let initdb = Program::spawn(initdb, Signal::SIGKILL)?;
        if !initdb.ends_before(deadline) {
            initdb.kill_group();
            return Err(self.failure("initdb", "took too long".to_owned()));
        }
        match initdb.status() {
            Ok(status) if status.success() => {}
            Ok(status) => return Err(self.failure("initdb", format!("ended with {status}"))),
            Err(error) => return Err(self.failure("initdb", format!("was lost: {error}"))),
        }
        fs::rename(&new, &self.data).map_err(failed("putting in place", &self.data))
    }

    /// Makes the folder for the socket: ours, or one of its own when ours cannot be named to a
    /// server, because its path is too long or has a character of the server's lists.
    pub(super) fn make_socket_dir(&self) -> Result<(PathBuf, Option<Folder>), Error> {
        let inside = self.folder.join("socket");
        let name = inside.as_os_str().as_bytes();
        if name.len() <= SOCKET_DIR_LIMIT && !name.iter().any(|byte| b"\",".contains(byte)) {
            self.make_private(&inside)?;
            return Ok((inside, None));
        }
        let longest = SOCKET_DIR_LIMIT - 1 - SCRATCH_NAME_BYTES - "/socket".len();
        let outside = Folder::scratch(longest, self.account)?;
        let socket = outside.path().join("socket");
        self.make_private(&socket)?;
        Ok((socket, Some(outside)))
    }

    pub(super) fn spawn_server(
        &self,
        binaries: &Binaries,
        settings: &Settings,
        socket_dir: &Path,
    ) -> Result<Program, Error> {
        let mut sockets = OsString::from("unix_socket_directories=\"");
        sockets.push(socket_dir);
        sockets.push("\"");
        let mut server = self.command(binaries, "postgres")?;
        // The port is only part of the socket's name.
        server.arg("-D").arg(&self.data).args(["-p", "5432", "-c"]).arg(sockets);
        for setting in [
            "listen_addresses=",
            "timezone=UTC",
            "log_timezone=UTC",
            "jit=off",
            "log_checkpoints=off",
        ] {
            server.args(["-c", setting]);
        }
        server.arg("-c").arg(format!("max_connections={}", settings.max_connections));
        // Everyone is the superuser here; a reserve would only take away from small limits.
        server.args(["-c", "superuser_reserved_connections=0"]);
        server.arg("-c").arg(format!("shared_buffers={}MB", settings.shared_buffers_mb));
        // Said in full: a cluster may have been started the other way before.
        server.args(match settings.durability {
            Durability::Durable => {
                ["-c", "fsync=on", "-c", "synchronous_commit=on", "-c", "full_page_writes=on"]
            }
            Durability::ThrowAway => {
                ["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"]
            }
        });
        if settings.durability == Durability::ThrowAway {
            server.args(["-c", "wal_level=minimal", "-c", "max_wal_senders=0"]);
        }
        // What the server calls an immediate shutdown; its next start recovers.
        Program::spawn(server, Signal::SIGQUIT)
    }

    /// Whether the server of that process takes connections.
    pub(super) fn is_ready(&self, pid: u32) -> bool {
        PidFile::read(&self.data)
            .is_some_and(|file| u32::try_from(file.pid) == Ok(pid) && file.is_ready())
    }

    /// The error for a program that gave up, with the end of the log.
    pub(super) fn failure(&self, program: &'static str, ended: String) -> Error {
        let log = self.log_tail().unwrap_or_else(|error| format!("(not readable: {error})"));
        Error::Failed { program, ended, log }
    }

    fn log_tail(&self) -> io::Result<String> {
        let mut file = File::open(&self.log)?;
        let from = file.metadata()?.len().saturating_sub(LOG_TAIL_BYTES);
        file.seek(SeekFrom::Start(from))?;
        let mut tail = Vec::new();
        file.take(LOG_TAIL_BYTES).read_to_end(&mut tail)?;
        let tail = String::from_utf8_lossy(&tail);
        let lines: Vec<&str> = tail.lines().rev().take(LOG_TAIL_LINES).collect();
        Ok(lines.into_iter().rev().collect::<Vec<_>>().join("\n"))
    }

    /// A program that runs in our folder and writes to our log.
    fn command(&self, binaries: &Binaries, name: &str) -> Result<process::Command, Error> {
        let opened = OpenOptions::new().append(true).open(&self.log);
        let log = opened.map_err(failed("opening", &self.log))?;
        let mut command = command(&binaries.dir.join(name), self.folder, self.account);
        command.stdout(log.try_clone().map_err(failed("opening", &self.log))?).stderr(log);
        Ok(command)
    }

    /// Makes an empty folder that only the server's account may enter, in place of any before.
    fn make_private(&self, path: &Path) -> Result<(), Error> {
        remove(path).map_err(failed("removing", path))?;
        DirBuilder::new().mode(0o700).create(path).map_err(failed("making", path))?;
        if let Some(account) = self.account {
            chown(path, Some(account.uid), Some(account.gid))
                .map_err(failed("giving away", path))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_eighth_line_says_ready() {
        let text = "7\n/data\n0\n5432\n/socket\n\n1 2\nready   \n".to_owned();
        assert!(PidFile { text: text.clone(), pid: 7 }.is_ready());
        assert!(!PidFile { text: text.replace("ready", "starting"), pid: 7 }.is_ready());
        assert!(!PidFile { text: "7\nready\n".to_owned(), pid: 7 }.is_ready());
    }
}
