//! How often the keys of a platform may ask, and how often a tracking link may be read.
//!
//! Each process counts for itself: what it is for is that one tenant's loop, or one page that
//! reloads itself, cannot take the whole process. A store, a courier and a dispatcher are people.

use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota as Cells, RateLimiter};

use super::Problem;
use crate::auth::Principal;
use crate::config;
use crate::domain::{Role, TenantId};
use crate::hub::Bearer;

/// Requests after which whoever has not asked lately is forgotten.
const FORGET_EVERY: u32 = 4_096;

/// What was used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Its name: what is counted.
    pub name: &'static str,
    /// How many a second.
    pub per_s: u32,
}

/// The limits of a process, for all threads.
#[derive(Debug)]
pub struct Limits {
    writes: Option<Limit<TenantId>>,
    reads: Option<Limit<TenantId>>,
    links: Option<Limit<Bearer>>,
}

/// One limit, for each of many.
#[derive(Debug)]
struct Limit<K: Hash + Eq + Clone> {
    quota: Quota,
    counted: DefaultKeyedRateLimiter<K>,
    asked: AtomicU32,
}

impl<K: Hash + Eq + Clone> Limit<K> {
    /// `None` when `per_s` is 0.
    fn new(name: &'static str, per_s: u32, burst: u32) -> Option<Self> {
        let cells = Cells::per_second(NonZeroU32::new(per_s)?);
        let counted = RateLimiter::keyed(cells.allow_burst(NonZeroU32::new(burst)?));
        Some(Self { quota: Quota { name, per_s }, counted, asked: AtomicU32::new(0) })
    }

    fn admit(&self, who: &K) -> Result<(), Problem> {
        if self.asked.fetch_add(1, Ordering::Relaxed) % FORGET_EVERY == FORGET_EVERY - 1 {
            self.counted.retain_recent();
        }
        self.counted.check_key(who).map_err(|early| {
            let wait = early.wait_time_from(DefaultClock::default().now());
            Problem::rate_limited(self.quota, up(wait))
        })
    }
}

/// In whole seconds, at least one: what a header can say.
fn up(wait: Duration) -> Duration {
    Duration::from_secs(wait.as_secs() + 1)
}

impl Limits {
    /// The limits as configured.
    pub fn new(config: &config::Limits) -> Self {
        let (writes, reads) = (config.tenant_writes_per_s, config.tenant_reads_per_s);
        let links = Limit::new("link-reads", config.link_reads_per_s, config.link_reads_burst);
        Self {
            writes: Limit::new("writes", writes, writes),
            reads: Limit::new("reads", reads, reads),
            links,
        }
    }

    /// Counts a request of whoever it is.
    ///
    /// # Errors
    /// 429 when it is one too many.
    pub fn admit(&self, who: &Principal, is_write: bool) -> Result<(), Problem> {
        let of_tenant = if is_write { &self.writes } else { &self.reads };
        match (of_tenant, &self.links) {
            (_, Some(links)) if who.link.is_some() => links.admit(&who.bearer()),
            (Some(tenants), _) if who.role == Role::Platform => tenants.admit(&who.tenant),
            _ => Ok(()),
        }
    }
}
