//! One listener: a socket with one subscription that comes back by itself and recovers, as the
//! SDKs do, and that costs the load as little as may be.

use std::cell::RefCell;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ordercast::protocol::Codec;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::crowd::Gate;
use crate::frame::{self, Frame};
use crate::http::{connect, write_all};
use crate::ledger::Sum;
use crate::message::{self, Event, Place, Said};

/// Longest wait for a connection, its handshake and its subscription.
const PATIENCE: Duration = Duration::from_mins(1);
/// Longest head of the handshake's answer.
const HEAD_MAX: usize = 8 * 1024;
/// Read at once, by all sockets of a thread in turn.
const READ: usize = 256 * 1024;

/// Who is told of events, besides the sums that are kept anyway.
pub(crate) trait Audience: Send + Sync {
    /// `seat` has heard an event.
    fn hear(&self, _seat: &Seat, _event: &Event<'_>, _at: Instant) {}
    /// `seat` has heard something that is in no log, JSON.
    fn passed(&self, _seat: &Seat, _data: &[u8], _at: Instant) {}
    /// A call over this seat's socket was answered.
    fn answered(&self, _seat: &Seat, _id: u32, _answer: Result<&[u8], u32>, _at: Instant) {}
    /// Its subscription stands; whether it recovered what it had missed.
    fn subscribed(&self, _seat: &Seat, _recovered: bool, _at: Instant) {}
}

/// One who listens.
pub(crate) struct Seat {
    /// Its number in the crowd.
    pub(crate) nth: usize,
    pub(crate) address: SocketAddr,
    pub(crate) codec: Codec,
    pub(crate) token: Arc<str>,
    /// None for one who only calls.
    pub(crate) channel: Option<Arc<str>>,
    pub(crate) state: Mutex<State>,
    /// Whether it is subscribed now.
    pub(crate) stands: AtomicBool,
    /// Connections lost that were not cut on purpose.
    pub(crate) losses: AtomicU32,
    /// Whether it has gone home, with all heard that it came for.
    pub(crate) gone: AtomicBool,
}

/// What one who listens knows.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Where its first subscription began.
    pub(crate) from: u64,
    place: Place,
    pub(crate) sum: Sum,
    /// Subscriptions that began anew, by a snapshot: what lies before it was not heard.
    pub(crate) snapshots: u32,
    /// Why it gave up, or what went wrong last.
    pub(crate) trouble: Option<String>,
    stream: Option<Arc<TcpStream>>,
}

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ]);
}

impl Seat {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says something over its socket, from any thread; false when there is none, or it is full.
    pub(crate) fn say(&self, message: &[u8]) -> bool {
        let Some(stream) = self.state().stream.clone() else { return false };
        let frame = frame::message(self.codec, message);
        matches!(stream.try_write(&frame), Ok(written) if written == frame.len())
    }

    /// Goes home before the others: everything it came for has been heard.
    pub(crate) fn go_home(&self) {
        self.gone.store(true, Ordering::Release);
        if let Some(stream) = self.state().stream.take() {
            // Wakes its own task, which ends.
            drop(SockRef::from(&*stream).shutdown(Shutdown::Both));
        }
    }

    /// Listens until the crowd is sent home.
    pub(crate) async fn run(self: Arc<Self>, audience: Arc<dyn Audience>, mut gate: Gate) {
        loop {
            if !gate.opened().await {
                return;
            }
            let cuts = gate.cuts();
            let ended = tokio::select! {
                ended = self.listen(&*audience) => Some(ended),
                () = gate.cut_after(cuts) => None,
            };
            self.stands.store(false, Ordering::Release);
            if self.gone.load(Ordering::Acquire) {
                return;
            }
            let stream = self.state().stream.take();
            match ended {
                None => {
                    // Cut as by a network that is gone: no goodbye.
                    if let Some(stream) = &stream {
                        drop(SockRef::from(&**stream).set_linger(Some(Duration::ZERO)));
                    }
                }
                Some(why) => {
                    drop(stream);
                    self.state().trouble = Some(why);
                    let losses = self.losses.fetch_add(1, Ordering::Relaxed);
                    let wait = 20 + self.nth as u64 % 80;
                    sleep(Duration::from_millis(wait << losses.min(4))).await;
                }
            }
        }
    }

    /// One connection; why it ended.
    async fn listen(&self, audience: &dyn Audience) -> String {
        let mut pending = Vec::new();
        let opening = timeout(PATIENCE, self.open(&mut pending));
        let stream = match opening.await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return format!("connecting: {error}"),
            Err(_late) => return "connecting took too long".to_owned(),
        };
        if self.channel.is_none() {
            self.stands.store(true, Ordering::Release);
            audience.subscribed(self, false, Instant::now());
        }
        let mut outgoing = Vec::new();
        loop {
            match self.take(&stream, &mut pending, audience, &mut outgoing) {
                Ok(()) => {}
                Err(why) => return why,
            }
            if !outgoing.is_empty() {
                if let Err(error) = write_all(&stream, &outgoing).await {
                    return format!("writing: {error}");
                }
                outgoing = Vec::new();
            }
            if let Err(error) = stream.readable().await {
                return format!("reading: {error}");
            }
        }
    }

    async fn open(&self, pending: &mut Vec<u8>) -> io::Result<Arc<TcpStream>> {
        let stream = connect(self.address, self.nth).await?;
        let place = self.state().place.clone();
        let hello = message::hello(self.codec, &self.token, self.channel.as_deref(), Some(&place));
        write_all(&stream, frame::handshake(self.codec)).await?;
        let end = loop {
            if let Some(at) = pending.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            stream.readable().await?;
            match stream.try_read_buf(pending) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) if pending.len() > HEAD_MAX => return Err(io::ErrorKind::InvalidData.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        };
        if !pending.starts_with(b"HTTP/1.1 101") {
            let head = String::from_utf8_lossy(pending).lines().next().unwrap_or("").to_owned();
            return Err(io::Error::other(format!("refused: {head}")));
        }
        pending.drain(..end);
        write_all(&stream, &frame::message(self.codec, &hello)).await?;
        let stream = Arc::new(stream);
        self.state().stream = Some(Arc::clone(&stream));
        Ok(stream)
    }

    /// Takes all that has come, without waiting.
    fn take(
        &self,
        stream: &TcpStream,
        pending: &mut Vec<u8>,
        audience: &dyn Audience,
        outgoing: &mut Vec<u8>,
    ) -> Result<(), String> {
        BUFFER.with_borrow_mut(|buffer| {
            loop {
                let read = match stream.try_read(buffer) {
                    Ok(0) => return Err("the server closed it".to_owned()),
                    Ok(read) => read,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                    Err(error) => return Err(format!("reading: {error}")),
                };
                let at = Instant::now();
                let fresh = buffer.get(..read).unwrap_or_default();
                if pending.is_empty() {
                    let used = self.frames(fresh, at, audience, outgoing)?;
                    pending.extend_from_slice(fresh.get(used..).unwrap_or_default());
                } else {
                    pending.extend_from_slice(fresh);
                    let used = self.frames(pending, at, audience, outgoing)?;
                    pending.drain(..used);
                    if pending.is_empty() {
                        *pending = Vec::new();
                    }
                }
                // Less than there was room for: nothing more waits, and the next look is saved.
                if read < buffer.len() {
                    return Ok(());
                }
            }
        })
    }

    /// Reads the whole frames at the beginning; how many bytes they are.
    fn frames(
        &self,
        bytes: &[u8],
        at: Instant,
        audience: &dyn Audience,
        outgoing: &mut Vec<u8>,
    ) -> Result<usize, String> {
        let mut used = 0;
        while let Some((frame, length)) =
            frame::read(bytes.get(used..).unwrap_or_default()).map_err(|error| error.to_string())?
        {
            used += length;
            match frame {
                Frame::Message(message) => {
                    let mut failed = None;
                    message::read(self.codec, message, &mut |said| {
                        self.note(&said, at, audience, outgoing, &mut failed);
                    })?;
                    if let Some(why) = failed {
                        return Err(why);
                    }
                }
                Frame::Ping(payload) => outgoing.extend(frame::pong(payload)),
                Frame::Pong => {}
                Frame::Close(code, reason) => {
                    return Err(format!("closed: {code} {}", String::from_utf8_lossy(reason)));
                }
            }
        }
        Ok(used)
    }

    fn note(
        &self,
        said: &Said<'_>,
        at: Instant,
        audience: &dyn Audience,
        outgoing: &mut Vec<u8>,
        failed: &mut Option<String>,
    ) {
        match said {
            Said::Ping => outgoing.extend(frame::message(self.codec, self.codec.ping())),
            Said::Event(event) => {
                {
                    let mut state = self.state();
                    state.sum.add(event.offset);
                    state.place.offset = event.offset;
                }
                audience.hear(self, event, at);
            }
            Said::Passing(data) => audience.passed(self, data, at),
            Said::Subscribed { place, recovered } => {
                {
                    let mut state = self.state();
                    if !recovered {
                        if state.place.epoch.is_empty() {
                            state.from = place.offset;
                        } else {
                            state.snapshots += 1;
                        }
                        state.place = place.clone();
                    }
                }
                self.stands.store(true, Ordering::Release);
                audience.subscribed(self, *recovered, at);
            }
            Said::Failed { id, code, message } => {
                if *id > message::SUBSCRIBE {
                    audience.answered(self, *id, Err(*code), at);
                } else {
                    *failed = Some(format!("command {id} failed: {code} {message}"));
                }
            }
            Said::Answered { id, data } => audience.answered(self, *id, Ok(data), at),
            Said::Unsubscribed(code) => *failed = Some(format!("unsubscribed: {code}")),
            Said::Other => {}
        }
    }
}
