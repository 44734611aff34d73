//! What sessions are served from.

use std::any::Any;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;

use super::streams::Streams;
use crate::config;
use crate::hub::{Bearer, Member, News, Passing, Presence};
use crate::protocol::code::{Disconnect, ErrorCode};
use crate::protocol::{Codec, Connect, Emulation, ErrorReply, History, RawJson, Subscribe};

/// Whatever stands behind the sockets: it knows who somebody is, which channels there are, and
/// what they hold. The session knows the protocol, the hub who listens.
///
/// Every answer is awaited for at most `reply_timeout_ms` of [`Source::settings`]; a future may
/// be dropped at any await.
#[expect(async_fn_in_trait, reason = "sessions stay on their thread")]
pub trait Source: Send + Sync + Sized + 'static {
    /// What is published.
    type News: News;
    /// Whom a connection speaks for.
    type Who: fmt::Debug + 'static;
    /// What is read for a channel.
    type Scope: fmt::Debug + 'static;

    /// The bounds of sessions.
    fn settings(&self) -> &config::Socket;

    /// What all sessions of the process share.
    fn house(&self) -> &House<Self>;

    /// Whether a credential speaks for nobody any more. It says so before the hubs hear of that.
    fn is_revoked(&self, _bearer: Bearer) -> bool {
        false
    }

    /// Hands commands to the process that has their connection; false when that cannot be.
    async fn forward(&self, _emulation: &Emulation) -> bool {
        false
    }

    /// Who connects, and which subscriptions the server makes for it.
    async fn welcome(&self, connect: &Connect) -> Result<Welcome<Self>, Turned>;

    /// The same one, by a newer token.
    async fn renew(&self, who: &Self::Who, token: &str) -> Result<Renewed<Self>, Turned>;

    /// A channel, if there is one of this name and it is `who`'s to hear.
    async fn open(&self, asker: Asker<'_, Self>, ask: &Subscribe) -> Result<Opened<Self>, Turned>;

    /// Whether what is published on a channel that was opened comes as deltas: if the subscribe
    /// asked for them (`delta` is `fossil`) its ears and its scope may share a
    /// [`Deltas`](crate::protocol::Deltas), by which all that it hears and reads is then encoded.
    fn makes_deltas(&self, _opened: &Opened<Self>) -> bool {
        false
    }

    /// Whether `who`, of whom more or less is known now, may still hear what it opened earlier.
    fn still_opens(&self, who: &Self::Who, channel: &str) -> bool;

    /// A newer token of a subscription that stands on one of its own.
    async fn renew_subscription(
        &self,
        asker: Asker<'_, Self>,
        channel: &str,
        token: &str,
    ) -> Result<Permitted, Turned>;

    /// Reads a channel for one who starts or comes again. Its listeners are in the hub already.
    async fn read(
        &self,
        who: &Self::Who,
        opened: &Opened<Self>,
        start: Start<'_>,
        codec: Codec,
    ) -> Result<Reading, Unread>;

    /// What passed last on a topic, is not in what was missed, and is still right: for one who
    /// comes again.
    fn recall(&self, _topic: &TopicOf<Self>) -> Vec<Arc<dyn Passing<Self::News>>> {
        Vec::new()
    }

    /// A channel's past.
    async fn history(
        &self,
        who: &Self::Who,
        ask: &History,
        codec: Codec,
    ) -> Result<Past, ErrorReply<'static>>;

    /// What a call is about, in a number: calls about different things are carried out side by side,
    /// those about one thing one after the other. `None` where it may depend on any call before it,
    /// or the other way around.
    fn lane(&self, _method: &str, _data: Option<&RawJson>) -> Option<u64> {
        None
    }

    /// Calls a method.
    async fn call(
        &self,
        who: &Self::Who,
        method: &str,
        data: Option<&RawJson>,
    ) -> Result<Box<RawJson>, ErrorReply<'static>>;

    /// Takes a message that nobody awaits an answer to.
    async fn take(&self, who: &Self::Who, data: Option<&RawJson>) -> Result<(), Disconnect>;

    /// Says something on a channel, by whoever `member` is.
    async fn say(
        &self,
        who: &Self::Who,
        member: &Member,
        channel: &str,
        data: Option<&RawJson>,
    ) -> Result<(), ErrorReply<'static>>;

    /// Who is on a channel.
    async fn presence(
        &self,
        who: &Self::Who,
        channel: &str,
    ) -> Result<Vec<Arc<Member>>, ErrorReply<'static>>;
}

/// The topics of a source.
pub type TopicOf<S> = <<S as Source>::News as News>::Topic;
/// The ears of a source.
pub type EarOf<S> = <<S as Source>::News as News>::Ear;

/// What all sessions of a process share.
#[derive(Debug)]
pub struct House<S: Source> {
    /// Sockets and streams open now.
    sockets: AtomicUsize,
    /// Rung when the last of them has gone.
    empty: Notify,
    /// Set once the process is to stop: no new sockets.
    pub stopping: AtomicBool,
    /// Who is where.
    pub presence: Arc<Presence<TopicOf<S>>>,
    /// Connections whose commands come by requests of their own.
    pub streams: Arc<Streams>,
}

impl<S: Source> House<S> {
    /// Nobody is there yet.
    pub fn new(presence: Arc<Presence<TopicOf<S>>>, streams: Arc<Streams>) -> Self {
        let (sockets, stopping) = (AtomicUsize::new(0), AtomicBool::new(false));
        Self { sockets, empty: Notify::new(), stopping, presence, streams }
    }

    /// How many sockets and streams are open now.
    pub fn sockets(&self) -> usize {
        self.sockets.load(Ordering::Relaxed)
    }

    pub(super) fn came(&self) {
        self.sockets.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn went(&self) {
        if self.sockets.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.empty.notify_waiters();
        }
    }

    /// Waits until no socket or stream is open. Those of whom the process asks to end do so within
    /// their own times.
    pub async fn emptied(&self) {
        loop {
            let empty = self.empty.notified();
            tokio::pin!(empty);
            // Before the look, so that what happens after it is not missed.
            empty.as_mut().enable();
            if self.sockets() == 0 {
                return;
            }
            empty.await;
        }
    }
}

/// Who asks for a channel.
#[derive(Debug)]
pub struct Asker<'a, S: Source> {
    /// Whom its connection speaks for.
    pub who: &'a S::Who,
    /// Its connection.
    pub client: &'a str,
}

impl<S: Source> Clone for Asker<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<S: Source> Copy for Asker<'_, S> {}

/// What one gets instead of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turned {
    /// An error reply.
    Away(ErrorReply<'static>),
    /// The end of the connection.
    Out(Disconnect),
}

impl From<ErrorCode> for Turned {
    fn from(error: ErrorCode) -> Self {
        Self::Away(error.into())
    }
}

impl From<Disconnect> for Turned {
    fn from(disconnect: Disconnect) -> Self {
        Self::Out(disconnect)
    }
}

/// An authenticated connection.
#[derive(Debug)]
pub struct Welcome<S: Source> {
    /// Who it is, until when, and as others see it.
    pub renewed: Renewed<S>,
    /// The application's answer.
    pub data: Option<Box<RawJson>>,
    /// Subscriptions that the server makes, by name.
    pub channels: Vec<(String, Opened<S>)>,
}

/// Whom a token speaks for.
#[derive(Debug)]
pub struct Renewed<S: Source> {
    /// Who.
    pub who: S::Who,
    /// The user's name, empty for an anonymous one.
    pub user: String,
    /// What others may know of it.
    pub info: Option<Box<RawJson>>,
    /// Time until the token ends; none if it does not.
    pub ttl: Option<Duration>,
    /// Time until the connection ends, which the client is not told and no newer token puts off: it
    /// comes back by itself, and is judged anew. None if it does not end so.
    pub lasts: Option<Duration>,
    /// The credential with which its right ends.
    pub bearer: Option<Bearer>,
    /// Whatever is to be kept for as long as the connection lasts.
    pub kept: Option<Box<dyn Any>>,
}

/// A channel that somebody may hear.
#[derive(Debug)]
pub struct Opened<S: Source> {
    /// What it listens to, and as whom. Usually one topic; all under the channel's name.
    pub ears: Vec<(TopicOf<S>, EarOf<S>)>,
    /// Whether the channel has another name than its topic.
    pub renamed: bool,
    /// What is read for it.
    pub scope: S::Scope,
    /// Whether the listener is seen by others.
    pub is_seen: bool,
    /// Whether the listener may hear who comes and goes: if it asks to, or in any case.
    pub moves: Moves,
    /// What others on the channel may know of it.
    pub info: Option<Box<RawJson>>,
    /// The token of its own that opened it; none when the connection's did.
    pub permitted: Option<Permitted>,
}

/// What a subscription's own token gives.
#[derive(Debug, Clone, Copy)]
pub struct Permitted {
    /// Time until it ends, unless it is renewed; none if it does not.
    pub ttl: Option<Duration>,
    /// The credential with which the right ends.
    pub bearer: Option<Bearer>,
}

/// Who hears who comes and goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moves {
    /// Nobody.
    Never,
    /// Who asks to.
    IfAsked,
    /// Everybody.
    Always,
}

/// Where a subscription starts.
#[derive(Debug, Clone, Copy)]
pub enum Start<'a> {
    /// At the state of things.
    State,
    /// At the position of things; their state is not asked for.
    Now,
    /// After what the client has already.
    After {
        /// The last position it has.
        offset: u64,
        /// Which log that is a position of; empty when unknown.
        epoch: &'a str,
        /// What to do when it cannot be told what was missed.
        otherwise: Otherwise,
    },
}

/// What stands in for what was missed, when that is not held any more, or is too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Otherwise {
    /// The state of things.
    State,
    /// Their position only.
    Now,
    /// Nothing: [`Unread::Unrecoverable`].
    Refuse,
}

/// What a channel held.
#[derive(Debug)]
pub struct Reading {
    /// Which log.
    pub epoch: Arc<str>,
    /// Everything up to here is in it.
    pub position: u64,
    /// The number of the last thing that had passed and is in it; 0 where there is none.
    pub passed: u64,
    /// What.
    pub found: Found,
}

/// What a channel held for one who starts or comes again.
#[derive(Debug)]
pub enum Found {
    /// Its state, if it was asked for.
    State(Option<Arc<RawJson>>),
    /// All that was missed, oldest first.
    Missed(Vec<Bytes>),
}

/// Why nothing was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unread {
    /// It is not the caller's to hear, or not there.
    Denied,
    /// What was asked after is not held any more.
    Unrecoverable,
    /// It could not be read now.
    Failed,
}

/// A part of a channel's past.
#[derive(Debug)]
pub struct Past {
    /// Which log.
    pub epoch: Arc<str>,
    /// The newest position, whatever part was asked for.
    pub offset: u64,
    /// In the order asked for.
    pub publications: Vec<Bytes>,
}

/// A principal that sessions share.
pub(super) type Known<S> = Rc<<S as Source>::Who>;
