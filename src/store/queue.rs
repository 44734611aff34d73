//! What waits to be written, and what of it may go next.
//!
//! Two changes of one order never share a batch, nor are they in two batches at once: the second
//! is judged on what the first left, and in the order in which they came. Deleting a store has a
//! batch of its own.
//!
//! While a batch commits another one may be under way on another connection: its reading and
//! judging fill the time in which the first waits for the disk. That pays only if there is enough
//! to do, as smaller batches cost more for each change: so it begins once `overlap_min` wait.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use tokio::sync::{Notify, mpsc, oneshot};

use super::change::{Change, Outcome, Target, WriteError};
use super::judge::key_scope;
use crate::config;
use crate::domain::{CredentialId, DriverId, OrderId, StoreId, TenantId};

/// A change, and who waits for what becomes of it.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) change: Change,
    pub(super) answer: oneshot::Sender<Result<Outcome, WriteError>>,
}

/// What two changes that are under way must not have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Exclusive {
    Order(OrderId),
    External(TenantId, String),
    Driver(DriverId),
    Store(StoreId),
    Token(TenantId, CredentialId),
    Key(TenantId, String, String),
}

/// The writer's end of the queue, to be given to [`run_writer`](super::run_writer).
#[derive(Debug)]
pub struct Queue {
    jobs: mpsc::Receiver<Job>,
    batch_max: usize,
    batches_max: usize,
    overlap_min: usize,
    /// Rung when as much waits as another batch is worth.
    enough: Arc<Notify>,
    /// Taken out of the queue, and to be in a batch before what is still in there.
    deferred: VecDeque<Job>,
    /// What the batches under way concern.
    held: HashSet<Exclusive>,
    under_way: usize,
}

impl Queue {
    pub(super) fn new(
        jobs: mpsc::Receiver<Job>,
        settings: &config::Writer,
        enough: Arc<Notify>,
    ) -> Self {
        Self {
            jobs,
            enough,
            batch_max: settings.batch_max,
            batches_max: settings.batches_max,
            overlap_min: settings.overlap_min,
            deferred: VecDeque::new(),
            held: HashSet::new(),
            under_way: 0,
        }
    }

    /// Waits until there may be more to do; false when there is nothing any more before a batch has
    /// ended, if ever. Nothing is lost by giving up.
    pub(super) async fn receive(&mut self) -> bool {
        match self.under_way {
            0 => match self.jobs.recv().await {
                Some(job) => self.deferred.push_back(job),
                None => return false,
            },
            few if few < self.batches_max => self.enough.notified().await,
            _ => return false,
        }
        true
    }

    /// The next batch, if there may be one now, and what it holds until it is released.
    pub(super) fn next_batch(&mut self) -> Option<(Vec<Job>, Vec<Exclusive>)> {
        let waiting = self.deferred.len() + self.jobs.len();
        let is_due = match self.under_way {
            0 => waiting > 0,
            few => few < self.batches_max && waiting >= self.overlap_min,
        };
        if !is_due {
            return None;
        }
        let (batch, held) = self.gather();
        if batch.is_empty() {
            return None;
        }
        self.held.extend(held.iter().cloned());
        self.under_way += 1;
        Some((batch, held))
    }

    /// A batch has ended that held this.
    pub(super) fn release(&mut self, held: &[Exclusive]) {
        for it in held {
            self.held.remove(it);
        }
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// Takes a batch: first what was put off, then what has queued.
    fn gather(&mut self) -> (Vec<Job>, Vec<Exclusive>) {
        let (mut batch, mut held) = (Vec::new(), Vec::new());
        let mut wanted = HashSet::new();
        let mut put_off = VecDeque::new();
        // What is put off is looked at again with every batch: no more than one batch of it.
        while batch.len() < self.batch_max && put_off.len() < self.batch_max {
            let next = self.deferred.pop_front().or_else(|| self.jobs.try_recv().ok());
            let Some(job) = next else { break };
            let wants = exclusives(&job.change);
            let mut is_free =
                wants.iter().all(|want| !wanted.contains(want) && !self.held.contains(want));
            // Seldom, and waiting for all who place orders there: with other locks of stores in
            // the same batch, two processes could wait for each other.
            let is_alone = matches!(job.change.target, Target::DeleteStore { .. });
            is_free = is_free && (!is_alone || batch.is_empty());
            // A job that waits keeps its place before later ones that want the same.
            wanted.extend(wants.iter().cloned());
            if is_free {
                batch.push(job);
                held.extend(wants);
            } else {
                put_off.push_back(job);
            }
            if is_alone {
                break;
            }
        }
        put_off.append(&mut self.deferred);
        self.deferred = put_off;
        (batch, held)
    }
}

fn exclusives(change: &Change) -> Vec<Exclusive> {
    let mut wants = Vec::with_capacity(2);
    let first = match &change.target {
        Target::Place { draft, .. } => {
            Exclusive::External(change.tenant, draft.external_id.clone())
        }
        Target::Order { id, .. } | Target::Elapse { order: id, .. } => Exclusive::Order(*id),
        Target::Route { driver, orders, .. } => {
            wants.extend(orders.iter().map(|order| Exclusive::Order(*order)));
            Exclusive::Driver(*driver)
        }
        Target::Duty { driver, .. } | Target::DeleteDriver { driver } => Exclusive::Driver(*driver),
        Target::Pause { store, .. } | Target::DeleteStore { store } => Exclusive::Store(*store),
        Target::Revoke { token, .. } => Exclusive::Token(change.tenant, *token),
    };
    wants.push(first);
    if let Some(key) = &change.idempotency {
        wants.push(Exclusive::Key(change.tenant, key_scope(change), key.key.clone()));
    }
    wants
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Overrides};
    use crate::domain::{Actor, Duty};

    /// A queue in which changes of these targets wait.
    fn queue_of(targets: &[Target], change: impl FnOnce(&mut config::Writer)) -> Queue {
        let mut settings = Config::load(None, &Overrides::default()).unwrap().writer;
        change(&mut settings);
        let (sender, jobs) = mpsc::channel(targets.len());
        for target in targets {
            let change = Change {
                tenant: TenantId::new(),
                by: Actor::system(),
                target: target.clone(),
                idempotency: None,
                if_match: None,
                occurred_at: None,
                place: None,
            };
            let (answer, _answered) = oneshot::channel();
            sender.try_send(Job { change, answer }).unwrap();
        }
        Queue::new(jobs, &settings, Arc::default())
    }

    fn told(batch: &[Job]) -> Vec<String> {
        batch.iter().map(|job| format!("{:?}", job.change.target)).collect()
    }

    #[test]
    fn a_store_is_deleted_by_a_batch_of_its_own_in_its_turn() {
        let (stores, driver) = ([StoreId::new(), StoreId::new()], DriverId::new());
        let pause = |nth: usize| Target::Pause { store: stores[nth], until: None };
        let delete = |nth: usize| Target::DeleteStore { store: stores[nth] };
        let duty = Target::Duty { driver, duty: Duty::On };
        let asked = [pause(0), pause(0), delete(0), pause(1), duty, delete(1), delete(0)];
        let mut queue = queue_of(&asked, |_| {});
        let mut batches = Vec::new();
        for _ in 0..6 {
            let (batch, held) = queue.next_batch().unwrap();
            batches.push(told(&batch));
            queue.release(&held);
        }
        assert!(queue.next_batch().is_none() && queue.held.is_empty());
        let wanted: [&[usize]; 6] = [&[0], &[1], &[2], &[3, 4], &[5], &[6]];
        let wanted = wanted
            .map(|batch| batch.iter().map(|nth| format!("{:?}", asked[*nth])).collect::<Vec<_>>());
        assert_eq!(batches, wanted);
    }

    #[test]
    fn what_another_batch_holds_waits_for_it_and_keeps_its_place() {
        let drivers: [DriverId; 4] = std::array::from_fn(|_| DriverId::new());
        let duty = |nth: usize, duty: Duty| Target::Duty { driver: drivers[nth], duty };
        let asked = [
            duty(0, Duty::On),
            duty(0, Duty::Paused),
            duty(1, Duty::On),
            duty(2, Duty::On),
            duty(0, Duty::Off),
            duty(3, Duty::On),
        ];
        let mut queue = queue_of(&asked, |settings| {
            (settings.batch_max, settings.batches_max, settings.overlap_min) = (3, 2, 3);
        });
        let names = |nths: &[usize]| -> Vec<String> {
            nths.iter().map(|nth| format!("{:?}", asked[*nth])).collect()
        };
        let (first, first_held) = queue.next_batch().unwrap();
        assert_eq!(told(&first), names(&[0, 2, 3]));
        // Three wait, two of them for the first.
        let (second, second_held) = queue.next_batch().unwrap();
        assert_eq!(told(&second), names(&[5]));
        assert!(queue.next_batch().is_none(), "no more than two at once");
        queue.release(&second_held);
        assert!(queue.next_batch().is_none(), "too few wait for another beside the first");
        queue.release(&first_held);
        let (third, third_held) = queue.next_batch().unwrap();
        assert_eq!(told(&third), names(&[1]));
        queue.release(&third_held);
        let (last, last_held) = queue.next_batch().unwrap();
        assert_eq!(told(&last), names(&[4]));
        queue.release(&last_held);
        assert!(queue.next_batch().is_none() && queue.held.is_empty());
    }
}
