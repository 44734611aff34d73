//! Channels: what ordercast serves sockets from.
//!
//! A name stands for a feed ([`open`](Source::open)), who may hear it is decided by role and by
//! what the order says, and what a subscriber starts from is read here: a snapshot at an exact
//! position, or exactly what was missed. Methods are the writes of REST by name.
//!
//! Absent on purpose: frames, commands and time are the session's; nothing is published here.

mod on_map;
mod open;
mod plain;
mod read;
mod rpc;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::api::{Api, Problem, ProblemCode};
use crate::auth::{Info, Permit, Principal, bearer};
use crate::config;
use crate::domain::{CredentialId, Role, TenantId, Word as _};
use crate::hub::{Area, Bearer, Filter, Member, Passing, Publication, Topic};
use crate::protocol::code::{Disconnect, ErrorCode};
use crate::protocol::{Codec, Connect, Emulation, ErrorReply, History, RawJson, Subscribe};
use crate::session::{
    Asker, House, Opened, Past, Permitted, Reading, Renewed, Source, Start, Turned, Unread, Welcome,
};
use open::Channel;

pub use plain::configure;

/// What an app may ask for as it connects; what we do not know is another's.
#[derive(Deserialize, Default)]
#[serde(default)]
struct ConnectData {
    /// Whether to subscribe it to its personal feed.
    personal: bool,
}

impl Source for Api {
    type News = Publication;
    type Who = Principal;
    type Scope = Channel;

    fn settings(&self) -> &config::Socket {
        &self.config.socket
    }

    fn house(&self) -> &House<Self> {
        &self.house
    }

    fn is_revoked(&self, [tenant, credential]: Bearer) -> bool {
        let credential = CredentialId::from_uuid(Uuid::from_u128(credential));
        self.revoked.contains(TenantId::from_uuid(Uuid::from_u128(tenant)), credential)
    }

    async fn forward(&self, emulation: &Emulation) -> bool {
        self.attendance.forward(emulation).await
    }

    async fn welcome(&self, connect: &Connect) -> Result<Welcome<Self>, Turned> {
        if connect.token.is_empty() {
            return Err(Disconnect::BAD_REQUEST.into());
        }
        let renewed = self.seated(self.whom(&connect.token).await?)?;
        let data = connect.data.as_deref().map(|data| serde_json::from_str(data.get()));
        let data: ConnectData = data.and_then(Result::ok).unwrap_or_default();
        let personal = open::personal(&renewed.who);
        // Who had it before has asked for it before.
        let asked = |name: &String| data.personal || connect.subs.contains_key(name);
        let channels = personal.into_iter().filter(|(name, _)| asked(name)).collect();
        Ok(Welcome { renewed, data: None, channels })
    }

    async fn renew(&self, who: &Principal, token: &str) -> Result<Renewed<Self>, Turned> {
        let renewed = match self.whom(token).await {
            // The SDK was to bring a newer one: an error would make it stop for good.
            Err(Turned::Away(error)) if error.code == ErrorCode::TOKEN_EXPIRED.code => {
                return Err(Disconnect::EXPIRED.into());
            }
            renewed => renewed?,
        };
        let fresh = &renewed.who;
        let same =
            (fresh.tenant, fresh.role) == (who.tenant, who.role) && fresh.subject == who.subject;
        // What it listens to by now would go on showing too much.
        if same && fresh.link != who.link {
            return Err(Disconnect::EXPIRED.into());
        }
        if same { Ok(renewed) } else { Err(Disconnect::INVALID_TOKEN.into()) }
    }

    async fn open(&self, asker: Asker<'_, Self>, ask: &Subscribe) -> Result<Opened<Self>, Turned> {
        let permit = if ask.token.is_empty() {
            None
        } else {
            Some(self.permitted(asker.who, &ask.channel, &ask.token).await?)
        };
        let channel = match &permit {
            Some(_) => open::permitted(&ask.channel, asker.who)?,
            None => open::channel(&ask.channel, asker.who)?,
        };
        let filter = open::filter(&channel, ask.data.as_deref()).map_err(Turned::Away)?;
        let filter = self.with_stores(asker.who, filter).await?;
        let opened = channel.opened(asker.who.tenant, filter);
        Ok(match permit {
            None => opened,
            Some(permit) => Opened {
                permitted: Some(self.permitted_by(&permit)),
                info: permit.info.as_ref().and_then(raw),
                ..opened
            },
        })
    }

    fn still_opens(&self, who: &Principal, channel: &str) -> bool {
        let personal = open::personal(who);
        personal.is_some_and(|(name, _)| name == channel) || open::channel(channel, who).is_ok()
    }

    async fn renew_subscription(
        &self,
        asker: Asker<'_, Self>,
        channel: &str,
        token: &str,
    ) -> Result<Permitted, Turned> {
        match self.permitted(asker.who, channel, token).await {
            Ok(permit) => Ok(self.permitted_by(&permit)),
            // The SDK was to bring a newer one: an error would make it ask again and again.
            Err(Turned::Away(error)) if error.code == ErrorCode::TOKEN_EXPIRED.code => {
                Err(Disconnect::SUBSCRIPTION_EXPIRED.into())
            }
            Err(Turned::Away(error)) if error.code == ErrorCode::PERMISSION_DENIED.code => {
                Err(Disconnect::INVALID_TOKEN.into())
            }
            Err(turned) => Err(turned),
        }
    }

    async fn read(
        &self,
        who: &Principal,
        opened: &Opened<Self>,
        start: Start<'_>,
        codec: Codec,
    ) -> Result<Reading, Unread> {
        read::read(self, who, opened, start, codec).await
    }

    fn recall(&self, topic: &Topic) -> Vec<Arc<dyn Passing<Publication>>> {
        self.locations.recall(*topic)
    }

    async fn history(
        &self,
        who: &Principal,
        ask: &History,
        codec: Codec,
    ) -> Result<Past, ErrorReply<'static>> {
        read::history(self, who, ask, codec).await
    }

    fn lane(&self, method: &str, data: Option<&RawJson>) -> Option<u64> {
        rpc::lane(method, data)
    }

    async fn call(
        &self,
        who: &Principal,
        method: &str,
        data: Option<&RawJson>,
    ) -> Result<Box<RawJson>, ErrorReply<'static>> {
        rpc::call(self, who, method, data).await
    }

    /// A message is a call whose answer nobody awaits: `{"method":"…","data":{…}}`. Any other is
    /// not offered, and as it has no reply to say so the connection is closed (3508).
    async fn take(&self, who: &Principal, data: Option<&RawJson>) -> Result<(), Disconnect> {
        #[derive(Deserialize)]
        struct Call {
            method: String,
            data: Option<Box<RawJson>>,
        }
        let call: Call = data
            .and_then(|data| serde_json::from_str(data.get()).ok())
            .ok_or(Disconnect::NOT_AVAILABLE)?;
        if let Err(error) = rpc::call(self, who, &call.method, call.data.as_deref()).await {
            tracing::debug!(code = error.code, message = %error.message, "a sent call was refused");
        }
        Ok(())
    }

    async fn say(
        &self,
        _who: &Principal,
        _member: &Member,
        _channel: &str,
        _data: Option<&RawJson>,
    ) -> Result<(), ErrorReply<'static>> {
        // Feeds are written by orders alone.
        Err(ErrorCode::PERMISSION_DENIED.into())
    }

    async fn presence(
        &self,
        who: &Principal,
        channel: &str,
    ) -> Result<Vec<Arc<Member>>, ErrorReply<'static>> {
        let topic = open::attended(channel, who)?;
        let denied = |_| ErrorReply::from(ErrorCode::PERMISSION_DENIED);
        // The channel's name alone says nothing of the tenant.
        read::exists(self, who, open::scope(topic)).await.map_err(denied)?;
        let mut topics = vec![topic];
        if let Topic::Order(order) = topic {
            // Its courier hears of it on a feed of its own.
            let visible = self.visible_order(who, order).await;
            let (_position, sheet) =
                visible.map_err(|_| ErrorReply::from(ErrorCode::PERMISSION_DENIED))?;
            let order = sheet.order;
            topics.extend(order.driver.filter(|_| !order.status.is_terminal()).map(Topic::Driver));
        }
        let (presence, most) = (&self.house.presence, self.config.socket.presence_limit);
        let mut members: Vec<_> = topics.iter().flat_map(|topic| presence.list(topic)).collect();
        let elsewhere = self.attendance.elsewhere(&topics, most).await;
        members.extend(elsewhere.map_err(|error| rpc::error(&Problem::from(error)))?);
        members.sort_by(|one, other| one.client.cmp(&other.client));
        members.dedup_by(|one, other| one.client == other.client);
        members.truncate(usize::try_from(most).unwrap_or(usize::MAX));
        Ok(members)
    }
}

/// What others on a channel may know of a connection.
#[derive(Serialize)]
struct SeenAs {
    role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    info: Option<Box<RawJson>>,
}

/// JSON as it is passed on.
fn raw(info: &Info) -> Option<Box<RawJson>> {
    RawJson::from_string(info.json().to_owned()).ok()
}

impl Api {
    /// How long something that ends at `at` lasts.
    fn left_until(&self, at: Timestamp) -> Duration {
        Duration::try_from(at.duration_since(self.now())).unwrap_or_default()
    }

    fn permitted_by(&self, permit: &Permit) -> Permitted {
        Permitted {
            ttl: Some(self.left_until(permit.expires_at)),
            bearer: Some(bearer(permit.tenant, permit.credential)),
        }
    }

    /// What a subscription token opens, if it is for this channel and this caller. A good one
    /// for another is no mistake of an SDK: the connection ends.
    async fn permitted(
        &self,
        who: &Principal,
        channel: &str,
        token: &str,
    ) -> Result<Permit, Turned> {
        let permit = self.permit(token).await.map_err(|problem| {
            if problem.code == ProblemCode::TokenExpired {
                ErrorCode::TOKEN_EXPIRED
            } else if problem.code == ProblemCode::Unauthenticated {
                ErrorCode::PERMISSION_DENIED
            } else {
                ErrorCode::INTERNAL
            }
        })?;
        let theirs = (permit.tenant, permit.subject.as_str(), permit.channel.as_str());
        if theirs != (who.tenant, who.subject.as_str(), channel) {
            return Err(Disconnect::INVALID_TOKEN.into());
        }
        Ok(permit)
    }

    /// A filter by area with the stores that are there now: orders are where their store is.
    async fn with_stores(
        &self,
        who: &Principal,
        filter: Option<Filter>,
    ) -> Result<Option<Filter>, Turned> {
        let Some(filter) = filter else { return Ok(None) };
        let Some(area) = filter.area else { return Ok(Some(filter)) };
        let sides = [area.south, area.west, area.north, area.east];
        let sides = sides.map(|side| f64::from(side) / Area::GRAIN);
        let limit = self.config.locations.area_stores_max;
        let found = self.database.list_area_stores(who.tenant, sides, limit).await;
        let mut there = found.map_err(|error| Turned::Away(rpc::error(&Problem::from(error))))?;
        if let Some(stores) = &filter.stores {
            there.retain(|store| stores.contains(store));
        }
        there.sort_unstable();
        Ok(Some(Filter { stores: Some(there), ..filter }))
    }

    /// Whom a token speaks for.
    async fn whom(&self, token: &str) -> Result<Renewed<Self>, Turned> {
        let who = self.authenticate(token).await.map_err(|problem| {
            if problem.code == ProblemCode::TokenExpired {
                Turned::from(ErrorCode::TOKEN_EXPIRED)
            } else if problem.code == ProblemCode::Unauthenticated {
                Disconnect::INVALID_TOKEN.into()
            } else {
                // Ours to mend: the token may be good.
                ErrorCode::INTERNAL.into()
            }
        })?;
        Ok(self.known(who))
    }

    /// With a place among the sockets of its link, or of its store's token, if it comes by one;
    /// error 111, which SDKs repeat after a while, when they are all taken. Devices that lost their
    /// network come back before it is known that they are gone.
    fn seated(&self, renewed: Renewed<Self>) -> Result<Renewed<Self>, ErrorCode> {
        let places = match renewed.who.role {
            Role::Customer if renewed.who.link.is_some() => &self.link_places,
            Role::Store => &self.store_places,
            Role::Customer | Role::Driver | Role::Ops | Role::Platform | Role::System => {
                return Ok(renewed);
            }
        };
        let Some(bearer) = renewed.bearer else { return Ok(renewed) };
        let place = places.take(bearer).ok_or(ErrorCode::TOO_MANY_REQUESTS)?;
        Ok(Renewed { kept: Some(Box::new(place)), ..renewed })
    }

    /// The same for one who is known.
    fn known(&self, who: Principal) -> Renewed<Self> {
        let left = who.expires_at.map(|at| self.left_until(at));
        // A link has no newer token: its connection ends when it shows less, and comes back.
        let (ttl, lasts) = if who.link.is_some() { (None, left) } else { (left, None) };
        let info = SeenAs { role: who.role.word(), info: who.info.as_ref().and_then(raw) };
        let info = serde_json::value::to_raw_value(&info);
        let bearer = Some(who.bearer());
        Renewed { user: who.subject.clone(), info: info.ok(), ttl, lasts, bearer, kept: None, who }
    }
}
