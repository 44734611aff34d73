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
//! Absent on purpose: it reads nothing, judges no right and sends no reply.

mod listener;
mod mailbox;
mod publication;
mod topic;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};

pub use listener::{Filter, Listener, Overflowed};
pub use mailbox::Mailbox;
pub use publication::Publication;
pub use topic::{Seat, Topic};

use crate::protocol::code::Disconnect;

/// Sockets written before other work of the thread gets its turn.
const WRITES_AT_ONCE: usize = 256;

/// Sessions ended before a pause.
pub const ENDED_AT_ONCE: usize = 100;

/// What a worker is told.
#[derive(Debug, Clone)]
pub enum Message {
    /// Events were committed, in order.
    Publish(Arc<[Arc<Publication>]>),
    /// All sessions end.
    EndAll {
        /// The close code and its reason.
        why: Disconnect,
        /// Pause between two groups of [`ENDED_AT_ONCE`].
        pace: Duration,
    },
}

/// The ways to all workers.
#[derive(Debug, Clone, Default)]
pub struct Hubs {
    workers: Arc<Mutex<Vec<mpsc::Sender<Message>>>>,
}

impl Hubs {
    /// Tells every worker; waits for one whose queue is full.
    pub async fn send(&self, message: &Message) {
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for worker in workers {
            // A worker that has ended has no listeners left.
            drop(worker.send(message.clone()).await);
        }
    }

    /// A new worker's hub and its queue of messages.
    pub fn join(&self, queue_len: usize) -> (Rc<Hub>, mpsc::Receiver<Message>) {
        let (sender, receiver) = mpsc::channel(queue_len);
        self.workers.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        (Rc::new(Hub::default()), receiver)
    }
}

/// The hub of the thread that runs a request, as a handler finds it.
#[derive(Debug, Clone)]
pub struct LocalHub(pub Rc<Hub>);

/// One worker's listeners.
#[derive(Debug, Default)]
pub struct Hub {
    topics: RefCell<HashMap<Topic, Vec<Rc<Listener>>>>,
    bells: RefCell<HashMap<Topic, Vec<Weak<Notify>>>>,
    mailboxes: RefCell<Vec<Weak<Mailbox>>>,
    dirty: RefCell<Vec<Rc<Mailbox>>>,
}

impl Hub {
    /// Takes messages until the feed and the app are gone.
    pub async fn run(self: Rc<Self>, mut messages: mpsc::Receiver<Message>) {
        while let Some(message) = messages.recv().await {
            let mut next = Some(message);
            // What has queued meanwhile leaves in the same writes.
            while let Some(message) = next {
                match message {
                    Message::Publish(publications) => {
                        for publication in publications.iter() {
                            self.publish(publication);
                        }
                    }
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
        let mailboxes: Vec<_> = self.mailboxes.borrow().iter().filter_map(Weak::upgrade).collect();
        for group in mailboxes.chunks(ENDED_AT_ONCE) {
            for mailbox in group {
                mailbox.end(why);
                mailbox.flush();
            }
            tokio::time::sleep(pace).await;
        }
    }

    fn publish(&self, publication: &Arc<Publication>) {
        let topics = self.topics.borrow();
        let bells = self.bells.borrow();
        for topic in publication.topics() {
            for listener in topics.get(&topic).into_iter().flatten() {
                if listener.hear(publication) && listener.mailbox().touch() {
                    self.dirty.borrow_mut().push(Rc::clone(listener.mailbox()));
                }
            }
            for bell in bells.get(&topic).into_iter().flatten().filter_map(Weak::upgrade) {
                bell.notify_waiters();
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
    pub fn listen(&self, listener: &Rc<Listener>) {
        let mut topics = self.topics.borrow_mut();
        topics.entry(listener.topic()).or_default().push(Rc::clone(listener));
    }

    /// Removes a listener.
    pub fn leave(&self, listener: &Rc<Listener>) {
        let mut topics = self.topics.borrow_mut();
        if let Some(listeners) = topics.get_mut(&listener.topic()) {
            if let Some(place) = listeners.iter().position(|other| Rc::ptr_eq(other, listener)) {
                listeners.swap_remove(place);
            }
            if listeners.is_empty() {
                topics.remove(&listener.topic());
            }
        }
    }

    /// A bell that rings whenever something is published on `topic`, for as long as it is held.
    pub fn bell(&self, topic: Topic) -> Rc<Notify> {
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
