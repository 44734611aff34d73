//! One event on its way to sockets: encoded once for a seat, whatever the number of sockets.

use std::sync::OnceLock;

use bytes::Bytes;

use super::news::{Bearer, News};
use super::topic::{Seat, Topic};
use crate::auth::bearer;
use crate::domain::{CredentialId, OrderId, Place, Status, StoreId, TenantId};
use crate::frame::message_frame;
use crate::protocol::Codec;
use crate::telemetry::metrics;
use crate::view::LogEvent;

/// Which events of `dispatch` to hear; what is `None` filters nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Filter {
    /// Of these stores only.
    pub stores: Option<Vec<StoreId>>,
    /// Of orders that come to, or leave, one of these statuses.
    pub statuses: Option<Vec<Status>>,
    /// Of couriers who are there. Of orders by `stores` alone: those that are there.
    pub area: Option<Area>,
    /// Whether to hear where couriers are, where that is not heard by itself.
    pub locations: bool,
}

/// A part of the map, in millionths of a degree. Where `west` is more than `east` it reaches across
/// the date line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each field is the side that its name says")]
pub struct Area {
    pub south: i32,
    pub west: i32,
    pub north: i32,
    pub east: i32,
}

impl Area {
    /// Parts of a degree.
    pub const GRAIN: f64 = 1e6;

    /// Whether the place is in it.
    pub fn contains(&self, place: Place) -> bool {
        let (lat, lng) = (place.lat * Self::GRAIN, place.lng * Self::GRAIN);
        let [south, west, north, east] =
            [self.south, self.west, self.north, self.east].map(f64::from);
        let across =
            if west <= east { (west..=east).contains(&lng) } else { lng >= west || lng <= east };
        (south..=north).contains(&lat) && across
    }
}

impl Filter {
    /// Whether the event passes.
    pub fn passes(&self, event: &LogEvent) -> bool {
        let store = self
            .stores
            .as_ref()
            .is_none_or(|stores| event.store.is_none_or(|store| stores.contains(&store)));
        let status = self.statuses.as_ref().is_none_or(|statuses| {
            let among = |status: Option<Status>| status.is_some_and(|one| statuses.contains(&one));
            event.order.is_none() || among(event.was) || among(event.status)
        });
        store && status
    }
}

/// As whom one listens to a topic of ordercast, and for what of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ear {
    /// Whose: nothing of another tenant is heard, whatever the topic.
    pub tenant: TenantId,
    /// As whom.
    pub seat: Seat,
    /// For what; none hears everything. Boxed: few have one.
    pub filter: Option<Box<Filter>>,
}

/// An event and its frames, made when first asked for.
#[derive(Debug)]
pub struct Publication {
    event: LogEvent,
    /// By codec and seat. `None` inside means that the seat does not see this event.
    frames: [[OnceLock<Option<Encoded>>; Seat::COUNT]; Codec::COUNT],
}

/// The frame of a push, and where in it the publication stands.
#[derive(Debug)]
pub struct Encoded {
    frame: Bytes,
    from: usize,
    to: usize,
}

impl Encoded {
    /// The push of JSON text on a topic, with its position if it has one.
    pub fn new(codec: Codec, topic: Topic, text: &str, position: Option<u64>) -> Self {
        let mut publication = Vec::with_capacity(text.len() + 32);
        codec.encode_publication(&mut publication, text, position);
        let mut push = Vec::with_capacity(publication.len() + 64);
        codec.encode_push_publication(&mut push, &topic.to_string(), &publication);
        let frame = message_frame(codec, &push);
        // The publication comes last, before what closes the push.
        let to = frame.len() - codec.after_publication();
        Self { from: to - publication.len(), to, frame }
    }

    /// The whole WebSocket frame.
    pub fn frame(&self) -> Bytes {
        self.frame.clone()
    }

    /// The publication alone.
    pub fn publication(&self) -> Bytes {
        self.frame.slice(self.from..self.to)
    }
}

impl Publication {
    /// A publication of this event, not yet encoded for anyone.
    pub fn new(event: LogEvent) -> Self {
        Self { event, frames: [const { [const { OnceLock::new() }; Seat::COUNT] }; Codec::COUNT] }
    }

    /// The event.
    pub const fn event(&self) -> &LogEvent {
        &self.event
    }

    /// Whether a courier loses the order by it.
    fn is_lost(&self) -> bool {
        self.event.prior_driver.is_some() && self.event.prior_driver != self.event.driver
    }

    /// The seat at which a listener of `seat` on `topic` hears this event: a courier who has
    /// just lost the order sits elsewhere.
    fn seat_for(&self, topic: Topic, seat: Seat) -> Seat {
        match (topic, seat) {
            (Topic::Driver(driver), Seat::Driver) if self.event.driver != Some(driver) => {
                Seat::FormerDriver
            }
            // Nothing names the courier of this seat; whoever loses the order hears only that.
            // A seat of its own: the frame names the channel, which is not the courier's.
            (Topic::Order(_), Seat::OrderDriver) if self.is_lost() => Seat::OrderFormerDriver,
            _ => seat,
        }
    }

    /// Whether the right of a listener of `seat` to `topic` ends with this event, of which it
    /// still hears. A revoked token ends the right to everything: see [`Self::revoked`].
    fn ends_for(&self, topic: Topic, seat: Seat) -> bool {
        let event = &self.event;
        match (topic, seat) {
            (Topic::Store(store), _) => event.kind == "store.deleted" && event.store == Some(store),
            (Topic::Driver(driver), _) => {
                event.kind == "driver.deleted" && event.driver == Some(driver)
            }
            (Topic::Order(order), Seat::OrderDriver) => {
                let lost = matches!(event.kind.as_str(), "courier.changed" | "courier.unassigned");
                let over = event.status.is_some_and(Status::is_terminal);
                event.order == Some(order) && (lost || event.prior_driver.is_some() || over)
            }
            (Topic::Order(_) | Topic::Dispatch(_) | Topic::Tenant(_), _) => false,
        }
    }

    /// Which token or API key of which tenant speaks for nobody any more from this event on.
    pub fn revoked(&self) -> Option<(TenantId, CredentialId)> {
        if self.event.kind != "token.revoked" {
            return None;
        }
        let token = self.event.data.get("token")?.as_str()?;
        Some((self.event.tenant, token.parse().ok()?))
    }

    /// Of which order all that is personal is erased by this event.
    pub fn erases(&self) -> Option<OrderId> {
        self.event.order.filter(|_| self.event.kind == "order.erased")
    }

    /// The same event without what is personal, not yet encoded for anyone.
    #[must_use]
    pub fn erased(&self) -> Self {
        Self::new(self.event.erased())
    }

    fn encoded(&self, topic: Topic, seat: Seat, codec: Codec) -> Option<&Encoded> {
        // Offers are between a courier and dispatchers: whoever has the order by now was asked
        // on a channel of its own.
        if seat == Seat::OrderDriver && self.event.kind.starts_with("offer.") {
            return None;
        }
        let seats = self.frames.get(codec as usize)?;
        let made = seats.get(self.seat_for(topic, seat) as usize)?;
        made.get_or_init(|| {
            let envelope = self.event.render(self.seat_for(topic, seat).audience())?;
            metrics().encoded();
            Some(Encoded::new(codec, topic, &envelope, Some(self.event.position)))
        })
        .as_ref()
    }
}

impl News for Publication {
    type Topic = Topic;
    type Ear = Ear;

    fn position(&self) -> u64 {
        self.event.position
    }

    fn topics(&self) -> impl Iterator<Item = Topic> {
        let event = &self.event;
        [
            event.order.map(Topic::Order),
            event.store.map(Topic::Store),
            event.driver.map(Topic::Driver),
            event.prior_driver.filter(|_| event.prior_driver != event.driver).map(Topic::Driver),
            Some(Topic::Dispatch(event.tenant)),
            Some(Topic::Tenant(event.tenant)),
        ]
        .into_iter()
        .flatten()
    }

    fn passes(&self, ear: &Ear) -> bool {
        self.event.tenant == ear.tenant
            && ear.filter.as_ref().is_none_or(|filter| filter.passes(&self.event))
    }

    fn frame(&self, topic: &Topic, ear: &Ear, codec: Codec) -> Option<Bytes> {
        self.encoded(*topic, ear.seat, codec).map(Encoded::frame)
    }

    fn publication(&self, topic: &Topic, ear: &Ear, codec: Codec) -> Option<Bytes> {
        self.encoded(*topic, ear.seat, codec).map(Encoded::publication)
    }

    fn ends(&self, topic: &Topic, ear: &Ear) -> bool {
        self.ends_for(*topic, ear.seat)
    }

    fn revokes(&self) -> Option<Bearer> {
        let (tenant, credential) = self.revoked()?;
        Some(bearer(tenant, credential))
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::{Actor, DriverId, EventId, Word as _};

    const SEATS: [Seat; Seat::COUNT] = [
        Seat::OrderCustomer,
        Seat::OrderLink,
        Seat::OrderPastLink,
        Seat::OrderDriver,
        Seat::OrderFormerDriver,
        Seat::OrderOps,
        Seat::OrderPlatform,
        Seat::Store,
        Seat::Driver,
        Seat::FormerDriver,
        Seat::Dispatch,
        Seat::Tenant,
    ];

    fn event(kind: &str) -> LogEvent {
        LogEvent {
            position: 7,
            id: EventId::new(),
            tenant: TenantId::new(),
            store: None,
            order: None,
            driver: None,
            prior_driver: None,
            n: None,
            kind: kind.to_owned(),
            by: Actor::system(),
            was: None,
            status: None,
            occurred_at: Timestamp::UNIX_EPOCH,
            recorded_at: Timestamp::UNIX_EPOCH,
            data: json!({}),
        }
    }

    /// An event of an order that `driver` has after it, and `prior` had before it.
    fn of_order(
        kind: &str,
        order: OrderId,
        status: Status,
        driver: Option<DriverId>,
        prior_driver: Option<DriverId>,
    ) -> Publication {
        let (order, status, was) = (Some(order), Some(status), Some(Status::Ready));
        let n = Some(4);
        Publication::new(LogEvent { order, driver, prior_driver, n, was, status, ..event(kind) })
    }

    /// The seats of `topic` whose right ends.
    fn ended(publication: &Publication, topic: Topic) -> Vec<Seat> {
        SEATS.into_iter().filter(|seat| publication.ends_for(topic, *seat)).collect()
    }

    #[test]
    fn each_seat_has_frames_of_its_own() {
        let places: Vec<usize> = SEATS.iter().map(|seat| *seat as usize).collect();
        assert_eq!(places, (0..Seat::COUNT).collect::<Vec<_>>());
    }

    #[test]
    fn a_stores_right_to_its_channel_ends_with_the_store_and_with_nothing_else() {
        let store = StoreId::new();
        let about = |kind| Publication::new(LogEvent { store: Some(store), ..event(kind) });
        assert_eq!(ended(&about("store.deleted"), Topic::Store(store)), SEATS);
        assert_eq!(ended(&about("store.deleted"), Topic::Store(StoreId::new())), []);
        for kind in ["store.paused", "order.delivered", "driver.deleted", "token.revoked"] {
            assert_eq!(ended(&about(kind), Topic::Store(store)), [], "{kind}");
        }
        let publication = about("store.deleted");
        let tenant = publication.event().tenant;
        for topic in [Topic::Dispatch(tenant), Topic::Tenant(tenant), Topic::Order(OrderId::new())]
        {
            assert_eq!(ended(&publication, topic), [], "{topic}");
        }
    }

    #[test]
    fn a_couriers_right_to_its_channel_ends_with_the_courier_and_with_no_order() {
        let driver = DriverId::new();
        let about = |kind| Publication::new(LogEvent { driver: Some(driver), ..event(kind) });
        assert_eq!(ended(&about("driver.deleted"), Topic::Driver(driver)), SEATS);
        assert_eq!(ended(&about("driver.deleted"), Topic::Driver(DriverId::new())), []);
        assert_eq!(ended(&about("driver.duty"), Topic::Driver(driver)), []);
        let order = OrderId::new();
        let (new, old) = (Some(DriverId::new()), Some(driver));
        let changed = of_order("courier.changed", order, Status::Ready, new, old);
        assert_eq!(ended(&changed, Topic::Driver(driver)), []);
    }

    #[test]
    fn a_couriers_right_to_an_order_ends_when_it_is_lost_or_over() {
        let (order, mine, other) = (OrderId::new(), Some(DriverId::new()), Some(DriverId::new()));
        let courier: &[Seat] = &[Seat::OrderDriver];
        for (kind, status, driver, prior, ends) in [
            ("courier.assigned", Status::Ready, mine, None, false),
            ("courier.at_store", Status::Ready, mine, None, false),
            ("order.picked_up", Status::PickedUp, mine, None, false),
            ("order.updated", Status::PickedUp, mine, None, false),
            ("order.returning", Status::Returning, mine, None, false),
            ("courier.changed", Status::Ready, other, mine, true),
            ("courier.unassigned", Status::Ready, None, mine, true),
            ("order.delivered", Status::Delivered, mine, None, true),
            ("order.cancelled", Status::Cancelled, mine, None, true),
            ("order.failed", Status::Failed, mine, None, true),
            ("order.returned", Status::Returned, mine, None, true),
        ] {
            let wanted: &[Seat] = if ends { courier } else { &[] };
            let publication = of_order(kind, order, status, driver, prior);
            assert_eq!(ended(&publication, Topic::Order(order)), wanted, "{kind}");
            assert_eq!(ended(&publication, Topic::Order(OrderId::new())), [], "{kind}");
        }
        for status in Status::ALL {
            let publication = of_order("order.updated", order, *status, mine, None);
            let over = publication.ends_for(Topic::Order(order), Seat::OrderDriver);
            assert_eq!(over, status.is_terminal(), "{}", status.word());
        }
    }

    #[test]
    fn a_courier_who_loses_the_order_hears_that_and_no_more() {
        let (order, mine, other) = (OrderId::new(), Some(DriverId::new()), Some(DriverId::new()));
        let heard_at = |kind, driver, prior| {
            let publication = of_order(kind, order, Status::Ready, driver, prior);
            publication.seat_for(Topic::Order(order), Seat::OrderDriver)
        };
        assert_eq!(heard_at("courier.changed", other, mine), Seat::OrderFormerDriver);
        assert_eq!(heard_at("courier.unassigned", None, mine), Seat::OrderFormerDriver);
        assert_eq!(heard_at("courier.at_store", mine, None), Seat::OrderDriver);
        assert_eq!(heard_at("courier.changed", mine, mine), Seat::OrderDriver);
        // Others hear it where they sit.
        let publication = of_order("courier.changed", order, Status::Ready, other, mine);
        for seat in SEATS.into_iter().filter(|seat| *seat != Seat::OrderDriver) {
            assert_eq!(publication.seat_for(Topic::Order(order), seat), seat);
        }
    }

    #[test]
    fn the_loss_of_an_order_is_told_on_each_channel_under_its_own_name() {
        let (order, mine) = (OrderId::new(), DriverId::new());
        let lost = of_order("courier.unassigned", order, Status::Ready, None, Some(mine));
        let topics =
            [(Topic::Driver(mine), Seat::Driver), (Topic::Order(order), Seat::OrderDriver)];
        for (topic, seat) in topics.into_iter().chain(topics) {
            let frame = lost.encoded(topic, seat, Codec::Json).unwrap().frame.clone();
            let text = String::from_utf8_lossy(&frame).into_owned();
            assert!(text.contains(&format!("\"{topic}\"")), "{topic}: {text}");
        }
    }

    #[test]
    fn only_a_revocation_revokes_and_only_what_it_names() {
        let token = CredentialId::new();
        let about = |kind, data: Value| Publication::new(LogEvent { data, ..event(kind) });
        let named = json!({"token": token.to_string()});
        let publication = about("token.revoked", named.clone());
        assert_eq!(publication.revoked(), Some((publication.event().tenant, token)));
        assert_eq!(about("order.updated", named).revoked(), None);
        for data in [json!({}), json!({"token": 7}), json!({"token": "or_x"}), Value::Null] {
            assert_eq!(about("token.revoked", data).revoked(), None);
        }
    }
}
