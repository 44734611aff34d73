//! Judging: what the changes of one batch come to, decided in memory in batch order.
//!
//! The room holds all that the changes concern, as it was read under lock; each change is judged
//! on what those before it left there. What is to be written is gathered, and written by `batch`.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::change::{Change, IdempotencyKey, Outcome, Target};
use super::record::{EventRecord, OrderRecord};
use super::timers::Subject;
use crate::domain::{
    Command, CredentialId, Draft, Driver, DriverId, Duty, Event, EventId, Fact, Facts, Judgement,
    Order, OrderId, Refusal, Step, Store, StoreId, TenantId, TenantRules, Word as _, place,
};
use crate::view::{Sheet, fact_data};

/// What the changes concern, as read under lock, and as it becomes while they are judged.
#[derive(Debug, Default)]
pub(super) struct Room {
    pub(super) now: Timestamp,
    pub(super) orders: HashMap<OrderId, Order>,
    pub(super) placed: HashMap<(TenantId, String), (Order, Vec<u8>)>,
    pub(super) stores: HashMap<StoreId, (Store, TenantRules)>,
    pub(super) drivers: HashMap<DriverId, (Driver, i64)>,
    /// Those among `stores` that were deleted: they are shown in their orders and nowhere else.
    pub(super) deleted_stores: HashSet<StoreId>,
    /// Those among `drivers` that were deleted.
    pub(super) deleted_drivers: HashSet<DriverId>,
    /// Stores to be deleted that have open orders.
    pub(super) busy_stores: HashSet<StoreId>,
    pub(super) revoked: HashSet<(TenantId, CredentialId)>,
    pub(super) keys: HashMap<(TenantId, String, String), (Vec<u8>, Order)>,
}

/// What is to be written.
#[derive(Debug, Default)]
pub(super) struct Writes {
    pub(super) inserted: Vec<OrderRecord>,
    pub(super) request_hashes: Vec<Vec<u8>>,
    pub(super) updated: Vec<OrderRecord>,
    pub(super) closed: Vec<bool>,
    pub(super) events: Vec<EventRecord>,
    pub(super) duties: Vec<(DriverId, Duty)>,
    pub(super) pauses: Vec<(StoreId, Option<Timestamp>)>,
    pub(super) keys: Vec<(TenantId, String, IdempotencyKey, OrderRecord)>,
    /// What is revoked, and until when that is kept.
    pub(super) revoked: Vec<(TenantId, CredentialId, Timestamp)>,
    /// When something is next due of these; `None` when nothing is any more.
    pub(super) timers: Vec<(Subject, TenantId, Option<Timestamp>)>,
    pub(super) ended_stores: Vec<StoreId>,
    pub(super) ended_drivers: Vec<DriverId>,
    /// Orders whose personal data is to be erased wherever else it lies.
    pub(super) erased: Vec<OrderId>,
}

impl Writes {
    /// How long after `now` the first of what it makes due is due.
    pub(super) fn due_in(&self, now: Timestamp) -> Option<Duration> {
        let first = self.timers.iter().filter_map(|(_subject, _tenant, due_at)| *due_at).min()?;
        Some(Duration::try_from(first.duration_since(now)).unwrap_or_default())
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.inserted.is_empty()
            && self.updated.is_empty()
            && self.events.is_empty()
            && self.timers.is_empty()
    }
}

/// Role and identity: what an Idempotency-Key belongs to.
pub(super) fn key_scope(change: &Change) -> String {
    format!("{}:{}", change.by.role.word(), change.by.id)
}

impl Room {
    fn sheet(&self, order: &Order) -> Option<Box<Sheet>> {
        let (store, _rules) = self.stores.get(&order.store)?;
        let driver = order.driver.and_then(|id| self.drivers.get(&id));
        Some(Box::new(Sheet {
            order: order.clone(),
            store: store.clone(),
            driver: driver.map(|(driver, _active)| driver.clone()),
        }))
    }

    pub(super) fn judge(&mut self, change: &Change, writes: &mut Writes) -> Outcome {
        if let Some(key) = &change.idempotency {
            let place = (change.tenant, key_scope(change), key.key.clone());
            if let Some((hash, order)) = self.keys.get(&place) {
                return match self.sheet(order) {
                    Some(sheet) if *hash == key.request_hash => Outcome::Repeated(sheet),
                    _ => Outcome::Refused(Refusal::IdempotencyKeyReused, None),
                };
            }
        }
        match &change.target {
            Target::Place { draft, request_hash } => {
                self.judge_place(change, draft, request_hash, writes)
            }
            Target::Order { id, command } => self.judge_order(change, *id, command, writes),
            Target::Elapse { order } => self.judge_elapse(change, *order, writes),
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
        let facts = self.facts(change, store, *rules, None);
        match place(draft.clone(), &change.by, &facts) {
            Err(refusal) => Outcome::Refused(refusal, None),
            Ok((mut order, events)) => {
                let Some(mut sheet) = self.sheet(&order) else {
                    return Outcome::Refused(Refusal::NotFound, None);
                };
                writes.add_events(change, &sheet, &events, self.now);
                // T4 by the system, where the store answers by itself.
                for (settled, events) in order.settle(&facts) {
                    order = settled;
                    sheet.order = order.clone();
                    writes.add_events(change, &sheet, &events, self.now);
                }
                if order.due().is_some() {
                    writes.set_timer(&order);
                }
                let record = OrderRecord::from(&order);
                writes.add_key(change, &record);
                writes.inserted.push(record);
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
        let found = self.orders.get(&id).filter(|order| order.tenant == change.tenant);
        let parties = found.and_then(|order| {
            let (store, rules) = self.stores.get(&order.store)?;
            Some((order, store, *rules))
        });
        let Some((order, store, rules)) = parties else {
            return Outcome::Refused(Refusal::NotFound, None);
        };
        let driver = if let Command::Assign { driver } = command {
            self.drivers.get(driver).filter(|(driver, _)| {
                driver.tenant == change.tenant && !self.deleted_drivers.contains(&driver.id)
            })
        } else {
            None
        };
        let facts =
            self.facts(change, store, rules, driver.map(|(driver, active)| (driver, *active)));
        let was_due = order.due();
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
            Judgement::Accepted { order, events } => {
                // T4 by the system, where the store answers by itself. Whatever else is due has
                // its timer.
                let settled = if matches!(command, Command::Release) {
                    order.settle(&facts)
                } else {
                    Vec::new()
                };
                if let Command::Assign { driver } = command
                    && let Some((_driver, active)) = self.drivers.get_mut(driver)
                {
                    *active += 1;
                }
                if matches!(command, Command::Erase) {
                    writes.erased.push(id);
                }
                let steps = std::iter::once((*order, events)).chain(settled).collect();
                let outcome = self.take_steps(change, steps, writes);
                // Only then: it is one more row to write, and most changes leave it as it is.
                if let Some(order) = self.orders.get(&id).filter(|order| order.due() != was_due) {
                    writes.set_timer(order);
                }
                outcome
            }
        }
    }

    fn judge_elapse(&mut self, change: &Change, id: OrderId, writes: &mut Writes) -> Outcome {
        let found = self.orders.get(&id).filter(|order| order.tenant == change.tenant);
        let parties = found.and_then(|order| {
            let (store, rules) = self.stores.get(&order.store)?;
            Some((order, store, *rules))
        });
        let Some((order, store, rules)) = parties else {
            // A timer of nothing would come back for ever.
            writes.timers.push((Subject::Order(id), change.tenant, None));
            return Outcome::Refused(Refusal::NotFound, None);
        };
        let steps = order.settle(&self.facts(change, store, rules, None));
        let outcome = if !steps.is_empty() {
            self.take_steps(change, steps, writes)
        } else if let Some(sheet) = self.sheet(order) {
            Outcome::Repeated(sheet)
        } else {
            Outcome::Refused(Refusal::NotFound, None)
        };
        // In any case: whoever asks has put the timer off, by a lease.
        if let Some(order) = self.orders.get(&id) {
            writes.set_timer(order);
        }
        outcome
    }

    /// An order went these steps, at least one; each of its events shows it as it was then.
    fn take_steps(&mut self, change: &Change, steps: Vec<Step>, writes: &mut Writes) -> Outcome {
        let mut last = None;
        for (order, events) in steps {
            let Some(sheet) = self.sheet(&order) else {
                return Outcome::Refused(Refusal::NotFound, None);
            };
            writes.add_events(change, &sheet, &events, self.now);
            last = Some((order, sheet));
        }
        let Some((order, sheet)) = last else {
            return Outcome::Refused(Refusal::NotFound, None);
        };
        let record = writes.add_update(&order);
        writes.add_key(change, &record);
        self.orders.insert(order.id, order);
        Outcome::Changed(sheet)
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

    fn facts<'a>(
        &self,
        change: &Change,
        store: &'a Store,
        rules: TenantRules,
        driver: Option<(&'a Driver, i64)>,
    ) -> Facts<'a> {
        Facts {
            now: self.now,
            rules,
            store,
            driver,
            occurred_at: change.occurred_at,
            if_match: change.if_match,
        }
    }
}

impl Writes {
    fn add_events(&mut self, change: &Change, sheet: &Sheet, events: &[Event], now: Timestamp) {
        let order = &sheet.order;
        for event in events {
            let mut data = fact_data(&event.fact, Some(sheet));
            // Consequences happen by themselves: only what the caller did has a place.
            if let (Some(place), Some(data)) = (change.place, data.as_object_mut())
                && event.by == change.by
            {
                data.insert("place".to_owned(), json!({"lat": place.lat, "lng": place.lng}));
            }
            self.events.push(EventRecord {
                id: EventId::new().uuid(),
                tenant_id: order.tenant.uuid(),
                store_id: Some(order.store.uuid()),
                order_id: Some(order.id.uuid()),
                driver_id: event.driver.map(DriverId::uuid),
                prior_driver_id: event.prior_driver.map(DriverId::uuid),
                n: Some(event.n),
                kind: event.fact.kind().to_owned(),
                actor_role: event.by.role.word().to_owned(),
                actor_id: event.by.id.clone(),
                was: Some(event.was.word().to_owned()),
                status: Some(event.status.word().to_owned()),
                occurred_at: event.occurred_at,
                recorded_at: now,
                data,
            });
        }
    }

    pub(super) fn add_event_about(
        &mut self,
        change: &Change,
        now: Timestamp,
        fact: &Fact,
        store: Option<StoreId>,
        driver: Option<DriverId>,
    ) {
        self.events.push(EventRecord {
            id: EventId::new().uuid(),
            tenant_id: change.tenant.uuid(),
            store_id: store.map(StoreId::uuid),
            order_id: None,
            driver_id: driver.map(DriverId::uuid),
            prior_driver_id: None,
            n: None,
            kind: fact.kind().to_owned(),
            actor_role: change.by.role.word().to_owned(),
            actor_id: change.by.id.clone(),
            was: None,
            status: None,
            occurred_at: change.occurred_at.filter(|at| *at <= now).unwrap_or(now),
            recorded_at: now,
            data: fact_data(fact, None),
        });
    }

    fn add_update(&mut self, order: &Order) -> OrderRecord {
        let record = OrderRecord::from(order);
        self.updated.push(record.clone());
        self.closed.push(order.status.is_terminal());
        record
    }

    fn set_timer(&mut self, order: &Order) {
        self.timers.push((Subject::Order(order.id), order.tenant, order.due()));
    }

    fn add_key(&mut self, change: &Change, record: &OrderRecord) {
        if let Some(key) = &change.idempotency {
            self.keys.push((change.tenant, key_scope(change), key.clone(), record.clone()));
        }
    }
}
