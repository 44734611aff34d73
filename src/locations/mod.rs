//! Where couriers are: from the message of a device to those who may see it.
//!
//! A point is taken into the memory of the process that it came to, and answered. Every
//! `flush_ms` the [`Flusher`] writes what is new, one row for each courier, to an unlogged table, and
//! tells it to the other processes, together with what decides who may see it; then the
//! [`Publisher`] of each process publishes it at its pace. The [`Announcer`] has arrivals told.
//!
//! Who may see a courier, the log decides: by the legs of its orders, and the stops before them.
//! What was read of that holds up to a position of the log; the feed tells here what changes
//! before it tells the hubs, and a listener who knows of something newer hears no point that was
//! judged without it. So no point reaches anybody after the event that ends the right to it.
//!
//! Absent on purpose: nothing here is in the log or in its transactions, waits for one, or makes
//! one wait; all of it may be lost, and the next point brings it back.

mod allowance;
mod announcer;
mod flusher;
mod memory;
mod packet;
mod publisher;
mod sighting;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;

pub use announcer::Announcer;
pub use flusher::Flusher;
pub use memory::Taken;
pub use publisher::Publisher;

use crate::config;
use crate::domain::{DriverId, Location, TenantId};
use crate::hub::{Passing, Publication, Topic};
use crate::store::Heard;
use memory::Memory;
use sighting::Sighting;

/// What a process knows of where couriers are; shared by all its threads.
#[derive(Debug)]
pub struct Locations {
    settings: config::Locations,
    memory: Mutex<Memory>,
    /// Rung when the feed has come further.
    advanced: Notify,
}

impl Locations {
    /// Nothing is known yet.
    pub fn new(settings: config::Locations) -> Arc<Self> {
        Arc::new(Self { settings, memory: Mutex::default(), advanced: Notify::new() })
    }

    /// The bounds of what is kept and told.
    pub const fn settings(&self) -> &config::Locations {
        &self.settings
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes points of a courier, by the process's clock `now`. `None` when no more couriers can
    /// be kept.
    pub fn take(
        &self,
        tenant: TenantId,
        driver: DriverId,
        points: Vec<Location>,
        now: Timestamp,
    ) -> Option<Taken> {
        let now = (now, Instant::now());
        self.memory().take(&self.settings, (tenant, driver), points, now)
    }

    /// Where couriers are: those of `read`, which the database said just now, and `besides`. Also
    /// a number: what passes with a higher one is no older than what is answered here.
    pub fn know(
        &self,
        tenant: TenantId,
        read: Vec<Heard>,
        besides: &[DriverId],
    ) -> (u64, Vec<Heard>) {
        self.memory().know(tenant, read, besides)
    }

    /// What somebody who comes back to a topic without its state would have heard last: where those
    /// couriers are who may be seen there now, as far as this process knows.
    pub fn recall(&self, topic: Topic) -> Vec<Arc<dyn Passing<Publication>>> {
        let mut memory = self.memory();
        let limit = usize::try_from(self.settings.board_max).unwrap_or(usize::MAX);
        let drivers = match topic {
            Topic::Order(order) => memory.holder(order).into_iter().collect(),
            Topic::Store(store) => memory.carriers(store),
            Topic::Dispatch(tenant) | Topic::Tenant(tenant) => memory.fleet(tenant, limit),
            // A courier knows where it is.
            Topic::Driver(_) => Vec::new(),
        };
        let mut recalled: Vec<Arc<dyn Passing<Publication>>> = Vec::new();
        for driver in drivers {
            let Some(seen) = memory.see(driver) else { continue };
            let channels = seen.channels();
            if let Some(shown) = channels.into_iter().find(|(its, _)| *its == topic) {
                recalled.push(Arc::new(Sighting::new(driver, &seen, vec![shown])));
            }
        }
        recalled
    }

    /// Events that are about to be published, in the order of the log.
    pub fn follow(&self, events: &[Arc<Publication>]) {
        let mut memory = self.memory();
        for publication in events {
            let event = publication.event();
            if is_about_errands(&event.kind) {
                for driver in event.driver.into_iter().chain(event.prior_driver) {
                    memory.touch(&self.settings, driver, event.position);
                }
            }
            memory.advance(event.position, false);
        }
        drop(memory);
        self.advanced.notify_one();
    }

    /// The feed goes on from a position without having told what was before.
    pub fn jump(&self, position: u64) {
        self.memory().advance(position, true);
        self.advanced.notify_one();
    }
}

/// Whether an event of this type may change who sees a courier, or what it is about to arrive at.
fn is_about_errands(kind: &str) -> bool {
    let other = kind.starts_with("offer.")
        || kind.starts_with("proof.")
        || matches!(
            kind,
            "driver.duty"
                | "order.accepted"
                | "order.preparing"
                | "order.prep_changed"
                | "order.ready"
                | "order.unready"
                | "order.late"
                | "order.noted"
        );
    !other
}
