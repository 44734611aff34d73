//! Where a courier is, on its way to sockets: encoded once for an audience, whatever the number
//! of sockets.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use bytes::Bytes;
use jiff::Timestamp;

use super::memory::Seen;
use crate::domain::{DriverId, Errand, Location, OrderId, StoreId, TenantId};
use crate::hub::{Ear, Encoded, Passing, Publication, Seat, Topic};
use crate::protocol::Codec;
use crate::view::{Audience, render_location};

/// A topic that it is published on.
#[derive(Debug)]
pub(super) struct Target {
    /// Whether the customer of the order may hear it.
    pub(super) for_customer: bool,
    /// By codec: for those outside (customers, stores), for those inside.
    frames: [[OnceLock<Option<Encoded>>; 2]; Codec::COUNT],
}

impl Target {
    pub(super) fn new(for_customer: bool) -> Self {
        Self { for_customer, frames: [const { [const { OnceLock::new() }; 2] }; Codec::COUNT] }
    }
}

/// Where a courier is, for those who may see it now.
#[derive(Debug)]
pub(super) struct Sighting {
    pub(super) tenant: TenantId,
    pub(super) driver: DriverId,
    pub(super) location: Location,
    pub(super) heard_at: Timestamp,
    /// The stores whose orders it has.
    pub(super) stores: Vec<StoreId>,
    /// Up to which position of the log it is known who may see it.
    pub(super) as_of: u64,
    pub(super) number: u64,
    pub(super) topics: Vec<Topic>,
    /// One for each topic.
    pub(super) targets: Vec<Target>,
}

impl Seen {
    /// The channels on which a courier may be seen now, and whether a customer may.
    pub(super) fn channels(&self) -> Vec<(Topic, bool)> {
        let mut channels =
            vec![(Topic::Dispatch(self.tenant), false), (Topic::Tenant(self.tenant), false)];
        let Some(errands) = &self.errands else { return channels };
        let all: Vec<Errand> = errands.open.iter().map(|open| open.errand).collect();
        let mut stores = BTreeSet::new();
        for errand in &all {
            channels.push((Topic::Order(errand.order), errand.customer_sees(&all)));
            if errand.store_sees() {
                stores.insert(errand.store);
            }
        }
        channels.extend(stores.into_iter().map(|store| (Topic::Store(store), false)));
        channels
    }
}

impl Sighting {
    /// A courier as it was seen, on these channels, and whether a customer may see it there.
    pub(super) fn new(driver: DriverId, seen: &Seen, shown: Vec<(Topic, bool)>) -> Self {
        let errands = seen.errands.iter().flat_map(|errands| &errands.open);
        let stores: BTreeSet<StoreId> = errands.map(|open| open.errand.store).collect();
        let Seen { tenant, location, heard_at, as_of, number, .. } = *seen;
        let (topics, targets) = shown
            .into_iter()
            .map(|(topic, for_customer)| (topic, Target::new(for_customer)))
            .unzip();
        let stores = stores.into_iter().collect();
        Self { tenant, driver, location, heard_at, stores, as_of, number, topics, targets }
    }

    fn target(&self, topic: &Topic) -> Option<&Target> {
        let nth = self.topics.iter().position(|its| its == topic)?;
        self.targets.get(nth)
    }

    fn encoded(&self, topic: &Topic, ear: &Ear, codec: Codec) -> Option<&Encoded> {
        let audience = ear.seat.audience();
        let inside = matches!(audience, Audience::Ops | Audience::Platform);
        let frames = self.target(topic)?.frames.get(codec as usize)?;
        let made = frames.get(usize::from(inside))?;
        let encode = || {
            let order = order_of(*topic);
            let (driver, place) = (self.driver, &self.location);
            let text = render_location(driver, place, self.heard_at, order, audience)?;
            Some(Encoded::new(codec, *topic, &text, None))
        };
        made.get_or_init(encode).as_ref()
    }
}

const fn order_of(topic: Topic) -> Option<OrderId> {
    match topic {
        Topic::Order(order) => Some(order),
        Topic::Store(_) | Topic::Driver(_) | Topic::Dispatch(_) | Topic::Tenant(_) => None,
    }
}

impl Passing<Publication> for Sighting {
    fn subject(&self) -> u128 {
        self.driver.uuid().as_u128()
    }

    fn number(&self) -> u64 {
        self.number
    }

    fn topics(&self) -> &[Topic] {
        &self.topics
    }

    fn as_of(&self, topic: &Topic) -> Option<u64> {
        match topic {
            Topic::Order(_) | Topic::Store(_) | Topic::Driver(_) => Some(self.as_of),
            // Whatever its orders: these see all couriers.
            Topic::Dispatch(_) | Topic::Tenant(_) => None,
        }
    }

    fn passes(&self, topic: &Topic, ear: &Ear) -> bool {
        if ear.tenant != self.tenant {
            return false;
        }
        let filter = ear.filter.as_deref();
        match ear.seat {
            Seat::OrderCustomer | Seat::OrderLink => {
                self.target(topic).is_some_and(|target| target.for_customer)
            }
            Seat::OrderOps | Seat::OrderPlatform | Seat::Store => true,
            Seat::Dispatch => filter.is_none_or(|filter| match (&filter.area, &filter.stores) {
                (Some(area), _) => area.contains(self.location.place),
                (None, Some(stores)) => self.stores.iter().any(|store| stores.contains(store)),
                (None, None) => true,
            }),
            Seat::Tenant => filter.is_some_and(|filter| filter.locations),
            // A courier knows where it is, and of an order that is over nobody need know.
            Seat::OrderDriver
            | Seat::OrderFormerDriver
            | Seat::Driver
            | Seat::FormerDriver
            | Seat::OrderPastLink => false,
        }
    }

    fn frame(&self, topic: &Topic, ear: &Ear, codec: Codec) -> Option<Bytes> {
        self.encoded(topic, ear, codec).map(Encoded::frame)
    }

    fn publication(&self, topic: &Topic, ear: &Ear, codec: Codec) -> Option<Bytes> {
        self.encoded(topic, ear, codec).map(Encoded::publication)
    }
}
