//! What all players of one evening share.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use awc::Client;
use awc::http::Method;
use rand::Rng as _;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::board::Board;
use super::guests::{self, Guests};
use super::ledger::Ledger;
use super::line::Line;
use super::meter::Meter;
use super::pace::{Pace, once_in};
use super::rest::{Denied, Rest};
use super::wire::text;

/// Events of one evening; then it ends, so that ledgers do not grow without end: 2 million are
/// about 30 hours at 120 orders a minute, and at most 160 MB.
pub(super) const EVENTS_MAX: u64 = 2_000_000;
/// Customers who watch at once.
const CUSTOMERS_MAX: usize = 3_200;
/// Sockets opened at once by the players; customers and all others fit well below.
const SOCKETS_MAX: usize = 4_096;
/// Life of every token: the longest that there is by default, and the longest evening.
const TOKEN_TTL_S: u64 = 86_400;

/// What a player is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Platform,
    Dispatcher,
    Store,
    Courier,
    Customer,
}

impl Kind {
    pub(super) const ALL: &'static [Self] =
        &[Self::Platform, Self::Dispatcher, Self::Store, Self::Courier, Self::Customer];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Platform => "platform",
            Self::Dispatcher => "dispatcher",
            Self::Store => "stores",
            Self::Courier => "couriers",
            Self::Customer => "customers",
        }
    }
}

/// What all players of one evening share. Lives on the players' thread.
pub(super) struct City {
    pub(super) rest: Rest,
    pub(super) sockets: Client,
    pub(super) socket_url: String,
    /// The API key of the tenant.
    pub(super) key: String,
    pub(super) pace: Pace,
    pub(super) meter: RefCell<Meter>,
    pub(super) board: RefCell<Board>,
    /// The parts that people may take.
    pub(super) guests: Guests,
    base: String,
    /// An open order that is shown, and where.
    shown: RefCell<Option<(String, String)>>,
    lines: RefCell<HashMap<String, Rc<Line>>>,
    finished: RefCell<Vec<(Kind, String, Ledger)>>,
    over: watch::Sender<bool>,
}

impl City {
    /// A city whose players reach the server at `base`.
    pub(super) fn new(base: String, key: String, pace: Pace) -> Rc<Self> {
        let connector = awc::Connector::new().limit(SOCKETS_MAX).timeout(Duration::from_secs(10));
        let sockets = Client::builder().connector(connector);
        Rc::new(Self {
            rest: Rest::new(&base),
            sockets: sockets.timeout(Duration::from_secs(10)).finish(),
            socket_url: format!("{base}/connection/websocket"),
            base,
            key,
            pace,
            meter: RefCell::new(Meter::new()),
            board: RefCell::default(),
            guests: Guests::default(),
            shown: RefCell::default(),
            lines: RefCell::default(),
            finished: RefCell::default(),
            over: watch::Sender::new(false),
        })
    }

    /// A token of the tenant's.
    pub(super) async fn token(&self, kind: &str, subject: &str) -> Result<String, Denied> {
        self.issue(json!({"kind": kind, "subject": subject, "ttl_s": TOKEN_TTL_S})).await
    }

    /// A token that is printed for people, whom players make way for.
    pub(super) async fn guest_token(&self, kind: &str, subject: &str) -> Result<String, Denied> {
        self.issue(json!({"kind": kind, "subject": subject, "ttl_s": TOKEN_TTL_S,
            "info": guests::mark()}))
            .await
    }

    /// The token of an order's customer.
    pub(super) async fn customer_token(&self, order: &str) -> Result<String, Denied> {
        let subject = format!("customer of {order}");
        self.issue(json!({"kind": "customer", "subject": subject, "orders": [order],
            "ttl_s": TOKEN_TTL_S}))
            .await
    }

    async fn issue(&self, body: Value) -> Result<String, Denied> {
        let issued = self.rest.write(Method::POST, "/v1/tokens", &self.key, &body).await;
        issued.map(|issued| text(&issued, "token").to_owned())
    }

    /// Whether players still act.
    pub(super) fn is_playing(&self) -> bool {
        !*self.over.borrow()
    }

    /// Players do nothing new from now on.
    pub(super) fn end(&self) {
        self.over.send_replace(true);
    }

    /// Resolves when players do nothing new any more.
    pub(super) async fn over(&self) {
        // The sender is ours: it does not go away.
        drop(self.over.subscribe().wait_for(|over| *over).await);
    }

    /// How long a player of this kind keeps its socket before it drops it to see whether it
    /// recovers. Most customers keep theirs.
    pub(super) fn patience(kind: Kind) -> Duration {
        let seconds = match kind {
            Kind::Platform | Kind::Dispatcher => rand::rng().random_range(4.0..40.0),
            Kind::Store | Kind::Courier => rand::rng().random_range(1.0..40.0),
            Kind::Customer if once_in(8) => rand::rng().random_range(0.5..8.0),
            Kind::Customer => 86_400.0,
        };
        Duration::from_secs_f64(seconds)
    }

    /// Notes why a player's request was denied: as it happens when two act at once, or not.
    pub(super) fn denied(&self, who: &str, denied: &Denied) {
        match denied {
            Denied::Refused { word, .. } if denied.is_a_race() => {
                self.meter.borrow_mut().refuse(word);
            }
            Denied::Refused { .. } | Denied::Failed(_) => self.fail(&format!("{who}: {denied}")),
        }
    }

    /// Notes that a player failed.
    pub(super) fn fail(&self, what: &str) {
        tracing::debug!(what, "a player failed");
        self.meter.borrow_mut().fail(what.to_owned());
    }

    /// Keeps a line that stands to the end of the evening, or until it is archived.
    pub(super) fn keep(&self, line: &Rc<Line>) {
        self.lines.borrow_mut().insert(line.channel.clone(), Rc::clone(line));
    }

    /// Whether one more customer may watch.
    pub(super) fn has_room(&self) -> bool {
        self.lines.borrow().len() < CUSTOMERS_MAX
    }

    /// The lines that stand.
    pub(super) fn lines(&self) -> Vec<Rc<Line>> {
        self.lines.borrow().values().map(Rc::clone).collect()
    }

    /// Hangs a line up and puts its ledger away.
    pub(super) async fn archive(&self, line: &Line) {
        let (ledger, ended) = line.finish().await;
        if !ended {
            self.fail(&format!("{} could not be hung up", line.channel));
        }
        self.lines.borrow_mut().remove(&line.channel);
        self.finished.borrow_mut().push((line.kind, line.channel.clone(), ledger));
    }

    /// The ledgers of lines that were hung up.
    pub(super) fn ledgers(&self) -> Vec<(Kind, String, Ledger)> {
        self.finished.take()
    }

    /// Where a page is. The token is in the fragment: it reaches no server and no log.
    pub(super) fn door(&self, page: &str, token: &str) -> String {
        format!("{}/{page}#token={token}", self.base)
    }

    /// How fast things go at a store: people need time.
    pub(super) fn pace_at(&self, store: &str) -> Pace {
        if self.guests.store.is(store) { self.pace.calm() } else { self.pace }
    }

    /// Shows this order's page, by its tracking link, unless another open one is shown already.
    pub(super) async fn show(&self, order: &str) {
        if self.shown.borrow().is_some() {
            return;
        }
        // Before it is known: two at once would make two links.
        *self.shown.borrow_mut() = Some((order.to_owned(), String::new()));
        let path = format!("/v1/orders/{order}/links");
        let made = self.rest.write(Method::POST, &path, &self.key, &json!({})).await;
        match made {
            Ok(link) => {
                let url = format!("{}{}", self.base, text(&link, "url"));
                let mut shown = self.shown.borrow_mut();
                if let Some((_, shown_url)) = shown.as_mut().filter(|(of, _)| of == order) {
                    *shown_url = url;
                }
            }
            Err(denied) => {
                self.hide(order);
                self.denied("platform", &denied);
            }
        }
    }

    /// An order has ended: another one may be shown.
    pub(super) fn hide(&self, order: &str) {
        let mut shown = self.shown.borrow_mut();
        if shown.as_ref().is_some_and(|(of, _)| of == order) {
            *shown = None;
        }
    }

    /// Where the shown order is.
    pub(super) fn shown_url(&self) -> Option<String> {
        let shown = self.shown.borrow();
        shown.as_ref().map(|(_, url)| url.clone()).filter(|url| !url.is_empty())
    }
}
