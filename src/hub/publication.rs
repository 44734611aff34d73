//! One event on its way to sockets: encoded once for a seat, whatever the number of sockets.

use std::sync::OnceLock;

use bytes::Bytes;

use super::news::{Bearer, News};
use super::topic::{Seat, Topic};
use crate::domain::{Status, StoreId, TenantId};
use crate::frame::message_frame;
use crate::protocol::Codec;
use crate::view::LogEvent;

/// Which events of `dispatch` to hear; what is `None` filters nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Filter {
    /// Of these stores only.
    pub stores: Option<Vec<StoreId>>,
    /// Of orders that come to, or leave, one of these statuses.
    pub statuses: Option<Vec<Status>>,
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
    /// For what; none hears everything.
    pub filter: Option<Filter>,
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
struct Encoded {
    frame: Bytes,
    from: usize,
    to: usize,
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
            (Topic::Order(_), Seat::OrderDriver) if self.is_lost() => Seat::OrderFormerDriver,
            _ => seat,
        }
    }

    fn encoded(&self, topic: Topic, seat: Seat, codec: Codec) -> Option<&Encoded> {
        let seats = self.frames.get(codec as usize)?;
        let made = seats.get(self.seat_for(topic, seat) as usize)?;
        made.get_or_init(|| {
            let envelope = self.event.render(self.seat_for(topic, seat).audience())?;
            let mut publication = Vec::with_capacity(envelope.len() + 32);
            codec.encode_publication(&mut publication, &envelope, Some(self.event.position));
            let mut push = Vec::with_capacity(publication.len() + 64);
            codec.encode_push_publication(&mut push, &topic.to_string(), &publication);
            let frame = message_frame(codec, &push);
            // The publication comes last, before what closes the push.
            let to = frame.len() - codec.after_publication();
            Some(Encoded { from: to - publication.len(), to, frame })
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
        self.encoded(*topic, ear.seat, codec).map(|encoded| encoded.frame.clone())
    }

    fn publication(&self, topic: &Topic, ear: &Ear, codec: Codec) -> Option<Bytes> {
        let encoded = self.encoded(*topic, ear.seat, codec)?;
        Some(encoded.frame.slice(encoded.from..encoded.to))
    }

    fn ends(&self, _topic: &Topic, _ear: &Ear) -> bool {
        false
    }

    fn revokes(&self) -> Option<Bearer> {
        None
    }
}
