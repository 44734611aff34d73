//! What each command of a connection must lead to: the rules of the protocol a second time, from
//! its description and the README's tables.

use std::collections::{BTreeMap, BTreeSet};

use ordercast::domain::{DriverId, OrderId, StoreId};
use ordercast::protocol::code::{Disconnect, ErrorCode};
use ordercast::protocol::{Codec, Command, Connect, History, RawJson, Request, Subscribe};
use serde::Deserialize;
use serde_json::Value;

use crate::people::{MOST_SUBSCRIPTIONS, Person, Role, World, filters, is_filter_of};

/// Commands of one message, and publications of one answer, by the default settings.
const MOST_COMMANDS: usize = 256;
const MOST_PUBLICATIONS: usize = 300;
const LONGEST_MESSAGE: usize = 65_536;
const LONGEST_NAME: usize = 255;

/// What a command must lead to.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Neither a reply nor an end.
    Silence,
    /// The result of this name.
    Result(&'static str),
    /// An error reply.
    Error(u32),
    /// One of these errors, or the result of this name.
    Any(&'static str, Vec<u32>),
    /// A result, or an error that is a problem of the call and not ours.
    Answer,
    /// As above, or that there is no such method.
    AnswerIfKnown,
    /// The end of the connection.
    End(Disconnect),
}

use Verdict::{Any, Silence};

/// How far the connection has come.
enum Phase {
    New,
    Refused,
    Open(Person),
}

/// Follows one connection.
pub struct Judge<'a> {
    world: &'a World,
    phase: Phase,
    /// The last offset of each channel that is subscribed.
    pub channels: BTreeMap<String, u64>,
    /// Those of them that a token of their own opened.
    permitted: BTreeSet<String>,
    /// The newest position told.
    pub top: u64,
}

fn denied() -> Verdict {
    Verdict::Error(ErrorCode::PERMISSION_DENIED.code)
}

impl<'a> Judge<'a> {
    pub fn new(world: &'a World) -> Self {
        Self {
            world,
            phase: Phase::New,
            channels: BTreeMap::new(),
            permitted: BTreeSet::new(),
            top: 0,
        }
    }

    pub fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open(_))
    }

    /// The tenant whose the connection is.
    pub fn tenant(&self) -> Option<usize> {
        match &self.phase {
            Phase::Open(who) => Some(who.tenant),
            Phase::New | Phase::Refused => None,
        }
    }

    /// The commands of a message, or how it ends the connection. Reading is judged elsewhere.
    pub fn read(codec: Codec, message: &[u8]) -> Result<Vec<Command>, Disconnect> {
        if message.len() > LONGEST_MESSAGE {
            return Err(Disconnect::MESSAGE_TOO_BIG);
        }
        if codec.is_text() && std::str::from_utf8(message).is_err() {
            return Err(Disconnect::INVALID_TEXT);
        }
        codec.decode(message, MOST_COMMANDS)
    }

    #[expect(clippy::match_same_arms, reason = "a rule each")]
    pub fn expect(&self, command: &Command) -> Verdict {
        let who = match (&self.phase, &command.request) {
            (_, Request::Pong) | (Phase::Refused, _) => return Silence,
            (Phase::New, Request::Connect(connect)) => return self.connect(connect),
            (Phase::New, _) | (Phase::Open(_), Request::Connect(_)) => {
                return Verdict::End(Disconnect::BAD_REQUEST);
            }
            (Phase::Open(who), _) => who,
        };
        let named = match &command.request {
            Request::Subscribe(ask) => &ask.channel,
            Request::Publish { channel, .. }
            | Request::Presence { channel }
            | Request::PresenceStats { channel } => channel,
            Request::History(ask) => &ask.channel,
            _ => "-",
        };
        if named.is_empty() {
            return Verdict::End(Disconnect::BAD_REQUEST);
        }
        match &command.request {
            Request::Subscribe(ask) => self.subscribe(who, ask),
            Request::Unsubscribe { .. } => Verdict::Result("unsubscribe"),
            Request::Publish { .. } => denied(),
            Request::Presence { channel } => self.attend(who, channel, "presence"),
            Request::PresenceStats { channel } => self.attend(who, channel, "presence_stats"),
            Request::History(ask) => self.history(who, ask),
            Request::Ping => Verdict::Error(ErrorCode::NOT_AVAILABLE.code),
            Request::Send { data } => send(data.as_deref()),
            Request::Rpc { method, data } => match call(method, data.as_deref()) {
                Verdict::Error(code) if [400, 422].contains(&code) => Verdict::Error(code),
                _ if who.role == Role::Link && method.contains('.') => Verdict::Error(403),
                verdict => verdict,
            },
            Request::Refresh { token } => match self.world.whom(token) {
                None => Verdict::End(Disconnect::INVALID_TOKEN),
                Some(fresh) if fresh.is_dead => Verdict::End(Disconnect::EXPIRED),
                Some(fresh) if fresh.is_same(who) => Verdict::Result("refresh"),
                Some(_) => Verdict::End(Disconnect::INVALID_TOKEN),
            },
            Request::SubRefresh { channel, .. } if !self.channels.contains_key(channel) => denied(),
            Request::SubRefresh { channel, token } if self.permitted.contains(channel) => {
                match self.world.permit(token) {
                    Some(permit) if permit.is_dead => {
                        Verdict::End(Disconnect::SUBSCRIPTION_EXPIRED)
                    }
                    Some(permit) if permit.is_for(who, channel) => Verdict::Result("sub_refresh"),
                    _ => Verdict::End(Disconnect::INVALID_TOKEN),
                }
            }
            // It has none of its own that could end.
            Request::SubRefresh { .. } => Verdict::Result("sub_refresh"),
            Request::Connect(_) | Request::Pong => panic!("judged above"),
        }
    }

    fn connect(&self, connect: &Connect) -> Verdict {
        if connect.subs.len() > MOST_SUBSCRIPTIONS {
            return Verdict::Error(ErrorCode::LIMIT_EXCEEDED.code);
        }
        match self.world.whom(&connect.token) {
            _ if connect.token.is_empty() => Verdict::End(Disconnect::BAD_REQUEST),
            None => Verdict::End(Disconnect::INVALID_TOKEN),
            Some(who) if who.is_dead => Verdict::Error(ErrorCode::TOKEN_EXPIRED.code),
            Some(_) => Verdict::Result("connect"),
        }
    }

    /// What asking for a channel leads to, if it is not heard yet and nothing else is wrong.
    fn open(&self, who: &Person, name: &str, result: &'static str) -> Verdict {
        let home = &self.world.homes[who.tenant];
        let is_own = |yes| if yes { Verdict::Result(result) } else { denied() };
        if let Some(text) = name.strip_prefix("order:") {
            let Ok(id) = text.parse::<OrderId>() else { return denied() };
            let id = id.to_string();
            return match who.role {
                Role::Platform | Role::Ops => is_own(home.orders.contains(&id)),
                Role::Customer | Role::Link => is_own(who.orders.contains(&id)),
                // While it has it, which may change at any time.
                Role::Driver if home.orders.contains(&id) => {
                    Any(result, vec![ErrorCode::PERMISSION_DENIED.code])
                }
                Role::Driver | Role::Store => denied(),
            };
        }
        for (kind, role) in [("store:", Role::Store), ("driver:", Role::Driver)] {
            if let Some(text) = name.strip_prefix(kind) {
                return is_own(who.role == role && who.subject == text);
            }
        }
        match (name, who.role) {
            ("dispatch", Role::Ops) | ("tenant", Role::Platform) => Verdict::Result(result),
            ("dispatch" | "tenant", _) => denied(),
            _ => Verdict::Error(ErrorCode::UNKNOWN_CHANNEL.code),
        }
    }

    fn subscribe(&self, who: &Person, ask: &Subscribe) -> Verdict {
        let unrecoverable = ErrorCode::UNRECOVERABLE_POSITION.code;
        if self.channels.contains_key(&ask.channel) {
            return Verdict::Error(ErrorCode::ALREADY_SUBSCRIBED.code);
        }
        if self.channels.len() >= MOST_SUBSCRIPTIONS {
            return Verdict::Error(ErrorCode::LIMIT_EXCEEDED.code);
        }
        if ask.channel.len() > LONGEST_NAME || ask.tag_filter {
            return Verdict::Error(ErrorCode::BAD_REQUEST.code);
        }
        if ask.kind != 0 {
            return Verdict::Error(ErrorCode::NOT_AVAILABLE.code);
        }
        let opened = match self.world.permit(&ask.token) {
            _ if ask.token.is_empty() => self.open(who, &ask.channel, "subscribe"),
            None => denied(),
            Some(permit) if permit.is_dead => Verdict::Error(ErrorCode::TOKEN_EXPIRED.code),
            Some(permit) if permit.is_for(who, &ask.channel) => Verdict::Result("subscribe"),
            Some(_) => Verdict::End(Disconnect::INVALID_TOKEN),
        };
        let mut errors = match opened {
            Any(_, errors) => errors,
            Verdict::Result(_) => vec![],
            no => return no,
        };
        if let (channel @ ("dispatch" | "tenant"), Some(data)) = (&*ask.channel, &ask.data) {
            let data = serde_json::from_str::<Value>(data.get()).ok();
            let known = data.and_then(|data| filters().iter().position(|filter| *filter == data));
            match known {
                Some(nth) if is_filter_of(channel, nth) => {}
                Some(_) => return Verdict::Error(ErrorCode::BAD_REQUEST.code),
                None => errors.push(ErrorCode::BAD_REQUEST.code),
            }
        }
        if ask.recover && ask.rejects_unrecovered() && !self.must_recover(ask) {
            let is_other = !ask.epoch.is_empty() && ask.epoch != self.world.epoch;
            // Nobody has come so far.
            if (is_other || ask.offset > 1 << 40) && errors.is_empty() {
                return Verdict::Error(unrecoverable);
            }
            errors.push(unrecoverable);
        }
        if errors.is_empty() { Verdict::Result("subscribe") } else { Any("subscribe", errors) }
    }

    /// Whether what was missed is so little, and so surely there, that it must be sent.
    fn must_recover(&self, ask: &Subscribe) -> bool {
        let same = ask.epoch.is_empty() || ask.epoch == self.world.epoch;
        same && self.top > 0 && (self.top.saturating_sub(20)..=self.top).contains(&ask.offset)
    }

    fn history(&self, who: &Person, ask: &History) -> Verdict {
        let opened = if who.feed().is_some_and(|feed| feed == ask.channel) {
            Verdict::Result("history")
        } else {
            self.open(who, &ask.channel, "history")
        };
        let epoch = ask.since.as_ref().map_or("", |since| &since.epoch);
        let is_other = !epoch.is_empty() && epoch != self.world.epoch;
        match opened {
            Verdict::Result(_) if is_other => {
                Verdict::Error(ErrorCode::UNRECOVERABLE_POSITION.code)
            }
            Any(_, mut errors) if is_other => {
                errors.push(ErrorCode::UNRECOVERABLE_POSITION.code);
                Any("never", errors)
            }
            opened => opened,
        }
    }

    /// Who is there is for dispatchers and the platform to know, and for a store of its own door.
    fn attend(&self, who: &Person, name: &str, result: &'static str) -> Verdict {
        let city = &self.world.homes[who.tenant].city;
        let inside = matches!(who.role, Role::Ops | Role::Platform);
        if inside {
            let is_own = |yes| if yes { Verdict::Result(result) } else { denied() };
            if let Some(text) = name.strip_prefix("store:") {
                return is_own(
                    text.parse::<StoreId>().is_ok_and(|id| id.to_string() == city.store),
                );
            }
            if let Some(text) = name.strip_prefix("driver:") {
                let id = text.parse::<DriverId>();
                return is_own(id.is_ok_and(|id| id.to_string() == city.driver));
            }
        }
        match self.open(who, name, result) {
            Verdict::Result(_) if matches!(name, "dispatch" | "tenant") => {
                Verdict::Error(ErrorCode::NOT_AVAILABLE.code)
            }
            Verdict::Result(_) if !inside && who.role != Role::Store => denied(),
            Any(..) => denied(),
            verdict => verdict,
        }
    }

    /// Takes note of a reply, which must be what was expected.
    pub fn hear_reply(&mut self, command: &Command, expected: &Verdict, reply: &Value) {
        let members = reply.as_object().unwrap();
        assert_eq!(members.len(), 2, "an id and one more");
        assert_eq!(reply["id"], command.id, "another command's");
        let kind = members.keys().find(|key| *key != "id").unwrap().as_str();
        let error = &reply["error"];
        let code = error["code"].as_u64().unwrap_or_default();
        let is_problem = (400..2000).contains(&code) && ![500, 503].contains(&code);
        let as_expected = match expected {
            Verdict::Result(name) => kind == *name,
            Verdict::Error(expected) => code == u64::from(*expected),
            Any(name, errors) => {
                kind == *name || errors.iter().any(|error| u64::from(*error) == code)
            }
            Verdict::Answer => kind == "rpc" || is_problem,
            Verdict::AnswerIfKnown => kind == "rpc" || is_problem || code == 104,
            Silence | Verdict::End(_) => false,
        };
        assert!(as_expected, "expected {expected:?}, heard {reply}");
        if kind == "error" {
            assert!(!error["message"].as_str().unwrap().is_empty(), "{reply}");
            assert_eq!(error["temporary"] == true, [100, 111, 113, 429, 500, 503].contains(&code));
            if matches!(self.phase, Phase::New) {
                self.phase = Phase::Refused;
            }
            return;
        }
        assert!(reply[kind].is_object(), "a result is an object: {reply}");
        match &command.request {
            Request::Connect(connect) => self.connected(connect, &reply["connect"]),
            Request::Subscribe(ask) => {
                let must = self.must_recover(ask);
                let asked = ask.recover.then_some(ask.offset);
                let result = &reply["subscribe"];
                assert!(!must || !ask.recover || result["recovered"] == true, "{reply}");
                let is_whole = result.get("data").is_some() != (result["recovered"] == true);
                assert!(is_whole, "a state, or what was missed: {reply}");
                self.subscribed(&ask.channel, asked, result);
                assert_eq!(result["expires"] == true, !ask.token.is_empty(), "{reply}");
                if !ask.token.is_empty() {
                    self.permitted.insert(ask.channel.clone());
                }
            }
            Request::Unsubscribe { channel } => {
                self.channels.remove(channel);
                self.permitted.remove(channel);
            }
            Request::Refresh { token } => {
                let fresh = self.world.whom(token).unwrap().clone();
                self.phase = Phase::Open(fresh);
            }
            Request::History(ask) => self.past(ask, &reply["history"]),
            _ => {}
        }
    }

    fn connected(&mut self, connect: &Connect, result: &Value) {
        let who = self.world.whom(&connect.token).unwrap().clone();
        let feed = who.feed();
        let data = connect.data.as_ref().map(|data| data.get());
        let asks = data == Some(r#"{"personal":true}"#)
            || feed.as_ref().is_some_and(|feed| connect.subs.contains_key(feed));
        let subs = result["subs"].as_object().cloned().unwrap_or_default();
        if asks && feed.is_some() {
            assert_eq!(subs.len(), 1, "its own feed: {result}");
        }
        for (channel, sub) in &subs {
            assert_eq!(Some(channel), feed.as_ref(), "not its own feed: {result}");
            let asked = connect.subs.get(channel).filter(|ask| ask.recover);
            self.subscribed(channel, asked.map(|ask| ask.offset), sub);
        }
        self.phase = Phase::Open(who);
    }

    fn subscribed(&mut self, channel: &str, asked: Option<u64>, result: &Value) {
        assert_eq!((&result["recoverable"], &result["positioned"]), (&true.into(), &true.into()));
        assert_eq!(result["epoch"], self.world.epoch.as_str());
        assert_eq!(result["was_recovering"] == true, asked.is_some(), "{result}");
        let mut last = result["offset"].as_u64().unwrap_or_default();
        let publications = result["publications"].as_array().cloned().unwrap_or_default();
        if result["recovered"] == true {
            assert_eq!(Some(last), asked, "the offset that was asked from: {result}");
        } else {
            assert!(publications.is_empty(), "{result}");
        }
        assert!(publications.len() <= MOST_PUBLICATIONS);
        for publication in publications {
            last = after(last, &publication);
        }
        self.top = self.top.max(last);
        self.channels.insert(channel.to_owned(), last);
    }

    fn past(&self, ask: &History, result: &Value) {
        assert_eq!(result["epoch"], self.world.epoch.as_str());
        let offsets: Vec<u64> = result["publications"]
            .as_array()
            .unwrap()
            .iter()
            .map(|publication| after(0, publication))
            .collect();
        let most = usize::try_from(ask.limit).unwrap_or(usize::MAX).min(MOST_PUBLICATIONS);
        assert!(offsets.len() <= most, "{result}");
        let in_order =
            |pair: &[u64]| if ask.reverse { pair[0] > pair[1] } else { pair[0] < pair[1] };
        assert!(offsets.windows(2).all(in_order), "{result}");
        if let Some(since) = &ask.since {
            let beyond = |offset: &u64| {
                if ask.reverse { *offset < since.offset } else { *offset > since.offset }
            };
            assert!(offsets.iter().all(beyond), "{result}");
        }
    }

    /// Takes note of a push.
    pub fn hear_push(&mut self, push: &Value) {
        let channel = push["channel"].as_str().unwrap_or_default();
        let last = self.channels.get_mut(channel);
        let last = last.unwrap_or_else(|| panic!("on a channel that is not heard: {push}"));
        if let Some(end) = push.get("unsubscribe") {
            assert!([2000, 2500, 2501].map(Value::from).contains(&end["code"]), "{push}");
            assert!(!end["reason"].as_str().unwrap().is_empty(), "{push}");
            self.channels.remove(channel);
            self.permitted.remove(channel);
            return;
        }
        if let Some(moved) = push.get("join").or_else(|| push.get("leave")) {
            assert!(moved["info"]["client"].is_string(), "{push}");
            return;
        }
        *last = after(*last, &push["pub"]);
        self.top = self.top.max(*last);
    }
}

/// The offset of a publication, which must be beyond the last.
fn after(last: u64, publication: &Value) -> u64 {
    let offset = publication["offset"].as_u64().unwrap_or_default();
    assert!(offset > last, "{offset} after {last}: {publication}");
    assert_eq!(publication["data"]["position"], offset, "{publication}");
    offset
}

/// A message is a call that nobody awaits, or not offered.
fn send(data: Option<&RawJson>) -> Verdict {
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only whether it can be read matters")]
    struct Call {
        method: String,
        data: Option<Box<RawJson>>,
    }
    match data.and_then(|data| serde_json::from_str::<Call>(data.get()).ok()) {
        Some(_) => Silence,
        None => Verdict::End(Disconnect::NOT_AVAILABLE),
    }
}

fn call(method: &str, data: Option<&RawJson>) -> Verdict {
    let data: Value = match data.map(|data| serde_json::from_str(data.get())) {
        None => Value::Object(serde_json::Map::new()),
        Some(Ok(data)) => data,
        Some(Err(_)) => return Verdict::Error(400),
    };
    let Some(members) = data.as_object() else { return Verdict::Error(422) };
    let known = [
        "order.create",
        "store.create",
        "store.update",
        "store.pause",
        "driver.create",
        "driver.update",
        "driver.duty",
        "token.create",
        "store.delete",
        "driver.delete",
        "token.revoke",
    ];
    if known.contains(&method) {
        return Verdict::Answer;
    }
    let is_keyed = ["idempotency_key", "if_match"].iter().any(|key| members.contains_key(*key));
    if method.starts_with("order.") || (method.contains('.') && is_keyed) {
        return Verdict::AnswerIfKnown;
    }
    Verdict::Error(ErrorCode::METHOD_NOT_FOUND.code)
}
