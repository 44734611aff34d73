//! What those who come back to a channel read, and share with others who ask the same meanwhile.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::Api;
use crate::domain::TenantId;
use crate::hub::{Filter, Publication};
use crate::session::Unread;
use crate::store::{Flights, Scope};
use crate::view::Audience;

/// How often a read that began too early is asked for again. The second has begun after; more
/// are needed only while the log goes back, which the feed is about to notice.
const TRIES: usize = 3;

/// What a part of a tenant's log holds after a position.
#[derive(Debug)]
pub struct MissedPage {
    /// The events after it, in order, at most as many as asked for: encoded once for all.
    pub publications: Vec<Arc<Publication>>,
    /// Everything of the part up to here is in them, if they are fewer than asked for.
    pub position: u64,
    /// The newest position when this was read.
    pub last: u64,
    /// The oldest position still held.
    pub oldest: u64,
}

/// Which state is read: whose, of what, for whom, narrowed how.
pub type StateKey = (TenantId, Scope, Audience, Option<Filter>);

/// A channel's state.
#[derive(Debug, Clone)]
pub struct State {
    /// The position it was read at.
    pub position: u64,
    /// The number of the last that had passed: what passes later is no older than what is in it.
    pub passed: u64,
    /// The state.
    pub data: Arc<RawValue>,
}

/// Reads under way.
#[derive(Debug)]
pub struct SharedReads {
    missed: Flights<(TenantId, Scope, u64), Result<MissedPage, Unread>>,
    states: Flights<StateKey, Result<State, Unread>>,
}

impl SharedReads {
    /// At most `max` of each kind are open to others at once. Must be called on the runtime that
    /// reads shall run on.
    pub fn new(max: usize) -> Self {
        Self { missed: Flights::new(max), states: Flights::new(max) }
    }

    /// What `scope` holds after `after`, at most `recovery_limit` events and one more, which
    /// tells that there are too many. Whoever needs everything up to `floor` is not given what
    /// was read before that was there.
    pub async fn missed(
        &self,
        api: &Api,
        tenant: TenantId,
        scope: Scope,
        after: u64,
        floor: u64,
    ) -> Result<Arc<Result<MissedPage, Unread>>, Unread> {
        let limit = api.config.socket.recovery_limit.saturating_add(1);
        for _ in 0..TRIES {
            let database = api.database.clone();
            let read = self.missed.fly((tenant, scope, after), move || async move {
                let missed = database.read_missed(tenant, scope, after, limit).await?;
                let publications = missed.events.into_iter().map(Publication::new).map(Arc::new);
                Ok(MissedPage {
                    publications: publications.collect(),
                    position: missed.position,
                    last: missed.last,
                    oldest: missed.oldest,
                })
            });
            let page = read.await.map_err(|_crashed| Unread::Failed)?;
            if !matches!(&*page, Ok(page) if page.position < floor) {
                return Ok(page);
            }
        }
        Err(Unread::Failed)
    }

    /// A state, as `read` reads it, at a position not before `floor`.
    pub async fn state<F>(
        &self,
        key: &StateKey,
        floor: u64,
        read: impl Fn() -> F + Clone + Send + 'static,
    ) -> Result<State, Unread>
    where
        F: Future<Output = Result<State, Unread>> + Send + 'static,
    {
        for _ in 0..TRIES {
            let landed = self.states.fly(key.clone(), read.clone()).await;
            let state = landed.map_err(|_crashed| Unread::Failed)?;
            match &*state {
                Ok(State { position, .. }) if *position < floor => {}
                state => return state.clone(),
            }
        }
        Err(Unread::Failed)
    }
}

impl From<crate::store::Error> for Unread {
    fn from(error: crate::store::Error) -> Self {
        let cause = std::error::Error::source(&error);
        tracing::warn!(%error, ?cause, "a channel could not be read");
        Self::Failed
    }
}
