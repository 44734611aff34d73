//! What the changes of one batch come to: gathered as they are judged, and written at its end.

use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::change::{Change, IdempotencyKey};
use super::kept::Answer;
use super::offers::OfferRecord;
use super::proofs::ProofRecord;
use super::record::{EventRecord, OrderRecord};
use super::timers::Subject;
use crate::domain::{
    Actor, CredentialId, DriverId, Duty, Event, EventId, Fact, Offer, OfferState, Order, OrderId,
    StoreId, TenantId, WATCH_EVERY, Word as _,
};
use crate::view::{Sheet, fact_data};

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
    pub(super) keys: Vec<(TenantId, String, IdempotencyKey, Answer)>,
    /// What is revoked, and until when that is kept.
    pub(super) revoked: Vec<(TenantId, CredentialId, Timestamp)>,
    /// When something is next due of these; `None` when nothing is any more.
    pub(super) timers: Vec<(Subject, TenantId, Option<Timestamp>)>,
    /// Offers as they are after it.
    pub(super) offers: Vec<OfferRecord>,
    /// Proofs that were recorded.
    pub(super) proofs: Vec<ProofRecord>,
    /// Couriers whose tours have lost a stop: the others are to be looked at.
    pub(super) tours: HashSet<DriverId>,
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
            && self.keys.is_empty()
    }
}

impl Writes {
    pub(super) fn add_events(
        &mut self,
        change: &Change,
        sheet: &Sheet,
        events: &[Event],
        now: Timestamp,
    ) {
        let order = &sheet.order;
        for event in events {
            self.proofs.extend(ProofRecord::of(event, order, change.place, now));
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

    pub(super) fn add_update(&mut self, order: &Order) {
        self.updated.push(OrderRecord::from(order));
        self.closed.push(order.status.is_terminal());
    }

    /// When the order is looked at next: when something is due of it, and while it has a courier or
    /// waits for its store now and then.
    pub(super) fn set_timer(&mut self, order: &Order, now: Timestamp) {
        let watch = order.is_watched().then(|| now + WATCH_EVERY);
        let due = [order.due(), watch, order.next_look(now)].into_iter().flatten().min();
        self.timers.push((Subject::Order(order.id), order.tenant, due));
    }

    /// An offer is made or has ended: the courier who is asked hears of it.
    pub(super) fn add_offer(
        &mut self,
        change: &Change,
        sheet: &Sheet,
        offer: &Offer,
        now: Timestamp,
    ) {
        let order = &sheet.order;
        let fact = if offer.state == OfferState::Pending {
            Fact::OfferSent(Box::new(offer.clone()))
        } else {
            Fact::OfferClosed(Box::new(offer.clone()))
        };
        let answered = matches!(offer.state, OfferState::Accepted | OfferState::Declined);
        let by = if answered { change.by.clone() } else { Actor::system() };
        self.events.push(EventRecord {
            id: EventId::new().uuid(),
            tenant_id: order.tenant.uuid(),
            store_id: Some(order.store.uuid()),
            order_id: Some(order.id.uuid()),
            driver_id: Some(offer.driver.uuid()),
            prior_driver_id: None,
            n: None,
            kind: fact.kind().to_owned(),
            actor_role: by.role.word().to_owned(),
            actor_id: by.id,
            was: Some(order.status.word().to_owned()),
            status: Some(order.status.word().to_owned()),
            occurred_at: now,
            recorded_at: now,
            data: fact_data(&fact, Some(sheet)),
        });
        let record = OfferRecord::of(offer, order.tenant);
        self.offers.retain(|known| !known.is(offer));
        self.offers.push(record);
    }
}
