//! Events: an order's, and the tenant's log as a cursor feed.

use std::time::Duration;

use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::orders::{number, order_id, whole};
use super::{Api, Problem, ProblemCode, audience, only};
use crate::auth::Principal;
use crate::domain::Role;
use crate::store::Scope;
use crate::view::{Audience, LogEvent, Moment};

/// Which events to read.
#[derive(Debug, Clone, Default)]
pub struct EventsQuery {
    /// Those after this position.
    pub after: u64,
    /// At most so many.
    pub limit: Option<u32>,
    /// Only these types.
    pub types: Option<Vec<String>>,
    /// How long to wait for the first one.
    pub wait: Duration,
}

impl EventsQuery {
    /// Reads `after`, `limit`, `types` and, where one may wait, `wait`.
    pub fn from_pairs(pairs: &[(String, String)], may_wait: bool) -> Result<Self, Problem> {
        let mut query = Self::default();
        for (name, value) in pairs {
            match name.as_str() {
                "after" => query.after = number(name, value)?,
                "limit" => query.limit = Some(number(name, value)?),
                "types" => {
                    query.types = Some(value.split(',').map(str::to_owned).collect());
                }
                "wait" if may_wait => query.wait = Duration::from_secs(whole(name, value)?),
                _ => return Err(Problem::field(name.as_str(), "is no parameter of this request")),
            }
        }
        Ok(query)
    }
}

impl Api {
    /// One order's events as the caller may see them.
    pub async fn order_events(
        &self,
        principal: &Principal,
        order: &str,
        query: &EventsQuery,
    ) -> Result<Value, Problem> {
        let id = order_id(order)?;
        let (_position, sheet) = self.visible_order(principal, id).await?;
        let over = sheet.order.status.is_terminal();
        let standing = if over { Moment::Closed } else { Moment::AsItSays };
        let (page, _full) = self.read_events(principal, Scope::Order(id), query, standing).await?;
        Ok(page)
    }

    /// The tenant's log after a position, waiting for the first event if there is none yet.
    /// `bell` rings when something of the tenant is committed.
    pub async fn events(
        &self,
        principal: &Principal,
        query: &EventsQuery,
        bell: &Notify,
    ) -> Result<Value, Problem> {
        only(principal, &[Role::Platform, Role::Ops])?;
        let until = Instant::now() + query.wait.min(self.config.api.long_poll_max_s.get());
        let mut query = query.clone();
        loop {
            // Armed before reading, so that what is committed in between rings too.
            let mut rung = std::pin::pin!(bell.notified());
            rung.as_mut().enable();
            let (page, full) =
                self.read_events(principal, Scope::Tenant, &query, Moment::AsItSays).await?;
            let empty = page.get("events").and_then(Value::as_array).is_none_or(Vec::is_empty);
            if !empty || query.wait.is_zero() || Instant::now() >= until {
                return Ok(page);
            }
            // What was passed over because of its type need not be read again.
            query.after = page.get("next").and_then(Value::as_u64).unwrap_or(query.after);
            // There is more to read than to wait for.
            if full {
                continue;
            }
            // Only the wait ends here: what was read last is the answer.
            if timeout_at(until, rung).await.is_err() {
                return Ok(page);
            }
        }
    }

    /// A page of events, and whether it is full, so that another may follow at once.
    async fn read_events(
        &self,
        principal: &Principal,
        scope: Scope,
        query: &EventsQuery,
        standing: Moment,
    ) -> Result<(Value, bool), Problem> {
        let most = self.config.api.events_len_max;
        let limit = query.limit.unwrap_or(most);
        if !(1..=most).contains(&limit) {
            return Err(Problem::field("limit", format!("must be 1 to {most}")));
        }
        let missed = self.database.read_missed(principal.tenant, scope, query.after, limit).await?;
        if query.after > missed.last || query.after + 1 < missed.oldest {
            return Err(Problem::new(
                ProblemCode::CursorTooOld,
                "the log does not reach from there; read the orders and go on from their position",
            ));
        }
        let full = missed.events.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
        let last_read = missed.events.last().map(|event| event.position);
        let next = if full { last_read.unwrap_or(query.after) } else { missed.position };
        let wanted = |event: &&LogEvent| {
            query.types.as_ref().is_none_or(|types| types.contains(&event.kind))
        };
        let events: Vec<Box<RawValue>> = missed
            .events
            .iter()
            .filter(wanted)
            .filter_map(|event| event.render_at(event_audience(principal, event)?, standing))
            .filter_map(|text| RawValue::from_string(text).ok())
            .collect();
        Ok((json!({"epoch": &*self.database.epoch(), "events": events, "next": next}), full))
    }
}

/// As which audience the caller sees this event of an order it may see; none if not at all.
fn event_audience(principal: &Principal, event: &LogEvent) -> Option<Audience> {
    match audience(principal) {
        Audience::Driver => {
            let own = principal.driver();
            if event.driver == own {
                Some(Audience::Driver)
            } else if event.prior_driver.is_some() && event.prior_driver == own {
                Some(Audience::FormerDriver)
            } else {
                None
            }
        }
        seen @ (Audience::Customer
        | Audience::Link
        | Audience::PastLink
        | Audience::Store
        | Audience::FormerDriver
        | Audience::Ops
        | Audience::Platform) => Some(seen),
    }
}
