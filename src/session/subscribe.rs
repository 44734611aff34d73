//! Subscribing: the state of a channel at an exact position, or exactly what was missed.
//!
//! The listeners are in the hub, holding back, before anything is read; what was read and what
//! was held back meet at the position of the reading. So the reply and the first push after it
//! leave no gap and repeat nothing, wherever the feed stands at that moment.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout};

use super::source::Known;
use super::{
    Asker, Found, Moves, Opened, Otherwise, Reading, Session, Source, Start, Turned, Unread,
    Welcome,
};
use crate::frame::message_frame;
use crate::hub::{Bearer, Hub, Listener, Listening, Member, Overflowed};
use crate::protocol::code::{Disconnect, ErrorCode};
use crate::protocol::{Connect, RawJson, Recovery, Reply, Subscribe, SubscribeResult};
use crate::wire::{position_event, snapshot_event};

/// A subscription that stands.
#[derive(Debug)]
pub(super) struct Subscription<S: Source> {
    listeners: Vec<Rc<Listener<S::News>>>,
    /// The member that others see, if they do.
    seen: Option<Arc<Member>>,
    /// When it ends, unless its token is renewed before.
    pub(super) expires: Option<Instant>,
    /// Made by the server, as the connection began.
    pub(super) by_server: bool,
    /// Whether the right to it comes with the connection's token; else it has one of its own.
    pub(super) by_connection: bool,
}

impl<S: Source> Subscription<S> {
    pub(super) fn has_ended(&self) -> bool {
        self.listeners.iter().any(|listener| listener.has_ended())
    }

    /// Stands on a newer token from now on.
    pub(super) fn stand_on(&self, bearer: Option<Bearer>) {
        for listener in &self.listeners {
            listener.stand_on(bearer);
        }
    }
}

/// Listeners in the hub that leave it again, unless their subscription comes to stand.
struct Entered<S: Source> {
    hub: Rc<Hub<S::News>>,
    listeners: Vec<Rc<Listener<S::News>>>,
}

impl<S: Source> Drop for Entered<S> {
    fn drop(&mut self) {
        for listener in &self.listeners {
            self.hub.leave(listener);
        }
    }
}

/// A subscription that has been read and holds back what came since.
pub(super) struct Begun<S: Source> {
    channel: String,
    entered: Entered<S>,
    reading: Reading,
    /// The offset that was asked from, if any was.
    asked_from: Option<u64>,
    member: Option<Arc<Member>>,
    ttl: Option<Duration>,
    delta: bool,
    by_server: bool,
    by_connection: bool,
}

/// A subscription that is live. Nothing may be awaited before its reply is queued and
/// [`Session::stand`] has queued what came since.
struct Live<S: Source> {
    begun: Begun<S>,
    held: Vec<Bytes>,
}

impl<S: Source> Begun<S> {
    fn go_live(self) -> Result<Live<S>, Overflowed> {
        let mut held = Vec::new();
        for listener in &self.entered.listeners {
            held.extend(listener.go_live(self.reading.position, self.reading.passed)?);
        }
        // In the order of the log, also when several topics share a channel.
        held.sort_by_key(|(position, _frame)| *position);
        let held = held.into_iter().map(|(_position, frame)| frame).collect();
        Ok(Live { begun: self, held })
    }
}

impl<S: Source> Live<S> {
    fn result(&self) -> SubscribeResult<'_> {
        let Begun { reading, asked_from, ttl, delta, .. } = &self.begun;
        let (offset, recovery, data) = match (&reading.found, asked_from) {
            // The offset that was asked from: each publication then advances it.
            (Found::Missed(publications), Some(from)) => {
                (*from, Recovery::Recovered { publications }, None)
            }
            (Found::State(data), Some(_)) => (reading.position, Recovery::Lost, data.as_deref()),
            (Found::State(data), None) => (reading.position, Recovery::NotAsked, data.as_deref()),
            (Found::Missed(_), None) => (reading.position, Recovery::NotAsked, None),
        };
        SubscribeResult {
            recoverable: true,
            positioned: true,
            epoch: &reading.epoch,
            offset,
            recovery,
            data,
            ttl: *ttl,
            delta: *delta,
        }
    }
}

/// All that a connect brings about, ready to be told.
pub(super) struct Ready<S: Source> {
    pub(super) ttl: Option<Duration>,
    pub(super) data: Option<Box<RawJson>>,
    live: Vec<Live<S>>,
}

impl<S: Source> Ready<S> {
    /// The subscriptions that the server made.
    pub(super) fn results(&self) -> Vec<(&str, SubscribeResult<'_>)> {
        self.live.iter().map(|live| (live.begun.channel.as_str(), live.result())).collect()
    }

    /// Follows the reply, at once.
    pub(super) fn stand(self, session: &Session<S>) {
        for live in self.live {
            session.stand(live);
        }
    }
}

impl<S: Source> Session<S> {
    pub(super) fn is_subscribed(&self, channel: &str) -> bool {
        self.subscriptions.borrow().get(channel).is_some_and(|it| !it.has_ended())
    }

    /// Nothing more is published to a subscription, and nobody sees it.
    pub(super) fn let_go(&self, subscription: &Subscription<S>) {
        for listener in &subscription.listeners {
            self.hub.leave(listener);
            if let Some(member) = &subscription.seen {
                self.source.house().presence.leave(listener.topic(), member);
            }
        }
    }

    /// Makes the subscriptions of a new connection: those of the server, and, for a client that
    /// only listens, those it names.
    pub(super) async fn make_subscriptions(
        self: &Rc<Self>,
        welcome: Welcome<S>,
        connect: &Connect,
    ) -> Result<Ready<S>, Turned> {
        let Welcome { renewed, data, channels } = welcome;
        let ttl = renewed.ttl;
        let (who, member) = self.know(renewed)?;
        let mut opened = channels;
        let made = opened.len();
        if self.is_one_way() {
            for (name, ask) in &connect.subs {
                if opened.len() >= self.source.settings().max_subscriptions {
                    return Err(ErrorCode::LIMIT_EXCEEDED.into());
                }
                if opened.iter().all(|(known, _)| known != name) {
                    let ask = ask.for_channel(name);
                    opened.push((name.clone(), self.open(&who, &ask).await?));
                }
            }
        }
        let mut begun = Vec::with_capacity(opened.len());
        for (nth, (channel, opened)) in opened.into_iter().enumerate() {
            let ask = connect.subs.get(&channel).filter(|ask| ask.recover);
            let start = match ask {
                Some(ask) => Start::After {
                    offset: ask.offset,
                    epoch: &ask.epoch,
                    otherwise: Otherwise::Now,
                },
                None => Start::Now,
            };
            match self.begin(channel, opened, start, false, &who, &member).await {
                Ok(subscription) => begun.push(Begun { by_server: true, ..subscription }),
                // Left out, it ends at the client; but not because we failed, and not where it
                // was asked for by name.
                Err(Unread::Denied) if nth < made => {}
                Err(Unread::Denied) => return Err(ErrorCode::PERMISSION_DENIED.into()),
                Err(Unread::Failed | Unread::Unrecoverable) => {
                    return Err(ErrorCode::INTERNAL.into());
                }
            }
        }
        let live = begun.into_iter().map(Begun::go_live).collect::<Result<_, _>>();
        let live = live.map_err(|Overflowed| Turned::from(ErrorCode::INTERNAL))?;
        Ok(Ready { ttl, data, live })
    }

    /// Opens a channel by a name that does.
    async fn open(&self, who: &S::Who, ask: &Subscribe) -> Result<Opened<S>, Turned> {
        let settings = self.source.settings();
        if ask.channel.is_empty() {
            return Err(Disconnect::BAD_REQUEST.into());
        }
        if ask.channel.len() > settings.channel_name_bytes || ask.tag_filter {
            return Err(ErrorCode::BAD_REQUEST.into());
        }
        // 0 is a stream, the only kind there is.
        if ask.kind != 0 {
            return Err(ErrorCode::NOT_AVAILABLE.into());
        }
        self.source.open(Asker { who, client: &self.client }, ask).await
    }

    /// Listens, holding back, and reads.
    async fn begin(
        &self,
        channel: String,
        opened: Opened<S>,
        start: Start<'_>,
        wants_moves: bool,
        who: &S::Who,
        member: &Arc<Member>,
    ) -> Result<Begun<S>, Unread> {
        let name: Rc<str> = channel.as_str().into();
        let hears_moves = match opened.moves {
            Moves::Never => false,
            Moves::IfAsked => wants_moves,
            Moves::Always => true,
        };
        let listeners = opened.ears.iter().map(|(topic, ear)| {
            Listener::new(Listening {
                topic: topic.clone(),
                ear: ear.clone(),
                channel: Rc::clone(&name),
                renamed: opened.renamed,
                hears_moves,
                mailbox: Rc::clone(&self.mailbox),
                hold_max: self.source.settings().subscribe_buffer_len,
                bearer: opened.permitted.and_then(|permitted| permitted.bearer),
                ended: Rc::clone(&self.rearmed),
            })
        });
        let entered =
            Entered { hub: Rc::clone(&self.hub), listeners: listeners.collect::<Vec<_>>() };
        for listener in &entered.listeners {
            self.hub.listen(listener);
        }
        // The hub may have heard of its end before the listeners were there.
        let bearer = opened.permitted.and_then(|permitted| permitted.bearer);
        if bearer.is_some_and(|bearer| self.source.is_revoked(bearer)) {
            return Err(Unread::Denied);
        }
        let reading = self.source.read(who, &opened, start, self.codec()).await?;
        if let Found::Missed(_) = reading.found {
            // A state would have had it.
            for listener in &entered.listeners {
                for passing in self.source.recall(listener.topic()) {
                    listener.recall(&passing);
                }
            }
        }
        let asked_from = match start {
            Start::After { offset, .. } => Some(offset),
            Start::State | Start::Now => None,
        };
        let delta = self.source.makes_deltas(&opened);
        let Opened { info, permitted, is_seen, .. } = opened;
        let ttl = permitted.and_then(|permitted| permitted.ttl);
        let by_connection = permitted.is_none();
        let member = is_seen.then(|| match info {
            None => Arc::clone(member),
            Some(_) => Arc::new(Member { chan_info: info, ..Member::clone(member) }),
        });
        Ok(Begun {
            channel,
            entered,
            reading,
            asked_from,
            member,
            ttl,
            delta,
            by_server: false,
            by_connection,
        })
    }

    /// Queues what came since the reading, behind the reply.
    fn stand(&self, live: Live<S>) {
        let Live { begun, held } = live;
        let Begun { channel, mut entered, member, ttl, by_server, by_connection, .. } = begun;
        let listeners = std::mem::take(&mut entered.listeners);
        for frame in held {
            self.mailbox.answer(frame);
        }
        self.mailbox.flush();
        // One of this name whose right ended may not have been looked at since.
        let before = self.subscriptions.borrow_mut().remove(&channel);
        if let Some(before) = before {
            self.let_go(&before);
        }
        if let Some(member) = &member {
            for listener in &listeners {
                self.source.house().presence.join(listener.topic(), member);
            }
        }
        let expires = self.end_of(ttl);
        let subscription =
            Subscription { listeners, seen: member, expires, by_server, by_connection };
        self.subscriptions.borrow_mut().insert(channel, Box::new(subscription));
        self.rearmed.notify_one();
    }

    /// Opens what is asked for, listens and reads.
    pub(super) async fn open_and_begin(
        &self,
        ask: &Subscribe,
        start: Start<'_>,
        who: &Known<S>,
        member: &Arc<Member>,
    ) -> Result<Begun<S>, Turned> {
        let opened = self.open(who, ask).await?;
        let channel = ask.channel.clone();
        let begun = self.begin(channel, opened, start, ask.join_leave, who, member).await;
        begun.map_err(|unread| {
            Turned::from(match unread {
                Unread::Denied => ErrorCode::PERMISSION_DENIED,
                Unread::Unrecoverable => ErrorCode::UNRECOVERABLE_POSITION,
                Unread::Failed => ErrorCode::INTERNAL,
            })
        })
    }

    /// Goes live with the one subscription there is, and queues what was read.
    pub(super) fn stand_alone(&self, begun: Begun<S>) -> Result<(), Turned> {
        let live = begun.go_live().map_err(|Overflowed| ErrorCode::INTERNAL)?;
        let Begun { channel, reading, .. } = &live.begun;
        let Reading { epoch, position, found, .. } = reading;
        self.mailbox.wire().resume(epoch);
        match found {
            Found::State(data) => {
                let data = data.as_deref().map_or("null", RawJson::get);
                self.mailbox.answer_as_it_is(snapshot_event(epoch, *position, data));
            }
            Found::Missed(publications) => {
                for publication in publications {
                    let mut push = Vec::with_capacity(publication.len() + 64);
                    self.codec().encode_push_publication(&mut push, channel, publication);
                    self.mailbox.answer(message_frame(self.codec(), &push));
                }
                // What was read and is not for this ear need not be read again.
                self.mailbox.answer_as_it_is(position_event(epoch, *position));
            }
        }
        self.stand(live);
        Ok(())
    }

    /// Carries out a subscribe.
    pub(super) async fn subscribe(
        self: &Rc<Self>,
        id: u32,
        who: &Known<S>,
        member: &Arc<Member>,
        ask: &Subscribe,
    ) -> Result<(), Disconnect> {
        let settings = self.source.settings();
        let refusal = if self.is_subscribed(&ask.channel) {
            Some(ErrorCode::ALREADY_SUBSCRIBED)
        } else if self.subscriptions.borrow().len() >= settings.max_subscriptions {
            Some(ErrorCode::LIMIT_EXCEEDED)
        } else {
            None
        };
        if let Some(error) = refusal.filter(|_| !ask.channel.is_empty()) {
            self.refuse(id, error);
            return Ok(());
        }
        let start = if ask.recover {
            let refuses = ask.rejects_unrecovered();
            let otherwise = if refuses { Otherwise::Refuse } else { Otherwise::State };
            Start::After { offset: ask.offset, epoch: &ask.epoch, otherwise }
        } else {
            Start::State
        };
        let beginning = self.open_and_begin(ask, start, who, member);
        let late = Err(ErrorCode::INTERNAL.into());
        let begun = timeout(settings.reply_timeout_ms.get(), beginning).await.unwrap_or(late);
        // From here to the end nothing is awaited: the reply precedes the first push.
        let live = match begun.map(Begun::go_live) {
            Ok(Ok(live)) => live,
            Ok(Err(Overflowed)) => {
                self.refuse(id, ErrorCode::INTERNAL);
                return Ok(());
            }
            Err(Turned::Away(error)) => {
                self.refuse(id, error);
                return Ok(());
            }
            Err(Turned::Out(disconnect)) => return Err(disconnect),
        };
        self.reply(id, &Reply::Subscribe(live.result()));
        self.stand(live);
        Ok(())
    }
}
