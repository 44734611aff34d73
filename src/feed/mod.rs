//! The feed carries committed events from the log to the hubs: in log order, each once.
//!
//! It owns the cursor and a connection of its own. Notifications only wake it; they may come
//! late, merged or not at all, and nothing but latency depends on them: it polls as well.
//!
//! What it publishes it first puts into the [`Window`], which all threads share. Both are in log
//! order, the window ahead of the hubs: so one who listens, and then reads the window up to its
//! `last`, hears the rest.
//!
//! Absent on purpose: it never writes, never sees a session, never skips a position. When the
//! log cannot be read it publishes nothing, and readiness fails.

mod backoff;
mod revoked;
mod window;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::config;
use crate::hub::{Hubs, Message, Publication, Topic};
use crate::locations::Locations;
use crate::protocol::code::Disconnect;
use crate::store::{Error, Listening, Woken};
use crate::telemetry::metrics;
use crate::view::LogEvent;
use backoff::Backoff;
pub use revoked::Revoked;
pub use window::{Placed, Since, Window};

/// Where the feed stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FeedState {
    /// Whether the log can be heard and read.
    pub up: bool,
    /// The last position published.
    pub cursor: u64,
}

/// The feed and its cursor.
#[derive(Debug)]
pub struct Feed {
    listening: Listening,
    hubs: Hubs<Publication>,
    window: Arc<Window>,
    revoked: Arc<Revoked>,
    locations: Arc<Locations>,
    settings: config::Feed,
    /// Pause between ending two groups of sessions.
    close_pace: Duration,
    state: watch::Sender<FeedState>,
    /// Which log the cursor belongs to; absent before the first connection.
    epoch: Option<Arc<str>>,
    cursor: u64,
}

impl Feed {
    /// A feed and the place where its state can be watched. It keeps `revoked` current, and tells
    /// `locations` what it is about to publish.
    pub fn new(
        listening: Listening,
        hubs: Hubs<Publication>,
        (revoked, locations): (Arc<Revoked>, Arc<Locations>),
        settings: config::Feed,
        close_pace: Duration,
    ) -> (Self, watch::Receiver<FeedState>) {
        let (state, watched) = watch::channel(FeedState::default());
        let window = Arc::new(Window::new(settings.window_len));
        let (epoch, cursor) = (None, 0);
        let feed = Self {
            listening,
            hubs,
            window,
            revoked,
            locations,
            settings,
            close_pace,
            state,
            epoch,
            cursor,
        };
        (feed, watched)
    }

    /// The newest events, as the feed keeps them.
    pub const fn window(&self) -> &Arc<Window> {
        &self.window
    }

    /// Runs for the life of the process: connects, publishes, and connects again with back-off
    /// whenever the connection is lost.
    pub async fn run(mut self) {
        let mut backoff = Backoff::new(
            self.settings.reconnect_min_ms.get(),
            self.settings.reconnect_max_ms.get(),
        );
        loop {
            let lost = match self.connect().await {
                Ok(()) => {
                    backoff.reset();
                    self.follow().await
                }
                Err(error) => Err(error),
            };
            self.listening.hang_up();
            self.state.send_modify(|state| state.up = false);
            let pause = backoff.next();
            match lost {
                Ok(()) => tracing::warn!(?pause, "the listening connection was lost"),
                Err(error) => {
                    let cause = std::error::Error::source(&error);
                    tracing::warn!(%error, ?cause, ?pause, "the log cannot be heard");
                }
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Listens, then reads what was missed, then says that it is up.
    async fn connect(&mut self) -> Result<(), Error> {
        let (epoch, last) = self.listening.connect().await?;
        match &self.epoch {
            // Nobody has heard anything yet: what was committed before is in snapshots.
            None => {
                self.load_revoked().await?;
                self.preload(&epoch, last).await;
                self.listening.tell_epoch(&epoch);
                self.locations.jump(last);
                self.cursor = last;
            }
            Some(known) if *known == epoch && last >= self.cursor => self.drain().await?,
            Some(known) => {
                tracing::error!(%known, %epoch, last, cursor = self.cursor, "the log was replaced");
                // In this order. Whoever was answered from the old log was so before the window
                // was cleared, so its session is one of those that end. Whoever comes after the
                // end of these finds the new epoch everywhere. In between the window and the
                // database may differ about it; the window says which its events are of.
                self.window.clear(&epoch, last);
                self.locations.jump(last);
                self.listening.tell_epoch(&epoch);
                // Before the sessions come again, and judged by what this log says.
                self.load_revoked().await?;
                self.hubs
                    .send(&Message::EndAll {
                        why: Disconnect::STATE_INVALIDATED,
                        pace: self.close_pace,
                    })
                    .await;
                self.cursor = last;
            }
        }
        self.epoch = Some(epoch);
        self.state.send_replace(FeedState { up: true, cursor: self.cursor });
        tracing::info!(cursor = self.cursor, "the feed is up");
        Ok(())
    }

    /// Fills the window with the newest events up to `last`, so that those who come back to a new
    /// process are answered from memory. What cannot be read in time is done without.
    async fn preload(&self, epoch: &Arc<str>, last: u64) {
        let until = Instant::now() + self.settings.preload_timeout_ms.get();
        let window_len = u64::try_from(self.settings.window_len).unwrap_or(u64::MAX);
        let oldest = last.saturating_sub(window_len);
        // From the newest page backwards: however far this gets, it holds together.
        let mut pages = Vec::new();
        let mut after = last;
        while after > oldest {
            let upto = after;
            after = upto.saturating_sub(self.settings.page_len.into()).max(oldest);
            let limit = u32::try_from(upto - after).unwrap_or(u32::MAX);
            match timeout_at(until, self.listening.read_events(after, limit)).await {
                Ok(Ok(mut page)) => {
                    // Where something is missing, the page goes on beyond its end.
                    page.retain(|event| event.position <= upto);
                    let whole = page.len() == usize::try_from(limit).unwrap_or(usize::MAX);
                    pages.push(publications(page));
                    if !whole {
                        break;
                    }
                }
                Ok(Err(error)) => {
                    let cause = std::error::Error::source(&error);
                    tracing::warn!(%error, ?cause, "the newest events could not be read again");
                    break;
                }
                Err(_late) => {
                    tracing::warn!("reading the newest events again takes too long");
                    break;
                }
            }
        }
        self.window.clear(epoch, after);
        for page in pages.iter().rev() {
            self.window.append(page);
        }
        // Nothing was read, or not up to where publishing goes on.
        if self.window.last() != last {
            self.window.clear(epoch, last);
        }
        tracing::debug!(first = self.window.first(), last, "the window is filled");
    }

    /// Adds all that the table holds. After the position that is gone on from was read, so that
    /// what is revoked meanwhile is in the table, or comes with the log, or both. What was
    /// revoked once stays so, even if a log that took the place of ours knows nothing of it.
    async fn load_revoked(&self) -> Result<(), Error> {
        let limit = self.settings.page_len;
        let mut after = None;
        loop {
            let page = self.listening.read_revoked(after, limit).await?;
            for one in &page {
                self.revoked.load(one);
            }
            after = page.last().copied();
            if page.len() < usize::try_from(limit).unwrap_or(usize::MAX) {
                return Ok(());
            }
        }
    }

    /// Publishes until the connection is lost.
    async fn follow(&mut self) -> Result<(), Error> {
        let probe_every = self.settings.probe_interval_ms.get();
        let mut probed = Instant::now();
        loop {
            // Probed before it is read from: a read waits long for a server that is only slow.
            let in_doubt = match self.listening.wait(self.settings.poll_interval_ms.get()).await {
                Woken::Down => return Ok(()),
                Woken::Late => true,
                Woken::Rung => probed.elapsed() >= probe_every,
            };
            if in_doubt {
                if !self.listening.probe(probe_every).await {
                    return Ok(());
                }
                probed = Instant::now();
            }
            self.drain().await?;
        }
    }

    /// Reads the log after the cursor until a page comes back short, and publishes it.
    async fn drain(&mut self) -> Result<(), Error> {
        loop {
            let page = self.listening.read_events(self.cursor, self.settings.page_len).await?;
            let full = page.len() >= usize::try_from(self.settings.page_len).unwrap_or(usize::MAX);
            if let Some(last) = page.last() {
                let expected = self.cursor + 1..;
                let gap = page.iter().zip(expected).find(|(event, next)| event.position != *next);
                let gap = gap.map(|(event, _next)| event.position);
                self.cursor = last.position;
                metrics().heard(page.len());
                let publications = publications(page);
                // What was read before it was erased. What comes with the event was read after: so
                // who finds that in memory, or sees the cursor behind it, finds nothing personal.
                for order in publications.iter().filter_map(|publication| publication.erases()) {
                    self.window.replace(&Topic::Order(order), Publication::erased);
                }
                // Before the hubs hear of it, and before anyone is sent away: see the head.
                // First, so that what is recalled is judged by all that is recovered.
                self.locations.follow(&publications);
                self.window.append(&publications);
                if let Some(first) = gap {
                    // Positions are gapless: what lay between was dropped before we read it.
                    tracing::error!(first, "the log has a gap");
                    self.locations.jump(self.cursor);
                    self.load_revoked().await?;
                    self.hubs
                        .send(&Message::EndAll {
                            why: Disconnect::INSUFFICIENT_STATE,
                            pace: self.close_pace,
                        })
                        .await;
                }
                // Before anyone hears of it: whoever comes again then is refused.
                for publication in publications.iter() {
                    if let Some((tenant, id)) = publication.revoked() {
                        self.revoked.add(tenant, id, publication.event().recorded_at);
                    }
                }
                self.hubs.send(&Message::Publish(publications)).await;
                self.state.send_modify(|state| state.cursor = self.cursor);
            }
            if !full {
                return Ok(());
            }
        }
    }
}

fn publications(page: Vec<LogEvent>) -> Arc<[Arc<Publication>]> {
    page.into_iter().map(|event| Arc::new(Publication::new(event))).collect()
}
