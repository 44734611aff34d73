//! Reads that are shared: who asks what is being read already waits for that read.
//!
//! After an outage thousands ask the same within a second. One of them causes the read; all are
//! given its result. Nothing is remembered: with its landing a read is over, failed or not, and
//! whoever asks then causes another.
//!
//! A read that is joined may have begun before the joiner asked. Its result is no newer than its
//! own position says: who needs what was committed before it asked compares that position, and
//! asks again if it is too low.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt as _;
use futures::future::{Shared, WeakShared};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// The read ended without a result: it panicked, or the process is stopping. Ask again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a shared read ended without a result")]
pub struct Crashed;

/// Reads under way, by what they ask; shared by all threads.
pub struct Flights<K, V> {
    /// Where reads run. Those who wait are on threads that may end, and may give up at any
    /// time: a read that others have joined must not end with the one who caused it.
    runtime: Handle,
    max: usize,
    aloft: Arc<Mutex<Aloft<K, V>>>,
}

/// The arrival of a read's result, for all who wait for it.
type Flight<V> = Shared<oneshot::Receiver<Arc<V>>>;

struct Aloft<K, V> {
    /// Held weakly: a read lives as long as someone waits for it.
    flights: HashMap<K, Open<V>>,
    /// How many there have been, to tell one from the next of the same key.
    number: u64,
}

impl<K, V> Flights<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Send + Sync + 'static,
{
    /// At most `max` reads are open to others at once; beyond that each reads for itself. Must be
    /// called on the runtime that reads shall run on.
    pub fn new(max: usize) -> Self {
        let aloft = Aloft { flights: HashMap::new(), number: 0 };
        Self { runtime: Handle::current(), max, aloft: Arc::new(Mutex::new(aloft)) }
    }

    /// The result of the read of `key` that is under way; if there is none, of the one that
    /// `make` makes. An error that is part of `V` goes to all who wait, like any result. May be
    /// dropped at any time: the read goes on for the others, and is given up after the last.
    pub async fn fly<F>(
        &self,
        key: K,
        make: impl FnOnce() -> F + Send + 'static,
    ) -> Result<Arc<V>, Crashed>
    where
        F: Future<Output = V> + Send + 'static,
    {
        self.board(key, make).await.map_err(|_gone| Crashed)
    }

    fn board<F>(&self, key: K, make: impl FnOnce() -> F + Send + 'static) -> Flight<V>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let (landed, arrival) = oneshot::channel();
        let flight = arrival.shared();
        let mut aloft = self.aloft.lock().unwrap_or_else(PoisonError::into_inner);
        let known = aloft.flights.get(&key).map(|open| open.flight.upgrade());
        if let Some(Some(flight)) = known {
            return flight;
        }
        aloft.number += 1;
        let number = aloft.number;
        // One that was given up and is still there makes room for this.
        let open = known.is_some() || aloft.flights.len() < self.max;
        let mut landing = None;
        if open && let Some(weak) = flight.downgrade() {
            aloft.flights.insert(key.clone(), Open { number, flight: weak });
            landing = Some(Landing { key, number, aloft: Arc::clone(&self.aloft) });
        }
        // A runtime that is shutting down drops what it is given, and a landing locks.
        drop(aloft);
        self.runtime.spawn(async move {
            let mut landed = landed;
            // Dropped before `landed`, also by a panic: what has landed is not joined.
            let landing = landing;
            tokio::select! {
                value = make() => {
                    drop(landing);
                    // Perhaps nobody waits any more.
                    landed.send(Arc::new(value)).ok();
                }
                () = landed.closed() => {}
            }
        });
        flight
    }
}

impl<K, V> fmt::Debug for Flights<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let aloft = self.aloft.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("Flights").field("aloft", &aloft.flights.len()).finish_non_exhaustive()
    }
}

struct Open<V> {
    number: u64,
    flight: WeakShared<oneshot::Receiver<Arc<V>>>,
}

/// Closes a read to those who come later, as soon as it has ended in whichever way.
struct Landing<K: Eq + Hash, V> {
    key: K,
    number: u64,
    aloft: Arc<Mutex<Aloft<K, V>>>,
}

impl<K: Eq + Hash, V> Drop for Landing<K, V> {
    fn drop(&mut self) {
        let mut aloft = self.aloft.lock().unwrap_or_else(PoisonError::into_inner);
        // After one was given up, another of its key may have taken off.
        if aloft.flights.get(&self.key).is_some_and(|open| open.number == self.number) {
            aloft.flights.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;
    use futures::poll;
    use tokio::sync::Semaphore;

    use super::*;

    /// Reads that wait at a gate until they are let through, and count.
    #[derive(Clone)]
    struct Source {
        begun: Arc<AtomicUsize>,
        /// Reads that were dropped, whether over or not.
        gone: Arc<Semaphore>,
        gate: Arc<Semaphore>,
    }

    struct Going(Arc<Semaphore>);

    impl Drop for Going {
        fn drop(&mut self) {
            self.0.add_permits(1);
        }
    }

    impl Source {
        fn new() -> Self {
            let none = || Arc::new(Semaphore::new(0));
            Self { begun: Arc::default(), gone: none(), gate: none() }
        }

        /// The number of this read, when it is let through.
        fn read(&self) -> impl Future<Output = usize> + Send + 'static {
            let source = self.clone();
            async move {
                let _going = Going(Arc::clone(&source.gone));
                let number = source.begun.fetch_add(1, Ordering::Relaxed) + 1;
                source.gate.acquire().await.unwrap().forget();
                number
            }
        }

        fn reader(&self) -> impl FnOnce() -> BoxedRead + Send + 'static {
            let source = self.clone();
            move || Box::pin(source.read())
        }

        fn begun(&self) -> usize {
            self.begun.load(Ordering::Relaxed)
        }

        async fn all_gone(&self, count: u32) {
            self.gone.acquire_many(count).await.unwrap().forget();
        }
    }

    type BoxedRead = Pin<Box<dyn Future<Output = usize> + Send>>;

    impl<K, V> Flights<K, V> {
        fn count(&self) -> usize {
            self.aloft.lock().unwrap().flights.len()
        }
    }

    #[tokio::test]
    async fn all_who_ask_meanwhile_are_given_the_one_read_and_who_asks_later_another() {
        let (flights, source) = (Flights::new(8), Source::new());
        let mut asking: Vec<_> =
            (0..50).map(|_| Box::pin(flights.fly("a", source.reader()))).collect();
        for one in &mut asking {
            assert!(poll!(one).is_pending());
        }
        source.gate.add_permits(1);
        for result in join_all(asking).await {
            assert_eq!(*result.unwrap(), 1);
        }
        assert_eq!((source.begun(), flights.count()), (1, 0));
        source.gate.add_permits(1);
        assert_eq!(*flights.fly("a", source.reader()).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn who_asks_something_else_is_not_kept_waiting() {
        let (flights, source) = (Flights::new(8), Source::new());
        let mut first = Box::pin(flights.fly("a", source.reader()));
        assert!(poll!(&mut first).is_pending());
        assert_eq!(*flights.fly("b", || async { 7 }).await.unwrap(), 7);
        source.gate.add_permits(1);
        assert_eq!(*first.await.unwrap(), 1);
    }

    #[tokio::test]
    async fn an_error_goes_to_all_who_wait_and_is_not_remembered() {
        let flights = Flights::new(8);
        let gate = Arc::new(Semaphore::new(0));
        let failing = || {
            let gate = Arc::clone(&gate);
            move || async move {
                gate.acquire().await.unwrap().forget();
                Err::<u32, _>("down")
            }
        };
        let mut one = Box::pin(flights.fly(1, failing()));
        let mut other = Box::pin(flights.fly(1, failing()));
        assert!(poll!(&mut one).is_pending() && poll!(&mut other).is_pending());
        gate.add_permits(1);
        assert_eq!((*one.await.unwrap(), *other.await.unwrap()), (Err("down"), Err("down")));
        assert_eq!(*flights.fly(1, || async { Ok(5) }).await.unwrap(), Ok(5));
    }

    #[tokio::test]
    async fn who_caused_the_read_may_leave_and_the_others_are_served() {
        let (flights, source) = (Flights::new(8), Source::new());
        let mut first = Box::pin(flights.fly((), source.reader()));
        assert!(poll!(&mut first).is_pending());
        let mut second = Box::pin(flights.fly((), source.reader()));
        assert!(poll!(&mut second).is_pending());
        drop(first);
        source.gate.add_permits(1);
        assert_eq!(*second.await.unwrap(), 1);
        assert_eq!(source.begun(), 1);
    }

    #[tokio::test]
    async fn a_read_that_nobody_waits_for_is_given_up_and_leaves_nothing() {
        let (flights, source) = (Flights::new(1), Source::new());
        let mut first = Box::pin(flights.fly((), source.reader()));
        assert!(poll!(&mut first).is_pending());
        // So that it has begun, and waits at the gate.
        while source.begun() == 0 {
            tokio::task::yield_now().await;
        }
        drop(first);
        // At once, before the first has been cleared away: it is not joined.
        let mut second = Box::pin(flights.fly((), source.reader()));
        assert!(poll!(&mut second).is_pending());
        source.all_gone(1).await;
        assert_eq!(flights.count(), 1, "the second is still open to others");
        let third = flights.fly((), source.reader());
        source.gate.add_permits(1);
        let (second, third) = futures::join!(second, third);
        assert_eq!((*second.unwrap(), *third.unwrap()), (2, 2));
        assert_eq!((source.begun(), flights.count()), (2, 0));
    }

    #[tokio::test]
    async fn a_read_that_panics_keeps_nobody_waiting_and_the_next_is_another() {
        let flights = Flights::<(), u32>::new(8);
        let gate = Arc::new(Semaphore::new(0));
        let panicking = || {
            let gate = Arc::clone(&gate);
            move || async move {
                gate.acquire().await.unwrap().forget();
                panic!("on purpose")
            }
        };
        let mut one = Box::pin(flights.fly((), panicking()));
        let mut other = Box::pin(flights.fly((), panicking()));
        assert!(poll!(&mut one).is_pending() && poll!(&mut other).is_pending());
        gate.add_permits(1);
        assert_eq!((one.await, other.await), (Err(Crashed), Err(Crashed)));
        assert_eq!(flights.count(), 0);
        assert_eq!(*flights.fly((), || async { 5 }).await.unwrap(), 5);
    }

    #[test]
    fn on_a_runtime_that_is_gone_nobody_waits() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let flights = runtime.block_on(async { Flights::<(), u32>::new(8) });
        drop(runtime);
        let mine = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let asked = mine.block_on(flights.fly((), || async { 5 }));
        assert_eq!((asked, flights.count()), (Err(Crashed), 0));
    }

    #[tokio::test]
    async fn beyond_the_bound_each_reads_for_itself() {
        let (flights, source) = (Flights::new(1), Source::new());
        let mut open = Box::pin(flights.fly(1, source.reader()));
        let mut alone = Box::pin(flights.fly(2, source.reader()));
        let mut alone_too = Box::pin(flights.fly(2, source.reader()));
        let mut joined = Box::pin(flights.fly(1, source.reader()));
        for one in [&mut open, &mut alone, &mut alone_too, &mut joined] {
            assert!(poll!(one).is_pending());
        }
        assert_eq!(flights.count(), 1);
        source.gate.add_permits(3);
        let all = join_all([open, alone, alone_too, joined]).await;
        let mut numbers: Vec<usize> = all.into_iter().map(|one| *one.unwrap()).collect();
        assert_eq!(numbers[0], numbers[3]);
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!((numbers, source.begun()), (vec![1, 2, 3], 3));
        assert_eq!(flights.count(), 0);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn threads_with_runtimes_of_their_own_share_one_read() {
        let (flights, source) = (Arc::new(Flights::new(8)), Source::new());
        let (asked, mut all_asked) = tokio::sync::mpsc::channel(8);
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (flights, source, asked) =
                    (Arc::clone(&flights), source.clone(), asked.clone());
                std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                    runtime.block_on(async {
                        let mut asking = Box::pin(flights.fly((), source.reader()));
                        assert!(poll!(&mut asking).is_pending());
                        asked.send(()).await.unwrap();
                        *asking.await.unwrap()
                    })
                })
            })
            .collect();
        for _ in 0..4 {
            all_asked.recv().await.unwrap();
        }
        source.gate.add_permits(1);
        let joined = tokio::task::spawn_blocking(|| {
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        assert_eq!(joined.await.unwrap(), [1, 1, 1, 1]);
        assert_eq!(source.begun(), 1);
    }
}
