//! What we send unasked, and the publications in it.
//!
//! A publication is encoded once and then shared: the same bytes go into the push of every
//! subscriber and into the replies of those who recover it later.

use super::code::{Disconnect, Unsubscribed};
use super::json::{self, Object};
use super::reply::ConnectResult;
use super::{Codec, RawJson, protobuf};

/// What we tell a client unasked, besides publications
/// (see [`Codec::encode_push_publication`]).
#[derive(Debug, Clone, Copy)]
pub enum Push<'a> {
    /// Somebody came to a channel.
    Join {
        /// The channel.
        channel: &'a str,
        /// Who.
        info: ClientInfo<'a>,
    },
    /// Somebody left a channel.
    Leave {
        /// The channel.
        channel: &'a str,
        /// Who.
        info: ClientInfo<'a>,
    },
    /// The subscription of this channel ends.
    Unsubscribe {
        /// The channel.
        channel: &'a str,
        /// Why, and whether the client subscribes again.
        end: Unsubscribed,
    },
    /// A message outside all channels.
    Message {
        /// The payload.
        data: &'a RawJson,
    },
    /// The connection is authenticated. Only for clients that only listen: others are told by a
    /// reply.
    Connect(ConnectResult<'a>),
    /// The connection ends. Only for transports without a close frame: on a WebSocket the close
    /// frame says it.
    Disconnect(Disconnect),
}

/// A client as others on a channel see it.
#[derive(Debug, Clone, Copy, Default)]
pub struct ClientInfo<'a> {
    /// The connection.
    pub client: &'a str,
    /// Who is behind it; empty for an anonymous client.
    pub user: &'a str,
    /// What its connection's token says about it.
    pub conn_info: Option<&'a RawJson>,
    /// What its subscription's token says about it.
    pub chan_info: Option<&'a RawJson>,
}

impl ClientInfo<'_> {
    pub(super) fn write(&self, info: &mut Object<'_>) {
        info.text("client", self.client);
        info.text("user", self.user);
        if let Some(json) = self.conn_info {
            info.payload("conn_info", json.get());
        }
        if let Some(json) = self.chan_info {
            info.payload("chan_info", json.get());
        }
    }
}

/// A publication with all that it may say.
#[derive(Debug, Clone, Copy)]
pub struct Said<'a> {
    /// JSON text, or the patch that makes it.
    pub data: &'a str,
    /// Its place on the channel; without one it does not count for recovery.
    pub offset: Option<u64>,
    /// Who said it, if a client did.
    pub info: Option<ClientInfo<'a>>,
    /// What `data` is.
    pub form: Form,
}

impl<'a> Said<'a> {
    /// Only what was said.
    #[must_use]
    pub const fn new(data: &'a str) -> Self {
        Self { data, offset: None, info: None, form: Form::Plain }
    }
}

/// What stands in for a publication's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The data itself.
    Plain,
    /// The data itself, for a listener that takes deltas: in JSON it is then a text that holds
    /// JSON, so that the bytes that the next one is made of are known.
    Base,
    /// What makes the publication before into this one: see [`super::delta`].
    Delta,
}

impl Codec {
    /// Appends one publication, for [`Codec::encode_push_publication`] and for the
    /// `publications` of replies.
    ///
    /// `data` must be valid JSON text. Without an `offset` the publication does not count for
    /// recovery: SDKs show it and keep their position.
    pub fn encode_publication(self, out: &mut Vec<u8>, data: &str, offset: Option<u64>) {
        self.encode_said(out, &Said { offset, ..Said::new(data) });
    }

    /// The same with all that a publication may say.
    pub fn encode_said(self, out: &mut Vec<u8>, said: &Said<'_>) {
        match self {
            Self::Json => json::object(out, |publication| {
                match said.form {
                    Form::Plain => publication.payload("data", said.data),
                    Form::Base | Form::Delta => publication.field("data", said.data),
                }
                if let Some(info) = said.info {
                    publication.object("info", |object| info.write(object));
                }
                publication.number("offset", said.offset.unwrap_or_default());
                publication.flag("delta", said.form == Form::Delta);
            }),
            Self::Protobuf => protobuf::encode_said(out, said),
        }
    }

    /// Appends the push of an encoded publication to the subscribers of a channel.
    pub fn encode_push_publication(self, out: &mut Vec<u8>, channel: &str, publication: &[u8]) {
        match self {
            Self::Json => json_push(out, channel, |push| push.encoded("pub", publication)),
            Self::Protobuf => protobuf::encode_push_publication(out, channel, publication),
        }
    }

    /// Bytes that follow the publication in what [`Codec::encode_push_publication`] appends.
    #[must_use]
    pub fn after_publication(self) -> usize {
        match self {
            // The braces of the push and of its envelope.
            Self::Json => 2,
            // The last field of the message.
            Self::Protobuf => 0,
        }
    }

    /// Appends one push.
    pub fn encode_push(self, out: &mut Vec<u8>, push: &Push<'_>) {
        match self {
            Self::Json => encode_json(out, *push),
            Self::Protobuf => protobuf::encode_push(out, push),
        }
    }
}

fn encode_json(out: &mut Vec<u8>, push: Push<'_>) {
    match push {
        Push::Join { channel, info } => json_push(out, channel, |push| {
            push.object("join", |join| join.object("info", |object| info.write(object)));
        }),
        Push::Leave { channel, info } => json_push(out, channel, |push| {
            push.object("leave", |leave| leave.object("info", |object| info.write(object)));
        }),
        Push::Unsubscribe { channel, end } => json_push(out, channel, |push| {
            push.object("unsubscribe", |unsubscribe| {
                unsubscribe.number("code", end.code.into());
                unsubscribe.text("reason", end.reason);
            });
        }),
        Push::Message { data } => json_push(out, "", |push| {
            push.object("message", |message| message.payload("data", data.get()));
        }),
        Push::Connect(result) => json_push(out, "", |push| {
            push.object("connect", |connect| result.write(connect));
        }),
        Push::Disconnect(end) => json_push(out, "", |push| {
            push.object("disconnect", |disconnect| {
                disconnect.number("code", end.code.into());
                disconnect.text("reason", end.reason);
            });
        }),
    }
}

fn json_push(out: &mut Vec<u8>, channel: &str, content: impl FnOnce(&mut Object<'_>)) {
    json::object(out, |envelope| {
        envelope.object("push", |push| {
            push.text("channel", channel);
            content(push);
        });
    });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_publication_is_found_in_its_push() {
        for codec in [Codec::Json, Codec::Protobuf] {
            let (mut publication, mut push) = (Vec::new(), Vec::new());
            codec.encode_publication(&mut publication, r#"{"s":1}"#, Some(6));
            codec.encode_push_publication(&mut push, "order:1", &publication);
            let (rest, _after) = push.split_at(push.len() - codec.after_publication());
            assert!(rest.ends_with(&publication), "{codec:?}");
        }
    }

    fn publication(data: &str, offset: Option<u64>) -> String {
        let mut out = Vec::new();
        Codec::Json.encode_publication(&mut out, data, offset);
        String::from_utf8(out).unwrap()
    }

    fn push_publication(channel: &str, publication: &str) -> String {
        let mut out = Vec::new();
        Codec::Json.encode_push_publication(&mut out, channel, publication.as_bytes());
        String::from_utf8(out).unwrap()
    }

    fn push(push: Push<'_>) -> String {
        let mut out = Vec::new();
        Codec::Json.encode_push(&mut out, &push);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_publication_is_its_data_and_offset() {
        assert_eq!(
            publication(r#"{"status":"ready"}"#, Some(6)),
            r#"{"data":{"status":"ready"},"offset":6}"#
        );
    }

    #[test]
    fn a_publication_may_name_who_said_it() {
        let info = Some(ClientInfo { client: "c1", user: "u", ..ClientInfo::default() });
        let mut out = Vec::new();
        Codec::Json.encode_said(&mut out, &Said { offset: Some(1), info, ..Said::new("{}") });
        assert_eq!(out, br#"{"data":{},"info":{"client":"c1","user":"u"},"offset":1}"#);
    }

    #[test]
    fn a_location_has_no_offset() {
        assert_eq!(publication("[1.5,2.5]", None), r#"{"data":[1.5,2.5]}"#);
    }

    #[test]
    fn newlines_between_tokens_are_dropped_and_nothing_else() {
        let data = "{\n  \"a b\": \"x\\ny\",\r\n  \"n\": 12345678901234567890.10\n}";
        assert_eq!(
            publication(data, None),
            r#"{"data":{  "a b": "x\ny",  "n": 12345678901234567890.10}}"#
        );
    }

    #[test]
    fn a_publication_push_names_the_channel() {
        assert_eq!(
            push_publication("order:1", &publication(r#"{"status":"ready"}"#, Some(6))),
            r#"{"push":{"channel":"order:1","pub":{"data":{"status":"ready"},"offset":6}}}"#
        );
    }

    #[test]
    fn a_join_and_a_leave_say_who() {
        let info = ClientInfo { client: "c1", user: "u", ..ClientInfo::default() };
        assert_eq!(
            push(Push::Join { channel: "a", info }),
            r#"{"push":{"channel":"a","join":{"info":{"client":"c1","user":"u"}}}}"#
        );
        let name: Box<RawJson> = serde_json::from_str("{\n\"name\":\"Ada\"}").unwrap();
        let info = ClientInfo { conn_info: Some(&name), chan_info: Some(&name), ..info };
        assert_eq!(
            push(Push::Leave { channel: "a", info }),
            r#"{"push":{"channel":"a","leave":{"info":{"client":"c1","user":"u","conn_info":{"name":"Ada"},"chan_info":{"name":"Ada"}}}}}"#
        );
    }

    #[test]
    fn an_unsubscribe_carries_code_and_reason() {
        assert_eq!(
            push(Push::Unsubscribe { channel: "a", end: Unsubscribed::INSUFFICIENT_STATE }),
            r#"{"push":{"channel":"a","unsubscribe":{"code":2500,"reason":"insufficient state"}}}"#
        );
    }

    #[test]
    fn a_disconnect_and_a_message_have_no_channel() {
        assert_eq!(
            push(Push::Disconnect(Disconnect::EXPIRED)),
            r#"{"push":{"disconnect":{"code":3005,"reason":"connection expired"}}}"#
        );
        let data: Box<RawJson> = serde_json::from_str("{}").unwrap();
        assert_eq!(push(Push::Message { data: &data }), r#"{"push":{"message":{"data":{}}}}"#);
    }

    proptest! {
        #[test]
        fn any_channel_name_and_text_come_back_from_one_line(channel in ".+", text: String) {
            let data = json!({ "text": text });
            let spread = serde_json::to_string_pretty(&data).unwrap();
            let line = push_publication(&channel, &publication(&spread, Some(1)));
            prop_assert!(!line.contains('\n'));
            let back: Value = serde_json::from_str(&line).unwrap();
            let expected =
                json!({ "push": { "channel": channel, "pub": { "data": data, "offset": 1 } } });
            prop_assert_eq!(back, expected);
        }
    }
}
