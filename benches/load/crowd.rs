//! Many listeners at once: brought in at a bounded pace, cut and let in together, and held
//! against the log at the end.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use ordercast::protocol::Codec;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::ledger::Log;
use crate::message::Event;
use crate::socket::{Audience, Seat, State};

/// Sockets that are on their way in at once.
const OPENING: usize = 512;
/// Longest wait without any progress.
const STALLED: Duration = Duration::from_secs(30);

/// Whether the crowd may be in, and how often it was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Door {
    open: bool,
    cuts: u32,
    home: bool,
}

/// One listener's view of the door.
pub(crate) struct Gate(watch::Receiver<Door>);

impl Gate {
    /// Waits until it may go in; false when it is sent home.
    pub(crate) async fn opened(&mut self) -> bool {
        let door = self.0.wait_for(|door| door.open || door.home).await;
        door.is_ok_and(|door| !door.home)
    }

    /// How often the crowd was cut.
    pub(crate) fn cuts(&self) -> u32 {
        self.0.borrow().cuts
    }

    /// Resolves when it is cut once more, or sent home.
    pub(crate) async fn cut_after(&mut self, cuts: u32) {
        drop(self.0.wait_for(|door| door.cuts > cuts || door.home).await);
    }
}

/// What a listener is made of.
pub(crate) struct Invited {
    pub(crate) address: SocketAddr,
    pub(crate) codec: Codec,
    pub(crate) token: Arc<str>,
    pub(crate) channel: Option<Arc<str>>,
}

/// Those who listen, and how much they heard.
pub(crate) struct Crowd {
    pub(crate) seats: Vec<Arc<Seat>>,
    door: watch::Sender<Door>,
    counter: Arc<Counter>,
    tasks: JoinSet<()>,
}

/// Counts for all of a crowd, and passes on.
struct Counter {
    events: AtomicU64,
    /// Of the events' data.
    bytes: AtomicU64,
    subscriptions: AtomicU64,
    wanted: AtomicU64,
    reached: Notify,
    to: Arc<dyn Audience>,
}

impl Audience for Counter {
    fn hear(&self, seat: &Seat, event: &Event<'_>, at: Instant) {
        self.to.hear(seat, event, at);
        self.bytes.fetch_add(event.data.len() as u64, Ordering::Relaxed);
        let heard = self.events.fetch_add(1, Ordering::AcqRel) + 1;
        if heard == self.wanted.load(Ordering::Acquire) {
            self.reached.notify_one();
        }
    }

    fn passed(&self, seat: &Seat, data: &[u8], at: Instant) {
        self.to.passed(seat, data, at);
    }

    fn answered(&self, seat: &Seat, id: u32, answer: Result<&[u8], u32>, at: Instant) {
        self.to.answered(seat, id, answer, at);
    }

    fn subscribed(&self, seat: &Seat, recovered: bool, at: Instant) {
        self.to.subscribed(seat, recovered, at);
        self.subscriptions.fetch_add(1, Ordering::AcqRel);
    }
}

/// Nobody is told of anything.
pub(crate) struct Nobody;

impl Audience for Nobody {}

impl Crowd {
    /// Brings them in; returns once all are subscribed.
    pub(crate) async fn gather(
        invited: Vec<Invited>,
        audience: Arc<dyn Audience>,
    ) -> anyhow::Result<Self> {
        let door = watch::Sender::new(Door { open: true, cuts: 0, home: false });
        let counter = Arc::new(Counter {
            events: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            subscriptions: AtomicU64::new(0),
            wanted: AtomicU64::new(u64::MAX),
            reached: Notify::new(),
            to: audience,
        });
        let mut crowd = Self { seats: vec![], door, counter, tasks: JoinSet::new() };
        let mut progress = (0, Instant::now());
        for invited in invited {
            crowd.invite(invited);
            while crowd.seats.len().saturating_sub(crowd.subscriptions()) > OPENING {
                crowd.watch_progress(&mut progress)?;
                sleep(Duration::from_millis(2)).await;
            }
        }
        crowd.all_stand().await?;
        Ok(crowd)
    }

    /// Brings one in, and does not wait for it.
    pub(crate) fn invite(&mut self, invited: Invited) {
        let Invited { address, codec, token, channel } = invited;
        let seat = Arc::new(Seat {
            nth: self.seats.len(),
            address,
            codec,
            token,
            channel,
            state: Mutex::new(State::default()),
            stands: AtomicBool::new(false),
            losses: AtomicU32::new(0),
            gone: AtomicBool::new(false),
        });
        let counter = Arc::clone(&self.counter) as Arc<dyn Audience>;
        self.tasks.spawn(Arc::clone(&seat).run(counter, Gate(self.door.subscribe())));
        self.seats.push(seat);
    }

    /// How many subscriptions have been made.
    fn subscriptions(&self) -> usize {
        usize::try_from(self.counter.subscriptions.load(Ordering::Acquire)).unwrap_or(usize::MAX)
    }

    fn watch_progress(&self, progress: &mut (u64, Instant)) -> anyhow::Result<()> {
        let now = self.counter.subscriptions.load(Ordering::Acquire);
        if now != progress.0 {
            *progress = (now, Instant::now());
        }
        if progress.1.elapsed() > STALLED {
            bail!("sockets do not get in: {}", self.trouble());
        }
        Ok(())
    }

    /// How many are subscribed.
    pub(crate) fn standing(&self) -> usize {
        self.seats.iter().filter(|seat| seat.stands.load(Ordering::Acquire)).count()
    }

    /// Waits until all are subscribed.
    pub(crate) async fn all_stand(&self) -> anyhow::Result<()> {
        let mut progress = (0, Instant::now());
        while self.standing() < self.seats.len() {
            self.watch_progress(&mut progress)?;
            sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }

    /// Waits until each is subscribed, or has gone home.
    pub(crate) async fn all_settled(&self) -> anyhow::Result<()> {
        let began = Instant::now();
        let settled = |seat: &Arc<Seat>| {
            seat.stands.load(Ordering::Acquire) || seat.gone.load(Ordering::Acquire)
        };
        while !self.seats.iter().all(settled) {
            ensure!(began.elapsed() < STALLED, "sockets do not get in: {}", self.trouble());
            sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }

    fn trouble(&self) -> String {
        let trouble = self.seats.iter().find_map(|seat| seat.state().trouble.clone());
        trouble.unwrap_or_else(|| "no reason is known".to_owned())
    }

    /// Events heard by all together.
    pub(crate) fn heard(&self) -> u64 {
        self.counter.events.load(Ordering::Acquire)
    }

    /// Bytes of what they heard, without what frames add.
    pub(crate) fn bytes(&self) -> u64 {
        self.counter.bytes.load(Ordering::Relaxed)
    }

    /// Waits until all together have heard as many events.
    pub(crate) async fn hear(&self, wanted: u64) -> anyhow::Result<()> {
        self.counter.wanted.store(wanted, Ordering::Release);
        let mut before = u64::MAX;
        while self.heard() < wanted {
            if timeout(STALLED, self.counter.reached.notified()).await.is_err() {
                let heard = self.heard();
                ensure!(heard != before, "{heard} of {wanted} events heard: {}", self.trouble());
                before = heard;
            }
        }
        self.counter.wanted.store(u64::MAX, Ordering::Release);
        Ok(())
    }

    /// Cuts all connections at once, without a goodbye, and lets nobody in.
    pub(crate) fn cut(&self) {
        self.door.send_modify(|door| {
            door.open = false;
            door.cuts += 1;
        });
    }

    /// Lets all in again.
    pub(crate) fn let_in(&self) {
        self.door.send_modify(|door| door.open = true);
    }

    /// Waits until nobody is connected any more.
    pub(crate) async fn all_out(&self) {
        while self.standing() > 0 {
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// Connections lost that were not cut on purpose.
    pub(crate) fn losses(&self) -> u64 {
        self.seats.iter().map(|seat| u64::from(seat.losses.load(Ordering::Relaxed))).sum()
    }

    /// Waits until each has heard the last of its channel, and holds all they heard against the
    /// log; events heard.
    pub(crate) async fn verify(&self, log: &Log) -> anyhow::Result<u64> {
        let began = Instant::now();
        let mut events = 0;
        for seat in &self.seats {
            let Some(channel) = &seat.channel else { continue };
            let last = log.last_of(channel);
            loop {
                {
                    let state = seat.state();
                    if state.sum.last.max(state.from) >= last {
                        ensure!(
                            state.snapshots == 0,
                            "{channel}: {} times a snapshot instead of what was missed ({:?})",
                            state.snapshots,
                            state.trouble
                        );
                        log.check(channel, state.from, &state.sum)?;
                        events += state.sum.count;
                        break;
                    }
                }
                ensure!(
                    began.elapsed() < STALLED,
                    "{channel}: heard up to {}, the log goes to {last} ({:?})",
                    seat.state().sum.last,
                    seat.state().trouble
                );
                sleep(Duration::from_millis(5)).await;
            }
        }
        Ok(events)
    }

    /// Sends all home.
    pub(crate) async fn leave(mut self) {
        self.door.send_modify(|door| door.home = true);
        while self.tasks.join_next().await.is_some() {}
    }
}
