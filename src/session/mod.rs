//! Sessions: one connection each, speaking the Centrifuge client protocol.
//!
//! A session carries out the commands of its client in order, calls about different things side by
//! side (`beside`), while its worker's hub writes what is published into its mailbox. It knows the
//! protocol and nothing of orders: who somebody is, which channels there are and what they hold,
//! its [`Source`] says.
//!
//! A request for a WebSocket goes through the app like any other; its handler
//! (`handshake::connect`) answers 101 and leaves a mark in the response. The upgrade service sees the
//! mark, writes the answer, frees the HTTP buffers, and runs the session on the bare socket
//! ([`take_over`]). Where a network denies sockets, a session is a long answer instead, and its
//! commands come by requests of their own (`stream`).
//!
//! Absent on purpose: nobody but its own task and its worker's hub touches a session.

mod beside;
mod commands;
mod handshake;
mod plain;
mod source;
mod stream;
mod streams;
mod subscribe;
mod upgrade;
mod watch;

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;

use actix_web::web::{self, ServiceConfig};
use bytes::{Bytes, BytesMut};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

pub use handshake::{bearer_token, has_room, is_origin_allowed};
pub use plain::{Follow, come_again, follow};
pub use source::{
    Asker, EarOf, Found, House, Moves, Opened, Otherwise, Past, Permitted, Reading, Renewed,
    Source, Start, TopicOf, Turned, Unread, Welcome,
};
pub use streams::Streams;
pub use upgrade::take_over;

use crate::frame::{Decoder, Incoming, close_frame, message_frame, pong_frame};
use crate::hub::{Hub, Mailbox, Member};
use crate::protocol::code::Disconnect;
use crate::protocol::{Codec, Connect, ErrorReply, Push, Reply};
use crate::telemetry::metrics;
use beside::Beside;
use handshake::{connect, connect_one_way};
use source::Known;
use stream::{emulate, open_events, open_lines};
use subscribe::Subscription;

/// Bytes read from a socket at once; the buffer is the thread's, not the session's.
const READ_BYTES: usize = 16 * 1024;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// What we call ourselves in connect and refresh results.
const VERSION: &str = concat!("ordercast ", env!("CARGO_PKG_VERSION"));

/// Adds the routes of connections.
pub fn configure<S: Source>(services: &mut ServiceConfig) {
    services
        .service(web::resource("/connection/websocket").route(web::get().to(connect::<S>)))
        .service(
            web::resource("/connection/uni_websocket").route(web::get().to(connect_one_way::<S>)),
        )
        .service(web::resource("/connection/http_stream").route(web::post().to(open_lines::<S>)))
        .service(
            web::resource("/connection/sse")
                .route(web::get().to(open_events::<S>))
                .route(web::post().to(open_events::<S>)),
        )
        .service(web::resource("/emulation").route(web::post().to(emulate::<S>)));
}

/// How far a connection has come.
#[derive(Debug)]
enum Phase<S: Source> {
    /// Only a connect may come.
    New,
    /// Connect was answered by an error: nothing is done any more; the client closes, or we do.
    Refused,
    /// Authenticated.
    Open { who: Known<S>, member: Arc<Member> },
}

/// What kind of connection it is.
#[derive(Debug, Clone, Default)]
struct Kind {
    /// Pings are WebSocket's own instead of the protocol's, for clients that are bare tools.
    native_pings: bool,
    /// The connect command, where it came with the handshake.
    connect: Option<Bytes>,
    /// The token of the handshake's `Authorization` header.
    bearer: Option<String>,
    /// What the client of a stream names it by.
    stream: Option<Uuid>,
    /// It is there for one channel, and ends with it.
    is_of_one_channel: bool,
}

/// One connection. Used by its own task only; its mailbox also by the worker's hub.
#[derive(Debug)]
struct Session<S: Source> {
    source: web::Data<S>,
    hub: Rc<Hub<S::News>>,
    mailbox: Rc<Mailbox>,
    kind: Kind,
    client: String,
    phase: RefCell<Phase<S>>,
    /// What the source wants kept for as long as this lasts.
    kept: RefCell<Option<Box<dyn Any>>>,
    /// Boxed: most have one, and a map has room for three.
    subscriptions: RefCell<HashMap<String, Box<Subscription<S>>>>,
    beside: Beside,
    opened: Instant,
    next_ping: Cell<Option<Instant>>,
    pong_until: Cell<Option<Instant>>,
    /// Since when commands are carried out: what the client says meanwhile is not read, its pong
    /// neither.
    busy_since: Cell<Option<Instant>>,
    expires: Cell<Option<Instant>>,
    /// Rung when one of the moments above, or one of a subscription, has changed.
    rearmed: Rc<Notify>,
}

/// How a session ends.
enum End {
    /// We close, with this code.
    Ours(Disconnect),
    /// The peer closed; this close frame is to be answered.
    Theirs(Option<Bytes>),
}

impl From<Disconnect> for End {
    fn from(disconnect: Disconnect) -> Self {
        Self::Ours(disconnect)
    }
}

impl<S: Source> Session<S> {
    fn new(
        source: web::Data<S>,
        hub: Rc<Hub<S::News>>,
        mailbox: Rc<Mailbox>,
        kind: Kind,
    ) -> Rc<Self> {
        Rc::new(Self {
            source,
            hub,
            mailbox,
            kind,
            client: Uuid::new_v4().to_string(),
            phase: RefCell::new(Phase::New),
            kept: RefCell::new(None),
            subscriptions: RefCell::default(),
            beside: Beside::default(),
            opened: Instant::now(),
            next_ping: Cell::new(None),
            pong_until: Cell::new(None),
            busy_since: Cell::new(None),
            expires: Cell::new(None),
            rearmed: Rc::new(Notify::new()),
        })
    }

    fn codec(&self) -> Codec {
        self.mailbox.codec()
    }

    /// Whether the client only listens.
    fn is_one_way(&self) -> bool {
        self.mailbox.wire().is_one_way()
    }

    /// Serves a socket until it ends. `early` has been read from it already.
    async fn run(self: Rc<Self>, early: BytesMut) {
        let mut decoder = Decoder::new(self.source.settings().message_limit_bytes);
        let end = self.until_end(pin!(self.read(&mut decoder, early))).await;
        let answer_comes = match end {
            End::Ours(disconnect) => {
                self.mailbox.end(disconnect);
                true
            }
            // After both closes it is for the server to end the connection (RFC 6455, section
            // 7.1.1): the client waits for that.
            End::Theirs(Some(frame)) => {
                self.mailbox.end_with(frame, Disconnect::CONNECTION_CLOSED);
                false
            }
            End::Theirs(None) => return,
        };
        let patience = self.source.settings().close_timeout_s.get();
        // Out of patience, the socket is dropped: the peer sees it end without its answer.
        let _closed = timeout(patience, async {
            self.mailbox.finish().await;
            if answer_comes {
                self.drain(&mut decoder).await;
            }
        })
        .await;
    }

    /// Serves a connection without a socket: `first` came with its request, the others follow.
    async fn run_stream(self: Rc<Self>, first: Bytes, mut commands: mpsc::Receiver<Bytes>) {
        let reading = async {
            let mut next = Some(first);
            while let Some(message) = next {
                if let Err(disconnect) = Box::pin(self.carry_out(&message)).await {
                    return disconnect.into();
                }
                next = commands.recv().await;
            }
            End::Theirs(None)
        };
        self.send_until_end(pin!(reading)).await;
    }

    /// The same, where what it is sent is the body of an answer.
    async fn send_until_end(&self, reading: Pin<&mut impl Future<Output = End>>) {
        if let End::Ours(disconnect) = self.until_end(reading).await {
            self.mailbox.end(disconnect);
        }
        let patience = self.source.settings().close_timeout_s.get();
        let _sent = timeout(patience, self.mailbox.finish()).await;
    }

    /// Lives until one of its ends comes; then nobody publishes to it any more. What reads stays
    /// where its caller has it: moved here, it would take its room twice for as long as this lasts.
    async fn until_end(&self, reading: Pin<&mut impl Future<Output = End>>) -> End {
        let end = tokio::select! {
            biased;
            end = reading => end,
            () = self.mailbox.serve() => match self.mailbox.ended() {
                Some(disconnect) => End::Ours(disconnect),
                None => End::Theirs(None),
            },
            disconnect = self.watch() => End::Ours(disconnect),
        };
        if let End::Ours(Disconnect { code, reason }) = end {
            tracing::debug!(code, reason, "closing");
            metrics().closed(code);
        }
        // First of all: a slow clean-up must not hold a topic.
        let subscriptions = std::mem::take(&mut *self.subscriptions.borrow_mut());
        for subscription in subscriptions.into_values() {
            self.let_go(&subscription);
        }
        end
    }

    /// Reads and carries out commands until the connection ends.
    async fn read(self: &Rc<Self>, decoder: &mut Decoder, early: BytesMut) -> End {
        if let Some(connect) = &self.kind.connect
            && let Err(disconnect) = Box::pin(self.listen_only(connect)).await
        {
            return disconnect.into();
        }
        decoder.feed(&early);
        // It holds on to all that HTTP had room for, 8 KiB and more.
        drop(early);
        loop {
            loop {
                match decoder.decode() {
                    Err(disconnect) => return disconnect.into(),
                    Ok(None) => break,
                    Ok(Some(incoming)) => {
                        // Boxed: idle sessions should not carry the room for a busy one.
                        if let Some(end) = Box::pin(self.take(incoming)).await {
                            return end;
                        }
                    }
                }
            }
            match self.fill(decoder).await {
                Ok(true) => {}
                Ok(false) | Err(_) => return End::Theirs(None),
            }
        }
    }

    /// Feeds the decoder what the socket has; false at its end.
    async fn fill(&self, decoder: &mut Decoder) -> io::Result<bool> {
        let Some(stream) = self.mailbox.stream() else { return Ok(false) };
        loop {
            stream.readable().await?;
            let read = SCRATCH.with_borrow_mut(|scratch| {
                let count = stream.try_read(scratch)?;
                decoder.feed(scratch.get(..count).unwrap_or_default());
                Ok::<_, io::Error>(count)
            });
            match read {
                Ok(count) => return Ok(count > 0),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads until the peer has closed too; what it still says is not carried out.
    async fn drain(&self, decoder: &mut Decoder) {
        loop {
            while let Ok(Some(incoming)) = decoder.decode() {
                if matches!(incoming, Incoming::Close(_)) {
                    return;
                }
            }
            if !matches!(self.fill(decoder).await, Ok(true)) {
                return;
            }
        }
    }

    async fn take(self: &Rc<Self>, incoming: Incoming) -> Option<End> {
        match incoming {
            Incoming::Message { bytes, .. } if self.is_one_way() => {
                self.listen_only(&bytes).await.err().map(End::Ours)
            }
            Incoming::Message { text, bytes } if text == self.codec().is_text() => {
                self.carry_out(&bytes).await.err().map(End::Ours)
            }
            Incoming::Message { .. } => Some(Disconnect::INAPPROPRIATE_PROTOCOL.into()),
            Incoming::Ping(payload) => {
                self.send_control(pong_frame(&payload));
                None
            }
            Incoming::Pong(_) => {
                if self.kind.native_pings {
                    self.pong_until.set(None);
                }
                None
            }
            Incoming::Close(reason) => {
                let (code, _reason) = reason.unwrap_or((Disconnect::NORMAL.code, String::new()));
                Some(End::Theirs(Some(close_frame(code, ""))))
            }
        }
    }

    /// The only message of a client that only listens: its connect, without an envelope.
    async fn listen_only(self: &Rc<Self>, message: &[u8]) -> Result<(), Disconnect> {
        // Whatever it says later is nothing to us.
        if !matches!(&*self.phase.borrow(), Phase::New) {
            return Ok(());
        }
        let connect = Connect::from_json(message)?;
        self.connect(0, connect).await
    }

    /// Queues a reply and writes what waits.
    fn reply(&self, id: u32, reply: &Reply<'_>) {
        self.send(&self.encoded(id, reply));
    }

    fn encoded(&self, id: u32, reply: &Reply<'_>) -> Vec<u8> {
        let mut message = Vec::with_capacity(128);
        self.codec().encode_reply(&mut message, id, reply);
        message
    }

    fn refuse(&self, id: u32, error: impl Into<ErrorReply<'static>>) {
        self.reply(id, &Reply::Error(error.into()));
    }

    fn push(&self, push: &Push<'_>) {
        let mut message = Vec::with_capacity(128);
        self.codec().encode_push(&mut message, push);
        self.send(&message);
    }

    fn send(&self, message: &[u8]) {
        self.send_all([message]);
    }

    /// Queues messages, and writes what waits once.
    fn send_all<'a>(
        &self,
        messages: impl IntoIterator<Item = &'a (impl AsRef<[u8]> + ?Sized + 'a)>,
    ) {
        for message in messages {
            self.mailbox.answer(message_frame(self.codec(), message.as_ref()));
        }
        self.mailbox.flush();
    }

    /// Queues a frame that is no message; only sockets have such.
    fn send_control(&self, frame: Bytes) {
        self.mailbox.answer_as_it_is(frame);
        self.mailbox.flush();
    }
}
