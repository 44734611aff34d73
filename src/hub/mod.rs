//! Who listens to what: one hub for each worker thread, no locks, one bounded mailbox for each
//! session.
//!
//! The feed hands every worker the same [`Publication`]s; each is encoded once for an audience,
//! by the first worker that needs it, and the bytes are shared by all its subscribers. A worker
//! pushes them into the mailboxes of its own listeners and then writes each touched socket once,
//! however many frames wait for it.
//!
//! Order and uniqueness are kept here: a listener that is live takes only positions above its
//! last one. A listener that is not yet live holds back what is published while its snapshot or
//! its missed events are read, and lets go of exactly what came after that reading.
//!
//! What is handed on is [`News`]; ordercast's own is the [`Publication`] of an event. What passes and
//! is not kept ([`Passing`]) goes the same way, and only to those who know of no news that makes it
//! wrong. A right that ends with an event ends here, in the same moment: the listener is told and heard no more.
//!
//! Absent on purpose: it reads nothing, judges no right and sends no reply.

mod audible;
mod listener;
mod mailbox;
mod news;
mod presence;
mod publication;
mod topic;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};

pub use audible::Audible;
pub use listener::{Listener, Listening, Overflowed};
pub use mailbox::{Mailbox, Outlet};
pub use news::{Bearer, News, Passed, Passing};
pub use presence::{Member, Move, Presence};
pub use publication::{Area, Ear, Encoded, Filter, Publication};
pub use topic::{Seat, Topic};

use crate::frame::message_frame;
use crate::protocol::code::Disconnect;
use crate::protocol::{Codec, Push};

/// Sockets written before other work of the thread gets its turn.
const WRITES_AT_ONCE: usize = 256;

/// Sessions ended before a pause.
pub const ENDED_AT_ONCE: usize = 100;

/// What a worker is told.
#[derive(Debug)]
pub enum Message<N: News> {
    /// Events were committed, in order.
    Publish(Arc<[Arc<N>]>),
    /// What passes, and is not kept.
    Pass(Passed<N>),
    /// Somebody came to a topic or left it.
    Moved(Move<N::Topic>),
    /// All sessions end.
    EndAll {
        /// The close code and its reason.
        why: Disconnect,
        /// Pause between two groups of [`ENDED_AT_ONCE`].
        pace: Duration,
    },
}

impl<N: News> Clone for Message<N> {
    fn clone(&self) -> Self {
        match self {
            Self::Publish(news) => Self::Publish(Arc::clone(news)),
            Self::Pass(passing) => Self::Pass(Arc::clone(passing)),
            Self::Moved(moved) => Self::Moved(moved.clone()),
            Self::EndAll { why, pace } => Self::EndAll { why: *why, pace: *pace },
        }
    }
}

/// The ways to all workers.
#[derive(Debug)]
pub struct Hubs<N: News> {
    workers: Arc<Mutex<Vec<mpsc::Sender<Message<N>>>>>,
    audible: Audible<N::Topic>,
}

impl<N: News> Clone for Hubs<N> {
    fn clone(&self) -> Self {
        Self { workers: Arc::clone(&self.workers), audible: self.audible.clone() }
    }
}

impl<N: News> Default for Hubs<N> {
    fn default() -> Self {
        Self { workers: Arc::default(), audible: Audible::default() }
    }
}

impl<N: News> Hubs<N> {
    /// Tells every worker; waits for one whose queue is full.
    pub async fn send(&self, message: &Message<N>) {
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for worker in workers {
            // A worker that has ended has no listeners left.
            drop(worker.send(message.clone()).await);
        }
    }

    /// A new worker's hub and its queue of messages.
    pub fn join(&self, queue_len: usize) -> (Rc<Hub<N>>, mpsc::Receiver<Message<N>>) {
        let (sender, receiver) = mpsc::channel(queue_len);
        self.workers.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        let mut hub = Hub::default();
        hub.audible = self.audible.clone();
        (Rc::new(hub), receiver)
    }

    /// The topics that somebody listens to at a worker of these hubs.
    pub const fn audible(&self) -> &Audible<N::Topic> {
        &self.audible
    }
}

/// The hub of the thread that runs a request, as a handler finds it.
#[derive(Debug)]
pub struct LocalHub<N: News>(pub Rc<Hub<N>>);

type Listeners<N> = Vec<Rc<Listener<N>>>;

impl<N: News> Drop for Hub<N> {
    fn drop(&mut self) {
        for topic in self.topics.borrow().keys() {
            self.audible.end(topic);
        }
    }
}

/// One worker's listeners.
#[derive(Debug)]
pub struct Hub<N: News> {
    /// None without a listener.
    topics: RefCell<HashMap<N::Topic, Listeners<N>>>,
    audible: Audible<N::Topic>,
    bells: RefCell<HashMap<N::Topic, Vec<Weak<Notify>>>>,
    mailboxes: RefCell<Vec<Weak<Mailbox>>>,
    dirty: RefCell<Vec<Rc<Mailbox>>>,
}

impl<N: News> Default for Hub<N> {
    fn default() -> Self {
        Self {
            topics: RefCell::default(),
            audible: Audible::default(),
            bells: RefCell::default(),
            mailboxes: RefCell::default(),
            dirty: RefCell::default(),
        }
    }
}

impl<N: News> Hub<N> {
    /// Takes messages until the feed and the app are gone.
    pub async fn run(self: Rc<Self>, mut messages: mpsc::Receiver<Message<N>>) {
        while let Some(message) = messages.recv().await {
            let mut next = Some(message);
            // What has queued meanwhile leaves in the same writes.
            while let Some(message) = next {
                match message {
                    Message::Publish(news) => {
                        for news in news.iter() {
                            self.publish(news);
                        }
                    }
                    Message::Pass(passing) => {
                        for passing in passing.iter() {
                            self.pass(passing);
                        }
                    }
                    Message::Moved(moved) => self.tell(&moved),
                    Message::EndAll { why, pace } => {
                        self.flush().await;
                        self.end_all(why, pace).await;
                    }
                }
                next = messages.try_recv().ok();
            }
            self.flush().await;
        }
    }

    /// Ends every session, in groups: all at once, they would all be back at once.
    async fn end_all(&self, why: Disconnect, pace: Duration) {
        for group in self.sessions().chunks(ENDED_AT_ONCE) {
            for mailbox in group {
                mailbox.end(why);
                mailbox.flush();
            }
            tokio::time::sleep(pace).await;
        }
    }

    fn sessions(&self) -> Vec<Rc<Mailbox>> {
        self.mailboxes.borrow().iter().filter_map(Weak::upgrade).collect()
    }

    fn publish(&self, news: &Arc<N>) {
        let bells = self.bells.borrow();
        let mut topics = self.topics.borrow_mut();
        for topic in news.topics() {
            let Some(listeners) = topics.get_mut(&topic) else { continue };
            let mut ended = false;
            for listener in &*listeners {
                if listener.hear(news) {
                    self.touch(listener.mailbox());
                }
                ended |= listener.has_ended();
            }
            if ended {
                listeners.retain(|listener| !listener.has_ended());
                if listeners.is_empty() {
                    topics.remove(&topic);
                    self.audible.end(&topic);
                }
            }
        }
        for topic in news.topics() {
            for bell in bells.get(&topic).into_iter().flatten().filter_map(Weak::upgrade) {
                bell.notify_waiters();
            }
        }
        if let Some(bearer) = news.revokes() {
            topics.retain(|topic, listeners| {
                listeners.retain(|listener| {
                    let ends = listener.end_with(bearer);
                    if ends {
                        self.touch(listener.mailbox());
                    }
                    !ends
                });
                if listeners.is_empty() {
                    self.audible.end(topic);
                }
                !listeners.is_empty()
            });
            for mailbox in self.sessions() {
                if mailbox.bearer() == Some(bearer) {
                    mailbox.end(Disconnect::INVALID_TOKEN);
                    self.touch(&mailbox);
                }
            }
        }
    }

    fn pass(&self, passing: &Arc<dyn Passing<N>>) {
        let topics = self.topics.borrow();
        for topic in passing.topics() {
            for listener in topics.get(topic).into_iter().flatten() {
                if listener.overhear(passing) {
                    self.touch(listener.mailbox());
                }
            }
        }
    }

    fn touch(&self, mailbox: &Rc<Mailbox>) {
        if mailbox.touch() {
            self.dirty.borrow_mut().push(Rc::clone(mailbox));
        }
    }

    /// Tells those who want to hear it who came or went.
    fn tell(&self, Move { topic, member, joined }: &Move<N::Topic>) {
        let topics = self.topics.borrow();
        let hearing = topics.get(topic).into_iter().flatten();
        let mut frames: HashMap<(Codec, &str), _> = HashMap::new();
        for listener in hearing.filter(|listener| listener.hears_moves()) {
            let (codec, channel) = (listener.codec(), listener.channel());
            let frame = frames.entry((codec, channel)).or_insert_with(|| {
                let info = member.info();
                let push = if *joined {
                    Push::Join { channel, info }
                } else {
                    Push::Leave { channel, info }
                };
                let mut message = Vec::with_capacity(128);
                codec.encode_push(&mut message, &push);
                message_frame(codec, &message)
            });
            if listener.mailbox().push(frame.clone()) {
                self.touch(listener.mailbox());
            }
        }
    }

    async fn flush(&self) {
        let dirty = std::mem::take(&mut *self.dirty.borrow_mut());
        for (nth, mailbox) in dirty.iter().enumerate() {
            mailbox.flush();
            if nth % WRITES_AT_ONCE == WRITES_AT_ONCE - 1 {
                tokio::task::yield_now().await;
            }
        }
    }

    /// A new session: ends with all others when the process stops.
    pub fn enter(&self, mailbox: &Rc<Mailbox>) {
        let mut mailboxes = self.mailboxes.borrow_mut();
        // Swept when it would grow: those that are gone make room first.
        if mailboxes.len() == mailboxes.capacity() {
            mailboxes.retain(|mailbox| mailbox.strong_count() > 0);
        }
        mailboxes.push(Rc::downgrade(mailbox));
    }

    /// Adds a listener, which holds back what it hears until it goes live.
    pub fn listen(&self, listener: &Rc<Listener<N>>) {
        let mut topics = self.topics.borrow_mut();
        let listeners = topics.entry(listener.topic().clone()).or_default();
        if listeners.is_empty() {
            self.audible.begin(listener.topic());
        }
        listeners.push(Rc::clone(listener));
    }

    /// Removes a listener.
    pub fn leave(&self, listener: &Rc<Listener<N>>) {
        let mut topics = self.topics.borrow_mut();
        if let Some(listeners) = topics.get_mut(listener.topic()) {
            if let Some(place) = listeners.iter().position(|other| Rc::ptr_eq(other, listener)) {
                listeners.swap_remove(place);
            }
            if listeners.is_empty() {
                topics.remove(listener.topic());
                self.audible.end(listener.topic());
            }
        }
    }

    /// A bell that rings whenever something is published on `topic`, for as long as it is held.
    pub fn bell(&self, topic: N::Topic) -> Rc<Notify> {
        let bell = Rc::new(Notify::new());
        let mut bells = self.bells.borrow_mut();
        bells.retain(|_topic, bells| {
            bells.retain(|bell| bell.strong_count() > 0);
            !bells.is_empty()
        });
        bells.entry(topic).or_default().push(Rc::downgrade(&bell));
        bell
    }
}
