//! What a channel holds: its state at a position, what was missed since one, its past.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::on_map::OnMap;
use super::open::{self, Channel};
use super::rpc;
use crate::api::{Api, Problem, State, StateKey};
use crate::auth::Principal;
use crate::feed::Since;
use crate::hub::{Ear, News as _, Publication, Seat, Topic};
use crate::locations::Locations;
use crate::protocol::code::ErrorCode;
use crate::protocol::{Codec, ErrorReply, History};
use crate::session::{Found, Opened, Otherwise, Past, Reading, Start, Unread};
use crate::store::{Database, Error, Scope};
use crate::view::{self, stamp};

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
                    for scope in &channel.scopes {
                        exists(api, who, *scope).await?;
                    }
                    return Err(Unread::Unrecoverable);
                }
            }
        }
    };
    let epoch = api.database.epoch();
    let floor = floor(api);
    if !wants_state {
        for ((topic, ear), scope) in opened.ears.iter().zip(&channel.scopes) {
            if !is_known(api, topic, ear) {
                exists(api, who, *scope).await?;
            }
        }
        return Ok(Reading { epoch, position: floor, passed: 0, found: Found::State(None) });
    }
    let filter = opened.ears.first().and_then(|(_topic, ear)| ear.filter.as_deref().cloned());
    // Only a personal feed has several, and it has no state.
    let scope = channel.scopes.first().copied().ok_or(Unread::Denied)?;
    let key = (who.tenant, scope, channel.seat.audience(), filter);
    let (database, asked) = (api.database.clone(), key.clone());
    let (limit, now) = (api.config.socket.snapshot_orders, api.now());
    let locations = Arc::clone(&api.locations);
    let read = move || {
        let (database, asked) = (database.clone(), asked.clone());
        let locations = Arc::clone(&locations);
        async move { state(&database, &locations, asked, limit, now).await }
    };
    let State { position, passed, data } = api.shared.state(&key, floor, read).await?;
    Ok(Reading { epoch, position, passed, found: Found::State(Some(data)) })
}

/// The position up to which everything must be in what is read from here on: whatever the hub
/// published before the listeners were in it, and whatever callers were told is committed.
fn floor(api: &Api) -> u64 {
    api.window.last().max(api.database.committed())
}

/// Waits until memory holds whatever callers were told is committed: the feed is about to read
/// it. When it does not, the log is asked instead of memory.
async fn caught_up(api: &Api) {
    reached(api, api.database.committed()).await;
}

/// Waits until memory holds everything up to `position`, but not for long.
async fn reached(api: &Api, position: u64) {
    if api.window.last() < position {
        let patience = api.config.feed.poll_interval_ms.get();
        let mut feed = api.feed.clone();
        let _reached = timeout(patience, feed.wait_for(|state| state.cursor >= position)).await;
    }
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

/// Whether there is what a channel is about, and is the tenant's. The channel's name alone opened
/// it, and a state is not always read.
pub(super) async fn exists(api: &Api, who: &Principal, scope: Scope) -> Result<(), Unread> {
    let (database, tenant) = (&api.database, who.tenant);
    let there = match scope {
        Scope::Order(order) => database.find_order(tenant, order).await?.is_some(),
        Scope::Store(store) => database.find_store(tenant, store).await?.is_some(),
        Scope::Driver(driver) => database.find_driver(tenant, driver).await?.is_some(),
        Scope::Tenant => true,
    };
    if there { Ok(()) } else { Err(Unread::Denied) }
}

/// All that was missed, unless some of it is not held any more or it is too much: from memory
/// if it is not long ago, else by one read that others share.
async fn missed(
    api: &Api,
    who: &Principal,
    opened: &Opened<Api>,
    after: u64,
    epoch: &str,
    codec: Codec,
) -> Result<Option<Reading>, Unread> {
    let limit = usize::try_from(api.config.socket.recovery_limit).unwrap_or(usize::MAX);
    let floor = floor(api);
    caught_up(api).await;
    let mut all: Vec<Arc<Publication>> = Vec::new();
    // What all topics hold goes up to the reading that went the least far.
    let mut upto = u64::MAX;
    let mut known = api.database.epoch();
    for ((topic, ear), scope) in opened.ears.iter().zip(&opened.scope.scopes) {
        match api.window.since(epoch, topic, after, limit) {
            Since::Whole { events, last, epoch } if last >= floor => {
                upto = upto.min(last);
                known = epoch;
                if !is_known(api, topic, ear) {
                    exists(api, who, *scope).await?;
                }
                all.extend(events);
            }
            Since::TooMany => return Ok(None),
            // The log says; this process may be behind another, or be asked from long ago.
            Since::Whole { .. } | Since::Older | Since::Ahead | Since::OtherLog => {
                let database = &api.database;
                if !epoch.is_empty() && *epoch != *database.epoch() {
                    return Ok(None);
                }
                let page = api.shared.missed(api, who.tenant, *scope, after, floor).await?;
                let page = page.as_ref().as_ref().map_err(Clone::clone)?;
                if after > page.last || after + 1 < page.oldest {
                    return Ok(None);
                }
                // The events themselves are the tenant's own; but the last may be the end.
                if page.publications.last().is_none_or(|last| last.ends(topic, ear)) {
                    exists(api, who, *scope).await?;
                }
                // What passes is judged by what memory holds: see `Source::recall`.
                if api.feed.borrow().up {
                    reached(api, page.position).await;
                }
                upto = upto.min(page.position);
                all.extend(page.publications.iter().cloned());
            }
        }
    }
    if all.len() > limit {
        return Ok(None);
    }
    all.retain(|publication| publication.position() <= upto);
    all.sort_by_key(|publication| publication.position());
    let publications = encode(opened, codec, &all);
    let found = Found::Missed(publications);
    Ok(Some(Reading { epoch: known, position: upto, passed: 0, found }))
}

/// Whether memory tells that a topic is there and the tenant's: by its newest event, unless that
/// is its end.
fn is_known(api: &Api, topic: &Topic, ear: &Ear) -> bool {
    match topic {
        Topic::Order(_) | Topic::Store(_) | Topic::Driver(_) => {
            let newest = api.window.newest(topic);
            newest.is_some_and(|it| it.event().tenant == ear.tenant && !it.ends(topic, ear))
        }
        Topic::Dispatch(_) | Topic::Tenant(_) => true,
    }
}

/// The publications of those events that the listeners of a channel hear.
fn encode(opened: &Opened<Api>, codec: Codec, events: &[Arc<Publication>]) -> Vec<Bytes> {
    let heard = events.iter().filter_map(|publication| {
        let (topic, ear) = opened
            .ears
            .iter()
            .find(|(topic, _ear)| publication.topics().any(|its| its == *topic))?;
        if publication.passes(ear) { publication.publication(topic, ear, codec) } else { None }
    });
    heard.collect()
}

/// A feed's state, and the position it was read at.
async fn state(
    database: &Database,
    locations: &Locations,
    (tenant, scope, audience, filter): StateKey,
    limit: u32,
    now: Timestamp,
) -> Result<State, Unread> {
    let filter = filter.as_ref();
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
    let mut data = json!({"at": stamp(now)});
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
            let asked = database.list_driver_offers(tenant, id, limit).await?;
            let asked = asked.iter().map(|it| view::asked(&it.offer, &it.order, &it.store));
            put("offers", asked.collect());
        }
        Scope::Order(_) | Scope::Tenant => {}
    }
    // Last, so that it is as new as can be; who may see it is judged by what was read before, too.
    let on_map = OnMap { database, locations, tenant, audience, now };
    let passed = on_map.put(&mut data, scope, &open.orders, filter).await?;
    // A value that was made here can be written again.
    let data = serde_json::value::to_raw_value(&data).map_err(|_| Unread::Denied)?;
    Ok(State { position: open.position, passed, data: data.into() })
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
    let events: Vec<_> = events.into_iter().map(Publication::new).map(Arc::new).collect();
    let publications = encode(&channel, codec, &events);
    Ok(Past { epoch, offset, publications })
}
