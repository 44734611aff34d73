//! The server's programs as child processes: whom they run as, and how they end with us.

use std::env;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, User, geteuid};

use super::{Error, LOOK_INTERVAL};

/// The account that runs the programs in place of root.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Account {
    /// `None` when we are not root: then everything runs as ourselves.
    pub(super) fn for_programs() -> Result<Option<Account>, Error> {
        if !geteuid().is_root() {
            return Ok(None);
        }
        let user = ["postgres", "nobody"]
            .into_iter()
            .find_map(|name| User::from_name(name).ok().flatten())
            .ok_or(Error::NoAccount)?;
        Ok(Some(Account { name: user.name, uid: user.uid.as_raw(), gid: user.gid.as_raw() }))
    }
}

/// A command that runs as `account`, in `folder`, hears no Ctrl-C and inherits neither our input
/// nor our environment (secrets, `PGPORT`), but for what finding libraries and programs takes.
pub(super) fn command(program: &Path, folder: &Path, account: Option<&Account>) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(folder)
        .stdin(Stdio::null())
        .process_group(0)
        .env_clear()
        .env("LC_ALL", "C");
    for name in ["PATH", "LD_LIBRARY_PATH"] {
        if let Some(value) = env::var_os(name) {
            command.env(name, value);
        }
    }
    if let Some(account) = account {
        command.uid(account.uid).gid(account.gid);
    }
    command
}

/// A child process that ends at the latest when we do (on Linux), and the thread that waits for it.
#[derive(Debug)]
pub(super) struct Program {
    pid: Pid,
    waiter: JoinHandle<io::Result<ExitStatus>>,
}

impl Program {
    /// Starts the command; it gets `at_our_death` if it lives longer than us. That parent-death signal fires when the *thread* that forked ends, so a
    /// thread of its own forks and then waits for the child.
    pub(super) fn spawn(mut command: Command, at_our_death: Signal) -> Result<Program, Error> {
        let program = command.get_program().to_os_string();
        let failed = |source| Error::Run { program: program.into(), source };
        let (sender, receiver) = mpsc::sync_channel(1);
        let started = thread::Builder::new().name("postgres-waiter".to_owned()).spawn(move || {
            end_with_us(&mut command, at_our_death);
            let (pid, child) = match command.spawn() {
                Ok(child) => (Ok(child.id()), Ok(child)),
                Err(error) => (Err(error), Err(io::ErrorKind::NotFound)),
            };
            // The receiver waits for exactly this and cannot be gone.
            sender.send(pid).ok();
            child.map_err(io::Error::from).and_then(|mut child: Child| child.wait())
        });
        let started = started.and_then(|waiter| {
            let pid = receiver.recv().map_err(io::Error::other)??;
            Ok(Program { pid: Pid::from_raw(pid.try_into().map_err(io::Error::other)?), waiter })
        });
        started.map_err(failed)
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    pub(super) fn has_ended(&self) -> bool {
        self.waiter.is_finished()
    }

    /// Waits for the end; `false` when the deadline came first.
    pub(super) fn ends_before(&self, deadline: Instant) -> bool {
        while !self.has_ended() && Instant::now() < deadline {
            thread::sleep(LOOK_INTERVAL);
        }
        self.has_ended()
    }

    /// How it ended; waits when it has not.
    pub(super) fn status(self) -> io::Result<ExitStatus> {
        self.waiter.join().unwrap_or_else(|_| Err(io::Error::other("the waiting thread panicked")))
    }

    /// Sends a signal, unless it has ended: then its number may be someone else's.
    pub(super) fn signal(&self, signal: Signal) {
        if !self.has_ended() {
            // Fails only for a process that has ended meanwhile, which is what signals are for.
            kill(self.pid, signal).ok();
        }
    }

    /// Kills it and its children at once.
    pub(super) fn kill_group(&self) {
        if !self.has_ended() {
            killpg(self.pid, Signal::SIGKILL).ok();
        }
    }
}

/// Lets the kernel send the child a signal when we are killed.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "the parent-death signal is set between fork and exec")]
fn end_with_us(command: &mut Command, at_our_death: Signal) {
    let parent = Pid::this();
    let prepare = move || {
        // The kernel forgets the signal when the account changes; std changes it before this.
        nix::sys::prctl::set_pdeathsig(at_our_death)?;
        // We may have died before the signal was set.
        if nix::unistd::getppid() == parent { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
    };
    // SAFETY: `prepare` makes two system calls, which are safe to make after a fork, and neither
    // allocates nor locks.
    unsafe { command.pre_exec(prepare) };
}

/// Elsewhere a killed process leaves its server behind, and the next start evicts it.
#[cfg(not(target_os = "linux"))]
fn end_with_us(_command: &mut Command, _at_our_death: Signal) {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_program_that_does_not_exist_is_named() {
        let missing = command(Path::new("/nowhere/postgres"), Path::new("/"), None);
        assert_eq!(
            Program::spawn(missing, Signal::SIGKILL).unwrap_err().to_string(),
            "running /nowhere/postgres"
        );
    }

    #[test]
    fn a_program_is_ended_by_a_signal() {
        let mut sleep = command(Path::new("/bin/sleep"), Path::new("/"), None);
        sleep.arg("60");
        let sleep = Program::spawn(sleep, Signal::SIGKILL).unwrap();
        assert!(!sleep.has_ended());
        // Not SIGINT: what a shell starts in the background inherits that it is ignored.
        sleep.signal(Signal::SIGTERM);
        assert!(sleep.ends_before(Instant::now() + Duration::from_secs(50)));
        assert!(!sleep.status().unwrap().success());
    }
}
