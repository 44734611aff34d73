//! Which topics anybody of a process listens to, so that what nobody would hear need not be made.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, PoisonError, RwLock};

/// The topics with listeners, by how many workers have some; shared by all of them.
#[derive(Debug)]
pub struct Audible<T> {
    workers: Arc<RwLock<HashMap<T, u32>>>,
}

impl<T> Clone for Audible<T> {
    fn clone(&self) -> Self {
        Self { workers: Arc::clone(&self.workers) }
    }
}

impl<T> Default for Audible<T> {
    fn default() -> Self {
        Self { workers: Arc::default() }
    }
}

impl<T: Clone + Eq + Hash> Audible<T> {
    /// A worker has its first listener of a topic.
    pub(super) fn begin(&self, topic: &T) {
        let mut workers = self.workers.write().unwrap_or_else(PoisonError::into_inner);
        *workers.entry(topic.clone()).or_default() += 1;
    }

    /// A worker's last listener of a topic is gone.
    pub(super) fn end(&self, topic: &T) {
        let mut workers = self.workers.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = workers.get_mut(topic) {
            *count -= 1;
            if *count == 0 {
                workers.remove(topic);
            }
        }
    }

    /// Leaves those of `topics` that somebody listens to. Who comes later reads what is known by
    /// then, so whatever was known before this was asked need not be told to it.
    pub fn retain<A>(&self, topics: &mut Vec<(T, A)>) {
        let workers = self.workers.read().unwrap_or_else(PoisonError::into_inner);
        topics.retain(|(topic, _)| workers.contains_key(topic));
    }
}
