//! What is revoked, as every request asks it.
//!
//! The feed fills it from the table before it says that it is up, and keeps it current from the
//! log: a revocation is in here before any listener hears of it. It forgets only what has expired.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::{CredentialId, TenantId};
use crate::store::RevokedToken;

/// How far clocks may be apart: that of the process that issued a token, that of one that judges
/// it, and the database's, which dates a revocation.
const CLOCKS_APART: Duration = Duration::from_mins(5);

/// Revocations kept before any is looked at for having had its time.
const FEW: usize = 1_024;

/// The tokens and API keys that speak for nobody any more, for all threads. It holds what was
/// revoked within the longest life of a token, at most twice over.
#[derive(Debug)]
pub struct Revoked {
    keep: Duration,
    known: RwLock<Known>,
}

#[derive(Debug)]
struct Known {
    until: HashMap<(TenantId, CredentialId), Timestamp>,
    /// How many there may be before those whose time is over are looked for.
    look_at: usize,
}

impl Revoked {
    /// Nothing revoked yet. `longest` is how long a token may be good, or an API key be believed
    /// without asking.
    pub fn new(longest: Duration) -> Self {
        let known = Known { until: HashMap::new(), look_at: FEW };
        Self { keep: longest + CLOCKS_APART, known: RwLock::new(known) }
    }

    /// How long a revocation has to be remembered.
    pub const fn keep(&self) -> Duration {
        self.keep
    }

    /// Whether this one of the tenant's was revoked.
    pub fn contains(&self, tenant: TenantId, id: CredentialId) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.until.contains_key(&(tenant, id))
    }

    /// Adds what was revoked at `now`.
    pub fn add(&self, tenant: TenantId, id: CredentialId, now: Timestamp) {
        self.add_until(tenant, id, now + self.keep, now);
    }

    /// Adds a row of the table. It forgets nothing: a row says until when, not which time it is.
    pub(super) fn load(&self, one: &RevokedToken) {
        self.add_until(one.tenant, one.id, one.keep_until, Timestamp::MIN);
    }

    /// Adds what is to be remembered until `keep_until`; what had its time before `now` may go.
    fn add_until(&self, tenant: TenantId, id: CredentialId, keep_until: Timestamp, now: Timestamp) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let until = known.until.entry((tenant, id)).or_insert(keep_until);
        *until = keep_until.max(*until);
        if known.until.len() >= known.look_at {
            known.until.retain(|_, until| *until > now);
            known.look_at = known.until.len().saturating_mul(2).max(FEW);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn an_identifier_is_revoked_for_the_tenant_that_revoked_it_and_no_other() {
        let revoked = Revoked::new(Duration::from_mins(1));
        let (ours, theirs, id) = (TenantId::new(), TenantId::new(), CredentialId::new());
        revoked.add(ours, id, at(100));
        assert!(revoked.contains(ours, id));
        assert!(!revoked.contains(theirs, id) && !revoked.contains(ours, CredentialId::new()));
    }

    #[test]
    fn only_what_had_its_time_is_forgotten_and_the_rest_never_fills_the_memory() {
        let revoked = Revoked::new(Duration::from_mins(1));
        let tenant = TenantId::new();
        let keep = i64::try_from(revoked.keep().as_secs()).unwrap();
        let all: Vec<_> = (0..20_000).map(|nth| (CredentialId::new(), at(nth))).collect();
        for (nth, (id, now)) in all.iter().enumerate() {
            revoked.add(tenant, *id, *now);
            // Not earlier than it may, however much is added.
            let alive = nth.saturating_sub(usize::try_from(keep).unwrap() - 1);
            assert!(revoked.contains(tenant, all[alive].0), "{alive} at {nth}");
        }
        let held = all.iter().filter(|(id, _)| revoked.contains(tenant, *id)).count();
        assert!(held <= FEW.max(2 * usize::try_from(keep).unwrap()), "{held}");
    }

    #[test]
    fn what_is_revoked_again_is_remembered_longer_and_never_shorter() {
        let revoked = Revoked::new(Duration::from_mins(1));
        let (tenant, id) = (TenantId::new(), CredentialId::new());
        revoked.add(tenant, id, at(10_000));
        revoked.load(&RevokedToken { tenant, id, keep_until: at(1) });
        for _ in 0..2 * FEW {
            revoked.add(tenant, CredentialId::new(), at(10_001));
        }
        assert!(revoked.contains(tenant, id));
    }
}
