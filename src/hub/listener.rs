//! One subscription of one session.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;

use super::mailbox::Mailbox;
use super::publication::Publication;
use super::topic::{Seat, Topic};
use crate::domain::{Status, StoreId};
use crate::protocol::Codec;
use crate::view::LogEvent;

/// Which events of `dispatch` to hear; what is `None` filters nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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

#[derive(Debug)]
enum State {
    /// Something is being read; what is published meanwhile waits here.
    Holding { held: Vec<Arc<Publication>>, overflowed: bool },
    /// Everything up to `last` has been sent or is in the reply.
    Live { last: u64 },
}

/// More was published while reading than may be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overflowed;

/// A subscription: what one session hears of one topic.
#[derive(Debug)]
pub struct Listener {
    topic: Topic,
    seat: Seat,
    codec: Codec,
    filter: Option<Filter>,
    mailbox: Rc<Mailbox>,
    /// Publications that may be held.
    hold_max: usize,
    state: RefCell<State>,
}

impl Listener {
    /// A listener that holds back what it hears, at most `hold_max` publications.
    pub fn new(
        topic: Topic,
        seat: Seat,
        codec: Codec,
        filter: Option<Filter>,
        mailbox: Rc<Mailbox>,
        hold_max: usize,
    ) -> Rc<Self> {
        let state = RefCell::new(State::Holding { held: Vec::new(), overflowed: false });
        Rc::new(Self { topic, seat, codec, filter, mailbox, hold_max, state })
    }

    /// What it listens to.
    pub const fn topic(&self) -> Topic {
        self.topic
    }
    /// As whom.
    pub const fn seat(&self) -> Seat {
        self.seat
    }
    /// Which events it hears.
    pub const fn filter(&self) -> Option<&Filter> {
        self.filter.as_ref()
    }
    pub(super) const fn mailbox(&self) -> &Rc<Mailbox> {
        &self.mailbox
    }

    /// Takes one publication; true when a frame went into the mailbox.
    pub(super) fn hear(&self, publication: &Arc<Publication>) -> bool {
        if self.filter.as_ref().is_some_and(|filter| !filter.passes(publication.event())) {
            return false;
        }
        match &mut *self.state.borrow_mut() {
            State::Holding { held, overflowed } => {
                if held.len() < self.hold_max {
                    held.push(Arc::clone(publication));
                } else {
                    *overflowed = true;
                }
                false
            }
            State::Live { last } => {
                if publication.position() <= *last {
                    return false;
                }
                *last = publication.position();
                match publication.frame(self.topic, self.seat, self.codec) {
                    Some(frame) => self.mailbox.push(frame),
                    None => false,
                }
            }
        }
    }

    /// Goes live after a reading at `position`, and returns the frames of what was held back
    /// and came after it, in order. They must reach the mailbox after the reply and before
    /// anything else is awaited.
    pub fn go_live(&self, position: u64) -> Result<Vec<Bytes>, Overflowed> {
        let mut state = self.state.borrow_mut();
        let mut last = position;
        let mut frames = Vec::new();
        if let State::Holding { held, overflowed } = &*state {
            if *overflowed {
                return Err(Overflowed);
            }
            for publication in held {
                if publication.position() > last {
                    last = publication.position();
                    frames.extend(publication.frame(self.topic, self.seat, self.codec));
                }
            }
        }
        *state = State::Live { last };
        Ok(frames)
    }
}
