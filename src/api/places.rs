//! How many sockets stand on each tracking link, and on each token of a store.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::hub::Bearer;

type Taken = Arc<Mutex<HashMap<Bearer, usize>>>;

/// The places that each credential of one kind has in a process, for all threads: an address that is
/// passed around must not fill the process with sockets.
#[derive(Debug)]
pub struct Places {
    most: usize,
    taken: Taken,
}

/// One of them; free again once it is dropped.
#[derive(Debug)]
pub struct Place {
    bearer: Bearer,
    taken: Taken,
}

impl Places {
    /// `most` for each credential.
    pub fn new(most: usize) -> Self {
        Self { most, taken: Taken::default() }
    }

    /// A place of this credential, if one is free.
    pub fn take(&self, bearer: Bearer) -> Option<Place> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(bearer).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Place { bearer, taken: Arc::clone(&self.taken) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.bearer) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                taken.remove(&self.bearer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_credential_has_so_many_places_and_none_is_kept_of_one_that_has_none() {
        let places = Places::new(2);
        let (one, other) = ([1, 1], [1, 2]);
        let first = places.take(one).unwrap();
        let _second = places.take(one).unwrap();
        assert!(places.take(one).is_none());
        let its = places.take(other).unwrap();
        drop(first);
        let _third = places.take(one).unwrap();
        assert!(places.take(one).is_none());
        drop(its);
        assert_eq!(places.taken.lock().unwrap().len(), 1);
    }
}
