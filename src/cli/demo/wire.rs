//! The frames of the Centrifuge protocol and the envelope of events, as a client reads them.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// One event, with the members of its envelope that players act on.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Event {
    /// Its place in the log.
    pub(super) position: u64,
    /// Its type, as in `order.ready`.
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// The order it is about.
    pub(super) order: Option<String>,
    /// The store concerned; only shown inside.
    pub(super) store: Option<String>,
    /// The courier who has the order after it; only shown inside.
    pub(super) driver: Option<String>,
    /// Who did it.
    #[serde(default)]
    pub(super) by: By,
    /// When the database dated it: RFC 3339, whole milliseconds.
    pub(super) at: String,
    /// What happened.
    pub(super) data: Value,
}

/// Who did something.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct By {
    /// As in `store`.
    pub(super) role: String,
    /// Whose token it was; only shown inside.
    pub(super) id: String,
}

impl Event {
    /// The identifier of the order it is about; empty when it is about none.
    pub(super) fn order(&self) -> &str {
        self.order.as_deref().unwrap_or_default()
    }

    /// A text in its data.
    pub(super) fn text(&self, key: &str) -> &str {
        text(&self.data, key)
    }
}

/// A text of an object; empty when it is not there.
pub(super) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// A page of `GET /v1/events`.
#[derive(Debug, Deserialize)]
pub(super) struct EventPage {
    pub(super) events: Vec<Event>,
    /// The position to read on from.
    pub(super) next: u64,
}

/// One frame from the server: a reply, a push, or with neither a ping.
#[derive(Debug, Deserialize, Default)]
#[serde(default)]
pub(super) struct Frame {
    pub(super) id: u32,
    pub(super) error: Option<ErrorBody>,
    pub(super) connect: Option<Value>,
    pub(super) subscribe: Option<Subscribed>,
    pub(super) unsubscribe: Option<Value>,
    pub(super) rpc: Option<Answer>,
    pub(super) presence: Option<Present>,
    pub(super) push: Option<Push>,
}

/// Why a command has no result.
#[derive(Debug, Deserialize)]
pub(super) struct ErrorBody {
    pub(super) code: u32,
    #[serde(default)]
    pub(super) message: String,
    #[serde(default)]
    pub(super) temporary: bool,
}

/// A subscription that stands.
#[derive(Debug, Deserialize, Default)]
#[serde(default)]
pub(super) struct Subscribed {
    pub(super) epoch: String,
    pub(super) offset: u64,
    pub(super) recovered: bool,
    pub(super) was_recovering: bool,
    pub(super) publications: Vec<Publication>,
    pub(super) data: Option<Value>,
}

/// What an RPC answers.
#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    #[serde(default)]
    pub(super) data: Value,
}

/// Who is on a channel: each connection with what its token says.
#[derive(Debug, Deserialize)]
pub(super) struct Present {
    #[serde(default)]
    pub(super) presence: Value,
}

/// What comes unasked.
#[derive(Debug, Deserialize)]
pub(super) struct Push {
    #[serde(default)]
    pub(super) channel: String,
    #[serde(rename = "pub")]
    pub(super) publication: Option<Publication>,
    pub(super) unsubscribe: Option<ErrorBody>,
}

/// An event with its offset; without one it is not of the log, as a courier's location.
#[derive(Debug, Deserialize)]
pub(super) struct Publication {
    #[serde(default)]
    pub(super) offset: u64,
    pub(super) data: Box<RawValue>,
}
