//! Publishes where couriers are, to those who may see it, at their pace.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use super::memory::Seen;
use super::sighting::Sighting;
use super::{Locations, packet};
use crate::domain::DriverId;
use crate::hub::{Hubs, Message, Passing, Publication, Topic};

/// What is handed to the workers at once: less than a millisecond of theirs, so that events in
/// between do not wait for long.
const AT_ONCE: usize = 256;
/// How long what was published is remembered beyond its pace.
const KEEP: Duration = Duration::from_mins(1);

/// What was published last on a channel.
#[derive(Debug)]
struct Told {
    at: Instant,
    /// The point: whose, when, and its number.
    point: (DriverId, Timestamp, i64),
    for_customer: bool,
}

/// Publishes, for the life of the process.
#[derive(Debug)]
pub struct Publisher {
    locations: Arc<Locations>,
    hubs: Hubs<Publication>,
    process: Uuid,
    /// What was told last, of which courier where channels show several.
    told: HashMap<(Topic, Option<DriverId>), Told>,
    /// Who is to be looked at again, and when.
    due: BTreeSet<(Instant, DriverId)>,
    /// Who is to be looked at when the feed has come further.
    ahead: HashSet<DriverId>,
    swept: Instant,
}

impl Publisher {
    /// One that has published nothing yet.
    pub fn new(locations: Arc<Locations>, hubs: Hubs<Publication>, process: Uuid) -> Self {
        let (told, due, ahead) = (HashMap::new(), BTreeSet::new(), HashSet::new());
        Self { locations, hubs, process, told, due, ahead, swept: Instant::now() }
    }

    /// Runs for the life of the process: `flushed` are its own couriers, `heard` is what others
    /// tell.
    pub async fn run(
        mut self,
        mut flushed: mpsc::Receiver<Vec<DriverId>>,
        mut heard: mpsc::Receiver<String>,
    ) {
        loop {
            let next = self.due.first().map(|(at, _)| *at);
            let idle = Instant::now() + KEEP;
            let drivers: Vec<DriverId> = tokio::select! {
                Some(drivers) = flushed.recv() => drivers,
                Some(text) = heard.recv() => self.hear(&text),
                () = self.locations.advanced.notified(), if !self.ahead.is_empty() => {
                    self.ahead.drain().collect()
                }
                () = sleep_until(next.unwrap_or(idle)) => self.take_due(),
            };
            self.show(drivers).await;
            self.sweep();
        }
    }

    fn hear(&self, text: &str) -> Vec<DriverId> {
        let tellings = packet::unpack(self.process, text);
        let drivers = tellings.iter().map(|telling| telling.driver).collect();
        let now = Instant::now();
        let mut memory = self.locations.memory();
        for telling in tellings {
            memory.hear(self.locations.settings(), telling, now);
        }
        drivers
    }

    fn take_due(&mut self) -> Vec<DriverId> {
        let now = Instant::now();
        let mut drivers = Vec::new();
        while let Some((at, driver)) = self.due.first().copied().filter(|(at, _)| *at <= now) {
            self.due.remove(&(at, driver));
            drivers.push(driver);
        }
        drivers
    }

    async fn show(&mut self, drivers: Vec<DriverId>) {
        for drivers in drivers.chunks(AT_ONCE) {
            let now = Instant::now();
            let sightings: Vec<Arc<dyn Passing<Publication>>> = drivers
                .iter()
                .filter_map(|driver| self.sighting(*driver, now))
                .map(|sighting| Arc::new(sighting) as _)
                .collect();
            if !sightings.is_empty() {
                self.hubs.send(&Message::Pass(sightings.into())).await;
            }
        }
    }

    /// What is to be published of a courier now; what is too soon is looked at again in time.
    fn sighting(&mut self, driver: DriverId, now: Instant) -> Option<Sighting> {
        let seen = self.locations.memory().see(driver)?;
        if seen.is_ahead {
            self.ahead.insert(driver);
        }
        let mut shown = Vec::new();
        let mut again: Option<Instant> = None;
        let mut channels = seen.channels();
        // Asked after the look: who comes from now on reads what was seen.
        self.hubs.audible().retain(&mut channels);
        for (topic, for_customer) in channels {
            match self.pace(driver, topic, for_customer, &seen, now) {
                Pace::Now => shown.push((topic, for_customer)),
                Pace::At(at) => again = Some(again.map_or(at, |again| again.min(at))),
                Pace::Never => {}
            }
        }
        if let Some(at) = again {
            self.due.insert((at, driver));
        }
        if shown.is_empty() {
            return None;
        }
        Some(Sighting::new(driver, &seen, shown))
    }

    /// When a courier's point may be published on a channel; noted if that is now.
    fn pace(
        &mut self,
        driver: DriverId,
        topic: Topic,
        for_customer: bool,
        seen: &Seen,
        now: Instant,
    ) -> Pace {
        let settings = self.locations.settings();
        let (pace, whose) = match topic {
            Topic::Order(_) => (settings.customer_pace_ms, None),
            Topic::Store(_) | Topic::Driver(_) | Topic::Dispatch(_) | Topic::Tenant(_) => {
                (settings.board_pace_ms, Some(driver))
            }
        };
        let point = (driver, seen.location.at, seen.location.n);
        if let Some(told) = self.told.get(&(topic, whose)) {
            // The same point, unless there is one now who has not seen it.
            if told.point == point && (told.for_customer || !for_customer) {
                return Pace::Never;
            }
            let next = told.at + pace.get();
            if next > now {
                return Pace::At(next);
            }
        }
        self.told.insert((topic, whose), Told { at: now, point, for_customer });
        Pace::Now
    }

    /// Forgets what was published long ago.
    fn sweep(&mut self) {
        let now = Instant::now();
        if now < self.swept + KEEP {
            return;
        }
        self.swept = now;
        let settings = self.locations.settings();
        let keep = KEEP + settings.customer_pace_ms.get().max(settings.board_pace_ms.get());
        self.told.retain(|_, told| told.at + keep > now);
    }
}

enum Pace {
    Now,
    At(Instant),
    Never,
}
