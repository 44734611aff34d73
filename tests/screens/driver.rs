//! The program that drives browsers, on a port of its own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// How long its browsers may take to end before they are killed.
const ENDING: Duration = Duration::from_secs(10);

/// A running chromedriver. When dropped it ends, and with it the browsers it has started.
pub struct Driver {
    child: Child,
    port: u16,
    /// Profiles and whatever else browsers leave.
    folder: PathBuf,
}

impl Driver {
    /// Starts it, and waits until it serves.
    pub fn start() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("ordercast-screens-{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = env::temp_dir().join(name);
        fs::create_dir(&folder).unwrap();
        let program = env::var_os("CHROMEDRIVER").unwrap_or_else(|| "chromedriver".into());
        let mut child = Command::new(&program)
            .args(["--port=0", "--log-level=WARNING"])
            .env("TMPDIR", &folder)
            // With all its browsers, so that they can be ended together.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", Path::new(&program).display()));
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut said = Vec::new();
        let port = loop {
            let Some(Ok(line)) = lines.next() else {
                panic!("it ended instead of serving:\n{}", said.join("\n"))
            };
            // "ChromeDriver was started successfully on port 40123."
            let port = line.strip_suffix('.').and_then(|line| line.rsplit_once(" on port "));
            if let Some(port) = port.and_then(|(_, port)| port.parse().ok()) {
                break port;
            }
            said.push(line);
        };
        // Read on, so that it never waits for us.
        thread::spawn(move || lines.for_each(drop));
        Self { child, port, folder }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Asks it to end its browsers and itself.
    fn ask_to_end(&self) -> std::io::Result<()> {
        let mut socket = TcpStream::connect(("127.0.0.1", self.port))?;
        socket.set_read_timeout(Some(ENDING))?;
        let host = format!("127.0.0.1:{}", self.port);
        write!(socket, "GET /shutdown HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
        socket.read_to_end(&mut Vec::new()).map(drop)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if self.ask_to_end().is_ok() {
            let end = Instant::now() + ENDING;
            while Instant::now() < end && matches!(self.child.try_wait(), Ok(None)) {
                thread::yield_now();
            }
        }
        // Whatever is left of them; mostly nothing is.
        killpg(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGKILL).ok();
        drop(self.child.wait());
        drop(fs::remove_dir_all(&self.folder));
    }
}
