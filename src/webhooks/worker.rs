//! Takes up webhooks that have something to deliver, and delivers.
//!
//! It is woken by the process's own feed, which tells whose events came; and looks by itself for
//! retries that are due, and for what a dead process held. That is two small questions of the
//! database each `webhooks.look_interval_ms`; while there is no webhook at all it asks no others,
//! whatever happens.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use uuid::Uuid;

use super::Poster;
use super::patience::delay;
use super::post::{Letter, Line, Outcome};
use crate::config;
use crate::domain::{TenantId, WebhookId};
use crate::feed::{FeedState, Window};
use crate::store::{Database, Delivered, Error, Failed, Scope, Webhook};
use crate::telemetry::metrics;
use crate::view::{Audience, LogEvent};

/// Shortest time between two times that the feed wakes it: what is committed meanwhile is taken up
/// together.
const PACE: Duration = Duration::from_millis(20);
/// The status by which an endpoint says that it is no more.
const GONE: u16 = 410;

/// What each turn needs.
#[derive(Debug)]
struct Desk {
    database: Database,
    poster: Poster,
    settings: config::Webhooks,
    /// Who holds leases.
    process: Uuid,
    stopping: watch::Receiver<bool>,
}

/// Delivers to webhooks. Belongs to one thread, as HTTP clients do.
#[derive(Debug)]
pub struct Worker {
    desk: Arc<Desk>,
    feed: watch::Receiver<FeedState>,
    window: Arc<Window>,
    /// Up to where it is known whose events came.
    seen: u64,
    /// Those whose lease is perhaps still held by a turn that was cut short: at most as many as
    /// there are leases.
    stranded: Vec<WebhookId>,
    /// Whether there is any webhook, as it was when last looked for.
    any: bool,
    /// Whether the database could not be asked the last time.
    away: bool,
}

/// Whose webhooks may have something to deliver.
#[derive(Debug, Default)]
struct Wanted {
    all: bool,
    tenants: HashSet<TenantId>,
}

impl Wanted {
    fn is_empty(&self) -> bool {
        !self.all && self.tenants.is_empty()
    }
}

/// How a turn ended.
#[derive(Debug)]
struct Turn {
    id: WebhookId,
    tenant: TenantId,
    /// Whether it was cut short, so that the lease may still be held.
    cut_short: bool,
    /// Whether there is more to deliver at once.
    more: bool,
    /// Where the feed stood before the turn last looked at the log.
    looked_at: u64,
}

impl Worker {
    /// A worker that ends, once its letters under way are answered, when `stopping` says so.
    pub fn new(
        database: Database,
        poster: Poster,
        settings: config::Webhooks,
        (feed, window): (watch::Receiver<FeedState>, Arc<Window>),
        stopping: watch::Receiver<bool>,
    ) -> Self {
        let desk = Desk { database, poster, settings, process: Uuid::new_v4(), stopping };
        let seen = feed.borrow().cursor;
        let (any, away) = (true, false);
        Self { desk: Arc::new(desk), feed, window, seen, stranded: Vec::new(), any, away }
    }

    /// Runs for the life of the process.
    pub async fn run(mut self) {
        let mut stopping = self.desk.stopping.clone();
        let look_every = self.desk.settings.look_interval_ms.get();
        let mut turns: JoinSet<Turn> = JoinSet::new();
        // What was left behind while no process was there.
        let mut wanted = Wanted { all: true, ..Wanted::default() };
        let mut look_at = Instant::now() + look_every;
        let mut woken_at = Instant::now();
        loop {
            let free = self.desk.settings.deliveries_max.saturating_sub(turns.len());
            if free > 0 && !wanted.is_empty() {
                self.take_up(std::mem::take(&mut wanted), free, &mut turns).await;
            }
            let full = turns.len() >= self.desk.settings.deliveries_max;
            tokio::select! {
                _ = stopping.wait_for(|stopping| *stopping) => break,
                Some(ended) = turns.join_next() => match ended {
                    Ok(turn) => {
                        if turn.cut_short {
                            self.stranded.push(turn.id);
                        }
                        // What came while it was being given free was passed over.
                        if turn.more || self.feed.borrow().cursor > turn.looked_at {
                            wanted.tenants.insert(turn.tenant);
                        }
                        // Others may have waited for the place.
                        wanted.all |= full;
                    }
                    Err(error) => tracing::error!(%error, "a turn of a webhook failed"),
                },
                () = sleep_until(look_at) => {
                    self.free_stranded().await;
                    if let Ok(any) = self.desk.database.has_webhooks().await {
                        self.any = any;
                    }
                    look_at = Instant::now() + look_every;
                    wanted.all = self.any;
                }
                changed = woken(&mut self.feed, woken_at + PACE) => {
                    // The feed ends when the process does.
                    if !changed { break }
                    woken_at = Instant::now();
                    self.hear(&mut wanted);
                }
            }
        }
        // Each ends after the letter under way, which is bounded; the lease of one that does not
        // runs out.
        while turns.join_next().await.is_some() {}
    }

    /// Gives free what was stranded, so that it need not wait for its lease to end.
    async fn free_stranded(&mut self) {
        while let Some(webhook) = self.stranded.last() {
            let Desk { database, process, .. } = &*self.desk;
            if database.release_webhook(*process, *webhook, None).await.is_err() {
                return;
            }
            self.stranded.pop();
        }
    }

    /// Adds those whose events came since the last time.
    fn hear(&mut self, wanted: &mut Wanted) {
        let cursor = self.feed.borrow_and_update().cursor;
        if cursor == self.seen {
            return;
        }
        let (events, all) = self.window.after(self.seen);
        wanted.tenants.extend(events.iter().map(|event| event.event().tenant));
        // More than the window holds, or another log.
        wanted.all |= !all || cursor < self.seen;
        self.seen = cursor;
        if !self.any {
            *wanted = Wanted::default();
        }
    }

    /// Begins a turn for each webhook that can be claimed, at most `free`.
    async fn take_up(&mut self, wanted: Wanted, free: usize, turns: &mut JoinSet<Turn>) {
        let tenants: Vec<TenantId> = wanted.tenants.into_iter().collect();
        let tenants = Some(tenants.as_slice()).filter(|_| !wanted.all);
        let leased_at = Instant::now();
        let looked_at = self.feed.borrow().cursor;
        let Desk { database, process, settings, .. } = &*self.desk;
        let lease = settings.lease_s.get();
        match database.claim_webhooks(*process, lease, tenants, free).await {
            Ok(claimed) => {
                self.away = false;
                for webhook in claimed {
                    let (desk, feed) = (Arc::clone(&self.desk), self.feed.clone());
                    turns.spawn_local(async move {
                        let (id, tenant) = (webhook.id, webhook.tenant);
                        let mut turn =
                            Turn { id, tenant, cut_short: false, more: false, looked_at };
                        let delivered = desk.deliver(webhook, leased_at, &feed, &mut turn).await;
                        if let Err(error) = delivered {
                            let cause = std::error::Error::source(&error);
                            tracing::warn!(webhook = %id, %error, ?cause, "a turn was cut short");
                            turn.cut_short = true;
                        }
                        turn
                    });
                }
            }
            // Looked for again soon. Said once, not each time.
            Err(error) => {
                if !std::mem::replace(&mut self.away, true) {
                    let cause = std::error::Error::source(&error);
                    tracing::warn!(%error, ?cause, "webhooks cannot be looked for");
                }
            }
        }
    }
}

/// Resolves when the feed has gone on, but not before `from`; false when there is no feed any more.
async fn woken(feed: &mut watch::Receiver<FeedState>, from: Instant) -> bool {
    if feed.changed().await.is_err() {
        return false;
    }
    // If the pause is cut short, it is told again.
    feed.mark_changed();
    sleep_until(from).await;
    true
}

impl Desk {
    fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// One turn: what comes after the webhook's cursor, until there is no more, one letter fails,
    /// or the turn is over.
    async fn deliver(
        &self,
        mut webhook: Webhook,
        leased_at: Instant,
        feed: &watch::Receiver<FeedState>,
        turn: &mut Turn,
    ) -> Result<(), Error> {
        let over_at = Instant::now() + self.settings.turn_s.get();
        let mut lease = Lease { at: leased_at, lasts: self.settings.lease_s.get() };
        let mut line = self.poster.line();
        let page_len = self.settings.page_len;
        loop {
            turn.looked_at = feed.borrow().cursor;
            let scope = Scope::Tenant;
            let database = &self.database;
            let page =
                database.read_missed(webhook.tenant, scope, webhook.cursor, page_len).await?;
            if webhook.cursor + 1 < page.oldest {
                return self.give_up(&webhook, "cursor_too_old").await;
            }
            let full = page.events.len() >= usize::try_from(page_len).unwrap_or(usize::MAX);
            let last = page.events.last().map_or(webhook.cursor, |event| event.position);
            let types = webhook.types.clone();
            let mut moved_by_others = false;
            for event in page.events {
                if !wants(types.as_deref(), &event) {
                    continue;
                }
                let Some(body) = event.render(Audience::Platform) else { continue };
                if self.is_stopping() || Instant::now() >= over_at {
                    turn.more =
                        self.database.release_webhook(self.process, webhook.id, None).await?;
                    return Ok(());
                }
                if !lease.outlasts(2 * self.settings.timeout_ms.get()) {
                    let cursor = webhook.cursor;
                    let Some(now) = self.advance(&webhook, cursor, None, &mut lease).await? else {
                        return Ok(());
                    };
                    moved_by_others = !goes_on_from(&now, cursor, types.as_deref());
                    webhook = now;
                    if moved_by_others {
                        break;
                    }
                }
                let Some(now) = self.letter(&webhook, &event, &body, &mut line, &mut lease).await?
                else {
                    return Ok(());
                };
                moved_by_others = !goes_on_from(&now, event.position, types.as_deref());
                webhook = now;
                if moved_by_others {
                    break;
                }
            }
            if !moved_by_others && last > webhook.cursor {
                match self.advance(&webhook, last, None, &mut lease).await? {
                    Some(now) => {
                        moved_by_others = now.cursor != last;
                        webhook = now;
                    }
                    None => return Ok(()),
                }
            }
            let goes_on = webhook.enabled && (full || moved_by_others);
            if !goes_on || self.is_stopping() || Instant::now() >= over_at {
                turn.more = self.database.release_webhook(self.process, webhook.id, None).await?;
                return Ok(());
            }
        }
    }

    /// Posts one event, and notes what came of it. The webhook as it is then; `None` when the turn
    /// is over, as it failed or the lease is lost.
    async fn letter(
        &self,
        webhook: &Webhook,
        event: &LogEvent,
        body: &str,
        line: &mut Line<'_>,
        lease: &mut Lease,
    ) -> Result<Option<Webhook>, Error> {
        let id = event.id.to_string();
        let sent = line.post(webhook, Letter { id: &id, body }).await;
        metrics().posted(sent.outcome.word());
        let (event_id, position, duration) = (event.id, event.position, sent.duration);
        if sent.outcome == Outcome::Delivered {
            let delivered = Delivered { event: event_id, status: sent.status, duration };
            // What is answered must be noted, or it is posted again: a database that is away for a
            // moment is asked until the lease ends.
            loop {
                let noted = self.advance(webhook, position, Some(delivered), lease).await;
                match noted {
                    Err(error) if error.is_disconnect() && lease.outlasts(AGAIN * 2) => {
                        tracing::warn!(webhook = %webhook.id, %error, "a delivery cannot be noted yet");
                        sleep(AGAIN).await;
                    }
                    noted => return noted,
                }
            }
        }
        let settings = &self.settings;
        let failed = Failed {
            tries: webhook.tries,
            event: event_id,
            position,
            outcome: sent.outcome.word(),
            status: sent.status,
            duration,
            delay: delay(webhook.tries, sent.retry_after, settings.retry_after_max_s.get()),
            patience: settings.failing_max_s.get(),
            reason: (sent.status == Some(GONE)).then_some("gone"),
        };
        let kept = settings.attempts_max;
        let now = self.database.fail_webhook(self.process, webhook.id, failed, kept).await?;
        if let Some((reason, _)) = now.and_then(|now| now.disabled) {
            tracing::info!(webhook = %webhook.id, reason, "a webhook is disabled");
        }
        Ok(None)
    }

    async fn advance(
        &self,
        webhook: &Webhook,
        upto: u64,
        delivered: Option<Delivered>,
        lease: &mut Lease,
    ) -> Result<Option<Webhook>, Error> {
        let (asked_at, kept) = (Instant::now(), self.settings.attempts_max);
        let moved = self
            .database
            .advance_webhook(self.process, (webhook, upto), lease.lasts, delivered, kept)
            .await?;
        lease.at = asked_at;
        Ok(moved)
    }

    async fn give_up(&self, webhook: &Webhook, reason: &str) -> Result<(), Error> {
        tracing::warn!(webhook = %webhook.id, reason, "a webhook is disabled");
        self.database.release_webhook(self.process, webhook.id, Some(reason)).await?;
        Ok(())
    }
}

/// Pause before a delivery is noted again.
const AGAIN: Duration = Duration::from_millis(200);

/// Until when nobody else delivers.
#[derive(Debug)]
struct Lease {
    /// Before it was asked for.
    at: Instant,
    lasts: Duration,
}

impl Lease {
    /// Whether it lasts for so long still.
    fn outlasts(&self, duration: Duration) -> bool {
        self.at.elapsed() + duration < self.lasts
    }
}

/// Whether the page that was read can be gone on with: nobody replayed the webhook, chose other
/// types or switched it off meanwhile.
fn goes_on_from(webhook: &Webhook, cursor: u64, types: Option<&[String]>) -> bool {
    webhook.cursor == cursor && webhook.enabled && webhook.types.as_deref() == types
}

/// Whether a webhook of these types wants the event.
fn wants(types: Option<&[String]>, event: &LogEvent) -> bool {
    types.is_none_or(|types| types.contains(&event.kind))
}
