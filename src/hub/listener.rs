//! One topic of one subscription of one session.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Notify;

use super::mailbox::Mailbox;
use super::news::{Bearer, News, Passing};
use crate::frame::message_frame;
use crate::protocol::code::Unsubscribed;
use crate::protocol::{Codec, Push};

#[derive(Debug)]
enum State<N: News> {
    /// Something is being read; what is published meanwhile waits here.
    Holding { held: Vec<Arc<N>>, overflowed: bool, passing: Vec<Arc<dyn Passing<N>>> },
    /// Everything up to `last` has been sent or is in the reply.
    Live { last: u64 },
    /// Nothing more is heard: its right has ended.
    Ended,
}

/// More was published while reading than may be held, or the right to hear it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overflowed;

/// What a session hears of one topic, under the name of the subscription it is part of.
#[derive(Debug)]
pub struct Listener<N: News> {
    topic: N::Topic,
    ear: N::Ear,
    channel: Rc<str>,
    /// Whether `channel` is not the topic's own name, so that no frame made for others fits.
    renamed: bool,
    /// Whether it hears who comes to and goes from the topic.
    hears_moves: bool,
    mailbox: Rc<Mailbox>,
    /// Publications that may be held.
    hold_max: usize,
    bearer: Cell<Option<Bearer>>,
    /// Rung when its right has ended.
    ended: Rc<Notify>,
    state: RefCell<State<N>>,
}

/// What a listener is made of.
#[derive(Debug)]
pub struct Listening<N: News> {
    /// What it listens to.
    pub topic: N::Topic,
    /// As whom.
    pub ear: N::Ear,
    /// The name of the subscription.
    pub channel: Rc<str>,
    /// Whether that is not the topic's own name.
    pub renamed: bool,
    /// Whether it hears who comes and goes.
    pub hears_moves: bool,
    /// Where its frames go.
    pub mailbox: Rc<Mailbox>,
    /// Publications that may be held while something is read.
    pub hold_max: usize,
    /// The credential of its own with which its right ends.
    pub bearer: Option<Bearer>,
    /// Rung when its right has ended.
    pub ended: Rc<Notify>,
}

impl<N: News> Listener<N> {
    /// A listener that holds back what it hears.
    pub fn new(listening: Listening<N>) -> Rc<Self> {
        let Listening {
            topic,
            ear,
            channel,
            renamed,
            hears_moves,
            mailbox,
            hold_max,
            bearer,
            ended,
        } = listening;
        let (held, passing) = (Vec::new(), Vec::new());
        let state = RefCell::new(State::Holding { held, overflowed: false, passing });
        let bearer = Cell::new(bearer);
        Rc::new(Self {
            topic,
            ear,
            channel,
            renamed,
            hears_moves,
            mailbox,
            hold_max,
            bearer,
            ended,
            state,
        })
    }

    /// What it listens to.
    pub const fn topic(&self) -> &N::Topic {
        &self.topic
    }
    /// As whom.
    pub const fn ear(&self) -> &N::Ear {
        &self.ear
    }
    /// The subscription's name.
    pub fn channel(&self) -> &str {
        &self.channel
    }
    /// Whether its right has ended; the subscription is over.
    pub fn has_ended(&self) -> bool {
        matches!(&*self.state.borrow(), State::Ended)
    }
    pub(super) const fn mailbox(&self) -> &Rc<Mailbox> {
        &self.mailbox
    }
    /// How its session's messages are written.
    pub(super) fn codec(&self) -> Codec {
        self.mailbox.codec()
    }
    /// Who comes and goes is told once the reply is out, and not any more after the end.
    pub(super) fn hears_moves(&self) -> bool {
        self.hears_moves && matches!(&*self.state.borrow(), State::Live { .. })
    }

    fn frame(&self, news: &N) -> Option<Bytes> {
        let codec = self.codec();
        if !self.renamed {
            return news.frame(&self.topic, &self.ear, codec);
        }
        let publication = news.publication(&self.topic, &self.ear, codec)?;
        Some(self.push_of(&publication))
    }

    /// The same of what passes.
    fn passing_frame(&self, passing: &dyn Passing<N>) -> Option<Bytes> {
        let codec = self.codec();
        if !self.renamed {
            return passing.frame(&self.topic, &self.ear, codec);
        }
        let publication = passing.publication(&self.topic, &self.ear, codec)?;
        Some(self.push_of(&publication))
    }

    /// A publication under the subscription's own name.
    fn push_of(&self, publication: &[u8]) -> Bytes {
        let codec = self.codec();
        let mut push = Vec::with_capacity(publication.len() + self.channel.len() + 32);
        codec.encode_push_publication(&mut push, &self.channel, publication);
        message_frame(codec, &push)
    }

    /// Takes what passes; true when a frame went into the mailbox.
    pub(super) fn overhear(&self, passing: &Arc<dyn Passing<N>>) -> bool {
        if !passing.passes(&self.topic, &self.ear) {
            return false;
        }
        match &mut *self.state.borrow_mut() {
            State::Holding { passing: held, .. } => {
                held.retain(|other| other.subject() != passing.subject());
                // More is let go: each comes again.
                if held.len() < self.hold_max {
                    held.push(Arc::clone(passing));
                }
                return false;
            }
            State::Live { last } if self.is_right(passing, *last) => {}
            State::Live { .. } | State::Ended => return false,
        }
        let frame = self.passing_frame(&**passing);
        // A subscription is told from others of its session by where it lies in memory.
        let place = (passing.subject(), std::ptr::from_ref(self).addr());
        frame.is_some_and(|frame| self.mailbox.pass(place, frame))
    }

    /// Takes what had passed on its topic before it came, unless it has heard something newer of
    /// the same since. To be called while it holds back.
    pub fn recall(&self, passing: &Arc<dyn Passing<N>>) {
        if let State::Holding { passing: held, .. } = &*self.state.borrow()
            && held.iter().any(|other| {
                other.subject() == passing.subject() && other.number() > passing.number()
            })
        {
            return;
        }
        self.overhear(passing);
    }

    /// Whether nothing that a listener knows by now makes it wrong.
    fn is_right(&self, passing: &Arc<dyn Passing<N>>, last: u64) -> bool {
        passing.as_of(&self.topic).is_none_or(|as_of| as_of >= last)
    }

    /// Takes one publication; true when a frame went into the mailbox.
    pub(super) fn hear(&self, news: &Arc<N>) -> bool {
        if !news.passes(&self.ear) {
            return false;
        }
        let mut state = self.state.borrow_mut();
        match &mut *state {
            State::Holding { held, overflowed, .. } => {
                if held.len() < self.hold_max {
                    held.push(Arc::clone(news));
                } else {
                    *overflowed = true;
                }
                return false;
            }
            State::Ended => return false,
            State::Live { last } => {
                if news.position() <= *last {
                    return false;
                }
                *last = news.position();
            }
        }
        let ends = news.ends(&self.topic, &self.ear);
        if ends {
            *state = State::Ended;
            self.ended.notify_one();
        }
        drop(state);
        let pushed = self.frame(news).is_some_and(|frame| self.mailbox.push(frame));
        if ends { self.mailbox.push(self.farewell()) || pushed } else { pushed }
    }

    /// Stands on another credential from now on.
    pub fn stand_on(&self, bearer: Option<Bearer>) {
        self.bearer.set(bearer);
    }

    /// Ends with the credential it stands on; false when it stands on another. One that is not
    /// live yet ends without a word: it has not been answered.
    pub(super) fn end_with(&self, bearer: Bearer) -> bool {
        if self.bearer.get() != Some(bearer) {
            return false;
        }
        let before = self.state.replace(State::Ended);
        self.ended.notify_one();
        if matches!(before, State::Live { .. }) {
            self.mailbox.push(self.farewell());
        }
        true
    }

    /// Goes live after a reading at `position` that knew all that had passed up to number `passed`,
    /// and returns the positions and frames of what was held back and came after it, in order. They must reach the mailbox after the reply and before
    /// anything else is awaited.
    pub fn go_live(&self, position: u64, passed: u64) -> Result<Vec<(u64, Bytes)>, Overflowed> {
        let mut state = self.state.borrow_mut();
        let mut last = position;
        let mut frames = Vec::new();
        let mut ended = false;
        if matches!(&*state, State::Ended) {
            return Err(Overflowed);
        }
        if let State::Holding { held, overflowed, passing } = &*state {
            if *overflowed {
                return Err(Overflowed);
            }
            for news in held {
                if news.position() > last && !ended {
                    last = news.position();
                    frames.extend(self.frame(news).map(|frame| (last, frame)));
                    ended = news.ends(&self.topic, &self.ear);
                }
            }
            let news = passing.iter().filter(|it| !ended && it.number() > passed);
            for passing in news.filter(|it| self.is_right(it, last)) {
                frames.extend(self.passing_frame(&**passing).map(|frame| (last, frame)));
            }
        }
        if ended {
            frames.push((last, self.farewell()));
            self.ended.notify_one();
        }
        *state = if ended { State::Ended } else { State::Live { last } };
        Ok(frames)
    }

    /// What tells the client that the subscription is over.
    fn farewell(&self) -> Bytes {
        let mut message = Vec::with_capacity(96);
        let push = Push::Unsubscribe { channel: &self.channel, end: Unsubscribed::SERVER };
        self.codec().encode_push(&mut message, &push);
        message_frame(self.codec(), &message)
    }
}
