//! What sessions are served from: channels in memory, open to everybody.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use ordercast::config;
use ordercast::hub::{Hubs, Member, Message};
use ordercast::protocol::code::{Disconnect, ErrorCode};
use ordercast::protocol::{Codec, Connect, ErrorReply, History, RawJson, Subscribe};
use ordercast::session::{
    Asker, Found, House, Moves, Opened, Otherwise, Past, Permitted, Reading, Renewed, Source,
    Start, Turned, Unread, Welcome,
};
use tokio::sync::Mutex;

use super::channel::Channels;
use super::note::{Ear, Note};
use super::token::{Claims, Fault, Tokens};

/// The server's memory.
#[derive(Debug)]
pub struct Memory {
    pub(super) socket: config::Socket,
    pub(super) house: House<Self>,
    pub(super) hubs: Hubs<Note>,
    pub(super) tokens: Tokens,
    pub(super) api_key: String,
    pub(super) offers_presence: bool,
    /// Held while a note goes to the hubs: they take notes in the order of their offsets only.
    pub(super) channels: Mutex<Channels>,
}

/// Whom a connection speaks for: a user, empty for an anonymous one.
pub type User = String;

impl Memory {
    /// Keeps a note and tells everybody.
    pub(super) async fn tell(
        &self,
        name: &str,
        data: Box<RawJson>,
        by: Option<Member>,
    ) -> Result<(), ErrorCode> {
        let mut channels = self.channels.lock().await;
        let channel = channels.touch(name)?;
        let note = Note::new(Arc::clone(&channel.name), channel.top + 1, data, by);
        channel.keep(Arc::clone(&note));
        self.hubs.send(&Message::Publish(Arc::new([note]))).await;
        Ok(())
    }

    /// A part of a channel's past.
    pub(super) async fn past(&self, ask: &History) -> Result<(Past, Vec<Arc<Note>>), ErrorCode> {
        let mut channels = self.channels.lock().await;
        let channel = channels.touch(&ask.channel)?;
        let since = ask.since.as_ref();
        if since.is_some_and(|since| !since.epoch.is_empty() && *since.epoch != *channel.epoch) {
            return Err(ErrorCode::UNRECOVERABLE_POSITION);
        }
        let limit = usize::try_from(ask.limit).unwrap_or(usize::MAX);
        let notes: Vec<_> = if ask.reverse {
            let below = since.map_or(u64::MAX, |since| since.offset);
            channel.notes().rev().filter(|it| it.offset < below).take(limit).cloned().collect()
        } else {
            let above = since.map_or(0, |since| since.offset);
            channel.notes().filter(|it| it.offset > above).take(limit).cloned().collect()
        };
        let past = Past {
            epoch: Arc::clone(&channel.epoch),
            offset: channel.top,
            publications: Vec::new(),
        };
        Ok((past, notes))
    }

    /// Whose a channel is: `#42` is user 42's alone.
    fn may_use(who: &str, name: &str) -> Result<(), ErrorCode> {
        match name.strip_prefix('#') {
            Some(owner) if owner != who => Err(ErrorCode::PERMISSION_DENIED),
            _ => Ok(()),
        }
    }

    /// A channel for one who may hear it.
    fn opened(claims: Option<Claims>, name: &str, delta: &str) -> Opened<Self> {
        let ear = Ear { deltas: (delta == "fossil").then(Rc::default) };
        Opened {
            ears: vec![(name.into(), ear)],
            renamed: false,
            scope: (),
            is_seen: true,
            moves: Moves::Always,
            permitted: claims.as_ref().map(Claims::permitted),
            info: claims.and_then(|claims| claims.info),
        }
    }

    /// What a subscription's token says, if it is one of this user for this channel.
    fn admit(&self, who: &str, channel: &str, token: &str) -> Result<Claims, Turned> {
        let claims = self.tokens.verify(token).map_err(|error| match error {
            Fault::Expired => ErrorCode::TOKEN_EXPIRED,
            Fault::Invalid => ErrorCode::PERMISSION_DENIED,
        })?;
        if claims.channel != channel || claims.sub != who {
            return Err(Disconnect::INVALID_TOKEN.into());
        }
        Ok(claims)
    }

    fn whom(&self, token: &str) -> Result<Renewed<Self>, Fault> {
        let claims = self.tokens.verify(token)?;
        let ttl = claims.ttl();
        let Claims { sub, info, .. } = claims;
        Ok(Renewed {
            who: sub.clone(),
            user: sub,
            info,
            ttl,
            lasts: None,
            bearer: None,
            kept: None,
        })
    }
}

impl Source for Memory {
    type News = Note;
    type Who = User;
    type Scope = ();

    fn settings(&self) -> &config::Socket {
        &self.socket
    }

    fn house(&self) -> &House<Self> {
        &self.house
    }

    async fn welcome(&self, connect: &Connect) -> Result<Welcome<Self>, Turned> {
        let renewed = if connect.token.is_empty() {
            let (who, user) = Default::default();
            Renewed { who, user, info: None, ttl: None, lasts: None, bearer: None, kept: None }
        } else {
            self.whom(&connect.token).map_err(|error| match error {
                Fault::Expired => Turned::from(ErrorCode::TOKEN_EXPIRED),
                Fault::Invalid => Disconnect::INVALID_TOKEN.into(),
            })?
        };
        let personal = (!renewed.user.is_empty()).then(|| {
            let name = format!("#{}", renewed.user);
            let delta = connect.subs.get(&name).map_or("", |ask| &ask.delta);
            let opened = Self::opened(None, &name, delta);
            (name, opened)
        });
        Ok(Welcome { renewed, data: None, channels: personal.into_iter().collect() })
    }

    async fn renew(&self, who: &User, token: &str) -> Result<Renewed<Self>, Turned> {
        match self.whom(token) {
            Ok(renewed) if renewed.who == *who => Ok(renewed),
            Ok(_) | Err(Fault::Invalid) => Err(Disconnect::INVALID_TOKEN.into()),
            Err(Fault::Expired) => Err(Disconnect::EXPIRED.into()),
        }
    }

    async fn open(&self, asker: Asker<'_, Self>, ask: &Subscribe) -> Result<Opened<Self>, Turned> {
        let claims = match &*ask.token {
            "" => None,
            token => Some(self.admit(asker.who, &ask.channel, token)?),
        };
        Self::may_use(asker.who, &ask.channel)?;
        self.channels.lock().await.touch(&ask.channel)?;
        Ok(Self::opened(claims, &ask.channel, &ask.delta))
    }

    fn makes_deltas(&self, opened: &Opened<Self>) -> bool {
        opened.ears.iter().any(|(_topic, ear)| ear.deltas.is_some())
    }

    fn still_opens(&self, _who: &User, _channel: &str) -> bool {
        // A newer token is of the same user.
        true
    }

    async fn renew_subscription(
        &self,
        asker: Asker<'_, Self>,
        channel: &str,
        token: &str,
    ) -> Result<Permitted, Turned> {
        match self.admit(asker.who, channel, token) {
            Ok(claims) => Ok(claims.permitted()),
            Err(Turned::Away(error)) if error.code == ErrorCode::TOKEN_EXPIRED.code => {
                Err(Disconnect::SUBSCRIPTION_EXPIRED.into())
            }
            Err(turned) => Err(turned),
        }
    }

    async fn read(
        &self,
        _who: &User,
        opened: &Opened<Self>,
        start: Start<'_>,
        codec: Codec,
    ) -> Result<Reading, Unread> {
        let (topic, ear) = opened.ears.first().ok_or(Unread::Failed)?;
        let mut channels = self.channels.lock().await;
        let channel = channels.touch(topic).map_err(|_| Unread::Failed)?;
        let missed = match start {
            Start::State | Start::Now => None,
            Start::After { offset, epoch, otherwise } => {
                let missed = channel.missed(offset, epoch);
                if missed.is_none() && otherwise == Otherwise::Refuse {
                    return Err(Unread::Unrecoverable);
                }
                missed
            }
        };
        let found = match missed {
            None => Found::State(None),
            Some(notes) => Found::Missed(notes.map(|note| note.encode(ear, codec)).collect()),
        };
        let (epoch, position) = (Arc::clone(&channel.epoch), channel.top);
        Ok(Reading { epoch, position, passed: 0, found })
    }

    async fn history(
        &self,
        who: &User,
        ask: &History,
        codec: Codec,
    ) -> Result<Past, ErrorReply<'static>> {
        Self::may_use(who, &ask.channel)?;
        let (past, notes) = self.past(ask).await?;
        let publications: Vec<Bytes> =
            notes.iter().map(|note| note.encode(&Ear::default(), codec)).collect();
        Ok(Past { publications, ..past })
    }

    async fn call(
        &self,
        _who: &User,
        _method: &str,
        _data: Option<&RawJson>,
    ) -> Result<Box<RawJson>, ErrorReply<'static>> {
        Err(ErrorCode::NOT_AVAILABLE.into())
    }

    async fn take(&self, _who: &User, _data: Option<&RawJson>) -> Result<(), Disconnect> {
        Err(Disconnect::NOT_AVAILABLE)
    }

    async fn say(
        &self,
        who: &User,
        member: &Member,
        channel: &str,
        data: Option<&RawJson>,
    ) -> Result<(), ErrorReply<'static>> {
        Self::may_use(who, channel)?;
        let data = data.ok_or(ErrorCode::BAD_REQUEST)?.to_owned();
        Ok(self.tell(channel, data, Some(member.clone())).await?)
    }

    async fn presence(
        &self,
        who: &User,
        channel: &str,
    ) -> Result<Vec<Arc<Member>>, ErrorReply<'static>> {
        if !self.offers_presence {
            return Err(ErrorCode::NOT_AVAILABLE.into());
        }
        Self::may_use(who, channel)?;
        let name = Arc::clone(&self.channels.lock().await.touch(channel)?.name);
        Ok(self.house.presence.list(&name))
    }
}
