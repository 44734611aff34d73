//! Does what is due by itself: claims due timers and has the writer judge what they are of.
//!
//! One task in each process, and no process need know of another: a timer is claimed by one of
//! them for the length of a lease, and if that one dies the lease runs out. Doing a thing twice,
//! late or early is safe, because the order machine looks what is due at that moment by the
//! database's clock. The task sleeps until the next timer that it knows; an earlier one that its
//! own process sets wakes it, and for those of others it looks at an interval.
//!
//! A round takes a bounded number, and the next begins when all of it is written: so a burst
//! waits here, in rows, and callers find the writer's queue almost empty.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::auth;
use crate::config;
use crate::domain::{Actor, DriverId, Location, OrderId, StoreId, TenantId};
use crate::hub::{self, Topic};
use crate::locations::Locations;
use crate::presence::Attendance;
use crate::store::{
    Change, Database, Error, Look, LookedUp, Outcome, RoboCouriers, Subject, Target, WriteError,
    Writer,
};
use crate::telemetry::metrics;

/// Pause after a look that failed, and before asking again for what could not be written.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// Who is there, at this process and at others, and who is where.
#[derive(Debug, Clone)]
pub struct Watch {
    /// At this one.
    pub presence: Arc<hub::Presence<Topic>>,
    /// At others.
    pub attendance: Arc<Attendance>,
    /// Couriers on the map.
    pub locations: Arc<Locations>,
}

impl Watch {
    /// Whether anybody listens to a store's orders.
    async fn is_attended(&self, store: StoreId) -> Result<bool, Error> {
        let topic = Topic::Store(store);
        let here = !self.presence.list(&topic).is_empty();
        Ok(here || !self.attendance.elsewhere(&[topic], 1).await?.is_empty())
    }

    /// Moves the couriers of robo mode. They jump: what no rider could have reached is believed
    /// once a second point agrees.
    fn see(&self, places: Vec<(TenantId, DriverId, Location)>) {
        for (tenant, driver, there) in places {
            let soon = there.at + Duration::from_millis(1);
            let again = Location { n: there.n + 1, at: soon, ..there };
            if self.locations.take(tenant, driver, vec![again, there], auth::now()).is_none() {
                tracing::debug!(%driver, "there is no room for where a courier is");
            }
        }
    }
}

/// Does what is due until `stop` is set or dropped; what has been claimed by then is still done.
pub async fn run(
    database: Database,
    writer: Writer,
    settings: config::Timers,
    people: Watch,
    mut stop: watch::Receiver<bool>,
) {
    let mut is_failing = false;
    while !*stop.borrow() && stop.has_changed().is_ok() {
        let alarm = database.alarm();
        alarm.reset();
        let looked = Instant::now();
        let limit = settings.batch_max;
        let look = database.claim_timers(limit, settings.lease_ms.get()).await;
        let next_in = match look {
            Ok(Look { claimed, next_in }) => {
                is_failing = false;
                if !claimed.is_empty() {
                    tracing::debug!(count = claimed.len(), "timers are due");
                }
                let changes = look_up(&database, &people, claimed).await;
                fire(&writer, changes, looked + settings.lease_ms.get(), &stop).await;
                next_in.unwrap_or(Duration::MAX)
            }
            Err(error) => {
                // Once an outage.
                if !std::mem::replace(&mut is_failing, true) {
                    tracing::warn!(%error, "what is due could not be read");
                }
                RETRY_PAUSE
            }
        };
        let earliest = looked + settings.gap_ms.get();
        let next = looked + next_in.min(settings.poll_interval_ms.get());
        let sleeping = async {
            alarm.sleep_until(next).await;
            // However many are due one by one: they are done together.
            tokio::time::sleep_until(earliest).await;
        };
        tokio::select! {
            () = sleeping => {}
            // Whether it is set or nobody can set it any more.
            _changed = stop.changed() => {}
        }
    }
}

/// Looks up what doing it needs beside the thing itself: who could be asked to bring an order, or
/// brings it in robo mode, who at a store can see it. What cannot be looked up waits: whatever else
/// is due of it is done.
async fn look_up(
    database: &Database,
    people: &Watch,
    claimed: Vec<(Subject, TenantId)>,
) -> Vec<(Subject, Change)> {
    metrics().fired(claimed.len());
    let orders: Vec<OrderId> =
        claimed.iter().map(|(Subject::Order(order), _tenant)| *order).collect();
    let (candidates, unseen, robos) = futures::join!(
        database.find_candidates(&orders),
        database.find_unseen_orders(&orders),
        database.find_robo_couriers(&orders),
    );
    let said = |error: &Error| tracing::warn!(%error, "what is due could not be looked up");
    let mut candidates = candidates.inspect_err(said).unwrap_or_default();
    let unseen = unseen.inspect_err(said).unwrap_or_default();
    let RoboCouriers { couriers: mut robos, places } = robos.inspect_err(said).unwrap_or_default();
    people.see(places);
    let mut changes = Vec::with_capacity(claimed.len());
    // Many orders may wait at one store.
    let mut attended: HashMap<StoreId, bool> = HashMap::new();
    for (Subject::Order(order), tenant) in claimed {
        let mut looked_up = LookedUp {
            candidates: candidates.remove(&order),
            robo: robos.remove(&order),
            ..LookedUp::default()
        };
        if let Some((_order, store)) = unseen.iter().find(|(waits, _store)| *waits == order) {
            if !attended.contains_key(store) {
                match people.is_attended(*store).await {
                    Ok(is_attended) => drop(attended.insert(*store, is_attended)),
                    Err(error) => said(&error),
                }
            }
            looked_up.unseen_at = (attended.get(store) == Some(&false)).then_some(*store);
        }
        let change = Change {
            tenant,
            by: Actor::system(),
            target: Target::Elapse { order, looked_up },
            idempotency: None,
            if_match: None,
            occurred_at: None,
            place: None,
        };
        changes.push((Subject::Order(order), change));
    }
    changes
}

/// Does what is due of each; what cannot be written is asked again, until the claim is over or
/// the process stops.
async fn fire(
    writer: &Writer,
    mut changes: Vec<(Subject, Change)>,
    until: Instant,
    stop: &watch::Receiver<bool>,
) {
    loop {
        let submitted = changes.iter().map(|(_subject, change)| writer.submit(change.clone()));
        let outcomes = join_all(submitted).await;
        let mut outcomes = outcomes.into_iter();
        changes.retain(|(subject, _change)| {
            outcomes.next().is_some_and(|outcome| is_to_be_repeated(*subject, outcome))
        });
        if changes.is_empty() {
            return;
        }
        // Why, the writer has said.
        tracing::debug!(count = changes.len(), "what is due could not be written");
        if Instant::now() + RETRY_PAUSE >= until || *stop.borrow() {
            return;
        }
        sleep(RETRY_PAUSE).await;
    }
}

fn is_to_be_repeated(subject: Subject, outcome: Result<Outcome, WriteError>) -> bool {
    match outcome {
        Ok(Outcome::Refused(refusal, _sheet)) => {
            tracing::warn!(?subject, ?refusal, "a timer of something that is not there has ended");
            false
        }
        Ok(_) => false,
        // Also when it may have been written: doing it twice is safe.
        Err(WriteError::Overloaded | WriteError::Failed | WriteError::Unknown) => true,
    }
}
