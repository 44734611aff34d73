//! API keys seen lately, so that not every request asks the database whose key it came with.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Problem;
use crate::auth::{self, Principal};
use crate::domain::Role;
use crate::store::Database;

/// A bounded memory of API keys. Whether one was revoked meanwhile is not asked here but of
/// `Revoked`, which remembers longer; one that was ended in the database by hand is believed at
/// most as long as this memory lasts.
#[derive(Debug)]
pub struct ApiKeys {
    ttl: Duration,
    size: usize,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    principals: HashMap<Vec<u8>, (Principal, Instant)>,
    /// Oldest first; one entry for each in `principals`.
    order: VecDeque<Vec<u8>>,
}

impl ApiKeys {
    /// A memory of at most `size` keys, each for `ttl`.
    pub fn new(ttl: Duration, size: usize) -> Self {
        Self { ttl, size, seen: Mutex::default() }
    }

    /// Whose key this is.
    pub(super) async fn find(&self, database: &Database, key: &str) -> Result<Principal, Problem> {
        let hash = auth::hash(key);
        let now = Instant::now();
        {
            let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((principal, until)) = seen.principals.get(&hash)
                && now < *until
            {
                return Ok(principal.clone());
            }
        }
        let credential =
            database.find_credential(&hash).await?.ok_or_else(Problem::unauthenticated)?;
        let principal = Principal {
            tenant: credential.tenant,
            role: Role::Platform,
            subject: credential.subject,
            orders: vec![],
            info: None,
            credential: credential.id,
            expires_at: None,
            link: None,
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.principals.insert(hash.clone(), (principal.clone(), now + self.ttl)).is_none() {
            seen.order.push_back(hash);
        }
        while seen.order.len() > self.size {
            if let Some(oldest) = seen.order.pop_front() {
                seen.principals.remove(&oldest);
            }
        }
        Ok(principal)
    }
}
