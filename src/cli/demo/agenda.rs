//! What a player means to do, and when.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::city::City;

/// Things one player may mean to do; beyond it new ones are not taken.
const LIMIT: usize = 20_000;

/// What a player means to do, earliest first. For one reader.
#[derive(Debug)]
pub(super) struct Agenda<T> {
    /// By moment, and by arrival within one.
    items: RefCell<BTreeMap<(Instant, u64), T>>,
    arrivals: Cell<u64>,
    changed: Notify,
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Self { items: RefCell::default(), arrivals: Cell::new(0), changed: Notify::new() }
    }
}

impl<T> Agenda<T> {
    /// Plans something for a moment.
    pub(super) fn put(&self, at: Instant, item: T) {
        let mut items = self.items.borrow_mut();
        if items.len() < LIMIT {
            self.arrivals.set(self.arrivals.get() + 1);
            items.insert((at, self.arrivals.get()), item);
            self.changed.notify_one();
        }
    }

    /// Waits for the next thing to be due. Dropped while waiting, it takes nothing.
    async fn next(&self) -> T {
        loop {
            let due = self.items.borrow().first_key_value().map(|((at, _), _)| *at);
            match due {
                None => self.changed.notified().await,
                Some(at) if at <= Instant::now() => {
                    if let Some((_, item)) = self.items.borrow_mut().pop_first() {
                        return item;
                    }
                }
                Some(at) => tokio::select! {
                    () = sleep_until(at) => {}
                    () = self.changed.notified() => {}
                },
            }
        }
    }

    /// Does what is due, at most `at_once` things at a time, until the play is over; what is
    /// under way then is done to its end.
    pub(super) async fn work<F>(&self, city: &City, at_once: usize, act: impl Fn(T) -> F)
    where
        F: Future<Output = ()>,
    {
        let mut active = FuturesUnordered::new();
        loop {
            tokio::select! {
                biased;
                () = city.over() => break,
                Some(()) = active.next(), if !active.is_empty() => {}
                item = self.next(), if active.len() < at_once => active.push(act(item)),
            }
        }
        while active.next().await.is_some() {}
    }
}
