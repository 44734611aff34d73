//! The bare server beside ordercast in `fanout`: tokio, one thread a core, no protocol but the
//! frames themselves. It writes prepared bytes to sockets, and that is all: what a delivery costs
//! here is what tokio and the kernel take for it.
//!
//! Its commands come on standard input: `frame LENGTH TIMES` prepares the bytes, so many frames in
//! one write, and `send FROM TO` writes them to the sockets of these numbers.

use std::io::{BufRead as _, Write as _};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;

use anyhow::Context as _;
use ordercast::frame::message_frame;
use ordercast::protocol::Codec;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, mpsc};

use crate::http::write_all;

/// What is asked of it.
#[derive(Debug, Clone)]
struct Order {
    from: usize,
    to: usize,
    bytes: Arc<[u8]>,
}

/// Sockets written before other work of the thread gets its turn, as in ordercast.
const WRITES_AT_ONCE: usize = 256;
/// Longest head of a request for a socket.
const HEAD_MAX: usize = 8 * 1024;
/// Orders that may wait.
const ORDERS_MAX: usize = 1_024;

/// Serves until standard input ends.
pub(crate) fn serve() -> anyhow::Result<()> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let (orders, _) = broadcast::channel::<Order>(ORDERS_MAX);
    let mut sockets = Vec::new();
    for worker in 0..workers {
        let (socket, handed) = mpsc::channel(1_024);
        sockets.push(socket);
        let orders = orders.subscribe();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            if let Ok(runtime) = runtime {
                runtime.block_on(work(worker, workers, handed, orders));
            }
        });
    }
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        if let Ok(runtime) = runtime {
            drop(runtime.block_on(accept(listener, sockets)));
        }
    });
    say(&address.to_string())?;
    let mut frame: Arc<[u8]> = Arc::new([]);
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let mut words = line.split(' ');
        let word = words.next().unwrap_or_default();
        let mut number = || words.next().and_then(|word| word.parse::<usize>().ok());
        match word {
            "frame" => {
                let (length, times) = (number().context("a length")?, number().context("times")?);
                let bare = push("").len();
                let payload = push(&"x".repeat(length.saturating_sub(bare)));
                frame = message_frame(Codec::Json, payload.as_bytes()).repeat(times).into();
            }
            "send" => {
                let (from, to) = (number().context("from")?, number().context("to")?);
                // Without workers nobody is left to ask for anything.
                drop(orders.send(Order { from, to, bytes: Arc::clone(&frame) }));
            }
            _ => {}
        }
    }
    Ok(())
}

/// A publication with this in it, as a client of ordercast reads it.
fn push(text: &str) -> String {
    format!(r#"{{"push":{{"channel":"bare","pub":{{"data":{{"bare":"{text}"}},"offset":7}}}}}}"#)
}

fn say(text: &str) -> std::io::Result<()> {
    println!("{text}");
    std::io::stdout().flush()
}

async fn accept(
    listener: std::net::TcpListener,
    sockets: Vec<mpsc::Sender<std::net::TcpStream>>,
) -> anyhow::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    for worker in sockets.iter().cycle() {
        let (stream, _) = listener.accept().await?;
        worker.send(stream.into_std()?).await?;
    }
    Ok(())
}

/// One thread with its part of the sockets.
async fn work(
    worker: usize,
    workers: usize,
    mut handed: mpsc::Receiver<std::net::TcpStream>,
    mut orders: broadcast::Receiver<Order>,
) {
    let mut sockets: Vec<TcpStream> = Vec::new();
    loop {
        tokio::select! {
            stream = handed.recv() => {
                let Some(stream) = stream else { return };
                if let Ok(stream) = TcpStream::from_std(stream)
                    && greet(&stream).await.is_ok()
                {
                    sockets.push(stream);
                }
            }
            order = orders.recv() => {
                let Ok(Order { from, to, bytes }) = order else { return };
                // Those of its own, in the order in which they came.
                let first = from.saturating_sub(worker).div_ceil(workers);
                let last = to.saturating_sub(worker).div_ceil(workers);
                let own = sockets.get(first..last.min(sockets.len())).unwrap_or_default();
                for (nth, socket) in own.iter().enumerate() {
                    // Waits for a reader that is behind.
                    drop(write_all(socket, &bytes).await);
                    if nth % WRITES_AT_ONCE == WRITES_AT_ONCE - 1 {
                        tokio::task::yield_now().await;
                    }
                }
            }
        }
    }
}

/// Takes the request for a socket, and says yes.
async fn greet(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        stream.readable().await?;
        match stream.try_read_buf(&mut head) {
            Ok(0) => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            Ok(_) if head.len() > HEAD_MAX => return Err(std::io::ErrorKind::InvalidData.into()),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    write_all(stream, b"HTTP/1.1 101 Switching Protocols\r\n\r\n").await
}

/// The bare server as its parent sees it.
pub(crate) struct Baseline {
    child: Child,
    input: ChildStdin,
    pub(crate) address: SocketAddr,
}

impl Baseline {
    /// Starts it.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--child", "baseline"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take().context("its input")?;
        let output = child.stdout.take().context("its output")?;
        let mut line = String::new();
        std::io::BufReader::new(output).read_line(&mut line)?;
        let address = line.trim().parse().context("the bare server's address")?;
        Ok(Self { child, input, address })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Prepares what is written: a frame with a payload of this length, so many times.
    pub(crate) fn prepare(&mut self, payload: usize, times: usize) -> anyhow::Result<()> {
        writeln!(self.input, "frame {payload} {times}").context("asking the bare server")
    }

    /// Has it written to the sockets of these numbers.
    pub(crate) fn send(&mut self, from: usize, to: usize) -> anyhow::Result<()> {
        writeln!(self.input, "send {from} {to}").context("asking the bare server")?;
        self.input.flush().context("asking the bare server")
    }
}

impl Drop for Baseline {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
