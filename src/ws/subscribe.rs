//! Subscribing: a snapshot at an exact position, or exactly what was missed.
//!
//! The listener is in the hub, holding back, before anything is read; what was read and what was
//! held back meet at the position of the reading. So the reply and the first push after it leave
//! no gap and repeat nothing, wherever the feed stands at that moment.

use std::rc::Rc;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::channel::{self, Channel};
use super::rpc;
use super::session::Session;
use crate::api::Problem;
use crate::auth::Principal;
use crate::hub::{Filter, Listener, Publication};
use crate::protocol::code::{Disconnect, ErrorCode};
use crate::protocol::{ErrorReply, History, RawJson, Recovery, Reply, Subscribe, SubscribeResult};
use crate::store::{Error, Scope};
use crate::view::{self, LogEvent, stamp};

/// What a subscribe found.
enum Found {
    /// The feed's state at a position.
    Snapshot { position: u64, data: Box<RawJson> },
    /// All that was missed, up to a position.
    Missed { position: u64, publications: Vec<Bytes> },
}

/// Why a subscribe finds nothing.
enum Nothing {
    /// It is not the caller's to see.
    Denied,
    /// What was asked after is not held any more, and a snapshot is not wanted.
    Unrecoverable,
    /// The database.
    Failed(Error),
}

impl From<Error> for Nothing {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Carries out a subscribe.
pub(super) async fn subscribe(
    session: &Rc<Session>,
    id: u32,
    principal: &Principal,
    request: &Subscribe,
) -> Result<(), Disconnect> {
    let settings = &session.api.config.socket;
    let name = request.channel.as_str();
    if name.is_empty() {
        return Err(Disconnect::BAD_REQUEST);
    }
    let refuse = |error: ErrorCode| {
        session.reply(id, &error.into());
        Ok(())
    };
    if name.len() > settings.channel_name_bytes || request.tag_filter {
        return refuse(ErrorCode::BAD_REQUEST);
    }
    {
        let subscriptions = session.subscriptions.borrow();
        if subscriptions.contains_key(name) {
            return refuse(ErrorCode::ALREADY_SUBSCRIBED);
        }
        if subscriptions.len() >= settings.max_subscriptions {
            return refuse(ErrorCode::LIMIT_EXCEEDED);
        }
    }
    if request.kind != 0 {
        return refuse(ErrorCode::NOT_AVAILABLE);
    }
    let channel = match channel::open(name, principal) {
        Ok(channel) => channel,
        Err(error) => return refuse(error),
    };
    let filter = match channel::filter(channel.topic, request.data.as_deref()) {
        Ok(filter) => filter,
        Err(error) => {
            session.reply_error(id, error);
            return Ok(());
        }
    };
    let listener = Listener::new(
        channel.topic,
        channel.seat,
        session.codec,
        filter,
        Rc::clone(&session.mailbox),
        settings.subscribe_buffer_len,
    );
    session.hub.listen(&listener);
    // Should this future be dropped, the listener must not stay behind.
    let mut entered = Entered { session, listener: &listener, keep: false };
    let reading = find(session, principal, channel, listener.filter(), request);
    let found = timeout(settings.reply_timeout_ms.get(), reading).await;
    let epoch = session.api.database.epoch();
    let (position, offset, recovery, data) = match &found {
        Ok(Ok(Found::Snapshot { position, data })) => {
            let recovery = if request.recover { Recovery::Lost } else { Recovery::NotAsked };
            (*position, *position, recovery, Some(data.as_ref()))
        }
        Ok(Ok(Found::Missed { position, publications })) => {
            // The offset that was asked from: each publication then advances it.
            (*position, request.offset, Recovery::Recovered { publications }, None)
        }
        Ok(Err(Nothing::Denied)) => return refuse(ErrorCode::PERMISSION_DENIED),
        Ok(Err(Nothing::Unrecoverable)) => return refuse(ErrorCode::UNRECOVERABLE_POSITION),
        Ok(Err(Nothing::Failed(error))) => {
            tracing::warn!(%error, cause = ?std::error::Error::source(error), "a subscribe could not read");
            return refuse(ErrorCode::INTERNAL);
        }
        Err(_late) => return refuse(ErrorCode::INTERNAL),
    };
    // From here to the end nothing is awaited: the reply precedes the first push.
    let Ok(held) = listener.go_live(position) else {
        return refuse(ErrorCode::INTERNAL);
    };
    entered.keep = true;
    let result = SubscribeResult {
        recoverable: true,
        positioned: true,
        epoch: &epoch,
        offset,
        recovery,
        data,
        ttl: None,
    };
    session.subscriptions.borrow_mut().insert(name.to_owned(), Rc::clone(&listener));
    session.reply(id, &Reply::Subscribe(result));
    for frame in held {
        session.mailbox.answer(frame);
    }
    session.mailbox.flush();
    Ok(())
}

/// A listener that leaves the hub again unless its subscription stands.
struct Entered<'a> {
    session: &'a Session,
    listener: &'a Rc<Listener>,
    keep: bool,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        if !self.keep {
            self.session.hub.leave(self.listener);
        }
    }
}

async fn find(
    session: &Session,
    principal: &Principal,
    channel: Channel,
    filter: Option<&Filter>,
    request: &Subscribe,
) -> Result<Found, Nothing> {
    if request.recover {
        let missed = missed(session, principal, channel, filter, request).await?;
        if let Some(found) = missed {
            return Ok(found);
        }
        exists(session, principal, channel).await?;
        if request.rejects_unrecovered() {
            return Err(Nothing::Unrecoverable);
        }
    }
    snapshot(session, principal, channel, filter).await
}

/// Whether the order of an order's channel is one of the tenant's. The channel's name alone
/// opened it, and a snapshot is not always read.
async fn exists(session: &Session, principal: &Principal, channel: Channel) -> Result<(), Nothing> {
    if let Scope::Order(order) = channel.scope {
        let found = session.api.database.find_order(principal.tenant, order).await?;
        found.ok_or(Nothing::Denied)?;
    }
    Ok(())
}

/// All that was missed, unless some of it is not held any more or it is too much.
async fn missed(
    session: &Session,
    principal: &Principal,
    channel: Channel,
    filter: Option<&Filter>,
    request: &Subscribe,
) -> Result<Option<Found>, Nothing> {
    let database = &session.api.database;
    if !request.epoch.is_empty() && request.epoch != *database.epoch() {
        return Ok(None);
    }
    let limit = session.api.config.socket.recovery_limit;
    // One more than is sent tells that there is more.
    let missed = database
        .read_missed(principal.tenant, channel.scope, request.offset, limit.saturating_add(1))
        .await?;
    let held = request.offset + 1 >= missed.oldest;
    let too_many = missed.events.len() > usize::try_from(limit).unwrap_or(usize::MAX);
    if request.offset > missed.last || !held || too_many {
        return Ok(None);
    }
    // The events themselves are the tenant's own.
    if missed.events.is_empty() {
        exists(session, principal, channel).await?;
    }
    let passing = missed.events.into_iter();
    let passing = passing.filter(|event| filter.is_none_or(|filter| filter.passes(event)));
    let publications = encode(session, channel, passing);
    Ok(Some(Found::Missed { position: missed.position, publications }))
}

fn encode(
    session: &Session,
    channel: Channel,
    events: impl Iterator<Item = LogEvent>,
) -> Vec<Bytes> {
    events
        .map(Publication::new)
        .filter_map(|publication| {
            publication.encode(channel.topic, channel.seat, session.codec).map(Bytes::from)
        })
        .collect()
}

/// The feed's state, and the position it was read at.
async fn snapshot(
    session: &Session,
    principal: &Principal,
    channel: Channel,
    filter: Option<&Filter>,
) -> Result<Found, Nothing> {
    let database = &session.api.database;
    let tenant = principal.tenant;
    let audience = channel.seat.audience();
    let limit = session.api.config.socket.snapshot_orders;
    let open = database
        .list_open_orders(
            tenant,
            channel.scope,
            filter.and_then(|filter| filter.stores.as_deref()),
            filter.and_then(|filter| filter.statuses.as_deref()),
            limit,
        )
        .await?;
    let orders: Vec<Value> = open.orders.iter().map(|sheet| view::order(sheet, audience)).collect();
    let mut data = json!({"at": stamp(session.api.now())});
    let mut put = |key: &str, value: Value| {
        if let Some(members) = data.as_object_mut() {
            members.insert(key.to_owned(), value);
        }
    };
    if let Scope::Order(_) = channel.scope {
        put("order", orders.into_iter().next().ok_or(Nothing::Denied)?);
    } else {
        put("orders", orders.into());
        put("truncated", open.truncated.into());
    }
    // Read after the orders: what changes in between is heard as an event, and says the same.
    match channel.scope {
        Scope::Store(id) => {
            let store = database.find_store(tenant, id).await?.ok_or(Nothing::Denied)?;
            put("store", view::store(&store));
        }
        Scope::Driver(id) => {
            let driver = database.find_driver(tenant, id).await?.ok_or(Nothing::Denied)?;
            put("driver", view::driver(&driver));
        }
        Scope::Order(_) | Scope::Tenant => {}
    }
    // A value that was made here can be written again.
    let data = serde_json::value::to_raw_value(&data).map_err(|_| Nothing::Denied)?;
    Ok(Found::Snapshot { position: open.position, data })
}

/// Carries out a history command.
pub(super) async fn history(
    session: &Rc<Session>,
    id: u32,
    principal: &Principal,
    request: &History,
) -> Result<(), Disconnect> {
    if request.channel.is_empty() {
        return Err(Disconnect::BAD_REQUEST);
    }
    let channel = match channel::open(&request.channel, principal) {
        Ok(channel) => channel,
        Err(error) => {
            session.reply(id, &error.into());
            return Ok(());
        }
    };
    let reading = read_history(session, principal, channel, request);
    let read = timeout(session.api.config.socket.reply_timeout_ms.get(), reading).await;
    let epoch = session.api.database.epoch();
    match read {
        Ok(Ok((offset, publications))) => {
            let reply = Reply::History { epoch: &epoch, offset, publications: &publications };
            session.reply(id, &reply);
        }
        Ok(Err(error)) => session.reply_error(id, error),
        Err(_late) => session.reply(id, &ErrorCode::INTERNAL.into()),
    }
    Ok(())
}

async fn read_history(
    session: &Session,
    principal: &Principal,
    channel: Channel,
    request: &History,
) -> Result<(u64, Vec<Bytes>), ErrorReply<'static>> {
    let database = &session.api.database;
    let failed = |error: Error| rpc::error(&Problem::from(error));
    // An order that is not the tenant's has no history either, not even an empty one.
    if let Scope::Order(order) = channel.scope {
        let visible = session.api.visible_order(principal, order).await;
        visible.map_err(|_| ErrorReply::from(ErrorCode::PERMISSION_DENIED))?;
    }
    if let Some(since) = &request.since
        && !since.epoch.is_empty()
        && since.epoch != *database.epoch()
    {
        return Err(ErrorCode::UNRECOVERABLE_POSITION.into());
    }
    let most = session.api.config.socket.history_limit;
    let limit = match request.limit {
        0 => return Ok((database.read_head().await.map_err(failed)?, vec![])),
        limit => u32::try_from(limit).unwrap_or(most).min(most),
    };
    let since = request.since.as_ref().map(|since| since.offset);
    let read = if request.reverse {
        let before = since.unwrap_or(u64::MAX);
        database.read_last(principal.tenant, channel.scope, before, limit).await
    } else {
        database.read_missed(principal.tenant, channel.scope, since.unwrap_or(0), limit).await
    };
    let read = read.map_err(failed)?;
    Ok((read.last, encode(session, channel, read.events.into_iter())))
}
