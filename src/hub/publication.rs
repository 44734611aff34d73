//! One event on its way to sockets: encoded once for a seat, whatever the number of sockets.

use std::sync::OnceLock;

use bytes::Bytes;

use super::topic::{Seat, Topic};
use crate::frame::message_frame;
use crate::protocol::Codec;
use crate::view::LogEvent;

/// An event and its frames, made when first asked for.
#[derive(Debug)]
pub struct Publication {
    event: LogEvent,
    /// By codec and seat. `None` inside means that the seat does not see this event.
    frames: [[OnceLock<Option<Bytes>>; Seat::COUNT]; Codec::COUNT],
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

    /// Its place in the log.
    pub const fn position(&self) -> u64 {
        self.event.position
    }

    /// Every topic it is published on.
    pub fn topics(&self) -> impl Iterator<Item = Topic> + use<> {
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

    /// The seat at which a listener of `seat` on `topic` hears this event: a courier who has
    /// just lost the order sits elsewhere.
    fn seat_for(&self, topic: Topic, seat: Seat) -> Seat {
        match (topic, seat) {
            (Topic::Driver(driver), Seat::Driver) if self.event.driver != Some(driver) => {
                Seat::FormerDriver
            }
            _ => seat,
        }
    }

    /// The whole WebSocket frame for a listener of `seat` on `topic`, if it may see the event.
    pub fn frame(&self, topic: Topic, seat: Seat, codec: Codec) -> Option<Bytes> {
        let seats = self.frames.get(codec as usize)?;
        let made = seats.get(self.seat_for(topic, seat) as usize)?;
        made.get_or_init(|| {
            let publication = self.encode(topic, seat, codec)?;
            let mut push = Vec::with_capacity(publication.len() + 64);
            codec.encode_push_publication(&mut push, &topic.to_string(), &publication);
            Some(message_frame(codec, &push))
        })
        .clone()
    }

    /// The publication alone, as it is part of a recovery or a history.
    pub fn encode(&self, topic: Topic, seat: Seat, codec: Codec) -> Option<Vec<u8>> {
        let envelope = self.event.render(self.seat_for(topic, seat).audience())?;
        let mut publication = Vec::with_capacity(envelope.len() + 32);
        codec.encode_publication(&mut publication, &envelope, Some(self.event.position));
        Some(publication)
    }
}
