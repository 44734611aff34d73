//! What a channel holds: its state at a position, what was missed since one, its past.

use bytes::Bytes;
use serde_json::{Value, json};
use std::sync::Arc;

use super::open::{self, Channel};
use super::rpc;
use crate::api::{Api, Problem};
use crate::auth::Principal;
use crate::hub::{Filter, News as _, Publication, Seat};
use crate::protocol::code::ErrorCode;
use crate::protocol::{Codec, ErrorReply, History, RawJson};
use crate::session::{Found, Opened, Otherwise, Past, Reading, Start, Unread};
use crate::store::{Error, Scope};
use crate::view::{self, LogEvent, stamp};

impl From<Error> for Unread {
    fn from(error: Error) -> Self {
        let cause = std::error::Error::source(&error);
        tracing::warn!(%error, ?cause, "a channel could not be read");
        Self::Failed
    }
}

/// Reads for one who starts or comes again.
pub(super) async fn read(
    api: &Api,
    who: &Principal,
    opened: &Opened<Api>,
    start: Start<'_>,
    codec: Codec,
) -> Result<Reading, Unread> {
    let channel = &opened.scope;
    may_still_see(api, who, channel).await?;
    let wants_state = match start {
        Start::State => true,
        Start::Now => false,
        Start::After { offset, epoch, otherwise } => {
            if let Some(reading) = missed(api, who, opened, offset, epoch, codec).await? {
                return Ok(reading);
            }
            match otherwise {
                Otherwise::State => true,
                Otherwise::Now => false,
                Otherwise::Refuse => {
                    exists(api, who, channel).await?;
                    return Err(Unread::Unrecoverable);
                }
            }
        }
    };
    let epoch = api.database.epoch();
    if !wants_state {
        // Who listens is seen by others, so it must be there: a name alone has opened it. What a
        // token names is the tenant's.
        if !opened.renamed {
            exists(api, who, channel).await?;
        }
        let position = api.database.read_head().await?;
        return Ok(Reading { epoch, position, found: Found::State(None) });
    }
    let filter = opened.ears.first().and_then(|(_topic, ear)| ear.filter.as_ref());
    let (position, data) = snapshot(api, who, channel, filter).await?;
    Ok(Reading { epoch, position, found: Found::State(Some(data)) })
}

/// A courier hears an order while it has it; whether it has, only the order says.
async fn may_still_see(api: &Api, who: &Principal, channel: &Channel) -> Result<(), Unread> {
    if channel.seat != Seat::OrderDriver {
        return Ok(());
    }
    for scope in &channel.scopes {
        if let Scope::Order(order) = *scope {
            let found = api.database.find_order(who.tenant, order).await?;
            let (_position, sheet) = found.ok_or(Unread::Denied)?;
            let order = sheet.order;
            let has_it = order.driver.is_some() && order.driver == who.driver();
            if !has_it || order.status.is_terminal() {
                return Err(Unread::Denied);
            }
        }
    }
    Ok(())
}

/// Whether the orders of a channel are the tenant's. The channel's name alone opened it, and a
/// snapshot is not always read.
async fn exists(api: &Api, who: &Principal, channel: &Channel) -> Result<(), Unread> {
    for scope in &channel.scopes {
        if let Scope::Order(order) = *scope {
            let found = api.database.find_order(who.tenant, order).await?;
            found.ok_or(Unread::Denied)?;
        }
    }
    Ok(())
}

/// All that was missed, unless some of it is not held any more or it is too much.
async fn missed(
    api: &Api,
    who: &Principal,
    opened: &Opened<Api>,
    after: u64,
    epoch: &str,
    codec: Codec,
) -> Result<Option<Reading>, Unread> {
    let database = &api.database;
    let known = database.epoch();
    if !epoch.is_empty() && *epoch != *known {
        return Ok(None);
    }
    let limit = api.config.socket.recovery_limit;
    let mut all = Vec::new();
    // What all topics hold goes up to the reading that went the least far.
    let mut upto = u64::MAX;
    for scope in &opened.scope.scopes {
        // One more than is sent tells that there is more.
        let asked = limit.saturating_add(1);
        let missed = database.read_missed(who.tenant, *scope, after, asked).await?;
        if after > missed.last || after + 1 < missed.oldest {
            return Ok(None);
        }
        upto = upto.min(missed.position);
        all.extend(missed.events);
    }
    if all.len() > usize::try_from(limit).unwrap_or(usize::MAX) {
        return Ok(None);
    }
    // The events themselves are the tenant's own.
    if all.is_empty() {
        exists(api, who, &opened.scope).await?;
    }
    all.retain(|event| event.position <= upto);
    all.sort_by_key(|event| event.position);
    let publications = encode(opened, codec, all.into_iter());
    Ok(Some(Reading { epoch: known, position: upto, found: Found::Missed(publications) }))
}

/// The publications of those events that the listeners of a channel hear.
fn encode(
    opened: &Opened<Api>,
    codec: Codec,
    events: impl Iterator<Item = LogEvent>,
) -> Vec<Bytes> {
    let heard = events.map(Publication::new).filter_map(|publication| {
        let (topic, ear) = opened
            .ears
            .iter()
            .find(|(topic, _ear)| publication.topics().any(|its| its == *topic))?;
        if publication.passes(ear) { publication.publication(topic, ear, codec) } else { None }
    });
    heard.collect()
}
/// The feed's state, and the position it was read at.
async fn snapshot(
    api: &Api,
    who: &Principal,
    channel: &Channel,
    filter: Option<&Filter>,
) -> Result<(u64, Arc<RawJson>), Unread> {
    let database = &api.database;
    let tenant = who.tenant;
    let audience = channel.seat.audience();
    let limit = api.config.socket.snapshot_orders;
    // Only a personal feed has several, and it has no snapshot.
    let scope = channel.scopes.first().copied().ok_or(Unread::Denied)?;
    let open = database
        .list_open_orders(
            tenant,
            scope,
            filter.and_then(|filter| filter.stores.as_deref()),
            filter.and_then(|filter| filter.statuses.as_deref()),
            limit,
        )
        .await?;
    let orders: Vec<Value> = open.orders.iter().map(|sheet| view::order(sheet, audience)).collect();
    let mut data = json!({"at": stamp(api.now())});
    let mut put = |key: &str, value: Value| {
        if let Some(members) = data.as_object_mut() {
            members.insert(key.to_owned(), value);
        }
    };
    if let Scope::Order(_) = scope {
        put("order", orders.into_iter().next().ok_or(Unread::Denied)?);
    } else {
        put("orders", orders.into());
        put("truncated", open.truncated.into());
    }
    // Read after the orders: what changes in between is heard as an event, and says the same.
    match scope {
        Scope::Store(id) => {
            let store = database.find_store(tenant, id).await?.ok_or(Unread::Denied)?;
            put("store", view::store(&store));
        }
        Scope::Driver(id) => {
            let driver = database.find_driver(tenant, id).await?.ok_or(Unread::Denied)?;
            put("driver", view::driver(&driver));
        }
        Scope::Order(_) | Scope::Tenant => {}
    }
    // A value that was made here can be written again.
    let data = serde_json::value::to_raw_value(&data).map_err(|_| Unread::Denied)?;
    Ok((open.position, data.into()))
}

/// A channel's past, as far as it is held.
pub(super) async fn history(
    api: &Api,
    who: &Principal,
    ask: &History,
    codec: Codec,
) -> Result<Past, ErrorReply<'static>> {
    let channel = match open::personal(who).filter(|(name, _)| *name == ask.channel) {
        Some((_name, opened)) => opened,
        None => open::channel(&ask.channel, who)?.opened(who.tenant, None),
    };
    let database = &api.database;
    let failed = |error: Error| rpc::error(&Problem::from(error));
    // An order that is not the caller's has no history either, not even an empty one.
    for scope in &channel.scope.scopes {
        if let Scope::Order(order) = *scope {
            let visible = api.visible_order(who, order).await;
            visible.map_err(|_| ErrorReply::from(ErrorCode::PERMISSION_DENIED))?;
        }
    }
    let epoch = database.epoch();
    if let Some(since) = &ask.since
        && !since.epoch.is_empty()
        && *since.epoch != *epoch
    {
        return Err(ErrorCode::UNRECOVERABLE_POSITION.into());
    }
    let most = api.config.socket.history_limit;
    let limit = match ask.limit {
        0 => {
            let offset = database.read_head().await.map_err(failed)?;
            return Ok(Past { epoch, offset, publications: vec![] });
        }
        limit => u32::try_from(limit).unwrap_or(most).min(most),
    };
    let since = ask.since.as_ref().map(|since| since.offset);
    let (mut events, mut offset) = (Vec::new(), 0);
    for scope in &channel.scope.scopes {
        let read = if ask.reverse {
            database.read_last(who.tenant, *scope, since.unwrap_or(u64::MAX), limit).await
        } else {
            database.read_missed(who.tenant, *scope, since.unwrap_or(0), limit).await
        };
        let read = read.map_err(failed)?;
        offset = offset.max(read.last);
        events.extend(read.events);
    }
    events.sort_by_key(|event| event.position);
    if ask.reverse {
        events.reverse();
    }
    events.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let publications = encode(&channel, codec, events.into_iter());
    Ok(Past { epoch, offset, publications })
}
