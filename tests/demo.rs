//! The demo, run as a reader runs it: the players' account of what they heard is the test.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed step should fail the test")]

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Longest run, on a busy machine: setting up a cluster waits for the disk.
const LIMIT: Duration = Duration::from_mins(3);

fn demo(arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_ordercast"))
        .arg("demo")
        .args(arguments)
        // With its own database, whatever the caller's environment says.
        .env_remove("ORDERCAST_DATABASE_URL")
        .env_remove("ORDERCAST_CONFIG")
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What a finished run left.
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

/// Waits for the end; `on_line` sees each line of the output as it comes.
fn end(mut child: Child, mut on_line: impl FnMut(Pid, &str)) -> Ended {
    let pid = Pid::from_raw(child.id().try_into().unwrap());
    let (ended, waits) = mpsc::sync_channel::<()>(1);
    let watch = thread::spawn(move || {
        if waits.recv_timeout(LIMIT) == Err(mpsc::RecvTimeoutError::Timeout) {
            kill(pid, Signal::SIGKILL).ok();
        }
    });
    let mut stderr = child.stderr.take().unwrap();
    let errors = thread::spawn(move || {
        let mut err = String::new();
        stderr.read_to_string(&mut err).unwrap();
        err
    });
    let mut out = String::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        on_line(pid, &line);
        out.push_str(&line);
        out.push('\n');
    }
    let code = child.wait().unwrap().code();
    drop(ended);
    watch.join().unwrap();
    assert_nothing_is_left(pid);
    Ended { code, out, err: errors.join().unwrap() }
}

/// The private PostgreSQL is gone, and its folder with it.
fn assert_nothing_is_left(pid: Pid) {
    let ours = format!("ordercast-pg-{pid}-");
    let names = std::fs::read_dir(std::env::temp_dir()).unwrap();
    let left = names.filter_map(|name| name.unwrap().file_name().into_string().ok());
    let left: Vec<String> = left.filter(|name| name.starts_with(&ours)).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// The last line's verdict, and the row of all players.
fn assert_clean(ended: &Ended) {
    let Ended { code, out, err } = ended;
    assert_eq!(*code, Some(0), "{out}\n{err}");
    assert!(out.contains("clean: 0 missed, 0 repeated, 0 reordered, 0 failed"), "{out}");
    let all = out.lines().find(|line| line.starts_with("all ")).unwrap();
    let numbers: Vec<u64> = all.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [channels, expected, heard, faults @ ..] = numbers.as_slice() else { panic!("{all}") };
    assert!(*channels > 54 && *expected > 100, "{all}");
    assert_eq!(expected, heard, "{all}");
    assert_eq!(faults, [0, 0, 0, 0], "{all}");
    assert!(out.contains("commit to socket p50 "), "{out}");
}

#[test]
fn an_evening_ends_by_itself_with_every_event_accounted_for() {
    let child = demo(&["--for", "8s", "--orders-per-minute", "300", "--port", "0"]);
    let ended = end(child, |_, _| {});
    assert_clean(&ended);
    // Sockets were dropped on the way, and came back with what they had missed.
    let sockets = ended.out.lines().find(|line| line.starts_with("sockets ")).unwrap();
    let word = |nth: usize| sockets.split_whitespace().nth(nth).unwrap().parse::<u64>().unwrap();
    assert!(word(1) > 0 && word(6) > 0, "{sockets}");
    for door in ["/dispatch#token=", "/store#token=", "/courier#token=", "/t/tl_"] {
        assert!(ended.out.contains(door), "{door}");
    }
}

#[test]
fn an_interrupted_evening_ends_with_its_summary() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let child = demo(&["--orders-per-minute", "600", "--port", "0"]);
        let ended = end(child, |pid, line| {
            if line.starts_with("00:05") {
                kill(pid, signal).unwrap();
            }
        });
        assert_clean(&ended);
    }
}

#[test]
fn a_port_that_is_taken_is_named_with_the_way_out() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let ended = end(demo(&["--for", "1s", "--port", &port]), |_, _| {});
    assert_eq!(ended.code, Some(1), "{}", ended.out);
    assert!(ended.err.contains(&port) && ended.err.contains("--port"), "{}", ended.err);
}
