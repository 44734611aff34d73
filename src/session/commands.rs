//! What a session does with each command.

use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;

use tokio::time::{Instant, timeout};

use super::source::Known;
use super::{Asker, Permitted, Phase, Renewed, Session, Source, Turned, VERSION};
use crate::hub::Member;
use crate::protocol::code::{Disconnect, ErrorCode, Unsubscribed};
use crate::protocol::{Command, Connect, ConnectResult, ErrorReply, History, Push, Reply, Request};

impl<S: Source> Session<S> {
    /// Carries out the commands of one message, in order. However long they take, that is not
    /// the client's to answer for: it may have sent its pong long ago.
    pub(super) async fn carry_out(self: &Rc<Self>, message: &[u8]) -> Result<(), Disconnect> {
        self.busy_since.set(Some(Instant::now()));
        let outcome = self.carry_out_all(message).await;
        self.read_again();
        outcome
    }

    async fn carry_out_all(self: &Rc<Self>, message: &[u8]) -> Result<(), Disconnect> {
        let most = self.source.settings().commands_per_message;
        let commands = self.codec().decode(message, most)?;
        for command in commands {
            if let Request::Pong = command.request {
                // One more than was asked for does no harm.
                self.pong_until.set(None);
                continue;
            }
            let known = match &*self.phase.borrow() {
                Phase::New => None,
                Phase::Refused => return Ok(()),
                Phase::Open { who, member } => Some((Rc::clone(who), Arc::clone(member))),
            };
            match known {
                None => self.before_connect(command).await?,
                Some((who, member)) => self.perform(command, &who, &member).await?,
            }
            // A client that asks faster than it reads waits.
            self.mailbox.room().await;
        }
        Ok(())
    }

    async fn before_connect(self: &Rc<Self>, command: Command) -> Result<(), Disconnect> {
        match command.request {
            Request::Connect(connect) => self.connect(command.id, connect).await,
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

    pub(super) async fn connect(
        self: &Rc<Self>,
        id: u32,
        mut connect: Connect,
    ) -> Result<(), Disconnect> {
        if connect.token.is_empty()
            && let Some(bearer) = &self.kind.bearer
        {
            connect.token = bearer.clone().into();
        }
        let patience = self.source.settings().reply_timeout_ms.get();
        // Ours to mend when it is late: the token may be good.
        let late = Err(ErrorCode::INTERNAL.into());
        let welcome = async {
            // More than it can have: not to be kept while its token is looked up.
            if connect.subs.len() > self.source.settings().max_subscriptions {
                return Err(ErrorCode::LIMIT_EXCEEDED.into());
            }
            let welcome = self.source.welcome(&connect).await?;
            self.make_subscriptions(welcome, &connect).await
        };
        match timeout(patience, welcome).await.unwrap_or(late) {
            Ok(ready) => {
                let settings = self.source.settings();
                let interval = settings.ping_interval_s.get();
                let stream = self.kind.stream.map(|id| id.to_string());
                let subs = ready.results();
                let result = ConnectResult {
                    client: &self.client,
                    version: VERSION,
                    ttl: ready.ttl,
                    data: ready.data.as_deref(),
                    subs: &subs,
                    ping: (!self.kind.native_pings).then_some(interval),
                    pong: !self.kind.native_pings && !self.is_one_way(),
                    session: stream.as_deref().unwrap_or_default(),
                    node: if stream.is_some() { self.source.house().streams.node() } else { "" },
                };
                if self.is_one_way() {
                    self.push(&Push::Connect(result));
                } else {
                    self.reply(id, &Reply::Connect(result));
                }
                drop(subs);
                ready.stand(self);
                self.begin_pings();
                Ok(())
            }
            Err(Turned::Out(disconnect)) => Err(disconnect),
            Err(Turned::Away(error)) if self.is_one_way() => Err(Disconnect::instead_of(&error)),
            Err(Turned::Away(error)) => {
                self.phase.replace(Phase::Refused);
                self.refuse(id, error);
                Ok(())
            }
        }
    }

    /// Takes note of who this is.
    pub(super) fn know(&self, renewed: Renewed<S>) -> Result<(Known<S>, Arc<Member>), Disconnect> {
        let Renewed { who, user, info, ttl, lasts, bearer, kept } = renewed;
        if kept.is_some() {
            self.kept.replace(kept);
        }
        let lasts = lasts.map(|lasts| Instant::now() + lasts);
        self.expires.set([self.end_of(ttl), lasts].into_iter().flatten().min());
        self.mailbox.bear(bearer);
        // The hub may have heard of its end before it knew that this session stands on it.
        if bearer.is_some_and(|bearer| self.source.is_revoked(bearer)) {
            return Err(Disconnect::INVALID_TOKEN);
        }
        let member = Member { client: self.client.clone(), user, conn_info: info, chan_info: None };
        let (who, member) = (Rc::new(who), Arc::new(member));
        let phase = Phase::Open { who: Rc::clone(&who), member: Arc::clone(&member) };
        self.phase.replace(phase);
        self.rearmed.notify_one();
        Ok((who, member))
    }

    async fn perform(
        self: &Rc<Self>,
        command: Command,
        who: &Known<S>,
        member: &Arc<Member>,
    ) -> Result<(), Disconnect> {
        let id = command.id;
        let patience = self.source.settings().reply_timeout_ms.get();
        if !matches!(command.request, Request::Rpc { .. }) {
            self.beside.answered().await;
        }
        match command.request {
            // A second connect, and a pong, which has been taken out before.
            Request::Connect(_) | Request::Pong => return Err(Disconnect::BAD_REQUEST),
            Request::Subscribe(subscribe) => {
                self.subscribe(id, who, member, &subscribe).await?;
            }
            Request::Unsubscribe { channel } => {
                let subscription = self.subscriptions.borrow_mut().remove(&channel);
                if let Some(subscription) = subscription {
                    self.let_go(&subscription);
                }
                self.reply(id, &Reply::Unsubscribe);
            }
            Request::History(history) => {
                named(&history.channel)?;
                let reading = self.history(id, who, &history);
                if timeout(patience, reading).await.is_err() {
                    self.refuse(id, ErrorCode::INTERNAL);
                }
            }
            Request::Rpc { method, data } => self.call(id, who, method, data).await,
            Request::Refresh { token } => self.refresh(id, &token, who).await?,
            Request::Publish { channel, data } => {
                named(&channel)?;
                match self.source.say(who, member, &channel, data.as_deref()).await {
                    Ok(()) => self.reply(id, &Reply::Publish),
                    Err(error) => self.refuse(id, error),
                }
            }
            Request::Presence { channel } => {
                if let Some(members) = self.members(id, who, &channel).await? {
                    let infos: Vec<_> = members.iter().map(|member| member.info()).collect();
                    self.reply(id, &Reply::Presence(&infos));
                }
            }
            Request::PresenceStats { channel } => {
                if let Some(members) = self.members(id, who, &channel).await? {
                    let users: HashSet<_> = members.iter().map(|it| it.user.as_str()).collect();
                    let count = |many: usize| u32::try_from(many).unwrap_or(u32::MAX);
                    let (clients, users) = (count(members.len()), count(users.len()));
                    self.reply(id, &Reply::PresenceStats { clients, users });
                }
            }
            Request::Ping => self.refuse(id, ErrorCode::NOT_AVAILABLE),
            Request::SubRefresh { channel, token } => {
                self.refresh_subscription(id, who, &channel, &token).await?;
            }
            Request::Send { data } => self.source.take(who, data.as_deref()).await?,
        }
        Ok(())
    }

    async fn history(&self, id: u32, who: &Known<S>, history: &History) {
        match self.source.history(who, history, self.codec()).await {
            Ok(past) => {
                let (offset, publications) = (past.offset, past.publications.as_slice());
                self.reply(id, &Reply::History { epoch: &past.epoch, offset, publications });
            }
            Err(error) => self.refuse(id, error),
        }
    }

    /// Who is on a channel; none when that has been answered by an error.
    async fn members(
        &self,
        id: u32,
        who: &Known<S>,
        channel: &str,
    ) -> Result<Option<Vec<Arc<Member>>>, Disconnect> {
        named(channel)?;
        let patience = self.source.settings().reply_timeout_ms.get();
        let late: Result<_, ErrorReply<'_>> = Err(ErrorCode::INTERNAL.into());
        match timeout(patience, self.source.presence(who, channel)).await.unwrap_or(late) {
            Ok(members) => Ok(Some(members)),
            Err(error) => {
                self.refuse(id, error);
                Ok(None)
            }
        }
    }

    async fn refresh(
        self: &Rc<Self>,
        id: u32,
        token: &str,
        who: &Known<S>,
    ) -> Result<(), Disconnect> {
        let patience = self.source.settings().reply_timeout_ms.get();
        let late = Err(ErrorCode::INTERNAL.into());
        match timeout(patience, self.source.renew(who, token)).await.unwrap_or(late) {
            Ok(renewed) => {
                let ttl = renewed.ttl;
                let (who, _member) = self.know(renewed)?;
                self.reply(id, &Reply::Refresh { client: &self.client, version: VERSION, ttl });
                self.end_closed(&who);
                Ok(())
            }
            Err(Turned::Out(disconnect)) => Err(disconnect),
            Err(Turned::Away(error)) => {
                self.refuse(id, error);
                Ok(())
            }
        }
    }

    /// Ends the subscriptions that the connection's newer token does not open any more.
    fn end_closed(&self, who: &S::Who) {
        let mut subscriptions = self.subscriptions.borrow_mut();
        let closed = |channel: &String, subscription: &mut Box<super::Subscription<S>>| {
            subscription.by_connection && !self.source.still_opens(who, channel)
        };
        for (channel, subscription) in subscriptions.extract_if(closed) {
            self.let_go(&subscription);
            self.push(&Push::Unsubscribe { channel: &channel, end: Unsubscribed::SERVER });
        }
    }

    async fn refresh_subscription(
        &self,
        id: u32,
        who: &Known<S>,
        channel: &str,
        token: &str,
    ) -> Result<(), Disconnect> {
        let by_connection = {
            let subscriptions = self.subscriptions.borrow();
            let standing = subscriptions.get(channel).filter(|it| !it.has_ended());
            standing.map(|it| it.by_connection)
        };
        match by_connection {
            None => {
                self.refuse(id, ErrorCode::PERMISSION_DENIED);
                return Ok(());
            }
            // It has no token of its own that could end.
            Some(true) => {
                self.reply(id, &Reply::SubRefresh { ttl: None });
                return Ok(());
            }
            Some(false) => {}
        }
        let patience = self.source.settings().reply_timeout_ms.get();
        let late = Err(ErrorCode::INTERNAL.into());
        let asker = Asker { who: &**who, client: &self.client };
        let renewing = self.source.renew_subscription(asker, channel, token);
        match timeout(patience, renewing).await.unwrap_or(late) {
            Ok(Permitted { ttl, bearer }) => {
                if let Some(subscription) = self.subscriptions.borrow_mut().get_mut(channel) {
                    subscription.expires = self.end_of(ttl);
                    subscription.stand_on(bearer);
                }
                // The hub may have heard of its end before the subscription stood on it.
                if bearer.is_some_and(|bearer| self.source.is_revoked(bearer)) {
                    return Err(Disconnect::INVALID_TOKEN);
                }
                self.rearmed.notify_one();
                self.reply(id, &Reply::SubRefresh { ttl });
                Ok(())
            }
            Err(Turned::Out(disconnect)) => Err(disconnect),
            Err(Turned::Away(error)) => {
                self.refuse(id, error);
                Ok(())
            }
        }
    }
}

/// A command about a channel must name one.
fn named(channel: &str) -> Result<(), Disconnect> {
    if channel.is_empty() { Err(Disconnect::BAD_REQUEST) } else { Ok(()) }
}
