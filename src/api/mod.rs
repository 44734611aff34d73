//! What can be asked of ordercast, whichever way it was asked: REST handlers and sockets call
//! the same functions with the same bodies and get the same answers and the same problems.
//!
//! Rights are decided here, by tenant and role; what a role may do to an order, the order
//! machine decides. What is not the caller's to see is not found.
//!
//! Absent on purpose: it knows no HTTP status and no WebSocket code; a [`Problem`] has a word,
//! and each way out has its table.

pub mod answers;
mod body;
mod bulk;
mod cursor;
mod ending;
mod erasing;
mod events;
mod keys;
mod limits;
mod links;
mod locations;
mod near;
mod offers;
mod once;
mod orders;
mod parties;
mod places;
mod problem;
mod proofs;
mod rpc;
mod shared;
mod tenant;
mod tokens;
mod trail;
mod webhooks;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Semaphore, watch};

pub use body::{ActionBody, EtaBody, FieldProblem, OrderBody, PatchBody, read_body};
pub use bulk::{ActingBody, Bulk, BulkBody, OrdersBody, PlacingBody};
pub use cursor::Cursor;
pub use events::EventsQuery;
pub use keys::ApiKeys;
pub use limits::{Limits, Quota};
pub use links::{LinkBody, Tracked};
pub use locations::LocationsBody;
pub use offers::{NothingBody, RouteBody, SearchBody};
pub use once::Answer;
pub use orders::{Asked, ListQuery, OrderAnswer, members};
pub use parties::{DriverBody, DriverPatchBody, DutyBody, PauseBody, StoreBody, StorePatchBody};
pub use places::{Place, Places};
pub use problem::{Problem, ProblemCode, Standing};
pub use proofs::{NewProofBody, ProofAnswer};
pub use shared::{MissedPage, SharedReads, State, StateKey};
pub use tenant::TenantPatchBody;
pub use tokens::TokenBody;
pub use webhooks::{RotateBody, WebhookBody, WebhookPatchBody, replay_after};

use crate::auth::{self, API_KEY_PREFIX, Keys, LINK_PREFIX, Permit, Principal, TokenError};
use crate::config::Config;
use crate::domain::{LinkView, Role};
use crate::feed::{FeedState, Revoked, Window};
use crate::hub::Topic;
use crate::jwks::Jwks;
use crate::locations::Locations;
use crate::presence::Attendance;
use crate::session::House;
use crate::store::{Database, Writer};
use crate::view::Audience;
use crate::webhooks::Poster;

/// Everything a request may need; shared by all threads.
#[derive(Debug)]
pub struct Api {
    /// The settings.
    pub config: Arc<Config>,
    /// Reads.
    pub database: Database,
    /// Writes.
    pub writer: Writer,
    /// Tokens.
    pub keys: Keys,
    /// Public keys, brought anew when a token names one that is not known.
    pub jwks: Jwks,
    /// API keys seen lately.
    pub api_keys: ApiKeys,
    /// Tokens and API keys that speak for nobody any more.
    pub revoked: Arc<Revoked>,
    /// Where couriers are.
    pub locations: Arc<Locations>,
    /// Where the feed stands.
    pub feed: watch::Receiver<FeedState>,
    /// The newest events, held in memory.
    pub window: Arc<Window>,
    /// Reads that are under way, for others to join.
    pub shared: SharedReads,
    /// Long polls that may still be opened.
    pub long_polls: Semaphore,
    /// Posts to webhooks when it is asked to; their events are posted elsewhere.
    pub poster: Poster,
    /// Pings of webhooks that may still be under way.
    pub pings: Semaphore,
    /// Proofs that may still be handed in at once.
    pub proof_uploads: Semaphore,
    /// Who is there at other processes.
    pub attendance: Arc<Attendance>,
    /// How often each platform and each link may ask.
    pub limits: Limits,
    /// Sockets of each tracking link.
    pub link_places: Places,
    /// Sockets of each token of a store.
    pub store_places: Places,
    /// What all sockets share.
    pub house: House<Self>,
}

impl Api {
    /// Who the token or API key speaks for. One that was revoked is answered like one that never
    /// was.
    pub async fn authenticate(&self, token: &str) -> Result<Principal, Problem> {
        let principal = self.verify(token).await?;
        if self.revoked.contains(principal.tenant, principal.credential) {
            return Err(Problem::unauthenticated());
        }
        Ok(principal)
    }

    async fn verify(&self, token: &str) -> Result<Principal, Problem> {
        if token.starts_with(API_KEY_PREFIX) {
            return self.api_keys.find(&self.database, token).await;
        }
        if token.starts_with(LINK_PREFIX) {
            return self.link_bearer(token).await;
        }
        self.judge(|keys| keys.verify(token, auth::now())).await
    }

    /// What the subscription token opens; nothing, once it was revoked.
    pub async fn permit(&self, token: &str) -> Result<Permit, Problem> {
        let permit = self.judge(|keys| keys.verify_subscription(token, auth::now())).await?;
        if self.revoked.contains(permit.tenant, permit.credential) {
            return Err(Problem::unauthenticated());
        }
        Ok(permit)
    }

    /// Judges a token; once more with newer keys, if it names one that is not known.
    async fn judge<T>(&self, judge: impl Fn(&Keys) -> Result<T, TokenError>) -> Result<T, Problem> {
        let mut judged = judge(&self.keys);
        let mut is_latest = true;
        if matches!(judged, Err(TokenError::UnknownKey)) {
            is_latest = self.jwks.renew().await;
            judged = judge(&self.keys);
        }
        judged.map_err(|error| match error {
            TokenError::Expired => Problem::new(ProblemCode::TokenExpired, "the token has expired"),
            TokenError::UnknownKey if !is_latest => {
                let pause = self.config.auth.jwks_min_refresh_s.get();
                Problem {
                    detail: "the key that the token names cannot be looked up now".to_owned(),
                    retry_after: Some(pause.max(Duration::from_secs(1))),
                    ..Problem::overloaded()
                }
            }
            TokenError::UnknownKey | TokenError::Invalid => Problem::unauthenticated(),
        })
    }

    /// Whether the process can do its work: the log is heard, and it is not stopping.
    pub fn is_ready(&self) -> bool {
        self.feed.borrow().up && !self.house.stopping.load(Ordering::Relaxed)
    }

    /// The time by the clock tokens are judged by.
    pub fn now(&self) -> Timestamp {
        auth::now()
    }
}

/// As which audience a principal sees an order.
pub fn audience(principal: &Principal) -> Audience {
    match principal.role {
        Role::Customer => match principal.link {
            None => Audience::Customer,
            Some(LinkView::Full) => Audience::Link,
            Some(LinkView::Final) => Audience::PastLink,
        },
        Role::Store => Audience::Store,
        Role::Driver => Audience::Driver,
        Role::Ops | Role::System => Audience::Ops,
        Role::Platform => Audience::Platform,
    }
}

/// The topic that rings whenever something of the principal's tenant is committed.
pub fn tenant_topic(principal: &Principal) -> Topic {
    Topic::Tenant(principal.tenant)
}

fn only(principal: &Principal, roles: &[Role]) -> Result<(), Problem> {
    if roles.contains(&principal.role) { Ok(()) } else { Err(Problem::role_not_allowed()) }
}

/// Refuses those who may only look.
pub fn may_write(principal: &Principal) -> Result<(), Problem> {
    if principal.link.is_none() { Ok(()) } else { Err(Problem::role_not_allowed()) }
}
