//! Writes what couriers have told, and tells the other processes.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};
use uuid::Uuid;

use super::memory::{Changes, SLICES, Telling};
use super::{Locations, packet};
use crate::domain::{DriverId, OrderId, TenantId, is_near};
use crate::store::{Database, Error};

/// Couriers that are written by one statement.
const ROWS_AT_ONCE: usize = 4_096;
/// Notifications sent by one statement.
const PACKETS_AT_ONCE: usize = 64;

/// Writes and tells, for the life of the process.
#[derive(Debug)]
pub struct Flusher {
    locations: Arc<Locations>,
    database: Database,
    process: Uuid,
    /// To this process's own publisher.
    flushed: mpsc::Sender<Vec<DriverId>>,
    /// Orders whose courier seems to be about to arrive.
    arriving: mpsc::Sender<(TenantId, OrderId)>,
}

impl Flusher {
    /// One that has written nothing yet. `process` names this one among those of the database.
    pub fn new(
        locations: Arc<Locations>,
        database: Database,
        process: Uuid,
        flushed: mpsc::Sender<Vec<DriverId>>,
        arriving: mpsc::Sender<(TenantId, OrderId)>,
    ) -> Self {
        Self { locations, database, process, flushed, arriving }
    }

    /// Runs for the life of the process.
    pub async fn run(self) {
        let settings = self.locations.settings().clone();
        // Every courier has its turn once in that time. All at once would keep cores and the
        // database busy for longer than an order's change takes.
        let turns = u32::try_from(SLICES).unwrap_or(1);
        let mut tick = interval((settings.flush_ms.get() / turns).max(Duration::from_millis(1)));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut looked: Option<Instant> = None;
        for slice in (0..SLICES).cycle() {
            tick.tick().await;
            let now = Instant::now();
            if looked.is_none_or(|at| now >= at + settings.trail_look_ms.get()) {
                looked = Some(now);
                self.look().await;
                if let Some(oldest) = now.checked_sub(settings.keep_s.get()) {
                    self.locations.memory().forget(oldest);
                }
            }
            if slice == 0 {
                self.append_trail().await;
            }
            let changes = self.locations.memory().changes(slice);
            if changes.drivers.is_empty() {
                continue;
            }
            if let Err(error) = self.flush(&changes).await {
                let cause = std::error::Error::source(&error);
                tracing::warn!(%error, ?cause, "where couriers are could not be written");
                self.locations.memory().give_back(&changes);
            }
        }
    }

    /// Looks whose ways are to be kept, and makes room for them.
    async fn look(&self) {
        let looked = async {
            let tenants = self.database.list_trailed_tenants().await?;
            if !tenants.is_empty() {
                self.database.keep_trails().await?;
            }
            self.locations.memory().trail(tenants);
            Ok::<(), Error>(())
        };
        if let Err(error) = looked.await {
            let cause = std::error::Error::source(&error);
            tracing::warn!(%error, ?cause, "couriers' ways could not be looked after");
        }
    }

    async fn append_trail(&self) {
        let points = self.locations.memory().take_trail();
        if !points.is_empty()
            && let Err(error) = self.database.append_trail(&points).await
        {
            let cause = std::error::Error::source(&error);
            tracing::warn!(%error, ?cause, lost = points.len(), "couriers' ways have a gap");
        }
    }

    async fn flush(&self, changes: &Changes) -> Result<(), Error> {
        for some in changes.unsure.chunks(ROWS_AT_ONCE) {
            let (as_of, found) = self.database.list_errands(some).await?;
            self.locations.memory().note_errands(some, as_of, found);
        }
        for some in changes.points.chunks(ROWS_AT_ONCE) {
            self.database.note_locations(some).await?;
            self.locations.memory().note_written(some);
        }
        let tellings = self.locations.memory().tellings(&changes.drivers);
        let fresh: HashSet<DriverId> =
            changes.points.iter().map(|(_, driver, _)| *driver).collect();
        for telling in tellings.iter().filter(|telling| fresh.contains(&telling.driver)) {
            self.look_for_arrivals(telling);
        }
        for packets in packet::pack(self.process, &tellings).chunks(PACKETS_AT_ONCE) {
            self.database.notify_locations(packets).await?;
        }
        // Only what is gone with the process is not told: see `App::stop`.
        self.flushed.send(changes.drivers.clone()).await.ok();
        Ok(())
    }

    /// Only now: the order machine sees what is written.
    fn look_for_arrivals(&self, telling: &Telling) {
        for open in &telling.errands.open {
            let near = |target| is_near(telling.location.place, target, &telling.errands.vehicle);
            if open.target.is_some_and(near) {
                // When there is no room the next point finds it again, or the next watch.
                self.arriving.try_send((telling.tenant, open.errand.order)).ok();
            }
        }
    }
}
