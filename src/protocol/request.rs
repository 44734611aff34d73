//! What a command asks: the requests of the protocol, as far as we use them.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;

use bytes::Bytes;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::code::Disconnect;
use super::{Codec, RawJson, json, protobuf};

/// Integers of the wire fit a JavaScript number: 2^53 - 1.
pub(super) const MAX_INTEGER: u64 = (1 << 53) - 1;

/// Bit of [`Subscribe::flag`]: answer error 112 rather than a snapshot when recovery fails.
const REJECT_UNRECOVERED: i64 = 2;

/// What a command asks. Channel names and methods are as the client wrote them, also empty.
#[derive(Debug)]
pub enum Request {
    /// Who this is; the first command of every connection.
    Connect(Connect),
    /// Hear a channel.
    Subscribe(Subscribe),
    /// Hear a channel no longer.
    Unsubscribe {
        /// The channel.
        channel: String,
    },
    /// Say something on a channel.
    Publish {
        /// The channel.
        channel: String,
        /// The payload; none when absent or null.
        data: Option<Box<RawJson>>,
    },
    /// Who is on a channel.
    Presence {
        /// The channel.
        channel: String,
    },
    /// How many are on a channel.
    PresenceStats {
        /// The channel.
        channel: String,
    },
    /// What was said on a channel.
    History(History),
    /// A ping with a reply; no SDK sends it.
    Ping,
    /// A message without a reply.
    Send {
        /// The payload; none when absent or null.
        data: Option<Box<RawJson>>,
    },
    /// Call a method.
    Rpc {
        /// The method's name.
        method: String,
        /// Its body; none when absent or null.
        data: Option<Box<RawJson>>,
    },
    /// A newer token of the connection.
    Refresh {
        /// The token.
        token: Token,
    },
    /// A newer token of a subscription.
    SubRefresh {
        /// The channel.
        channel: String,
        /// The token.
        token: Token,
    },
    /// The answer to our ping.
    Pong,
}

/// The first command of a connection.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Connect {
    /// Empty for an anonymous client.
    #[serde(deserialize_with = "json::lenient")]
    pub token: Token,
    /// The application's, as it is.
    pub data: Option<Box<RawJson>>,
    /// Positions in server-side subscriptions of the previous connection, by channel. They say
    /// where to recover from and never grant anything; [`Subscribe::channel`] is empty in them.
    #[serde(deserialize_with = "subscriptions")]
    pub subs: BTreeMap<String, Subscribe>,
    /// Name of the client's software.
    #[serde(deserialize_with = "json::lenient")]
    pub name: String,
    /// Version of the client's software.
    #[serde(deserialize_with = "json::lenient")]
    pub version: String,
    /// Headers a browser could not set on the handshake.
    #[serde(deserialize_with = "json::lenient")]
    pub headers: BTreeMap<String, String>,
}

impl Connect {
    /// Reads the connect of a client that only listens: the object alone, in JSON. Anything else
    /// is [`Disconnect::BAD_REQUEST`].
    pub fn from_json(message: &[u8]) -> Result<Self, Disconnect> {
        let read = serde_json::from_slice::<json::Strict<Self>>(message);
        read.map(|json::Strict(connect)| connect).map_err(|_| Disconnect::BAD_REQUEST)
    }
}

/// Commands that come by a request of their own, for a connection without a socket.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Emulation {
    /// The process that the connection is in.
    #[serde(deserialize_with = "json::lenient")]
    pub node: String,
    /// The connection.
    #[serde(deserialize_with = "json::lenient")]
    pub session: String,
    /// The message, as it would come over a socket.
    #[serde(deserialize_with = "message")]
    pub data: Bytes,
}

impl Emulation {
    /// Reads the body of such a request; one that cannot be read is
    /// [`Disconnect::BAD_REQUEST`].
    pub fn read(codec: Codec, body: &[u8]) -> Result<Self, Disconnect> {
        match codec {
            Codec::Json => serde_json::from_slice::<json::Strict<Self>>(body)
                .map(|json::Strict(emulation)| emulation)
                .map_err(|_| Disconnect::BAD_REQUEST),
            Codec::Protobuf => protobuf::emulation(body),
        }
    }
}

/// In JSON the message is a text; some write the object itself.
fn message<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    let data = Option::<&RawJson>::deserialize(deserializer)?.map_or("", RawJson::get);
    if data.starts_with('"') {
        let text: String = serde_json::from_str(data).map_err(D::Error::custom)?;
        return Ok(text.into());
    }
    Ok(Bytes::copy_from_slice(data.as_bytes()))
}

/// The wish to hear a channel, perhaps from where an earlier subscription ended.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "flags of the wire, independent of each other")]
pub struct Subscribe {
    /// The channel.
    #[serde(deserialize_with = "json::lenient")]
    pub channel: String,
    /// Empty when the client has none for this channel.
    #[serde(deserialize_with = "json::lenient")]
    pub token: Token,
    /// Whether `epoch` and `offset` say where to recover from.
    #[serde(deserialize_with = "json::lenient")]
    pub recover: bool,
    /// The log that `offset` is a position of; empty when unknown.
    #[serde(deserialize_with = "json::lenient")]
    pub epoch: String,
    /// The last offset the client has; at most 2^53 - 1.
    #[serde(deserialize_with = "offset")]
    pub offset: u64,
    /// The application's, as it is.
    pub data: Option<Box<RawJson>>,
    /// A wish; the server decides.
    #[serde(deserialize_with = "json::lenient")]
    pub positioned: bool,
    /// A wish; the server decides.
    #[serde(deserialize_with = "json::lenient")]
    pub recoverable: bool,
    /// A wish to hear who comes and goes.
    #[serde(deserialize_with = "json::lenient")]
    pub join_leave: bool,
    /// Kind of deltas the client understands; empty for none.
    #[serde(deserialize_with = "json::lenient")]
    pub delta: String,
    /// Whether a tag filter is attached. Its content is not read.
    #[serde(rename = "tf", deserialize_with = "json::present")]
    pub tag_filter: bool,
    /// Bits: 1 offers compaction, 2 is [`Subscribe::rejects_unrecovered`].
    #[serde(deserialize_with = "json::lenient")]
    pub flag: i64,
    /// 0 is a stream, the only kind we have.
    #[serde(rename = "type", deserialize_with = "json::lenient")]
    pub kind: i32,
}

impl Subscribe {
    /// The same wish for a channel that is named elsewhere.
    #[must_use]
    pub fn for_channel(&self, channel: &str) -> Self {
        let (data, channel) = (self.data.clone(), channel.to_owned());
        let (token, epoch, delta) = (self.token.clone(), self.epoch.clone(), self.delta.clone());
        Self { channel, token, epoch, data, delta, ..*self }
    }

    /// Whether the client wants error 112 rather than a snapshot when it cannot recover.
    #[must_use]
    pub fn rejects_unrecovered(&self) -> bool {
        self.flag & REJECT_UNRECOVERED != 0
    }
}

/// The wish to read a channel's past.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct History {
    /// The channel.
    #[serde(deserialize_with = "json::lenient")]
    pub channel: String,
    /// 0 asks for the position only, -1 for all there is (up to our cap).
    #[serde(deserialize_with = "json::lenient")]
    pub limit: i32,
    /// Start after this position, which is exclusive; none starts at the end `reverse` names.
    #[serde(deserialize_with = "json::nullable")]
    pub since: Option<Position>,
    /// Newest first.
    #[serde(deserialize_with = "json::lenient")]
    pub reverse: bool,
}

/// A place in a channel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Position {
    /// At most 2^53 - 1.
    #[serde(deserialize_with = "offset")]
    pub offset: u64,
    /// Empty when unknown.
    #[serde(deserialize_with = "json::lenient")]
    pub epoch: String,
}

/// A client's token, not verified. Its `Debug` hides it, so that no log can hold one.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Token(String);

impl From<String> for Token {
    fn from(token: String) -> Self {
        Self(token)
    }
}

impl Deref for Token {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "Token(none)" } else { "Token(hidden)" })
    }
}

fn offset<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let offset: u64 = json::lenient(deserializer)?;
    if offset > MAX_INTEGER {
        return Err(D::Error::custom("an offset beyond 2^53 - 1"));
    }
    Ok(offset)
}

fn subscriptions<'de, D>(deserializer: D) -> Result<BTreeMap<String, Subscribe>, D::Error>
where
    D: Deserializer<'de>,
{
    let subs: BTreeMap<String, Option<json::Strict<Subscribe>>> = json::lenient(deserializer)?;
    Ok(subs.into_iter().filter_map(|(channel, sub)| Some((channel, sub?.0))).collect())
}
