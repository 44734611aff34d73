//! A session's moments: the first message, pings, pongs, the ends of its tokens.

use std::future::pending;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use rand::Rng as _;
use tokio::time::{Instant, sleep_until};

use super::{Phase, Session, Source};
use crate::frame::ping_frame;
use crate::protocol::Push;
use crate::protocol::code::{Disconnect, Unsubscribed};

impl<S: Source> Session<S> {
    /// Begins to ping, somewhere in the second half of an interval, so that a thousand clients
    /// that came back at once are not pinged at once.
    pub(super) fn begin_pings(&self) {
        let interval = self.source.settings().ping_interval_s.get();
        let first = interval.mul_f64(rand::rng().random_range(0.5..=1.0));
        self.next_ping.set(Some(Instant::now() + first));
        self.rearmed.notify_one();
    }

    /// When a right that lasts `ttl` more ends for good. Who only listens cannot bring a newer
    /// token, so none is awaited.
    pub(super) fn end_of(&self, ttl: Option<Duration>) -> Option<Instant> {
        let awaited = self.source.settings().expiry_grace_s.get();
        let grace = if self.is_one_way() { Duration::ZERO } else { awaited };
        ttl.map(|ttl| Instant::now() + ttl + grace)
    }

    /// What the client says is read again: the time in which it was not does not count against
    /// its pong.
    pub(super) fn read_again(&self) {
        let Some(since) = self.busy_since.take() else { return };
        if let Some(until) = self.pong_until.get() {
            let (now, patience) = (Instant::now(), self.source.settings().pong_timeout_s.get());
            let asked = until.checked_sub(patience).unwrap_or(since);
            self.pong_until.set(Some(until + now.saturating_duration_since(since.max(asked))));
            self.rearmed.notify_one();
        }
    }

    /// Waits for whatever ends the session by time, and pings meanwhile.
    pub(super) async fn watch(&self) -> Disconnect {
        let settings = self.source.settings();
        let stale = self.opened + settings.stale_timeout_s.get();
        loop {
            let silent = !matches!(&*self.phase.borrow(), Phase::Open { .. });
            let now = Instant::now();
            if silent && now >= stale {
                return Disconnect::STALE;
            }
            if self.expires.get().is_some_and(|at| now >= at) {
                return Disconnect::EXPIRED;
            }
            // While nothing is read, a pong cannot be heard.
            let pong_until = self.pong_until.get().filter(|_| self.busy_since.get().is_none());
            if pong_until.is_some_and(|at| now >= at) {
                return Disconnect::NO_PONG;
            }
            if let Err(disconnect) = self.end_expired(now) {
                return disconnect;
            }
            if self.next_ping.get().is_some_and(|at| now >= at) {
                self.ping();
                self.next_ping.set(Some(now + settings.ping_interval_s.get()));
                // The oldest ping that is unanswered counts, or a timeout longer than the
                // interval would never pass. Who only listens answers WebSocket's own alone.
                let answers = !self.is_one_way() || self.kind.native_pings;
                if answers && self.pong_until.get().is_none() {
                    self.pong_until.set(Some(now + settings.pong_timeout_s.get()));
                }
            }
            let ends = self.subscriptions.borrow().values().filter_map(|it| it.expires).min();
            let moments = [
                silent.then_some(stale),
                self.expires.get(),
                self.pong_until.get().filter(|_| self.busy_since.get().is_none()),
                self.next_ping.get(),
                ends,
            ];
            let next = moments.into_iter().flatten().min();
            tokio::select! {
                () = self.rearmed.notified() => {}
                () = async {
                    match next {
                        Some(at) => sleep_until(at).await,
                        None => pending().await,
                    }
                } => {}
            }
        }
    }

    /// Ends the subscriptions whose tokens have ended, and forgets those whose right has.
    fn end_expired(&self, now: Instant) -> Result<(), Disconnect> {
        let mut subscriptions = self.subscriptions.borrow_mut();
        for (_channel, subscription) in subscriptions.extract_if(|_, it| it.has_ended()) {
            self.let_go(&subscription);
            // It was all that there was to hear, and its end has been told.
            if self.kind.is_of_one_channel {
                self.mailbox.end_as_it_is(Disconnect::CONNECTION_CLOSED);
                return Err(Disconnect::CONNECTION_CLOSED);
            }
        }
        let ended = |_: &String, it: &mut Box<super::Subscription<S>>| {
            it.expires.is_some_and(|at| now >= at)
        };
        for (channel, subscription) in subscriptions.extract_if(ended) {
            self.let_go(&subscription);
            // The client does not subscribe to it, so it cannot do so again.
            if subscription.by_server {
                return Err(Disconnect::SUBSCRIPTION_EXPIRED);
            }
            self.push(&Push::Unsubscribe { channel: &channel, end: Unsubscribed::EXPIRED });
        }
        Ok(())
    }

    fn ping(&self) {
        static NATIVE: OnceLock<Bytes> = OnceLock::new();
        if self.kind.native_pings {
            self.send_control(NATIVE.get_or_init(|| ping_frame(b"")).clone());
        } else {
            self.send(self.codec().ping());
        }
    }
}
