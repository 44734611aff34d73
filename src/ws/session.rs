//! One connection: its commands, its time, its end.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::pending;
use std::io;
use std::rc::Rc;
use std::sync::OnceLock;
use std::time::Duration;

use actix_web::web;
use bytes::{Bytes, BytesMut};
use rand::Rng as _;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};
use uuid::Uuid;

use super::channel;
use super::handshake::TakeOver;
use super::rpc;
use super::subscribe;
use crate::api::{Api, ProblemCode};
use crate::auth::Principal;
use crate::frame::{Decoder, Incoming, close_frame, message_frame, ping_frame, pong_frame};
use crate::hub::{Hub, Listener, Mailbox};
use crate::protocol::code::{Disconnect, ErrorCode, Unsubscribed};
use crate::protocol::{Codec, Command, Connect, ConnectResult, ErrorReply, Push, Reply, Request};

/// Bytes read from a socket at once; the buffer is the thread's, not the session's.
const READ_BYTES: usize = 16 * 1024;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// What we call ourselves in connect and refresh results.
const VERSION: &str = concat!("ordercast ", env!("CARGO_PKG_VERSION"));

/// How far a connection has come.
#[derive(Debug)]
enum Phase {
    /// Only a connect may come.
    New,
    /// Connect was answered by an error: nothing is done any more; the client closes, or we do.
    Refused,
    /// Authenticated.
    Open(Rc<Principal>),
}

/// One connection. Used by its own task only; its mailbox also by the worker's hub.
pub(super) struct Session {
    pub(super) api: web::Data<Api>,
    pub(super) hub: Rc<Hub>,
    pub(super) mailbox: Rc<Mailbox>,
    pub(super) codec: Codec,
    native_pings: bool,
    client: String,
    phase: RefCell<Phase>,
    pub(super) subscriptions: RefCell<HashMap<String, Rc<Listener>>>,
    opened: Instant,
    next_ping: Cell<Option<Instant>>,
    pong_until: Cell<Option<Instant>>,
    expires: Cell<Option<Instant>>,
    /// Rung when one of the moments above has changed.
    rearmed: Notify,
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

impl Session {
    pub(super) fn new(
        api: web::Data<Api>,
        hub: Rc<Hub>,
        mailbox: Rc<Mailbox>,
        mark: TakeOver,
    ) -> Rc<Self> {
        Rc::new(Self {
            api,
            hub,
            mailbox,
            codec: mark.codec,
            native_pings: mark.native_pings,
            client: Uuid::new_v4().to_string(),
            phase: RefCell::new(Phase::New),
            subscriptions: RefCell::default(),
            opened: Instant::now(),
            next_ping: Cell::new(None),
            pong_until: Cell::new(None),
            expires: Cell::new(None),
            rearmed: Notify::new(),
        })
    }

    /// Serves the connection until it ends. `early` has been read from it already.
    pub(super) async fn run(self: Rc<Self>, early: BytesMut) {
        let mut decoder = Decoder::new(self.api.config.socket.message_limit_bytes);
        let end = tokio::select! {
            biased;
            end = self.read(&mut decoder, &early) => end,
            () = self.mailbox.serve() => match self.mailbox.ended() {
                Some(disconnect) => End::Ours(disconnect),
                None => End::Theirs(None),
            },
            disconnect = self.watch() => End::Ours(disconnect),
        };
        // First of all nothing more is published to it: a slow clean-up must not hold a topic.
        for (_channel, listener) in self.subscriptions.borrow_mut().drain() {
            self.hub.leave(&listener);
        }
        let answer_comes = match end {
            End::Ours(disconnect) => {
                tracing::debug!(code = disconnect.code, reason = disconnect.reason, "closing");
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
        let patience = self.api.config.socket.close_timeout_s.get();
        // Out of patience, the socket is dropped: the peer sees it end without its answer.
        let _closed = timeout(patience, async {
            self.mailbox.finish().await;
            if answer_comes {
                self.drain(&mut decoder).await;
            }
        })
        .await;
    }

    /// Reads and carries out commands until the connection ends.
    async fn read(self: &Rc<Self>, decoder: &mut Decoder, early: &[u8]) -> End {
        decoder.feed(early);
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
        loop {
            self.mailbox.stream().readable().await?;
            let read = SCRATCH.with_borrow_mut(|scratch| {
                let count = self.mailbox.stream().try_read(scratch)?;
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
            Incoming::Message { text, bytes } if text == self.codec.is_text() => {
                self.carry_out(&bytes).await.err().map(End::Ours)
            }
            Incoming::Message { .. } => Some(Disconnect::INAPPROPRIATE_PROTOCOL.into()),
            Incoming::Ping(payload) => {
                self.send(pong_frame(&payload));
                None
            }
            Incoming::Pong(_) => {
                if self.native_pings {
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

    /// Carries out the commands of one message, in order.
    async fn carry_out(self: &Rc<Self>, message: &[u8]) -> Result<(), Disconnect> {
        let commands = self.codec.decode(message, self.api.config.socket.commands_per_message)?;
        for command in commands {
            if let Request::Pong = command.request {
                // One more than was asked for does no harm.
                self.pong_until.set(None);
                continue;
            }
            let phase = match &*self.phase.borrow() {
                Phase::New => None,
                Phase::Refused => return Ok(()),
                Phase::Open(principal) => Some(Rc::clone(principal)),
            };
            match phase {
                None => self.before_connect(command).await?,
                Some(principal) => self.perform(command, &principal).await?,
            }
            // A client that asks faster than it reads waits.
            while !self.mailbox.roomy() && self.mailbox.ended().is_none() {
                self.mailbox
                    .stream()
                    .writable()
                    .await
                    .map_err(|_gone| Disconnect::CONNECTION_CLOSED)?;
                self.mailbox.flush();
            }
        }
        Ok(())
    }

    async fn before_connect(self: &Rc<Self>, command: Command) -> Result<(), Disconnect> {
        match command.request {
            Request::Connect(connect) => self.connect(command.id, &connect).await,
            Request::Subscribe(_)
            | Request::Unsubscribe { .. }
            | Request::Publish { .. }
            | Request::Presence { .. }
            | Request::PresenceStats { .. }
            | Request::History(_)
            | Request::Ping
            | Request::Send { .. }
            | Request::Rpc { .. }
            | Request::Refresh { .. }
            | Request::SubRefresh { .. }
            | Request::Pong => Err(Disconnect::BAD_REQUEST),
        }
    }

    async fn connect(self: &Rc<Self>, id: u32, connect: &Connect) -> Result<(), Disconnect> {
        if connect.token.is_empty() {
            return Err(Disconnect::BAD_REQUEST);
        }
        let principal = match self.authenticate(&connect.token).await {
            Ok(principal) => principal,
            Err(Some(error)) => {
                self.phase.replace(Phase::Refused);
                self.reply(id, &error.into());
                return Ok(());
            }
            Err(None) => return Err(Disconnect::INVALID_TOKEN),
        };
        let settings = &self.api.config.socket;
        let interval = settings.ping_interval_s.get();
        // The first somewhere in the second half of an interval, so that a thousand clients that
        // came back at once are not pinged at once.
        let first = interval.mul_f64(rand::rng().random_range(0.5..=1.0));
        self.next_ping.set(Some(Instant::now() + first));
        let ttl = self.expire_with(&principal);
        self.phase.replace(Phase::Open(Rc::new(principal)));
        self.rearmed.notify_one();
        let result = ConnectResult {
            client: &self.client,
            version: VERSION,
            ttl,
            ping: (!self.native_pings).then_some(interval),
            pong: !self.native_pings,
            ..ConnectResult::default()
        };
        self.reply(id, &Reply::Connect(result));
        Ok(())
    }

    /// Who the token speaks for; an error to answer with, or none when there is only the door.
    async fn authenticate(&self, token: &str) -> Result<Principal, Option<ErrorCode>> {
        let asked = self.api.authenticate(token);
        let patience = self.api.config.socket.reply_timeout_ms.get();
        match timeout(patience, asked).await {
            Ok(Ok(principal)) => Ok(principal),
            Ok(Err(problem)) if problem.code == ProblemCode::TokenExpired => {
                Err(Some(ErrorCode::TOKEN_EXPIRED))
            }
            Ok(Err(problem)) if problem.code == ProblemCode::Unauthenticated => Err(None),
            // Ours to mend: the token may be good.
            Ok(Err(_)) => Err(Some(ErrorCode::INTERNAL)),
            Err(_late) => Err(Some(ErrorCode::INTERNAL)),
        }
    }

    /// Notes when the right ends; the time until then.
    fn expire_with(&self, principal: &Principal) -> Option<Duration> {
        let left = principal
            .expires_at
            .map(|at| Duration::try_from(at.duration_since(self.api.now())).unwrap_or_default());
        let grace = self.api.config.socket.expiry_grace_s.get();
        self.expires.set(left.map(|left| Instant::now() + left + grace));
        left
    }

    async fn perform(
        self: &Rc<Self>,
        command: Command,
        principal: &Rc<Principal>,
    ) -> Result<(), Disconnect> {
        let id = command.id;
        match command.request {
            // A second connect, and a pong, which has been taken out before.
            Request::Connect(_) | Request::Pong => return Err(Disconnect::BAD_REQUEST),
            Request::Subscribe(subscribe) => {
                subscribe::subscribe(self, id, principal, &subscribe).await?;
            }
            Request::Unsubscribe { channel } => {
                if let Some(listener) = self.subscriptions.borrow_mut().remove(&channel) {
                    self.hub.leave(&listener);
                }
                self.reply(id, &Reply::Unsubscribe);
            }
            Request::History(history) => {
                subscribe::history(self, id, principal, &history).await?;
            }
            Request::Rpc { method, data } => {
                let answer = rpc::call(&self.api, principal, &method, data.as_deref()).await;
                match answer {
                    Ok(data) => self.reply(id, &Reply::Rpc { data: &data }),
                    Err(error) => self.reply(id, &Reply::Error(error)),
                }
            }
            Request::Refresh { token } => self.refresh(id, &token, principal).await?,
            // Feeds are written by orders alone.
            Request::Publish { .. } => self.reply(id, &ErrorCode::PERMISSION_DENIED.into()),
            Request::Presence { .. } | Request::PresenceStats { .. } | Request::Ping => {
                self.reply(id, &ErrorCode::NOT_AVAILABLE.into());
            }
            Request::SubRefresh { channel, .. } => {
                // Subscriptions carry no token of their own, so none of them ends.
                let there = self.subscriptions.borrow().contains_key(&channel);
                let reply = if there {
                    Reply::SubRefresh { ttl: None }
                } else {
                    ErrorCode::PERMISSION_DENIED.into()
                };
                self.reply(id, &reply);
            }
            Request::Send { .. } => return Err(Disconnect::NOT_AVAILABLE),
        }
        Ok(())
    }

    async fn refresh(
        self: &Rc<Self>,
        id: u32,
        token: &str,
        principal: &Principal,
    ) -> Result<(), Disconnect> {
        let fresh = match self.authenticate(token).await {
            Ok(fresh) => fresh,
            Err(Some(ErrorCode::TOKEN_EXPIRED)) => return Err(Disconnect::EXPIRED),
            Err(Some(error)) => {
                self.reply(id, &error.into());
                return Ok(());
            }
            Err(None) => return Err(Disconnect::INVALID_TOKEN),
        };
        let same = (fresh.tenant, fresh.role) == (principal.tenant, principal.role)
            && fresh.subject == principal.subject;
        if !same {
            return Err(Disconnect::INVALID_TOKEN);
        }
        let ttl = self.expire_with(&fresh);
        self.reply(id, &Reply::Refresh { client: &self.client, version: VERSION, ttl });
        self.end_closed(&fresh);
        self.phase.replace(Phase::Open(Rc::new(fresh)));
        self.rearmed.notify_one();
        Ok(())
    }

    /// Ends the subscriptions that the connection's newer token does not open any more.
    fn end_closed(&self, principal: &Principal) {
        self.subscriptions.borrow_mut().retain(|channel, listener| {
            let stays = channel::open(channel, principal).is_ok();
            if !stays {
                self.hub.leave(listener);
                let mut message = Vec::with_capacity(128);
                let push = Push::Unsubscribe { channel, end: Unsubscribed::SERVER };
                self.codec.encode_push(&mut message, &push);
                self.send(message_frame(self.codec, &message));
            }
            stays
        });
    }

    /// Queues a reply and writes what waits.
    pub(super) fn reply(&self, id: u32, reply: &Reply<'_>) {
        let mut message = Vec::with_capacity(128);
        self.codec.encode_reply(&mut message, id, reply);
        self.send(message_frame(self.codec, &message));
    }

    /// Queues an error reply with a sentence of its own.
    pub(super) fn reply_error(&self, id: u32, error: ErrorReply<'_>) {
        self.reply(id, &Reply::Error(error));
    }

    fn send(&self, frame: Bytes) {
        self.mailbox.answer(frame);
        self.mailbox.flush();
    }

    /// Watches the session's moments: the first message, pings, pongs, the end of its token.
    async fn watch(&self) -> Disconnect {
        let settings = &self.api.config.socket;
        let stale = self.opened + settings.stale_timeout_s.get();
        loop {
            let silent = !matches!(&*self.phase.borrow(), Phase::Open(_));
            let now = Instant::now();
            if silent && now >= stale {
                return Disconnect::STALE;
            }
            if self.expires.get().is_some_and(|at| now >= at) {
                return Disconnect::EXPIRED;
            }
            if self.pong_until.get().is_some_and(|at| now >= at) {
                return Disconnect::NO_PONG;
            }
            if self.next_ping.get().is_some_and(|at| now >= at) {
                self.send(self.ping());
                self.next_ping.set(Some(now + settings.ping_interval_s.get()));
                // The oldest ping that is unanswered counts, or a timeout longer than the
                // interval would never pass.
                if self.pong_until.get().is_none() {
                    self.pong_until.set(Some(now + settings.pong_timeout_s.get()));
                }
            }
            let moments = [
                silent.then_some(stale),
                self.expires.get(),
                self.pong_until.get(),
                self.next_ping.get(),
            ];
            let next = moments.into_iter().flatten().min();
            tokio::select! {
                () = self.rearmed.notified() => {}
                () = async {
                    match next {
                        Some(at) => sleep_until(at).await,
                        None => pending().await,
                    }
                } => {}
            }
        }
    }

    /// The ping's frame, made once for all sessions.
    fn ping(&self) -> Bytes {
        static JSON: OnceLock<Bytes> = OnceLock::new();
        static PROTOBUF: OnceLock<Bytes> = OnceLock::new();
        static NATIVE: OnceLock<Bytes> = OnceLock::new();
        if self.native_pings {
            return NATIVE.get_or_init(|| ping_frame(b"")).clone();
        }
        let made = match self.codec {
            Codec::Json => &JSON,
            Codec::Protobuf => &PROTOBUF,
        };
        made.get_or_init(|| message_frame(self.codec, self.codec.ping())).clone()
    }
}
