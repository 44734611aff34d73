//! One player's line to the server: a WebSocket with one subscription, which comes back by
//! itself after every loss and recovers from its last offset and epoch, as the SDKs do.
//!
//! Reading never waits for the player: what arrives is dated at once, written into the ledger
//! and told to the player by a plain call.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use actix_codec::Framed;
use awc::BoxedSocket;
use awc::ws::{Codec, Frame as Incoming, Message};
use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use jiff::Timestamp;
use rand::Rng as _;
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use uuid::Uuid;

use super::city::{City, Kind};
use super::ledger::Ledger;
use super::rest::Denied;
use super::wire::{ErrorBody, Event, Frame, Publication, Push, Subscribed};
use crate::auth;

/// Calls waiting to be sent or answered; beyond it the caller waits.
const CALLS_MAX: usize = 16;
/// Longest wait for a call's answer, reconnects included.
const CALL_TIMEOUT: Duration = Duration::from_secs(15);
/// Longest wait for everything to be heard after hanging up.
const HANG_UP_TIMEOUT: Duration = Duration::from_secs(10);
/// Silence after which the connection counts as dead: a ping comes every 25 s.
const SILENCE: Duration = Duration::from_secs(35);
/// Losses in a row after which the player gives up.
const LOSSES_MAX: u32 = 12;
/// Largest frame: a snapshot of all open orders.
const FRAME_MAX: usize = 16 * 1024 * 1024;

/// The ids of the first two commands of every connection.
const CONNECT: u32 = 1;
const SUBSCRIBE: u32 = 2;
/// A command of its own, and no method.
const PRESENCE: &str = "presence";

/// Who is told what arrives.
pub(super) trait Player {
    /// An event, live or recovered.
    fn hear(&self, event: &Event);
    /// The channel's state: at the first subscription, and when recovery was not possible.
    fn see(&self, _snapshot: &Value) {}
}

enum Ask {
    Call(Call),
    HangUp,
}

struct Call {
    method: &'static str,
    data: Value,
    answer: oneshot::Sender<Result<Value, Denied>>,
}

/// What the line and its task share.
#[derive(Debug, Default)]
struct Shared {
    ledger: RefCell<Ledger>,
    progress: Notify,
    /// Set when the task gave up.
    dead: Cell<bool>,
}

/// A line that stands until it is hung up. Dropping it cuts it.
pub(super) struct Line {
    pub(super) kind: Kind,
    pub(super) channel: String,
    asks: mpsc::Sender<Ask>,
    shared: Rc<Shared>,
    task: Cell<Option<JoinHandle<()>>>,
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

impl Line {
    /// Opens a line; what arrives is told to `player`.
    pub(super) fn open(
        city: &Rc<City>,
        kind: Kind,
        channel: String,
        token: String,
        player: Rc<dyn Player>,
    ) -> Rc<Self> {
        let (asks, asked) = mpsc::channel(CALLS_MAX);
        let shared = Rc::new(Shared::default());
        let wire = Wire {
            city: Rc::clone(city),
            kind,
            channel: channel.clone(),
            token,
            player,
            shared: Rc::clone(&shared),
            asked,
            position: None,
            pending: BTreeMap::new(),
            last_id: SUBSCRIBE,
            subscribed: false,
            leaving: false,
            hung_up: None,
            losses: 0,
        };
        let task = Cell::new(Some(actix_rt::spawn(wire.run())));
        Rc::new(Self { kind, channel, asks, shared, task })
    }

    /// Calls a method. Lost with the connection, it is sent again on the next one under the same
    /// idempotency key.
    pub(super) async fn call(&self, method: &'static str, data: Value) -> Result<Value, Denied> {
        let mut data = data;
        if let Some(members) = data.as_object_mut() {
            members.insert("idempotency_key".to_owned(), Uuid::new_v4().to_string().into());
        }
        self.ask(method, data).await
    }

    /// Who is on a channel, by connection.
    pub(super) async fn present(&self, channel: &str) -> Result<Value, Denied> {
        self.ask(PRESENCE, json!({"channel": channel})).await
    }

    async fn ask(&self, method: &'static str, data: Value) -> Result<Value, Denied> {
        let lost = |why: &str| Denied::Failed(format!("{method}: {why}"));
        let (answer, answered) = oneshot::channel();
        let calling = async {
            let call = Ask::Call(Call { method, data, answer });
            self.asks.send(call).await.map_err(|_gone| lost("the line is dead"))?;
            answered.await.map_err(|_gone| lost("the line died"))?
        };
        timeout(CALL_TIMEOUT, calling).await.map_err(|_late| lost("no answer"))?
    }

    /// Waits until everything up to `position` has been heard, or stood in a snapshot; false
    /// when the line is dead.
    pub(super) async fn reach(&self, position: u64) -> bool {
        loop {
            let mut progress = std::pin::pin!(self.shared.progress.notified());
            progress.as_mut().enable();
            if self.reached().is_some_and(|reached| reached >= position) {
                return true;
            }
            if self.shared.dead.get() {
                return false;
            }
            progress.await;
        }
    }

    /// The furthest position heard of; none before the first subscription stands.
    pub(super) fn reached(&self) -> Option<u64> {
        self.shared.ledger.borrow().reached()
    }

    /// Unsubscribes, hears what was sent before the answer to that, and closes. The ledger, and
    /// whether it ended like this.
    pub(super) async fn finish(&self) -> (Ledger, bool) {
        let ending = async {
            // A task that has ended needs no asking.
            drop(self.asks.send(Ask::HangUp).await);
            match self.task.take() {
                Some(task) => task.await.is_ok(),
                None => true,
            }
        };
        let ended = timeout(HANG_UP_TIMEOUT, ending).await.unwrap_or(false);
        (self.shared.ledger.take(), ended && !self.shared.dead.get())
    }
}

/// Why a connection ended.
enum End {
    /// It was hung up.
    Done,
    /// On purpose, to see the recovery.
    Dropped,
    /// Something went wrong that may go better the next time.
    Lost(String),
    /// The server does not want us again.
    Dead(String),
}

/// The task behind a line.
struct Wire {
    city: Rc<City>,
    kind: Kind,
    channel: String,
    token: String,
    player: Rc<dyn Player>,
    shared: Rc<Shared>,
    asked: mpsc::Receiver<Ask>,
    /// Offset and epoch to recover from.
    position: Option<(u64, String)>,
    /// Calls without an answer, by their id.
    pending: BTreeMap<u32, Call>,
    last_id: u32,
    subscribed: bool,
    /// Nothing more is wanted than what was sent before the unsubscribe is answered.
    leaving: bool,
    /// The id of the unsubscribe, once it has been sent on this connection.
    hung_up: Option<u32>,
    losses: u32,
}

type Socket = Framed<BoxedSocket, Codec>;

impl Wire {
    async fn run(mut self) {
        loop {
            let end = self.connection().await;
            if std::mem::take(&mut self.subscribed) {
                self.city.meter.borrow_mut().sockets -= 1;
            }
            let pause = match end {
                End::Done => return,
                End::Dropped => {
                    self.city.meter.borrow_mut().drops += 1;
                    rand::rng().random_range(50..1_200)
                }
                End::Lost(why) if self.losses < LOSSES_MAX => {
                    self.losses += 1;
                    let what = format!("{} lost its socket: {why}", self.channel);
                    self.city.meter.borrow_mut().cut(what);
                    rand::rng().random_range(50..200) * u64::from(self.losses)
                }
                End::Lost(why) | End::Dead(why) => {
                    self.shared.dead.set(true);
                    self.shared.progress.notify_waiters();
                    self.city.fail(&format!("{} gave up: {why}", self.channel));
                    return;
                }
            };
            sleep(Duration::from_millis(pause)).await;
        }
    }

    /// One connection from its beginning to its end.
    async fn connection(&mut self) -> End {
        match self.converse().await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn converse(&mut self) -> Result<std::convert::Infallible, End> {
        let lost = |error: &dyn std::fmt::Display| End::Lost(error.to_string());
        let request = self.city.sockets.ws(&self.city.socket_url).max_frame_size(FRAME_MAX);
        let (_, mut socket): (_, Socket) = request.connect().await.map_err(|error| lost(&error))?;
        let hello = Message::Text(self.hello().into());
        socket.send(hello).await.map_err(|error| lost(&error))?;
        self.hung_up = None;
        let drop_at = Instant::now() + City::patience(self.kind);
        let mut silent_at = Instant::now() + SILENCE;
        loop {
            if self.leaving && self.subscribed && self.hung_up.is_none() {
                let goodbye = self.goodbye();
                socket.send(goodbye).await.map_err(|error| lost(&error))?;
            }
            let free = self.subscribed && self.pending.len() < CALLS_MAX && !self.leaving;
            let restless = self.city.is_playing() && !self.leaving;
            let answers = tokio::select! {
                frame = socket.next() => {
                    silent_at = Instant::now() + SILENCE;
                    match frame {
                        None => return Err(End::Lost("it ended without a close".to_owned())),
                        Some(Err(error)) => return Err(lost(&error)),
                        Some(Ok(frame)) => self.take(frame, auth::now())?,
                    }
                }
                ask = self.asked.recv(), if free => self.ask(ask),
                () = sleep_until(drop_at), if restless => return Err(End::Dropped),
                () = sleep_until(silent_at) => return Err(End::Lost("it fell silent".to_owned())),
            };
            for answer in answers {
                socket.send(answer).await.map_err(|error| lost(&error))?;
            }
        }
    }

    /// Connect, subscribe and the calls that were lost, in one message.
    fn hello(&self) -> String {
        let mut subscribe = json!({"channel": self.channel, "positioned": true,
            "recoverable": true, "flag": 1});
        if let (Some((offset, epoch)), Some(members)) = (&self.position, subscribe.as_object_mut())
        {
            members.insert("recover".to_owned(), true.into());
            members.insert("offset".to_owned(), (*offset).into());
            members.insert("epoch".to_owned(), epoch.as_str().into());
        }
        let mut lines = vec![
            json!({"id": CONNECT, "connect": {"token": self.token, "name": "demo"}}).to_string(),
            json!({"id": SUBSCRIBE, "subscribe": subscribe}).to_string(),
        ];
        lines.extend(self.pending.iter().map(|(id, call)| rpc(*id, call)));
        lines.join("\n")
    }

    fn ask(&mut self, ask: Option<Ask>) -> Vec<Message> {
        match ask {
            Some(Ask::Call(call)) => {
                self.last_id += 1;
                let text = rpc(self.last_id, &call);
                self.pending.insert(self.last_id, call);
                vec![Message::Text(text.into())]
            }
            // Without a line nobody is left who could hang up.
            Some(Ask::HangUp) | None => {
                self.leaving = true;
                vec![]
            }
        }
    }

    fn goodbye(&mut self) -> Message {
        self.last_id += 1;
        self.hung_up = Some(self.last_id);
        let text = json!({"id": self.last_id, "unsubscribe": {"channel": self.channel}});
        Message::Text(text.to_string().into())
    }

    /// Takes what has come, and returns what is to be answered.
    fn take(&mut self, frame: Incoming, now: Timestamp) -> Result<Vec<Message>, End> {
        match frame {
            Incoming::Text(bytes) => self.read(&bytes, now),
            Incoming::Ping(payload) => Ok(vec![Message::Pong(payload)]),
            Incoming::Pong(_) => Ok(vec![]),
            Incoming::Close(reason) => {
                let reason = reason.map(|reason| (u16::from(reason.code), reason.description));
                let (code, text) = reason.unwrap_or((0, None));
                let why = format!("closed with {code} {}", text.unwrap_or_default());
                // The upper halves of the protocol's thousand and of the application's.
                let is_terminal = matches!(code / 500, 7 | 9);
                Err(if is_terminal { End::Dead(why) } else { End::Lost(why) })
            }
            Incoming::Binary(_) | Incoming::Continuation(_) => {
                Err(End::Dead("a frame that is not of the JSON protocol".to_owned()))
            }
        }
    }

    fn read(&mut self, bytes: &Bytes, now: Timestamp) -> Result<Vec<Message>, End> {
        let mut answers = vec![];
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let frame: Frame = serde_json::from_slice(line)
                .map_err(|error| End::Dead(format!("a frame that cannot be read: {error}")))?;
            let Frame { id, error, connect, subscribe, unsubscribe, rpc, presence, push } = frame;
            match (id, error) {
                (0, _) => match push {
                    Some(push) => self.push(push, now)?,
                    None => answers.push(Message::Text("{}".into())),
                },
                (CONNECT | SUBSCRIBE, Some(error)) => {
                    let why = format!("error {} {}", error.code, error.message);
                    return Err(if error.temporary { End::Lost(why) } else { End::Dead(why) });
                }
                (id, Some(error)) => self.answer(id, Err(refusal(&error))),
                (id, None) => {
                    if let Some(subscribed) = subscribe {
                        self.subscribed(subscribed)?;
                    } else if let Some(answer) = rpc {
                        self.answer(id, Ok(answer.data));
                    } else if let Some(present) = presence {
                        self.answer(id, Ok(present.presence));
                    } else if unsubscribe.is_some() && self.hung_up == Some(id) {
                        return Err(End::Done);
                    } else if connect.is_none() {
                        return Err(End::Dead("a reply to nothing".to_owned()));
                    }
                }
            }
        }
        Ok(answers)
    }

    fn push(&mut self, push: Push, now: Timestamp) -> Result<(), End> {
        if push.channel != self.channel {
            return Err(End::Dead(format!("a push on {}", push.channel)));
        }
        if let Some(end) = push.unsubscribe {
            return Err(End::Lost(format!("unsubscribed with {} {}", end.code, end.message)));
        }
        let Some(publication) = push.publication else { return Ok(()) };
        self.hear(&publication, Some(now))
    }

    /// An event; live ones come with the moment of their arrival.
    fn hear(&mut self, publication: &Publication, live: Option<Timestamp>) -> Result<(), End> {
        // Without an offset it is not of the log.
        if publication.offset == 0 {
            return Ok(());
        }
        let unreadable = |why: &dyn std::fmt::Display| End::Dead(format!("an event: {why}"));
        let event: Event =
            serde_json::from_str(publication.data.get()).map_err(|error| unreadable(&error))?;
        if event.position != publication.offset {
            return Err(unreadable(&"its position is not its offset"));
        }
        if let Some(now) = live {
            let at: Timestamp = event.at.parse().map_err(|error| unreadable(&error))?;
            let after = now.as_microsecond().saturating_sub(at.as_microsecond());
            self.city.meter.borrow_mut().arrived(u64::try_from(after).unwrap_or(0));
        }
        self.city.meter.borrow_mut().heard += 1;
        self.shared.ledger.borrow_mut().hear(event.position);
        if let Some((offset, _)) = &mut self.position {
            *offset = event.position;
        }
        self.player.hear(&event);
        self.shared.progress.notify_waiters();
        Ok(())
    }

    fn subscribed(&mut self, result: Subscribed) -> Result<(), End> {
        self.subscribed = true;
        self.losses = 0;
        self.city.meter.borrow_mut().sockets += 1;
        let Subscribed { epoch, offset, recovered, was_recovering, publications, data } = result;
        if recovered {
            let same = self.position.as_ref().is_some_and(|(at, of)| (*at, of) == (offset, &epoch));
            if !same {
                return Err(End::Dead("recovered from another position than ours".to_owned()));
            }
            self.city.meter.borrow_mut().recovered += 1;
            for publication in &publications {
                self.hear(publication, None)?;
            }
        } else {
            if was_recovering {
                self.city.meter.borrow_mut().restarted += 1;
            }
            self.position = Some((offset, epoch));
            self.shared.ledger.borrow_mut().see(offset);
            self.player.see(&data.unwrap_or_default());
        }
        self.shared.progress.notify_waiters();
        Ok(())
    }

    fn answer(&mut self, id: u32, answer: Result<Value, Denied>) {
        if let Some(call) = self.pending.remove(&id) {
            // Who has stopped waiting does not need it.
            drop(call.answer.send(answer));
        }
    }
}

fn rpc(id: u32, call: &Call) -> String {
    if call.method == PRESENCE {
        return json!({"id": id, PRESENCE: call.data}).to_string();
    }
    json!({"id": id, "rpc": {"method": call.method, "data": call.data}}).to_string()
}

/// The server's sentence begins with the problem's code.
fn refusal(error: &ErrorBody) -> Denied {
    match error.message.split_once(": ") {
        Some((word, detail)) if error.code >= 400 => {
            Denied::Refused { word: word.to_owned(), detail: detail.to_owned() }
        }
        _ => Denied::Failed(format!("error {} {}", error.code, error.message)),
    }
}
