//! The newest point of each courier, and who may see it.
//!
//! The log says who has what; here is kept, for each courier, what was read of that and up to
//! which position of the log it holds. The feed says when it does not hold any more, before it
//! publishes what changed it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;
use tokio::time::Instant;

use super::allowance::Allowance;
use crate::config;
use crate::domain::{DriverId, Location, OrderId, StoreId, TenantId};
use crate::store::{Errands, Heard};

/// Numbers of a courier's points that are remembered, to tell repetitions: two messages.
const RECENT: usize = 40;
/// Parts of the couriers that are written and told one after the other, when they are many.
pub(super) const SLICES: usize = 32;
/// Of so many something may have changed for all of them to be written and told at once.
const AT_ONCE: usize = 256;

/// A courier, a point and whose courier it is.
pub(super) type Point = (TenantId, DriverId, Location);

/// What a courier has to do, and up to which position of the log.
#[derive(Debug, Clone)]
struct Known {
    as_of: u64,
    errands: Arc<Errands>,
}

#[derive(Debug)]
struct Courier {
    tenant: TenantId,
    newest: Option<(Location, Timestamp)>,
    /// One that could not be reached from the newest: if the next agrees with it, it was right.
    doubted: Option<Location>,
    recent: VecDeque<i64>,
    allowance: Allowance,
    /// Whether its newest point came to this process: then others hear of it from here.
    is_ours: bool,
    is_written: bool,
    known: Option<Known>,
    heard: Instant,
}

/// What became of a message of points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Taken {
    /// The highest number among the points that are known by now.
    pub highest: Option<i64>,
    /// Points that make no sense, or were told before.
    pub refused: usize,
    /// Points that were more than may be told, and are as if they had not been.
    pub dropped: usize,
}

/// What is to be written and told.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Points that are not written yet.
    pub(super) points: Vec<Point>,
    /// Couriers of whom is not known what they have to do.
    pub(super) unsure: Vec<(TenantId, DriverId)>,
    /// All of whom something changed.
    pub(super) drivers: Vec<DriverId>,
}

/// A courier as it is told to other processes.
#[derive(Debug, Clone)]
pub(super) struct Telling {
    pub(super) tenant: TenantId,
    pub(super) driver: DriverId,
    pub(super) location: Location,
    pub(super) heard_at: Timestamp,
    pub(super) as_of: u64,
    pub(super) errands: Arc<Errands>,
}

/// A courier as it may be published.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) tenant: TenantId,
    pub(super) location: Location,
    pub(super) heard_at: Timestamp,
    /// What it has to do, if that is known.
    pub(super) errands: Option<Arc<Errands>>,
    /// Whether that will be known once the feed has come so far.
    pub(super) is_ahead: bool,
    /// Up to which position it is known.
    pub(super) as_of: u64,
    /// Its number among all looks at a courier.
    pub(super) number: u64,
}

#[derive(Debug, Default)]
pub(super) struct Memory {
    couriers: HashMap<DriverId, Courier>,
    /// Who has an order, and who have orders of a store; checked when it is asked.
    holders: HashMap<OrderId, DriverId>,
    carriers: HashMap<StoreId, HashSet<DriverId>>,
    /// The newest position at which something changed for a courier, for those above `floor`.
    touched: HashMap<DriverId, u64>,
    /// Of what changed up to here nothing is known any more.
    floor: u64,
    /// How far the feed has published, or is about to.
    cursor: u64,
    /// By slice, those of whom something has changed.
    changed: [HashSet<DriverId>; SLICES],
    /// Whether these are many, as it was when the first slice had its turn.
    is_busy: bool,
    trailed: HashSet<TenantId>,
    trail: Vec<Point>,
    /// How often a courier was looked at to be published.
    seen: u64,
}

impl Memory {
    /// Takes a courier's points. `None` when no more couriers can be kept.
    pub(super) fn take(
        &mut self,
        settings: &config::Locations,
        (tenant, driver): (TenantId, DriverId),
        mut points: Vec<Location>,
        now: (Timestamp, Instant),
    ) -> Option<Taken> {
        let (now, instant) = now;
        if !self.couriers.contains_key(&driver) && self.couriers.len() >= settings.couriers_max {
            return None;
        }
        let courier = self.couriers.entry(driver).or_insert_with(|| Courier {
            tenant,
            newest: None,
            doubted: None,
            recent: VecDeque::new(),
            allowance: Allowance::full(settings, instant),
            is_ours: false,
            is_written: true,
            known: None,
            heard: instant,
        });
        courier.heard = instant;
        // The newest count first when not all of them may be taken.
        points.sort_by_key(|point| std::cmp::Reverse((point.at, point.n)));
        let count = courier.allowance.take(settings, instant, points.len());
        let mut taken = Taken { dropped: points.len() - count, ..Taken::default() };
        points.truncate(count);
        let trails = self.trailed.contains(&tenant);
        // From here in the order in which it was there.
        for point in points.into_iter().rev().map(Location::on_grid) {
            if !point.makes_sense(now) {
                taken.refused += 1;
                continue;
            }
            if courier.recent.contains(&point.n) {
                taken.refused += 1;
            } else if courier.accept(point, now, f64::from(settings.speed_max)) {
                if courier.newest.is_some_and(|(newest, _)| newest == point) {
                    note_changed(&mut self.changed, driver);
                }
                if trails && self.trail.len() < settings.trail_len {
                    self.trail.push((tenant, driver, point));
                }
            } else {
                taken.refused += 1;
                continue;
            }
            taken.highest = taken.highest.max(Some(point.n));
        }
        Some(taken)
    }

    /// Takes what another process tells of a courier.
    pub(super) fn hear(&mut self, settings: &config::Locations, told: Telling, now: Instant) {
        let Telling { tenant, driver, location, heard_at, as_of, errands } = told;
        if !self.couriers.contains_key(&driver) && self.couriers.len() >= settings.couriers_max {
            return;
        }
        let courier = self.couriers.entry(driver).or_insert_with(|| Courier {
            tenant,
            newest: None,
            doubted: None,
            recent: VecDeque::new(),
            allowance: Allowance::full(settings, now),
            is_ours: false,
            is_written: true,
            known: None,
            heard: now,
        });
        courier.heard = now;
        if courier.newest.is_none_or(|(newest, _)| location.is_after(&newest)) {
            courier.newest = Some((location, heard_at));
            courier.doubted = None;
            courier.is_ours = false;
            courier.is_written = true;
        }
        if courier.known.as_ref().is_none_or(|known| known.as_of <= as_of) {
            index(&mut self.holders, &mut self.carriers, driver, &errands);
            courier.known = Some(Known { as_of, errands });
        }
    }

    /// What is known of a courier up to some position holds no longer.
    pub(super) fn touch(&mut self, settings: &config::Locations, driver: DriverId, position: u64) {
        self.touched.insert(driver, position);
        if self.couriers.get(&driver).is_some_and(|courier| courier.is_ours) {
            note_changed(&mut self.changed, driver);
        }
        if self.touched.len() > settings.couriers_max {
            // The older half: of those it must be read anew what they do.
            let mut positions: Vec<u64> = self.touched.values().copied().collect();
            let (_, middle, _) = positions.select_nth_unstable(settings.couriers_max / 2);
            self.floor = *middle;
            self.touched.retain(|_, position| *position > self.floor);
        }
    }

    /// The feed is about to publish everything up to `position`; with `anew` it has jumped there.
    pub(super) fn advance(&mut self, position: u64, anew: bool) {
        if anew {
            self.touched.clear();
            self.floor = position;
            for courier in self.couriers.values_mut() {
                courier.known = None;
            }
            for (driver, _) in self.couriers.iter().filter(|(_, courier)| courier.is_ours) {
                note_changed(&mut self.changed, *driver);
            }
        }
        self.cursor = position;
    }

    fn holds(&self, driver: DriverId, as_of: u64) -> bool {
        as_of >= self.floor && self.touched.get(&driver).is_none_or(|touched| *touched <= as_of)
    }

    /// What is to be written and told since the last time: of all couriers when the first slice
    /// has its turn, but of many only those of the slice, so that no orders wait behind all.
    pub(super) fn changes(&mut self, slice: usize) -> Changes {
        let mut changes = Changes::default();
        let slice = slice % SLICES;
        if slice == 0 {
            self.is_busy = self.changed.iter().map(HashSet::len).sum::<usize>() > AT_ONCE;
        }
        let mut drivers: Vec<DriverId> = Vec::new();
        for (nth, changed) in self.changed.iter_mut().enumerate() {
            let has_turn = if self.is_busy { nth == slice } else { slice == 0 };
            if has_turn {
                drivers.extend(changed.drain());
            }
        }
        changes.drivers.reserve(drivers.len());
        for driver in drivers {
            let Some(courier) = self.couriers.get(&driver) else { continue };
            let Some((location, _)) = courier.newest.filter(|_| courier.is_ours) else { continue };
            if !courier.is_written {
                changes.points.push((courier.tenant, driver, location));
            }
            let known = courier.known.as_ref().map(|known| known.as_of);
            if known.is_none_or(|as_of| !self.holds(driver, as_of)) {
                changes.unsure.push((courier.tenant, driver));
            }
            changes.drivers.push(driver);
        }
        changes
    }

    /// What could not be written or told is to be so next time.
    pub(super) fn give_back(&mut self, changes: &Changes) {
        for driver in &changes.drivers {
            note_changed(&mut self.changed, *driver);
        }
    }

    /// These were written.
    pub(super) fn note_written(&mut self, points: &[Point]) {
        for (_, driver, location) in points {
            if let Some(courier) = self.couriers.get_mut(driver)
                && courier.newest.is_some_and(|(newest, _)| newest == *location)
            {
                courier.is_written = true;
            }
        }
    }

    /// What those have to do who were asked for, up to a position; who is not there is forgotten.
    pub(super) fn note_errands(
        &mut self,
        asked: &[(TenantId, DriverId)],
        as_of: u64,
        mut found: HashMap<DriverId, Errands>,
    ) {
        for (_, driver) in asked {
            match (self.couriers.get_mut(driver), found.remove(driver)) {
                (Some(courier), Some(errands)) => {
                    index(&mut self.holders, &mut self.carriers, *driver, &errands);
                    courier.known = Some(Known { as_of, errands: Arc::new(errands) });
                }
                (Some(_), None) => drop(self.couriers.remove(driver)),
                (None, _) => {}
            }
        }
    }

    /// These couriers as others are told of them; not those of whom something has changed again.
    pub(super) fn tellings(&mut self, drivers: &[DriverId]) -> Vec<Telling> {
        let mut tellings = Vec::with_capacity(drivers.len());
        for driver in drivers {
            let floor = self.floor.max(self.touched.get(driver).copied().unwrap_or_default());
            let cursor = self.cursor;
            let Some(courier) = self.couriers.get_mut(driver).filter(|it| it.is_ours) else {
                continue;
            };
            let Some((location, heard_at)) = courier.newest else { continue };
            let Some(known) = courier.known.as_mut().filter(|known| known.as_of >= floor) else {
                continue;
            };
            // Nothing has changed it up to here.
            known.as_of = known.as_of.max(cursor);
            let (as_of, errands) = (known.as_of, Arc::clone(&known.errands));
            let (tenant, driver) = (courier.tenant, *driver);
            tellings.push(Telling { tenant, driver, location, heard_at, as_of, errands });
        }
        tellings
    }

    /// A courier as it may be published now.
    pub(super) fn see(&mut self, driver: DriverId) -> Option<Seen> {
        self.seen += 1;
        let courier = self.couriers.get(&driver)?;
        let (location, heard_at) = courier.newest?;
        let known = courier.known.as_ref().filter(|known| self.holds(driver, known.as_of));
        let is_ahead = known.is_some_and(|known| known.as_of > self.cursor);
        let errands = known.filter(|_| !is_ahead).map(|known| Arc::clone(&known.errands));
        let (tenant, as_of, number) = (courier.tenant, self.cursor, self.seen);
        Some(Seen { tenant, location, heard_at, errands, is_ahead, as_of, number })
    }

    /// Where those couriers are of whom the database knows, and these besides; what it knows
    /// better is remembered. Also the number of the last look: whatever was published by a later
    /// one is no older.
    pub(super) fn know(
        &mut self,
        tenant: TenantId,
        read: Vec<Heard>,
        besides: &[DriverId],
    ) -> (u64, Vec<Heard>) {
        let mut drivers: Vec<DriverId> = read.iter().map(|heard| heard.driver).collect();
        drivers.extend(besides);
        drivers.sort_unstable();
        drivers.dedup();
        let mut known: HashMap<DriverId, Heard> =
            read.into_iter().map(|heard| (heard.driver, heard)).collect();
        for driver in drivers {
            let courier = self.couriers.get_mut(&driver).filter(|it| it.tenant == tenant);
            let Some(courier) = courier else { continue };
            let read = known.get(&driver).copied();
            let is_after = |read: &Heard| {
                courier.newest.is_none_or(|(newest, _)| read.location.is_after(&newest))
            };
            if let Some(read) = read.filter(is_after) {
                courier.newest = Some((read.location, read.heard_at));
                courier.doubted = None;
                courier.is_ours = false;
                courier.is_written = true;
            }
            if let Some((location, heard_at)) = courier.newest {
                known.insert(driver, Heard { driver, location, heard_at });
            }
        }
        (self.seen, known.into_values().collect())
    }

    /// Whose ways are to be kept.
    pub(super) fn trail(&mut self, tenants: HashSet<TenantId>) {
        self.trailed = tenants;
    }

    /// What is to be appended to them.
    pub(super) fn take_trail(&mut self) -> Vec<Point> {
        std::mem::take(&mut self.trail)
    }

    /// Forgets who was not heard of since `oldest`.
    pub(super) fn forget(&mut self, oldest: Instant) {
        self.couriers.retain(|_, courier| courier.heard >= oldest);
        let couriers = &self.couriers;
        let open = |driver: &DriverId| {
            let known = couriers.get(driver).and_then(|courier| courier.known.as_ref());
            known.into_iter().flat_map(|known| &known.errands.open)
        };
        self.holders.retain(|order, driver| open(driver).any(|it| it.errand.order == *order));
        self.carriers.retain(|store, drivers| {
            drivers.retain(|driver| open(driver).any(|it| it.errand.store == *store));
            !drivers.is_empty()
        });
    }

    /// Who has this order, as far as is known.
    pub(super) fn holder(&self, order: OrderId) -> Option<DriverId> {
        self.holders.get(&order).copied()
    }

    /// Who have orders of this store, as far as is known; and who had some a while ago.
    pub(super) fn carriers(&self, store: StoreId) -> Vec<DriverId> {
        self.carriers.get(&store).into_iter().flatten().copied().collect()
    }

    /// At most `limit` couriers of a tenant.
    pub(super) fn fleet(&self, tenant: TenantId, limit: usize) -> Vec<DriverId> {
        let its = self.couriers.iter().filter(|(_, courier)| courier.tenant == tenant);
        its.map(|(driver, _)| *driver).take(limit).collect()
    }
}

/// Notes whose errands these are.
fn index(
    holders: &mut HashMap<OrderId, DriverId>,
    carriers: &mut HashMap<StoreId, HashSet<DriverId>>,
    driver: DriverId,
    errands: &Errands,
) {
    for open in &errands.open {
        holders.insert(open.errand.order, driver);
        carriers.entry(open.errand.store).or_default().insert(driver);
    }
}

/// Puts a courier into its slice: by the last bits of its identifier, which are random.
fn note_changed(changed: &mut [HashSet<DriverId>; SLICES], driver: DriverId) {
    let slice = driver.uuid().as_bytes().last().map_or(0, |byte| usize::from(*byte)) % SLICES;
    if let Some(changed) = changed.get_mut(slice) {
        changed.insert(driver);
    }
}

impl Courier {
    /// Takes a point that makes sense and is new; false if nobody can have got there. One that is
    /// older than the newest is fine, and changes nothing.
    fn accept(&mut self, point: Location, now: Timestamp, speed_max: f64) -> bool {
        if let Some((newest, _)) = &self.newest
            && point.is_after(newest)
            && !point.follows(newest, speed_max)
        {
            let before = self.doubted.replace(point);
            let agrees =
                |other: &Location| point.is_after(other) && point.follows(other, speed_max);
            if !before.is_some_and(|doubted| agrees(&doubted)) {
                return false;
            }
        }
        if self.recent.len() >= RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(point.n);
        if self.newest.is_none_or(|(newest, _)| point.is_after(&newest)) {
            self.newest = Some((point, now));
            self.doubted = None;
            self.is_ours = true;
            self.is_written = false;
        }
        true
    }
}
