//! One command and its number, and reading commands from one WebSocket message.
//!
//! Lenient where SDKs differ: unknown fields are skipped, a null counts as an absent field, and
//! defaults may be absent or explicit. Strict where a mistake would be obeyed: a message that
//! cannot be read as a whole is refused as a whole, before its first command runs.

use serde::Deserialize;

use super::code::Disconnect;
use super::request::{Connect, History, Request, Subscribe, Token};
use super::{Codec, RawJson, json, protobuf};

/// One command of a client.
#[derive(Debug)]
pub struct Command {
    /// Repeated by the reply; 0 only for [`Request::Send`] and [`Request::Pong`], which have none.
    pub id: u32,
    /// What is asked.
    pub request: Request,
}

impl Codec {
    /// Reads one WebSocket message: its commands in the order in which they must be processed,
    /// at least one and at most `max_commands`.
    ///
    /// Anything else is [`Disconnect::BAD_REQUEST`]: what cannot be read, a number out of its
    /// range, no command at all, an id without a request, a request that needs an id and has none.
    pub fn decode(self, message: &[u8], max_commands: usize) -> Result<Vec<Command>, Disconnect> {
        match self {
            Self::Json => decode_json(message, max_commands),
            Self::Protobuf => protobuf::decode(message, max_commands),
        }
    }
}

fn decode_json(message: &[u8], max_commands: usize) -> Result<Vec<Command>, Disconnect> {
    let mut commands = Vec::new();
    // Not split at newlines first: JSON allows them between the tokens of one object.
    for envelope in
        serde_json::Deserializer::from_slice(message).into_iter::<json::Strict<Envelope>>()
    {
        let Ok(json::Strict(envelope)) = envelope else { return Err(Disconnect::BAD_REQUEST) };
        if commands.len() == max_commands {
            return Err(Disconnect::BAD_REQUEST);
        }
        commands.push(envelope.into_command()?);
    }
    if commands.is_empty() { Err(Disconnect::BAD_REQUEST) } else { Ok(commands) }
}

/// A command as JSON spells it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Envelope {
    #[serde(deserialize_with = "json::lenient")]
    id: u32,
    #[serde(deserialize_with = "json::nullable")]
    connect: Option<Connect>,
    #[serde(deserialize_with = "json::nullable")]
    subscribe: Option<Subscribe>,
    #[serde(deserialize_with = "json::nullable")]
    unsubscribe: Option<Plain>,
    #[serde(deserialize_with = "json::nullable")]
    publish: Option<Plain>,
    #[serde(deserialize_with = "json::nullable")]
    presence: Option<Plain>,
    #[serde(deserialize_with = "json::nullable")]
    presence_stats: Option<Plain>,
    #[serde(deserialize_with = "json::nullable")]
    history: Option<History>,
    #[serde(deserialize_with = "json::nullable")]
    ping: Option<Plain>,
    #[serde(deserialize_with = "json::nullable")]
    send: Option<Plain>,
    #[serde(deserialize_with = "json::nullable")]
    rpc: Option<Plain>,
    #[serde(deserialize_with = "json::nullable")]
    refresh: Option<Plain>,
    #[serde(deserialize_with = "json::nullable")]
    sub_refresh: Option<Plain>,
}

/// The fields of all the simple requests; each of them takes its own.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Plain {
    #[serde(deserialize_with = "json::lenient")]
    channel: String,
    #[serde(deserialize_with = "json::lenient")]
    token: Token,
    #[serde(deserialize_with = "json::lenient")]
    method: String,
    data: Option<Box<RawJson>>,
}

impl Envelope {
    /// The first request in the order of the schema wins.
    fn into_command(self) -> Result<Command, Disconnect> {
        let request = (self.connect.map(Request::Connect))
            .or(self.subscribe.map(Request::Subscribe))
            .or(self.unsubscribe.map(|p| Request::Unsubscribe { channel: p.channel }))
            .or(self.publish.map(|p| Request::Publish { channel: p.channel, data: p.data }))
            .or(self.presence.map(|p| Request::Presence { channel: p.channel }))
            .or(self.presence_stats.map(|p| Request::PresenceStats { channel: p.channel }))
            .or(self.history.map(Request::History))
            .or(self.ping.map(|_| Request::Ping))
            .or(self.send.map(|p| Request::Send { data: p.data }))
            .or(self.rpc.map(|p| Request::Rpc { method: p.method, data: p.data }))
            .or(self.refresh.map(|p| Request::Refresh { token: p.token }))
            .or((self.sub_refresh)
                .map(|p| Request::SubRefresh { channel: p.channel, token: p.token }));
        match (self.id, request) {
            (0, None) => Ok(Command { id: 0, request: Request::Pong }),
            (0, Some(request @ Request::Send { .. })) => Ok(Command { id: 0, request }),
            (0, Some(_)) | (1.., None) => Err(Disconnect::BAD_REQUEST),
            (id, Some(request)) => Ok(Command { id, request }),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::protocol::Position;

    fn decode(message: &str) -> Result<Vec<Command>, Disconnect> {
        Codec::Json.decode(message.as_bytes(), 64)
    }

    fn decode_one(message: &str) -> Command {
        let mut commands = decode(message).unwrap();
        assert_eq!(commands.len(), 1);
        commands.pop().unwrap()
    }

    fn subscribe(message: &str) -> Subscribe {
        let command = decode_one(message);
        let Request::Subscribe(subscribe) = command.request else { panic!("{command:?}") };
        subscribe
    }

    fn assert_refused(message: &str) {
        assert_eq!(decode(message).unwrap_err(), Disconnect::BAD_REQUEST, "{message}");
    }

    #[test]
    fn connect_and_subscribe_may_share_a_message() {
        let commands = decode(concat!(
            r#"{"connect":{"token":"T","data":{"a":1},"name":"driver","version":"1.2.3","headers":{"X-H":"v"}},"id":1}"#,
            "\n",
            r#"{"subscribe":{"channel":"order:1","token":"ST","positioned":true,"recoverable":true,"join_leave":true,"flag":1,"delta":"fossil"},"id":2}"#,
        ))
        .unwrap();
        let [Command { id: 1, request: Request::Connect(connect) }, second] = &*commands else {
            panic!("{commands:?}")
        };
        assert_eq!(&*connect.token, "T");
        assert_eq!(connect.data.as_ref().unwrap().get(), r#"{"a":1}"#);
        assert_eq!((&*connect.name, &*connect.version), ("driver", "1.2.3"));
        assert_eq!(connect.headers["X-H"], "v");
        let Command { id: 2, request: Request::Subscribe(subscribe) } = second else {
            panic!("{second:?}")
        };
        assert_eq!((&*subscribe.channel, &*subscribe.token), ("order:1", "ST"));
        assert!(subscribe.positioned && subscribe.recoverable && subscribe.join_leave);
        assert!(!subscribe.recover && !subscribe.tag_filter && !subscribe.rejects_unrecovered());
        assert_eq!((&*subscribe.delta, subscribe.flag, subscribe.kind), ("fossil", 1, 0));
    }

    #[test]
    fn a_resubscribe_says_where_to_recover_from() {
        let subscribe = subscribe(
            r#"{"subscribe":{"channel":"a","flag":1,"recover":true,"offset":5,"epoch":"e1"},"id":4}"#,
        );
        assert!(subscribe.recover);
        assert_eq!((subscribe.offset, &*subscribe.epoch), (5, "e1"));
    }

    #[test]
    fn a_reconnect_brings_the_positions_of_server_side_subscriptions() {
        let command = decode_one(
            r##"{"connect":{"subs":{"#42":{"recover":true,"offset":2,"epoch":"e"},"#43":null}},"id":2}"##,
        );
        let Request::Connect(connect) = command.request else { panic!("{command:?}") };
        assert_eq!(connect.subs.len(), 1);
        assert_eq!((connect.subs["#42"].offset, connect.subs["#42"].recover), (2, true));
    }

    #[test]
    fn defaults_may_be_explicit_and_absent_things_null() {
        let explicit = subscribe(
            r#"{"id":1,"subscribe":{"channel":"a","token":"","recover":false,"offset":0,"epoch":"","data":null,"tf":null,"flag":0,"type":0},"connect":null}"#,
        );
        assert_eq!((explicit.offset, &*explicit.epoch, explicit.tag_filter), (0, "", false));
        assert!(explicit.data.is_none());
        let nulls = subscribe(
            r#"{"id":1,"subscribe":{"channel":null,"token":null,"recover":null,"offset":null,"epoch":null,"flag":null}}"#,
        );
        assert!(nulls.channel.is_empty() && nulls.token.is_empty());
    }

    #[test]
    fn what_newer_clients_add_is_skipped() {
        let subscribe = subscribe(
            r#"{"id":1,"new":[{}],"subscribe":{"channel":"a","phase":2,"cursor":"x","tf":{"op":"and"},"flag":3,"type":4}}"#,
        );
        assert!(subscribe.tag_filter && subscribe.rejects_unrecovered());
        assert_eq!(subscribe.kind, 4);
    }

    #[test]
    fn an_empty_object_is_a_pong() {
        for message in ["{}", "{}\n", r#"{"id":0}"#] {
            let command = decode_one(message);
            assert!(matches!(command, Command { id: 0, request: Request::Pong }), "{command:?}");
        }
    }

    #[test]
    fn a_send_needs_no_id() {
        let command = decode_one(r#"{"send":{"data":{"hi":1}}}"#);
        let Request::Send { data: Some(data) } = &command.request else { panic!("{command:?}") };
        assert_eq!((command.id, data.get()), (0, r#"{"hi":1}"#));
    }

    #[test]
    fn the_first_request_of_the_schema_wins() {
        let command = decode_one(r#"{"rpc":{"method":"m"},"publish":{"channel":"a"},"id":1}"#);
        assert!(matches!(command.request, Request::Publish { .. }), "{command:?}");
    }

    #[test]
    fn every_request_is_known_by_its_name() {
        let name = |request| match request {
            Request::Connect(_) => "connect",
            Request::Subscribe(_) => "subscribe",
            Request::Unsubscribe { .. } => "unsubscribe",
            Request::Publish { .. } => "publish",
            Request::Presence { .. } => "presence",
            Request::PresenceStats { .. } => "presence_stats",
            Request::History(_) => "history",
            Request::Ping => "ping",
            Request::Send { .. } => "send",
            Request::Rpc { .. } => "rpc",
            Request::Refresh { .. } => "refresh",
            Request::SubRefresh { .. } => "sub_refresh",
            Request::Pong => "pong",
        };
        for expected in [
            "connect",
            "subscribe",
            "unsubscribe",
            "publish",
            "presence",
            "presence_stats",
            "history",
            "ping",
            "send",
            "rpc",
            "refresh",
            "sub_refresh",
        ] {
            let command = decode_one(&format!(r#"{{"id":7,"{expected}":{{}}}}"#));
            assert_eq!((command.id, name(command.request)), (7, expected));
        }
    }

    #[test]
    fn a_history_may_begin_after_a_position() {
        let command = decode_one(
            r#"{"history":{"channel":"a","limit":-1,"since":{"offset":3,"epoch":"e"},"reverse":true},"id":3}"#,
        );
        let Request::History(history) = command.request else { panic!("{command:?}") };
        assert_eq!((history.limit, history.reverse), (-1, true));
        assert_eq!(history.since, Some(Position { offset: 3, epoch: "e".to_owned() }));
    }

    #[test]
    fn an_rpc_keeps_its_body_to_the_letter() {
        let command =
            decode_one("{\"rpc\":{\"method\":\"order.accept\",\"data\":{ \"n\":\n1.50}},\"id\":6}");
        let Request::Rpc { method, data: Some(data) } = command.request else { panic!() };
        assert_eq!((&*method, data.get()), ("order.accept", "{ \"n\":\n1.50}"));
    }

    #[test]
    fn tokens_do_not_show_in_logs() {
        let log = format!("{:?}", decode(r#"{"id":1,"connect":{"token":"secret"}}"#).unwrap());
        assert!(log.contains("Token(hidden)") && !log.contains("secret"), "{log}");
    }

    #[test]
    fn what_cannot_be_read_is_a_bad_request() {
        for message in [
            "",
            "\n",
            " ",
            "{",
            "[]",
            "[1]",
            "null",
            "7",
            "{}x",
            "{}\n{",
            "\u{feff}{}",
            r#"{"id":1}"#,
            r#"{"connect":{}}"#,
            r#"{"id":0,"ping":{}}"#,
            r#"{"id":1,"connect":[]}"#,
            r#"{"id":1,"connect":"x"}"#,
            r#"{"id":"1","connect":{}}"#,
            r#"{"id":-1,"connect":{}}"#,
            r#"{"id":1.5,"connect":{}}"#,
            r#"{"id":4294967296,"connect":{}}"#,
            r#"{"id":1,"subscribe":{"channel":5}}"#,
            r#"{"id":1,"subscribe":{"offset":-1}}"#,
            r#"{"id":1,"subscribe":{"offset":9007199254740992}}"#,
            r#"{"id":1,"subscribe":{"type":2147483648}}"#,
            r#"{"id":1,"history":{"since":[]}}"#,
            r#"{"id":1,"rpc":{"method":"m","data":{]}}"#,
        ] {
            assert_refused(message);
        }
        assert!(Codec::Json.decode(b"{\"id\":1,\"rpc\":{\"data\":\"\xff\"}}", 1).is_err());
    }

    #[test]
    fn one_bad_command_refuses_its_whole_message() {
        assert_refused("{\"id\":1,\"connect\":{}}\n{\"id\":2}");
    }

    #[test]
    fn a_message_holds_so_many_commands_and_no_more() {
        assert_eq!(Codec::Json.decode(b"{}\n{}\n{}", 3).unwrap().len(), 3);
        assert_eq!(Codec::Json.decode(b"{}\n{}\n{}", 2).unwrap_err(), Disconnect::BAD_REQUEST);
    }

    #[test]
    fn deep_nesting_is_carried_and_does_not_overflow_the_stack() {
        let deep = "[".repeat(30_000) + &"]".repeat(30_000);
        decode_one(&format!(r#"{{"id":1,"rpc":{{"method":"m","data":{deep}}}}}"#));
        decode_one(&format!(r#"{{"id":1,"ping":{{}},"unknown":{deep}}}"#));
    }

    proptest! {
        #[test]
        fn any_bytes_are_commands_or_refused(message: Vec<u8>) {
            let _commands = Codec::Json.decode(&message, 8);
        }

        #[test]
        fn any_heap_of_tokens_is_commands_or_refused(tokens in vec(select(vec![
            "{", "}", "[", "]", ":", ",", "\n", "0", "-1", "1e9", "null", "true", "\"", "\"a\"",
            "\"id\":1,", "\"connect\":{", "\"subscribe\":{", "\"subs\":{", "\"offset\":",
            "\"data\":", "\"history\":{\"since\":", "\\u", "\u{e9}",
        ]), 0..24)) {
            if let Ok(commands) = decode(&tokens.concat()) {
                prop_assert!((1..=64).contains(&commands.len()));
            }
        }

        #[test]
        fn what_was_written_is_read(
            id in 1_u32.., channel: String, epoch: String, offset in 0..1_u64 << 53,
            recover: bool, flag: i64, spread: bool,
        ) {
            let command = serde_json::json!({ "id": id, "subscribe": {
                "channel": channel, "epoch": epoch, "offset": offset, "recover": recover,
                "flag": flag, "data": { "text": channel },
            } });
            let text =
                if spread { serde_json::to_string_pretty(&command) } else { serde_json::to_string(&command) };
            let command = decode_one(&text.unwrap());
            let Request::Subscribe(read) = command.request else { panic!() };
            prop_assert_eq!(
                (command.id, &read.channel, &read.epoch, read.offset, read.recover, read.flag),
                (id, &channel, &epoch, offset, recover, flag)
            );
            let data: serde_json::Value = serde_json::from_str(read.data.unwrap().get()).unwrap();
            prop_assert_eq!(data, serde_json::json!({ "text": channel }));
        }
    }
}
