//! The answers to commands.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;

use super::code::ErrorCode;
use super::json::{self, Object};
use super::push::ClientInfo;
use super::{Codec, RawJson, protobuf};

/// The answer to one command: its result, or why there is none.
///
/// `publications` are encoded by [`Codec::encode_publication`] of the same codec.
#[derive(Debug, Clone)]
pub enum Reply<'a> {
    /// No.
    Error(ErrorReply<'a>),
    /// The connection is authenticated.
    Connect(ConnectResult<'a>),
    /// The subscription stands.
    Subscribe(SubscribeResult<'a>),
    /// There is no subscription any more; also if there was none.
    Unsubscribe,
    /// The publication is stored.
    Publish,
    /// Who is on the channel; each client once.
    Presence(&'a [ClientInfo<'a>]),
    /// How many are on the channel.
    PresenceStats {
        /// Connections.
        clients: u32,
        /// Different users behind them.
        users: u32,
    },
    /// What was said on the channel.
    History {
        /// The log's identity.
        epoch: &'a str,
        /// The newest position, whatever part was asked for.
        offset: u64,
        /// In the order asked for.
        publications: &'a [Bytes],
    },
    /// What the method answers.
    Rpc {
        /// The payload.
        data: &'a RawJson,
    },
    /// The connection's new token holds.
    Refresh {
        /// The connection.
        client: &'a str,
        /// The server's version.
        version: &'a str,
        /// Time to the next refresh; none when the token has no end.
        ttl: Option<Duration>,
    },
    /// The subscription's new token holds.
    SubRefresh {
        /// Time to the next refresh; none when the token has no end.
        ttl: Option<Duration>,
    },
}

/// Why a command has no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorReply<'a> {
    /// What the client acts on.
    pub code: u32,
    /// What people read.
    pub message: Cow<'a, str>,
    /// Whether SDKs repeat a connect or a subscribe by themselves.
    pub temporary: bool,
}

impl<'a> ErrorReply<'a> {
    /// An error whose message says more than its row of the table.
    #[must_use]
    pub fn detailed(error: ErrorCode, message: impl Into<Cow<'a, str>>) -> Self {
        Self { code: error.code, message: message.into(), temporary: error.temporary }
    }
}

impl From<ErrorCode> for ErrorReply<'_> {
    fn from(error: ErrorCode) -> Self {
        Self::detailed(error, error.message)
    }
}

impl From<ErrorCode> for Reply<'_> {
    fn from(error: ErrorCode) -> Self {
        Self::Error(error.into())
    }
}

/// What a client learns once it is authenticated.
#[derive(Debug, Clone, Copy, Default)]
pub struct ConnectResult<'a> {
    /// Identity of this connection.
    pub client: &'a str,
    /// The server's version.
    pub version: &'a str,
    /// Time in which the client must refresh its token; none when the token has no end.
    pub ttl: Option<Duration>,
    /// The application's.
    pub data: Option<&'a RawJson>,
    /// Server-side subscriptions by channel, all of them: a channel that is missing ends.
    pub subs: &'a [(&'a str, SubscribeResult<'a>)],
    /// Time between our pings. Without it, and if no native pings are sent either, the client
    /// never notices that we are gone.
    pub ping: Option<Duration>,
    /// Whether we want our pings answered.
    pub pong: bool,
    /// What a client without a socket names this connection by; empty for others.
    pub session: &'a str,
    /// The process to which its commands must come; empty for others.
    pub node: &'a str,
}

/// Where a subscription stands as it begins.
#[derive(Debug, Clone, Copy, Default)]
pub struct SubscribeResult<'a> {
    /// Whether the client may recover; in every reply of a recoverable channel, or
    /// centrifuge-js stops doing so.
    pub recoverable: bool,
    /// Whether we watch that the client misses nothing.
    pub positioned: bool,
    /// The log's identity.
    pub epoch: &'a str,
    /// The newest position, or **the one the client asked from** if it recovered: each of the
    /// publications then advances it.
    pub offset: u64,
    /// How recovering went.
    pub recovery: Recovery<'a>,
    /// The snapshot, read at exactly `offset`; none when the client recovered.
    pub data: Option<&'a RawJson>,
    /// Time in which the client must refresh the subscription's token; none when it has no end.
    pub ttl: Option<Duration>,
    /// Whether publications come as deltas: see [`super::delta`].
    pub delta: bool,
}

/// How recovering went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Recovery<'a> {
    /// The client did not ask.
    #[default]
    NotAsked,
    /// Something may be lost; the application starts again from the snapshot.
    Lost,
    /// Nothing is lost.
    Recovered {
        /// What was missed, oldest first.
        publications: &'a [Bytes],
    },
}

impl Codec {
    /// Appends the reply to the command `id`.
    pub fn encode_reply(self, out: &mut Vec<u8>, id: u32, reply: &Reply<'_>) {
        match self {
            Self::Json => json::object(out, |envelope| {
                envelope.number("id", id.into());
                write(envelope, reply);
            }),
            Self::Protobuf => protobuf::encode_reply(out, id, reply),
        }
    }
}

fn write(envelope: &mut Object<'_>, reply: &Reply<'_>) {
    match reply {
        Reply::Error(error) => envelope.object("error", |object| {
            object.number("code", error.code.into());
            object.text("message", &error.message);
            object.flag("temporary", error.temporary);
        }),
        Reply::Connect(result) => envelope.object("connect", |object| result.write(object)),
        Reply::Subscribe(result) => envelope.object("subscribe", |object| result.write(object)),
        Reply::Unsubscribe => envelope.object("unsubscribe", |_| {}),
        Reply::Publish => envelope.object("publish", |_| {}),
        Reply::Presence(clients) => envelope.object("presence", |object| {
            object.object("presence", |map| {
                for info in *clients {
                    map.object(info.client, |object| info.write(object));
                }
            });
        }),
        // Zeros as well: centrifuge-js hands these fields to the application unread.
        Reply::PresenceStats { clients, users } => envelope.object("presence_stats", |object| {
            object.field("num_clients", clients);
            object.field("num_users", users);
        }),
        Reply::History { epoch, offset, publications } => envelope.object("history", |object| {
            object.text("epoch", epoch);
            object.number("offset", *offset);
            object.encoded_list("publications", publications);
        }),
        Reply::Rpc { data } => {
            envelope.object("rpc", |object| object.payload("data", data.get()));
        }
        Reply::Refresh { client, version, ttl } => envelope.object("refresh", |object| {
            object.text("client", client);
            object.text("version", version);
            write_ttl(object, *ttl);
        }),
        Reply::SubRefresh { ttl } => {
            envelope.object("sub_refresh", |object| write_ttl(object, *ttl));
        }
    }
}

impl ConnectResult<'_> {
    pub(super) fn write(&self, object: &mut Object<'_>) {
        object.text("client", self.client);
        object.text("version", self.version);
        write_ttl(object, self.ttl);
        if let Some(data) = self.data {
            object.payload("data", data.get());
        }
        if !self.subs.is_empty() {
            object.object("subs", |map| {
                for (channel, result) in self.subs {
                    map.object(channel, |object| result.write(object));
                }
            });
        }
        if let Some(ping) = self.ping {
            object.number("ping", seconds(ping));
        }
        object.flag("pong", self.pong);
        object.text("session", self.session);
        object.text("node", self.node);
    }
}

impl SubscribeResult<'_> {
    fn write(&self, object: &mut Object<'_>) {
        write_ttl(object, self.ttl);
        object.flag("recoverable", self.recoverable);
        object.flag("positioned", self.positioned);
        object.text("epoch", self.epoch);
        object.number("offset", self.offset);
        match self.recovery {
            Recovery::NotAsked => {}
            Recovery::Lost => object.flag("was_recovering", true),
            Recovery::Recovered { publications } => {
                object.flag("was_recovering", true);
                object.flag("recovered", true);
                if !publications.is_empty() {
                    object.encoded_list("publications", publications);
                }
            }
        }
        if let Some(data) = self.data {
            object.payload("data", data.get());
        }
        object.flag("delta", self.delta);
    }
}

fn write_ttl(object: &mut Object<'_>, ttl: Option<Duration>) {
    if let Some(ttl) = ttl {
        object.flag("expires", true);
        object.number("ttl", seconds(ttl));
    }
}

/// Whole seconds, rounded up and at least 1: to a client 0 is "never".
pub(super) fn seconds(duration: Duration) -> u64 {
    let begun = u64::from(duration.subsec_nanos() > 0);
    duration.as_secs().saturating_add(begun).clamp(1, u32::MAX.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::code::problem;

    fn encode(id: u32, reply: &Reply<'_>) -> String {
        let mut out = Vec::new();
        Codec::Json.encode_reply(&mut out, id, reply);
        String::from_utf8(out).unwrap()
    }

    fn json(text: &str) -> Box<RawJson> {
        serde_json::from_str(text).unwrap()
    }

    fn publications(offsets: &[u64]) -> Vec<Bytes> {
        let encode = |offset: &u64| {
            let mut out = Vec::new();
            Codec::Json.encode_publication(&mut out, r#"{"n":1}"#, Some(*offset));
            out.into()
        };
        offsets.iter().map(encode).collect()
    }

    #[test]
    fn a_connect_result_says_how_often_we_ping() {
        let result = ConnectResult {
            client: "c1",
            version: "x",
            ping: Some(Duration::from_secs(25)),
            pong: true,
            ..ConnectResult::default()
        };
        assert_eq!(
            encode(1, &Reply::Connect(result)),
            r#"{"id":1,"connect":{"client":"c1","version":"x","ping":25,"pong":true}}"#
        );
    }

    #[test]
    fn a_connect_result_may_carry_an_end_data_and_subscriptions() {
        let data = json("{\n\"a\":1}");
        let sub = SubscribeResult { recoverable: true, offset: 2, ..SubscribeResult::default() };
        let result = ConnectResult {
            client: "c1",
            ttl: Some(Duration::from_mins(10)),
            data: Some(&data),
            subs: &[("#42", sub), ("#43", SubscribeResult::default())],
            ..ConnectResult::default()
        };
        assert_eq!(
            encode(1, &Reply::Connect(result)),
            r##"{"id":1,"connect":{"client":"c1","expires":true,"ttl":600,"data":{"a":1},"subs":{"#42":{"recoverable":true,"offset":2},"#43":{}}}}"##
        );
    }

    #[test]
    fn a_first_subscribe_gets_the_newest_position_and_the_snapshot() {
        let result = SubscribeResult {
            recoverable: true,
            positioned: true,
            epoch: "e1",
            offset: 5,
            ..SubscribeResult::default()
        };
        assert_eq!(
            encode(2, &Reply::Subscribe(result)),
            r#"{"id":2,"subscribe":{"recoverable":true,"positioned":true,"epoch":"e1","offset":5}}"#
        );
        let snapshot = json(r#"{"status":"ready"}"#);
        let result = SubscribeResult { recovery: Recovery::Lost, data: Some(&snapshot), ..result };
        assert_eq!(
            encode(2, &Reply::Subscribe(result)),
            r#"{"id":2,"subscribe":{"recoverable":true,"positioned":true,"epoch":"e1","offset":5,"was_recovering":true,"data":{"status":"ready"}}}"#
        );
    }

    #[test]
    fn a_recovered_subscribe_gets_what_it_missed() {
        let result = SubscribeResult {
            recoverable: true,
            positioned: true,
            epoch: "e1",
            offset: 5,
            recovery: Recovery::Recovered { publications: &publications(&[6, 9]) },
            ..SubscribeResult::default()
        };
        assert_eq!(
            encode(4, &Reply::Subscribe(result)),
            r#"{"id":4,"subscribe":{"recoverable":true,"positioned":true,"epoch":"e1","offset":5,"was_recovering":true,"recovered":true,"publications":[{"data":{"n":1},"offset":6},{"data":{"n":1},"offset":9}]}}"#
        );
    }

    #[test]
    fn who_missed_nothing_has_recovered_all_the_same() {
        let recovery = Recovery::Recovered { publications: &[] };
        let result = SubscribeResult { offset: 5, recovery, ..SubscribeResult::default() };
        assert_eq!(
            encode(4, &Reply::Subscribe(result)),
            r#"{"id":4,"subscribe":{"offset":5,"was_recovering":true,"recovered":true}}"#
        );
    }

    #[test]
    fn an_empty_result_is_still_an_object() {
        assert_eq!(encode(3, &Reply::Unsubscribe), r#"{"id":3,"unsubscribe":{}}"#);
        assert_eq!(encode(3, &Reply::Publish), r#"{"id":3,"publish":{}}"#);
        let connect = Reply::Connect(ConnectResult::default());
        assert_eq!(encode(3, &connect), r#"{"id":3,"connect":{}}"#);
        let subscribe = Reply::Subscribe(SubscribeResult::default());
        assert_eq!(encode(3, &subscribe), r#"{"id":3,"subscribe":{}}"#);
        assert_eq!(encode(4, &Reply::Presence(&[])), r#"{"id":4,"presence":{"presence":{}}}"#);
        assert_eq!(encode(4, &Reply::SubRefresh { ttl: None }), r#"{"id":4,"sub_refresh":{}}"#);
    }

    #[test]
    fn presence_lists_each_client_under_its_id() {
        let conn_info = json("{}");
        let info =
            ClientInfo { client: "c1", user: "u", conn_info: Some(&conn_info), chan_info: None };
        assert_eq!(
            encode(4, &Reply::Presence(&[info])),
            r#"{"id":4,"presence":{"presence":{"c1":{"client":"c1","user":"u","conn_info":{}}}}}"#
        );
    }

    #[test]
    fn presence_stats_say_zero() {
        assert_eq!(
            encode(5, &Reply::PresenceStats { clients: 2, users: 1 }),
            r#"{"id":5,"presence_stats":{"num_clients":2,"num_users":1}}"#
        );
        assert_eq!(
            encode(5, &Reply::PresenceStats { clients: 0, users: 0 }),
            r#"{"id":5,"presence_stats":{"num_clients":0,"num_users":0}}"#
        );
    }

    #[test]
    fn a_history_has_a_position_and_publications() {
        let reply = Reply::History { epoch: "e", offset: 7, publications: &publications(&[7]) };
        assert_eq!(
            encode(3, &reply),
            r#"{"id":3,"history":{"epoch":"e","offset":7,"publications":[{"data":{"n":1},"offset":7}]}}"#
        );
    }

    #[test]
    fn an_rpc_answers_on_one_line() {
        let data = json("{\n  \"ok\": true\n}");
        assert_eq!(
            encode(6, &Reply::Rpc { data: &data }),
            r#"{"id":6,"rpc":{"data":{  "ok": true}}}"#
        );
    }

    #[test]
    fn a_refresh_says_when_to_come_again() {
        let ttl = Some(Duration::from_mins(10));
        assert_eq!(
            encode(3, &Reply::Refresh { client: "c", version: "x", ttl }),
            r#"{"id":3,"refresh":{"client":"c","version":"x","expires":true,"ttl":600}}"#
        );
        assert_eq!(
            encode(4, &Reply::SubRefresh { ttl }),
            r#"{"id":4,"sub_refresh":{"expires":true,"ttl":600}}"#
        );
    }

    #[test]
    fn a_time_that_has_begun_counts_as_a_second() {
        for (duration, expected) in [
            (Duration::ZERO, 1),
            (Duration::from_millis(1), 1),
            (Duration::from_millis(1500), 2),
            (Duration::from_secs(25), 25),
            (Duration::MAX, u64::from(u32::MAX)),
        ] {
            assert_eq!(seconds(duration), expected, "{duration:?}");
        }
    }

    #[test]
    fn an_error_says_whether_it_may_pass() {
        assert_eq!(
            encode(1, &ErrorCode::INTERNAL.into()),
            r#"{"id":1,"error":{"code":100,"message":"internal server error","temporary":true}}"#
        );
        assert_eq!(
            encode(2, &ErrorCode::PERMISSION_DENIED.into()),
            r#"{"id":2,"error":{"code":103,"message":"permission denied"}}"#
        );
    }

    #[test]
    fn an_error_may_say_more_than_its_code() {
        let error = ErrorReply::detailed(problem::PIN_WRONG, format!("pin_wrong: {} left", 2));
        assert_eq!(
            encode(2, &Reply::Error(error)),
            r#"{"id":2,"error":{"code":1423,"message":"pin_wrong: 2 left"}}"#
        );
    }

    proptest! {
        #[test]
        fn any_message_comes_back_from_one_line(id in 1_u32.., message: String) {
            let error = ErrorReply::detailed(ErrorCode::BAD_REQUEST, &*message);
            let line = encode(id, &Reply::Error(error));
            prop_assert!(!line.contains('\n'));
            let back: serde_json::Value = serde_json::from_str(&line).unwrap();
            prop_assert_eq!(&back["id"], id);
            prop_assert_eq!(back["error"]["message"].as_str().unwrap_or_default(), message);
        }
    }
}
