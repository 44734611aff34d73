//! Judging: what the changes of one batch come to, decided in memory in batch order.
//!
//! The room holds all that the changes concern, as it was read under lock; each change is judged
//! on what those before it left there. What is to be written is gathered in `writes`.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use super::change::{Change, LookedUp, Outcome, Target};
use super::kept::Before;
use super::once::scope;
use super::record::OrderRecord;
use super::timers::Subject;
use super::writes::Writes;
use crate::domain::{
    Command, Courier, CredentialId, Draft, Driver, DriverId, Duty, Fact, Facts, Judgement, Offer,
    Order, OrderId, Place, Refusal, Status, Step, Store, StoreId, TenantId, TenantRules, place,
};
use crate::view::Sheet;

/// What the changes concern, as read under lock, and as it becomes while they are judged.
#[derive(Debug, Default)]
pub(super) struct Room {
    pub(super) now: Timestamp,
    pub(super) orders: HashMap<OrderId, Order>,
    pub(super) placed: HashMap<(TenantId, String), (Order, Vec<u8>)>,
    pub(super) stores: HashMap<StoreId, (Store, TenantRules)>,
    pub(super) drivers: HashMap<DriverId, (Driver, i64)>,
    /// Where couriers were last heard of, and when.
    pub(super) seen: HashMap<DriverId, (Place, Timestamp)>,
    /// Offers that are pending, and those that are answered, by order.
    pub(super) offers: HashMap<OrderId, Vec<Offer>>,
    /// How many stops come before an order in its courier's tour.
    pub(super) stops: HashMap<OrderId, i32>,
    /// Stores where orders wait unseen, of which that was not told lately.
    pub(super) silent: HashSet<StoreId>,
    /// Those among `stores` that were deleted: they are shown in their orders and nowhere else.
    pub(super) deleted_stores: HashSet<StoreId>,
    /// Those among `drivers` that were deleted.
    pub(super) deleted_drivers: HashSet<DriverId>,
    /// Stores to be deleted that have open orders.
    pub(super) busy_stores: HashSet<StoreId>,
    pub(super) revoked: HashSet<(TenantId, CredentialId)>,
    pub(super) keys: HashMap<(TenantId, String, String), Before>,
}

/// Role and identity: what an Idempotency-Key belongs to.
pub(super) fn key_scope(change: &Change) -> String {
    scope(&change.by)
}

impl Room {
    pub(super) fn sheet(&self, order: &Order) -> Option<Box<Sheet>> {
        let (store, _rules) = self.stores.get(&order.store)?;
        let driver = order.driver.and_then(|id| self.drivers.get(&id));
        Some(Box::new(Sheet {
            order: order.clone(),
            store: store.clone(),
            driver: driver.map(|(driver, _active)| driver.clone()),
        }))
    }

    pub(super) fn judge(&mut self, change: &Change, writes: &mut Writes) -> Outcome {
        if let Some(answered) = self.recall(change) {
            return answered;
        }
        let outcome = self.judge_target(change, writes);
        writes.keep(change, &outcome);
        outcome
    }

    fn judge_target(&mut self, change: &Change, writes: &mut Writes) -> Outcome {
        match &change.target {
            Target::Place { draft, request_hash } => {
                self.judge_place(change, draft, request_hash, writes)
            }
            Target::Order { id, command } => self.judge_order(change, *id, command, writes),
            Target::Elapse { order, looked_up } => {
                self.judge_elapse(change, *order, looked_up, writes)
            }
            Target::Route { driver, batch, orders } => {
                self.judge_route(change, *driver, *batch, orders, writes)
            }
            Target::Duty { driver, duty } => self.judge_duty(change, *driver, *duty, writes),
            Target::Pause { store, until } => self.judge_pause(change, *store, *until, writes),
            Target::Revoke { token, keep } => self.judge_revoke(change, *token, *keep, writes),
            Target::DeleteStore { store } => self.judge_delete_store(change, *store, writes),
            Target::DeleteDriver { driver } => self.judge_delete_driver(change, *driver, writes),
        }
    }

    fn judge_place(
        &mut self,
        change: &Change,
        draft: &Draft,
        request_hash: &[u8],
        writes: &mut Writes,
    ) -> Outcome {
        if let Some((order, hash)) = self.placed.get(&(change.tenant, draft.external_id.clone())) {
            let sheet = self.sheet(order);
            return match sheet {
                Some(sheet) if hash == request_hash => Outcome::Repeated(sheet),
                sheet => Outcome::Refused(Refusal::ExternalIdConflict, sheet),
            };
        }
        let found = self.stores.get(&draft.store).filter(|(store, _)| {
            store.tenant == change.tenant && !self.deleted_stores.contains(&store.id)
        });
        let Some((store, rules)) = found else {
            let detail = "no such store".to_owned();
            return Outcome::Refused(Refusal::Validation { field: "store", detail }, None);
        };
        let facts = self.facts(change, store, *rules);
        match place(draft.clone(), &change.by, &facts) {
            Err(refusal) => Outcome::Refused(refusal, None),
            Ok(Step { mut order, events, .. }) => {
                let Some(mut sheet) = self.sheet(&order) else {
                    return Outcome::Refused(Refusal::NotFound, None);
                };
                writes.add_events(change, &sheet, &events, self.now);
                // T4 by the system, where the store answers by itself.
                for settled in order.settle(&facts) {
                    order = settled.order;
                    sheet.order = order.clone();
                    writes.add_events(change, &sheet, &settled.events, self.now);
                }
                writes.set_timer(&order, self.now);
                writes.inserted.push(OrderRecord::from(&order));
                writes.request_hashes.push(request_hash.to_vec());
                self.orders.insert(order.id, order);
                Outcome::Placed(sheet)
            }
        }
    }

    fn judge_order(
        &mut self,
        change: &Change,
        id: OrderId,
        command: &Command,
        writes: &mut Writes,
    ) -> Outcome {
        let Some((order, store, rules)) = self.order_of(change, id) else {
            return Outcome::Refused(Refusal::NotFound, None);
        };
        let named = if let Command::Assign { driver } = command {
            Some(*driver)
        } else if matches!(command, Command::AcceptOffer { .. }) {
            change.by.id.parse().ok()
        } else {
            None
        };
        let known = named.filter(|driver| !self.deleted_drivers.contains(driver));
        let driver = known.and_then(|driver| self.courier(driver));
        let facts = Facts {
            driver: driver.filter(|courier| courier.driver.tenant == change.tenant),
            courier: order.driver.and_then(|driver| self.courier(driver)),
            offers: self.offers.get(&id).map_or(&[], Vec::as_slice),
            ..self.facts(change, store, rules)
        };
        let was_due = (order.due(), order.is_watched());
        match order.judge(command, &change.by, &facts) {
            Judgement::Repeated => match self.sheet(order) {
                Some(sheet) => Outcome::Repeated(sheet),
                None => Outcome::Refused(Refusal::NotFound, None),
            },
            Judgement::Refused(refusal) => {
                let mut order = order.clone();
                if matches!(refusal, Refusal::PinWrong { .. }) {
                    // The one thing a refusal writes: the count that ends the guessing.
                    order.pin_tries += 1;
                    writes.add_update(&order);
                    self.orders.insert(id, order.clone());
                }
                Outcome::Refused(refusal, self.sheet(&order))
            }
            Judgement::Accepted(step) => {
                // T4 by the system, where the store answers by itself. Whatever else is due has
                // its timer.
                let settled = if matches!(command, Command::Release) {
                    step.order.settle(&facts)
                } else {
                    Vec::new()
                };
                if matches!(command, Command::Erase) {
                    writes.erased.push(id);
                }
                let steps = std::iter::once(*step).chain(settled).collect();
                let outcome = self.take_steps(change, id, steps, writes);
                // Only then: it is one more row to write, and most changes leave it as it is.
                let is_due = |order: &Order| (order.due(), order.is_watched());
                if let Some(order) = self.orders.get(&id).filter(|order| is_due(order) != was_due) {
                    writes.set_timer(order, self.now);
                }
                outcome
            }
        }
    }

    fn judge_elapse(
        &mut self,
        change: &Change,
        id: OrderId,
        looked_up: &LookedUp,
        writes: &mut Writes,
    ) -> Outcome {
        let Some((order, store, rules)) = self.order_of(change, id) else {
            // A timer of nothing would come back for ever.
            writes.timers.push((Subject::Order(id), change.tenant, None));
            return Outcome::Refused(Refusal::NotFound, None);
        };
        // Who was looked up for another state of the order may have been asked in between: then the
        // search waits for another look.
        let candidates = looked_up.candidates.as_ref();
        let candidates = candidates.filter(|found| found.version == order.version);
        let known = looked_up.robo.filter(|robo| !self.deleted_drivers.contains(robo));
        let robo = known.and_then(|robo| self.courier(robo));
        // Another order of the store may have had it told a moment ago.
        let unseen = order.status == Status::Placed
            && looked_up.unseen_at == Some(order.store)
            && self.silent.contains(&order.store);
        let facts = Facts {
            driver: robo.filter(|courier| courier.driver.tenant == change.tenant),
            courier: order.driver.and_then(|driver| self.courier(driver)),
            offers: self.offers.get(&id).map_or(&[], Vec::as_slice),
            stops_before: order.route.seq.map(|_| self.stops.get(&id).copied().unwrap_or_default()),
            candidates: candidates.map(|found| found.couriers.as_slice()),
            unseen,
            ..self.facts(change, store, rules)
        };
        let steps = order.settle(&facts);
        let (store, repeated) = (order.store, self.sheet(order));
        let outcome = if !steps.is_empty() {
            self.take_steps(change, id, steps, writes)
        } else if let Some(sheet) = repeated {
            Outcome::Repeated(sheet)
        } else {
            Outcome::Refused(Refusal::NotFound, None)
        };
        if unseen && self.silent.remove(&store) {
            writes.add_event_about(change, self.now, &Fact::StoreSilent, Some(store), None);
        }
        // In any case: whoever asks has put the timer off, by a lease.
        if let Some(order) = self.orders.get(&id) {
            writes.set_timer(order, self.now);
        }
        outcome
    }

    /// The order went these steps, at least one; each of its events shows it as it was then.
    pub(super) fn take_steps(
        &mut self,
        change: &Change,
        id: OrderId,
        steps: Vec<Step>,
        writes: &mut Writes,
    ) -> Outcome {
        let prior = self.orders.get(&id);
        let had = prior.and_then(carrier);
        let tour = prior.filter(|order| order.route.seq.is_some()).and_then(|order| order.driver);
        let mut last = None;
        for Step { order, events, offers } in steps {
            let Some(sheet) = self.sheet(&order) else {
                return Outcome::Refused(Refusal::NotFound, None);
            };
            writes.add_events(change, &sheet, &events, self.now);
            for offer in offers {
                writes.add_offer(change, &sheet, &offer, self.now);
                let offers = self.offers.entry(id).or_default();
                match offers.iter_mut().find(|known| known.id == offer.id) {
                    Some(known) => *known = offer,
                    None => offers.push(offer),
                }
            }
            last = Some((order, sheet));
        }
        let Some((order, sheet)) = last else {
            return Outcome::Refused(Refusal::NotFound, None);
        };
        if order.status.is_terminal() || order.driver != tour {
            writes.tours.extend(tour);
        }
        let has = carrier(&order);
        if has != had {
            self.count(had, -1);
            self.count(has, 1);
        }
        writes.add_update(&order);
        self.orders.insert(order.id, order);
        Outcome::Changed(sheet)
    }

    /// The order that a change is of, with its store and the rules of its tenant.
    fn order_of(&self, change: &Change, id: OrderId) -> Option<(&Order, &Store, TenantRules)> {
        let order = self.orders.get(&id).filter(|order| order.tenant == change.tenant)?;
        let (store, rules) = self.stores.get(&order.store)?;
        Some((order, store, *rules))
    }

    /// A courier has so many open orders more. Of one whose orders were not counted, as nobody asks
    /// for their number, the number stays wrong.
    fn count(&mut self, driver: Option<DriverId>, more: i64) {
        if let Some((_driver, active)) = driver.and_then(|driver| self.drivers.get_mut(&driver)) {
            *active += more;
        }
    }

    /// A courier as far as it was read.
    pub(super) fn courier(&self, id: DriverId) -> Option<Courier<'_>> {
        let (driver, active) = self.drivers.get(&id)?;
        Some(Courier { driver, active: *active, seen: self.seen.get(&id).copied() })
    }

    fn judge_duty(
        &mut self,
        change: &Change,
        id: DriverId,
        duty: Duty,
        writes: &mut Writes,
    ) -> Outcome {
        let found = self.drivers.get_mut(&id).filter(|(driver, _)| {
            driver.tenant == change.tenant && !self.deleted_drivers.contains(&id)
        });
        let Some((driver, _active)) = found else {
            return Outcome::Refused(Refusal::NotFound, None);
        };
        if driver.duty != duty {
            driver.duty = duty;
            writes.duties.push((id, duty));
            let fact = Fact::DriverDuty { duty };
            writes.add_event_about(change, self.now, &fact, None, Some(id));
        }
        Outcome::Driver(Box::new(driver.clone()))
    }

    fn judge_pause(
        &mut self,
        change: &Change,
        id: StoreId,
        until: Option<Timestamp>,
        writes: &mut Writes,
    ) -> Outcome {
        let found = self.stores.get_mut(&id).filter(|(store, _)| {
            store.tenant == change.tenant && !self.deleted_stores.contains(&id)
        });
        let Some((store, _rules)) = found else {
            return Outcome::Refused(Refusal::NotFound, None);
        };
        if until.is_some_and(|until| until <= self.now) {
            let detail = "must lie in the future".to_owned();
            return Outcome::Refused(Refusal::Validation { field: "until", detail }, None);
        }
        if store.paused_until != until {
            store.paused_until = until;
            writes.pauses.push((id, until));
            let fact = Fact::StorePaused { until };
            writes.add_event_about(change, self.now, &fact, Some(id), None);
        }
        Outcome::Store(Box::new(store.clone()))
    }

    /// What is so for every change; the rest is looked up for some.
    pub(super) fn facts<'a>(
        &self,
        change: &Change,
        store: &'a Store,
        rules: TenantRules,
    ) -> Facts<'a> {
        Facts {
            now: self.now,
            rules,
            store,
            driver: None,
            courier: None,
            stops_before: None,
            offers: &[],
            candidates: None,
            unseen: false,
            occurred_at: change.occurred_at,
            if_match: change.if_match,
        }
    }
}

/// The courier among whose open orders it counts.
fn carrier(order: &Order) -> Option<DriverId> {
    order.driver.filter(|_| !order.status.is_terminal())
}
