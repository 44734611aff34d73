//! The writer: batches of whatever has queued, each a transaction.
//!
//! A batch is whatever queued while the one before it committed: alone, a change waits for
//! nothing; under load batches grow by themselves. There is no timer and no lingering. Under load
//! the next batch is read and judged while one commits (see [`Queue`]).
//!
//! A failed batch is retried change by change, so that one poisoned change cannot fail its
//! neighbours. A connection lost while committing leaves an unknown outcome, which the database
//! itself is asked for, never assumed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::batch::{BatchError, Trace, run_batch};
use super::change::{Change, Outcome, WriteError};
use super::queue::{Job, Queue};
use super::{Database, Error, statement, upkeep};
use crate::config;
use crate::domain::DriverId;
use crate::telemetry::metrics;

/// How long a lost commit's outcome is asked for before the caller is told that it is unknown.
const RESOLVE_FOR: Duration = Duration::from_secs(10);
/// Pause between two such questions: a backend that was cut off in its commit needs about one
/// sync of the disk to end.
const RESOLVE_PAUSE: Duration = Duration::from_millis(20);

/// How often a change is tried again because another process was faster. Each time one of those
/// who clash gets through.
const CLASHES: usize = 5;

/// The way to the writer. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Writer {
    jobs: mpsc::Sender<Job>,
    overlap_min: usize,
    /// Rung when that many wait.
    enough: Arc<Notify>,
}

impl Writer {
    /// A writer's two ends.
    pub fn new(settings: &config::Writer) -> (Self, Queue) {
        let (jobs, queue) = mpsc::channel(settings.queue_len);
        let (overlap_min, enough) = (settings.overlap_min, Arc::<Notify>::default());
        let queue = Queue::new(queue, settings, Arc::clone(&enough));
        (Self { jobs, overlap_min, enough }, queue)
    }

    /// Hands a change to the writer and waits until its outcome is durable. The change goes its
    /// way even if the caller stops waiting.
    pub async fn submit(&self, change: Change) -> Result<Outcome, WriteError> {
        let answered = self.enqueue(change).ok_or(WriteError::Overloaded)?;
        // The writer answers every job it takes; it drops one only by ending.
        answered.await.unwrap_or(Err(WriteError::Unknown))
    }

    /// Hands changes to the writer together, and waits until all their outcomes are durable: one
    /// for each, in their order. They ride in its batches; those of one order, courier or key are
    /// judged one after the other. From the first on that the queue has no place for, none is
    /// taken.
    pub async fn submit_all(&self, changes: Vec<Change>) -> Vec<Result<Outcome, WriteError>> {
        let mut is_full = false;
        let mut waiting = Vec::with_capacity(changes.len());
        for change in changes {
            let answered = if is_full { None } else { self.enqueue(change) };
            is_full = answered.is_none();
            waiting.push(answered);
        }
        let mut outcomes = Vec::with_capacity(waiting.len());
        for answered in waiting {
            outcomes.push(match answered {
                Some(answered) => answered.await.unwrap_or(Err(WriteError::Unknown)),
                None => Err(WriteError::Overloaded),
            });
        }
        outcomes
    }

    /// `None` when the queue is full.
    fn enqueue(&self, change: Change) -> Option<oneshot::Receiver<Result<Outcome, WriteError>>> {
        let (answer, answered) = oneshot::channel();
        self.jobs.try_send(Job { change, answer }).ok()?;
        if self.queued() >= self.overlap_min {
            self.enough.notify_one();
        }
        Some(answered)
    }

    /// How many changes wait for a batch to take them.
    pub fn queued(&self) -> usize {
        self.jobs.max_capacity() - self.jobs.capacity()
    }
}

/// Writes until every [`Writer`] is gone and the queue is empty; as many batches at once as the
/// queue gives.
pub async fn run_writer(database: Database, mut queue: Queue) {
    let mut under_way = JoinSet::new();
    loop {
        while let Some((batch, held)) = queue.next_batch() {
            let database = database.clone();
            under_way.spawn(async move {
                // Boxed: it holds every step of the pipeline, and would be part of all that awaits it.
                Box::pin(write(&database, batch)).await;
                held
            });
        }
        tokio::select! {
            biased;
            Some(written) = under_way.join_next() => match written {
                Ok(held) => queue.release(&held),
                // Whoever waits for the writer is to know.
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(_stopping) => return,
                },
            },
            true = queue.receive() => {}
            else => return,
        }
    }
}

fn answer(jobs: Vec<Job>, outcomes: Vec<Outcome>) {
    for (job, outcome) in jobs.into_iter().zip(outcomes) {
        // A caller that stopped waiting needs no answer; its change is written all the same.
        drop(job.answer.send(Ok(outcome)));
    }
}

async fn write(database: &Database, batch: Vec<Job>) {
    let size = batch.len();
    match try_write(database, &batch).await {
        Ok(outcomes) => answer(batch, outcomes),
        Err((error, WriteError::Unknown)) => {
            tracing::error!(%error, size, "the outcome of a batch is not known");
            for job in batch {
                drop(job.answer.send(Err(WriteError::Unknown)));
            }
        }
        Err((error, _)) => {
            tracing::warn!(error = %chain(&error), size, "a batch failed; trying its changes one by one");
            let gone = error.is_disconnect();
            for (nth, job) in batch.into_iter().enumerate() {
                let mut result = try_write(database, std::slice::from_ref(&job)).await;
                // One try each is enough while the database is gone: the queue must move on. Where
                // another process was faster the next try finds what that one has written.
                for again in 0..CLASHES {
                    let Err((error, _)) = &result else { break };
                    let is_first = !gone && nth == 0 && again == 0;
                    if !is_first && !error.is_clash() {
                        break;
                    }
                    tracing::debug!(error = %chain(error), "a change is tried again");
                    result = try_write(database, std::slice::from_ref(&job)).await;
                }
                let result = result.map_err(|(error, write_error)| {
                    tracing::warn!(error = %chain(&error), "a change failed");
                    write_error
                });
                let outcome =
                    result.and_then(|mut outcomes| outcomes.pop().ok_or(WriteError::Failed));
                drop(job.answer.send(outcome));
            }
        }
    }
}

/// An error with its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Writes a batch; again, if it came to the border of a partition before that was one.
async fn try_write(
    database: &Database,
    batch: &[Job],
) -> Result<Vec<Outcome>, (Error, WriteError)> {
    for _ in 0..CLASHES {
        match try_write_once(database, batch).await {
            Err((error, WriteError::Failed)) if error.is_border() => {
                tracing::debug!("the log has come to a border; it is taken away");
                let failed = |error: Error| (error, WriteError::Failed);
                let client = database.writing.get().await.map_err(|error| failed(error.into()))?;
                upkeep::lift_border(&client).await.map_err(failed)?;
            }
            result => return result,
        }
    }
    try_write_once(database, batch).await
}

async fn try_write_once(
    database: &Database,
    batch: &[Job],
) -> Result<Vec<Outcome>, (Error, WriteError)> {
    let failed = |error: Error| (error, WriteError::Failed);
    let client = database.writing.get().await.map_err(|error| failed(error.into()))?;
    let changes: Vec<&Change> = batch.iter().map(|job| &job.change).collect();
    let began = Instant::now();
    let done = run_batch(&client, &changes).await;
    match done {
        Ok(_) => metrics().committed(batch.len(), began.elapsed()),
        Err(_) => metrics().failed(),
    }
    match done {
        Ok(committed) => {
            tracing::trace!(size = batch.len(), last = committed.last, "a batch committed");
            // Before anybody is told, so that whoever was told finds it here.
            if let Some(last) = committed.last {
                database.note_committed(last);
            }
            if let Some(wait) = committed.due_in {
                database.alarm().set(Instant::now() + wait);
            }
            if !committed.tours.is_empty() {
                // Not in the transaction: other batches hold the timers of their own orders.
                let database = database.clone();
                tokio::spawn(async move { wake_tours(&database, &committed.tours).await });
            }
            Ok(committed.outcomes)
        }
        Err(BatchError::Failed(error)) => Err(failed(error)),
        Err(BatchError::Unknown(trace, outcomes)) => {
            drop(client);
            resolve(database, &trace, outcomes).await
        }
    }
}

/// Has the other stops of these tours looked at.
async fn wake_tours(database: &Database, tours: &[DriverId]) {
    match database.wake_tours(tours).await {
        Ok(()) => database.alarm().set(Instant::now()),
        // They are watched in any case.
        Err(error) => tracing::debug!(%error, "stops of a tour are looked at later"),
    }
}

/// Asks the database whether the batch committed.
async fn resolve(
    database: &Database,
    trace: &Trace,
    outcomes: Vec<Outcome>,
) -> Result<Vec<Outcome>, (Error, WriteError)> {
    let until = Instant::now() + RESOLVE_FOR;
    loop {
        let committed = has_committed(database, trace).await;
        match &committed {
            Ok(Some(true)) => return Ok(outcomes),
            Ok(Some(false)) => return Err((Error::Busy, WriteError::Failed)),
            // Still under way, or the server is not back yet.
            Ok(None) | Err(_) if Instant::now() < until => sleep(RESOLVE_PAUSE).await,
            Ok(None) => return Err((Error::Busy, WriteError::Unknown)),
            Err(_) => {
                let error = committed.err().unwrap_or(Error::Busy);
                return Err((error, WriteError::Unknown));
            }
        }
    }
}

/// Whether the batch committed; `None` while that is not decided.
async fn has_committed(database: &Database, trace: &Trace) -> Result<Option<bool>, Error> {
    let client = database.writing.get().await?;
    let statement = statement::FIND_TRANSACTION_STATUS.prepare(&client).await?;
    let row = client.query_one(&statement, &[/* xid */ &trace.xid]).await?;
    let status: Option<&str> = row.try_get("status")?;
    match (status, trace.event) {
        (Some("aborted"), _) => Ok(Some(false)),
        // Nothing hangs on a batch without events but a refusal's count of tries, and keys whose
        // answers had no effect.
        (Some("committed"), None) => Ok(Some(true)),
        (Some("committed"), Some(event)) => {
            // A statement of its own: it sees all that had committed when the first one ended.
            let statement = statement::FIND_EVENT.prepare(&client).await?;
            let rows =
                client.query(&statement, &[/* after */ &trace.after, /* id */ &event]).await?;
            Ok(Some(!rows.is_empty()))
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::config::{Config, Overrides, Secret};
    use crate::domain::{Actor, OrderId, StoreId, TenantId};
    use crate::store::tests::{connect, migrated};
    use crate::store::{LookedUp, Target};

    #[tokio::test]
    async fn a_lost_commit_is_told_by_its_event_and_not_by_a_number_given_out_again() {
        let (client, url) = migrated("resolving").await;
        let mut config = Config::load(None, &Overrides::default()).unwrap();
        config.database.url = Secret(url);
        let (database, _listening) = Database::new(&config.database).unwrap();

        let event = Uuid::from_u128(7);
        let append = format!(
            "insert into events (position, id, tenant_id, type, actor_role, actor_id, \
             occurred_at, recorded_at, data) values (1, '{event}', '{event}', 'x', 'ops', 'x', \
             now(), now(), '{{}}') returning pg_current_xact_id()::text"
        );
        let xid: String = client.query_one(&append, &[]).await.unwrap().try_get(0).unwrap();
        let ours = Trace { xid, after: 0, event: Some(event) };
        assert_eq!(has_committed(&database, &ours).await.unwrap(), Some(true));
        // A crash forgot our transaction, and another one got its number.
        let lost = Trace { event: Some(Uuid::from_u128(8)), ..ours.clone() };
        assert_eq!(has_committed(&database, &lost).await.unwrap(), Some(false));
        // The same, and nobody got it yet.
        let lost = Trace { xid: "1000000".to_owned(), ..ours.clone() };
        assert_eq!(has_committed(&database, &lost).await.unwrap(), Some(false));

        client.batch_execute("begin").await.unwrap();
        let open = "select pg_current_xact_id()::text";
        let xid: String = client.query_one(open, &[]).await.unwrap().try_get(0).unwrap();
        let open = Trace { xid, after: 1, event: None };
        assert_eq!(has_committed(&database, &open).await.unwrap(), None);
        client.batch_execute("rollback").await.unwrap();
        assert_eq!(has_committed(&database, &open).await.unwrap(), Some(false));
    }
    #[tokio::test]
    async fn stores_of_a_batch_are_locked_in_one_order_whatever_for() {
        let (client, url) = migrated("locking").await;
        let mut config = Config::load(None, &Overrides::default()).unwrap();
        config.database.url = Secret(url.clone());
        let (database, _listening) = Database::new(&config.database).unwrap();
        let tenant = TenantId::new();
        let mut stores = [StoreId::new(), StoreId::new()];
        stores.sort_by_key(|store| store.uuid());
        let name = "insert into tenants (id, name) values ($1, 'locking')";
        client.execute(name, &[&tenant.uuid()]).await.unwrap();
        for store in stores {
            let insert = "insert into stores (id, tenant_id, external_id, name, lat, lng, tz)
                          values ($1, $2, gen_random_uuid()::text, 'x', 0, 0, 'UTC')";
            client.execute(insert, &[&store.uuid(), &tenant.uuid()]).await.unwrap();
        }
        let [lower, higher] = stores;
        client.batch_execute("begin").await.unwrap();
        let hold = "select from stores where id = $1 for no key update";
        client.execute(hold, &[&lower.uuid()]).await.unwrap();

        let looked_up = LookedUp { unseen_at: Some(higher), ..LookedUp::default() };
        let silent = Target::Elapse { order: OrderId::new(), looked_up };
        let pause = Target::Pause { store: lower, until: None };
        let changes = [silent, pause].map(|target| Change {
            tenant,
            by: Actor::system(),
            target,
            idempotency: None,
            if_match: None,
            occurred_at: None,
            place: None,
        });
        let (batch, other) = (database.writing.get().await.unwrap(), connect(&url).await);
        let batch = tokio::spawn(async move {
            let changes: Vec<&Change> = changes.iter().collect();
            run_batch(&batch, &changes).await.map(|done| done.outcomes.len())
        });
        let waits = "select count(*) from pg_locks where not granted";
        while other.query_one(waits, &[]).await.unwrap().try_get::<_, i64>(0).unwrap() == 0 {
            tokio::task::yield_now().await;
        }
        // It waits for the lower one, and has not got the higher one.
        let take = "select from stores where id = $1 for no key update nowait";
        other.execute(take, &[&higher.uuid()]).await.unwrap();
        client.batch_execute("commit").await.unwrap();
        assert_eq!(batch.await.unwrap().unwrap(), 2);
    }
}
