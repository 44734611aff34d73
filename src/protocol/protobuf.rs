//! The messages by field number: what `centrifugal/protocol/definitions/client.proto` says of
//! the fields that we read or write. Unknown fields are skipped.
//!
//! Payloads are bytes here; we take and give JSON text in them, as in the other codec. Whole
//! publications are bytes too: a field of bytes and a field of a message look the same on the
//! wire, so what was encoded once is embedded as it is.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use prost::encoding::decode_varint;

use super::code::{Disconnect, Unsubscribed};
use super::push::{ClientInfo, Form, Push, Said};
use super::reply::{ConnectResult, Recovery, Reply, SubscribeResult, seconds};
use super::request::{self, MAX_INTEGER, Request};
use super::{Command, RawJson};

macro_rules! messages {
    ($($name:ident { $($number:literal $field:ident: $type:ty = [$($kind:tt)+];)* })+) => {$(
        #[derive(Clone, PartialEq, Message)]
        struct $name { $(#[prost($($kind)+, tag = $number)] $field: $type,)* }
    )+};
}

messages! {
    CommandMessage {
        1 id: u32 = [uint32];
        4 connect: Option<ConnectRequest> = [message];
        5 subscribe: Option<SubscribeRequest> = [message];
        6 unsubscribe: Option<ChannelRequest> = [message];
        7 publish: Option<PublishRequest> = [message];
        8 presence: Option<ChannelRequest> = [message];
        9 presence_stats: Option<ChannelRequest> = [message];
        10 history: Option<HistoryRequest> = [message];
        11 ping: Option<Nothing> = [message];
        12 send: Option<DataRequest> = [message];
        13 rpc: Option<RpcRequest> = [message];
        14 refresh: Option<TokenRequest> = [message];
        15 sub_refresh: Option<SubRefreshRequest> = [message];
    }
    Nothing {}
    ConnectRequest {
        1 token: String = [string];
        2 data: Vec<u8> = [bytes = "vec"];
        3 subs: HashMap<String, SubscribeRequest> = [map = "string, message"];
        4 name: String = [string];
        5 version: String = [string];
        6 headers: HashMap<String, String> = [map = "string, string"];
    }
    SubscribeRequest {
        1 channel: String = [string];
        2 token: String = [string];
        3 recover: bool = [bool];
        6 epoch: String = [string];
        7 offset: u64 = [uint64];
        8 data: Vec<u8> = [bytes = "vec"];
        9 positioned: bool = [bool];
        10 recoverable: bool = [bool];
        11 join_leave: bool = [bool];
        12 delta: String = [string];
        13 tag_filter: Option<Nothing> = [message];
        14 flag: i64 = [int64];
        15 kind: i32 = [int32];
    }
    ChannelRequest { 1 channel: String = [string]; }
    PublishRequest { 1 channel: String = [string]; 2 data: Vec<u8> = [bytes = "vec"]; }
    HistoryRequest {
        1 channel: String = [string];
        7 limit: i32 = [int32];
        8 since: Option<StreamPosition> = [message];
        9 reverse: bool = [bool];
    }
    StreamPosition { 1 offset: u64 = [uint64]; 2 epoch: String = [string]; }
    DataRequest { 1 data: Vec<u8> = [bytes = "vec"]; }
    RpcRequest { 1 data: Vec<u8> = [bytes = "vec"]; 2 method: String = [string]; }
    TokenRequest { 1 token: String = [string]; }
    SubRefreshRequest { 1 channel: String = [string]; 2 token: String = [string]; }

    ReplyMessage {
        1 id: u32 = [uint32];
        2 error: Option<ErrorMessage> = [message];
        4 push: Option<PushMessage> = [message];
        5 connect: Option<ConnectMessage> = [message];
        6 subscribe: Option<SubscribeMessage> = [message];
        7 unsubscribe: Option<Nothing> = [message];
        8 publish: Option<Nothing> = [message];
        9 presence: Option<PresenceMessage> = [message];
        10 presence_stats: Option<PresenceStatsMessage> = [message];
        11 history: Option<HistoryMessage> = [message];
        13 rpc: Option<DataRequest> = [message];
        14 refresh: Option<RefreshMessage> = [message];
        15 sub_refresh: Option<SubRefreshMessage> = [message];
    }
    ErrorMessage { 1 code: u32 = [uint32]; 2 message: String = [string]; 3 temporary: bool = [bool]; }
    ConnectMessage {
        1 client: String = [string];
        2 version: String = [string];
        3 expires: bool = [bool];
        4 ttl: u32 = [uint32];
        5 data: Vec<u8> = [bytes = "vec"];
        6 subs: HashMap<String, SubscribeMessage> = [map = "string, message"];
        7 ping: u32 = [uint32];
        8 pong: bool = [bool];
        9 session: String = [string];
        10 node: String = [string];
    }
    ConnectPushMessage {
        1 client: String = [string];
        2 version: String = [string];
        3 data: Vec<u8> = [bytes = "vec"];
        4 subs: HashMap<String, SubscribeMessage> = [map = "string, message"];
        5 expires: bool = [bool];
        6 ttl: u32 = [uint32];
        7 ping: u32 = [uint32];
        8 pong: bool = [bool];
        9 session: String = [string];
        10 node: String = [string];
    }
    EmulationRequest {
        1 node: String = [string];
        2 session: String = [string];
        3 data: Bytes = [bytes = "bytes"];
    }
    SubscribeMessage {
        1 expires: bool = [bool];
        2 ttl: u32 = [uint32];
        3 recoverable: bool = [bool];
        6 epoch: String = [string];
        7 publications: Vec<Bytes> = [bytes = "bytes", repeated];
        8 recovered: bool = [bool];
        9 offset: u64 = [uint64];
        10 positioned: bool = [bool];
        11 data: Vec<u8> = [bytes = "vec"];
        12 was_recovering: bool = [bool];
        13 delta: bool = [bool];
    }
    PublicationMessage {
        4 data: Vec<u8> = [bytes = "vec"];
        5 info: Option<ClientInfoMessage> = [message];
        6 offset: u64 = [uint64];
        8 delta: bool = [bool];
    }
    ClientInfoMessage {
        1 user: String = [string];
        2 client: String = [string];
        3 conn_info: Vec<u8> = [bytes = "vec"];
        4 chan_info: Vec<u8> = [bytes = "vec"];
    }
    PresenceMessage { 1 presence: HashMap<String, ClientInfoMessage> = [map = "string, message"]; }
    PresenceStatsMessage { 1 num_clients: u32 = [uint32]; 2 num_users: u32 = [uint32]; }
    HistoryMessage {
        1 publications: Vec<Bytes> = [bytes = "bytes", repeated];
        2 epoch: String = [string];
        3 offset: u64 = [uint64];
    }
    RefreshMessage {
        1 client: String = [string];
        2 version: String = [string];
        3 expires: bool = [bool];
        4 ttl: u32 = [uint32];
    }
    SubRefreshMessage { 1 expires: bool = [bool]; 2 ttl: u32 = [uint32]; }
    PushMessage {
        2 channel: String = [string];
        4 publication: Option<Bytes> = [bytes = "bytes", optional];
        5 join: Option<InfoMessage> = [message];
        6 leave: Option<InfoMessage> = [message];
        7 unsubscribe: Option<UnsubscribeMessage> = [message];
        8 message: Option<DataRequest> = [message];
        10 connect: Option<ConnectPushMessage> = [message];
        11 disconnect: Option<DisconnectMessage> = [message];
    }
    InfoMessage { 1 info: Option<ClientInfoMessage> = [message]; }
    UnsubscribeMessage { 2 code: u32 = [uint32]; 3 reason: String = [string]; }
    DisconnectMessage { 1 code: u32 = [uint32]; 2 reason: String = [string]; }
}

/// Reads one WebSocket message: each command behind its length.
pub(super) fn decode(mut message: &[u8], max: usize) -> Result<Vec<Command>, Disconnect> {
    let mut commands = Vec::new();
    while !message.is_empty() {
        if commands.len() == max {
            return Err(Disconnect::BAD_REQUEST);
        }
        let length = decode_varint(&mut message).ok().and_then(|length| length.try_into().ok());
        let (command, rest) = length
            .and_then(|length: usize| message.split_at_checked(length))
            .ok_or(Disconnect::BAD_REQUEST)?;
        message = rest;
        let command = CommandMessage::decode(command).map_err(|_| Disconnect::BAD_REQUEST)?;
        commands.push(command.into_command()?);
    }
    if commands.is_empty() { Err(Disconnect::BAD_REQUEST) } else { Ok(commands) }
}

/// A payload as JSON text; none when empty or null.
fn payload(bytes: Vec<u8>) -> Result<Option<Box<RawJson>>, Disconnect> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let text = String::from_utf8(bytes).map_err(|_| Disconnect::BAD_REQUEST)?;
    let json = RawJson::from_string(text).map_err(|_| Disconnect::BAD_REQUEST)?;
    Ok(Some(json).filter(|json| json.get().trim() != "null"))
}

fn offset(offset: u64) -> Result<u64, Disconnect> {
    if offset <= MAX_INTEGER { Ok(offset) } else { Err(Disconnect::BAD_REQUEST) }
}

impl CommandMessage {
    /// The first request in the order of the schema wins.
    fn into_command(self) -> Result<Command, Disconnect> {
        let request = if let Some(connect) = self.connect {
            Request::Connect(connect.into_request()?)
        } else if let Some(subscribe) = self.subscribe {
            Request::Subscribe(subscribe.into_request()?)
        } else if let Some(ChannelRequest { channel }) = self.unsubscribe {
            Request::Unsubscribe { channel }
        } else if let Some(PublishRequest { channel, data }) = self.publish {
            Request::Publish { channel, data: payload(data)? }
        } else if let Some(ChannelRequest { channel }) = self.presence {
            Request::Presence { channel }
        } else if let Some(ChannelRequest { channel }) = self.presence_stats {
            Request::PresenceStats { channel }
        } else if let Some(history) = self.history {
            Request::History(history.into_request()?)
        } else if self.ping.is_some() {
            Request::Ping
        } else if let Some(DataRequest { data }) = self.send {
            Request::Send { data: payload(data)? }
        } else if let Some(RpcRequest { data, method }) = self.rpc {
            Request::Rpc { method, data: payload(data)? }
        } else if let Some(TokenRequest { token }) = self.refresh {
            Request::Refresh { token: token.into() }
        } else if let Some(SubRefreshRequest { channel, token }) = self.sub_refresh {
            Request::SubRefresh { channel, token: token.into() }
        } else if self.id == 0 {
            Request::Pong
        } else {
            return Err(Disconnect::BAD_REQUEST);
        };
        let needs_none = matches!(request, Request::Send { .. } | Request::Pong);
        if self.id == 0 && !needs_none {
            return Err(Disconnect::BAD_REQUEST);
        }
        Ok(Command { id: self.id, request })
    }
}

impl ConnectRequest {
    fn into_request(self) -> Result<request::Connect, Disconnect> {
        let subs = self.subs.into_iter().map(|(channel, sub)| Ok((channel, sub.into_request()?)));
        Ok(request::Connect {
            token: self.token.into(),
            data: payload(self.data)?,
            subs: subs.collect::<Result<BTreeMap<_, _>, Disconnect>>()?,
            name: self.name,
            version: self.version,
            headers: self.headers.into_iter().collect(),
        })
    }
}

impl SubscribeRequest {
    fn into_request(self) -> Result<request::Subscribe, Disconnect> {
        Ok(request::Subscribe {
            channel: self.channel,
            token: self.token.into(),
            recover: self.recover,
            epoch: self.epoch,
            offset: offset(self.offset)?,
            data: payload(self.data)?,
            positioned: self.positioned,
            recoverable: self.recoverable,
            join_leave: self.join_leave,
            delta: self.delta,
            tag_filter: self.tag_filter.is_some(),
            flag: self.flag,
            kind: self.kind,
        })
    }
}

impl HistoryRequest {
    fn into_request(self) -> Result<request::History, Disconnect> {
        let since = self.since.map(|since| {
            Ok(request::Position { offset: offset(since.offset)?, epoch: since.epoch })
        });
        Ok(request::History {
            channel: self.channel,
            limit: self.limit,
            since: since.transpose()?,
            reverse: self.reverse,
        })
    }
}

/// Appends one message behind its length.
fn append(out: &mut Vec<u8>, message: &ReplyMessage) {
    out.extend_from_slice(&message.encode_length_delimited_to_vec());
}

fn text(json: Option<&RawJson>) -> Vec<u8> {
    json.map(|json| json.get().as_bytes().to_vec()).unwrap_or_default()
}

fn ttl_seconds(ttl: Option<Duration>) -> u32 {
    ttl.map(|ttl| u32::try_from(seconds(ttl)).unwrap_or(u32::MAX)).unwrap_or_default()
}

/// Appends the reply to the command `id`.
pub(super) fn encode_reply(out: &mut Vec<u8>, id: u32, reply: &Reply<'_>) {
    let mut message = ReplyMessage { id, ..ReplyMessage::default() };
    match reply {
        Reply::Error(error) => {
            message.error = Some(ErrorMessage {
                code: error.code,
                message: error.message.clone().into_owned(),
                temporary: error.temporary,
            });
        }
        Reply::Connect(result) => message.connect = Some(connect(result)),
        Reply::Subscribe(result) => message.subscribe = Some(subscribe(result)),
        Reply::Unsubscribe => message.unsubscribe = Some(Nothing {}),
        Reply::Publish => message.publish = Some(Nothing {}),
        Reply::Presence(clients) => {
            let presence =
                clients.iter().map(|info| (info.client.to_owned(), client_info(info))).collect();
            message.presence = Some(PresenceMessage { presence });
        }
        Reply::PresenceStats { clients, users } => {
            let stats = PresenceStatsMessage { num_clients: *clients, num_users: *users };
            message.presence_stats = Some(stats);
        }
        Reply::History { epoch, offset, publications } => {
            message.history = Some(HistoryMessage {
                publications: publications.to_vec(),
                epoch: (*epoch).to_owned(),
                offset: *offset,
            });
        }
        Reply::Rpc { data } => {
            message.rpc = Some(DataRequest { data: text(Some(data)) });
        }
        Reply::Refresh { client, version, ttl } => {
            message.refresh = Some(RefreshMessage {
                client: (*client).to_owned(),
                version: (*version).to_owned(),
                expires: ttl.is_some(),
                ttl: ttl_seconds(*ttl),
            });
        }
        Reply::SubRefresh { ttl } => {
            let refreshed = SubRefreshMessage { expires: ttl.is_some(), ttl: ttl_seconds(*ttl) };
            message.sub_refresh = Some(refreshed);
        }
    }
    append(out, &message);
}

fn connect(result: &ConnectResult<'_>) -> ConnectMessage {
    let subs = result.subs.iter();
    ConnectMessage {
        client: result.client.to_owned(),
        version: result.version.to_owned(),
        expires: result.ttl.is_some(),
        ttl: ttl_seconds(result.ttl),
        data: text(result.data),
        subs: subs.map(|(channel, sub)| ((*channel).to_owned(), subscribe(sub))).collect(),
        ping: ttl_seconds(result.ping),
        pong: result.pong,
        session: result.session.to_owned(),
        node: result.node.to_owned(),
    }
}

/// The same fields have other numbers in a push.
fn connect_push(result: &ConnectResult<'_>) -> ConnectPushMessage {
    let ConnectMessage { client, version, expires, ttl, data, subs, ping, pong, session, node } =
        connect(result);
    ConnectPushMessage { client, version, data, subs, expires, ttl, ping, pong, session, node }
}

/// Reads commands that come by a request of their own.
pub(super) fn emulation(body: &[u8]) -> Result<request::Emulation, Disconnect> {
    let EmulationRequest { node, session, data } =
        EmulationRequest::decode(body).map_err(|_| Disconnect::BAD_REQUEST)?;
    Ok(request::Emulation { node, session, data })
}

fn subscribe(result: &SubscribeResult<'_>) -> SubscribeMessage {
    let (was_recovering, recovered, publications) = match result.recovery {
        Recovery::NotAsked => (false, false, vec![]),
        Recovery::Lost => (true, false, vec![]),
        Recovery::Recovered { publications } => (true, true, publications.to_vec()),
    };
    SubscribeMessage {
        expires: result.ttl.is_some(),
        ttl: ttl_seconds(result.ttl),
        recoverable: result.recoverable,
        epoch: result.epoch.to_owned(),
        publications,
        recovered,
        offset: result.offset,
        positioned: result.positioned,
        data: text(result.data),
        was_recovering,
        delta: result.delta,
    }
}

fn client_info(info: &ClientInfo<'_>) -> ClientInfoMessage {
    ClientInfoMessage {
        user: info.user.to_owned(),
        client: info.client.to_owned(),
        conn_info: text(info.conn_info),
        chan_info: text(info.chan_info),
    }
}

/// Appends one publication, without its length: whoever embeds it gives that.
pub(super) fn encode_said(out: &mut Vec<u8>, said: &Said<'_>) {
    let publication = PublicationMessage {
        data: said.data.as_bytes().to_vec(),
        info: said.info.as_ref().map(client_info),
        offset: said.offset.unwrap_or_default(),
        delta: said.form == Form::Delta,
    };
    out.extend_from_slice(&publication.encode_to_vec());
}

/// Appends the push of an encoded publication.
pub(super) fn encode_push_publication(out: &mut Vec<u8>, channel: &str, publication: &[u8]) {
    append_push(
        out,
        PushMessage {
            channel: channel.to_owned(),
            publication: Some(Bytes::copy_from_slice(publication)),
            ..PushMessage::default()
        },
    );
}

/// Appends one push.
pub(super) fn encode_push(out: &mut Vec<u8>, push: &Push<'_>) {
    let mut message = PushMessage::default();
    match push {
        Push::Join { channel, info } => {
            (*channel).clone_into(&mut message.channel);
            message.join = Some(InfoMessage { info: Some(client_info(info)) });
        }
        Push::Leave { channel, info } => {
            (*channel).clone_into(&mut message.channel);
            message.leave = Some(InfoMessage { info: Some(client_info(info)) });
        }
        Push::Unsubscribe { channel, end: Unsubscribed { code, reason } } => {
            (*channel).clone_into(&mut message.channel);
            let ended = UnsubscribeMessage { code: *code, reason: (*reason).to_owned() };
            message.unsubscribe = Some(ended);
        }
        Push::Message { data } => message.message = Some(DataRequest { data: text(Some(data)) }),
        Push::Connect(result) => message.connect = Some(connect_push(result)),
        Push::Disconnect(Disconnect { code, reason }) => {
            let ended = DisconnectMessage { code: (*code).into(), reason: (*reason).to_owned() };
            message.disconnect = Some(ended);
        }
    }
    append_push(out, message);
}

fn append_push(out: &mut Vec<u8>, push: PushMessage) {
    append(out, &ReplyMessage { push: Some(push), ..ReplyMessage::default() });
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::Codec;
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<char> = hex.chars().filter(|digit| !digit.is_whitespace()).collect();
        let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16);
        digits.chunks(2).map(|pair| byte(pair).unwrap()).collect()
    }

    #[test]
    fn commands_are_read_as_the_python_sdk_writes_them() {
        let connect = bytes("0d 0801 22 09 0a0154 220464617274");
        let commands = Codec::Protobuf.decode(&connect, 8).unwrap();
        let Request::Connect(connect) = &commands[0].request else { panic!("{commands:?}") };
        assert_eq!((commands[0].id, &*connect.token, connect.name.as_str()), (1, "T", "dart"));

        let subscribe = bytes("17 0802 2a 13 0a076f726465723a31 1801 32026531 3805 7001");
        let commands = Codec::Protobuf.decode(&subscribe, 8).unwrap();
        let Request::Subscribe(asked) = &commands[0].request else { panic!("{commands:?}") };
        assert_eq!((asked.channel.as_str(), asked.epoch.as_str()), ("order:1", "e1"));
        assert_eq!((asked.recover, asked.offset, asked.flag), (true, 5, 1));
    }

    #[test]
    fn a_push_is_written_as_the_python_sdk_reads_it() {
        let mut publication = Vec::new();
        Codec::Protobuf.encode_publication(&mut publication, r#"{"s":1}"#, Some(6));
        let mut push = Vec::new();
        Codec::Protobuf.encode_push_publication(&mut push, "order:1", &publication);
        let expected = bytes("18 22 16 12076f726465723a31 22 0b 22077b2273223a317d 3006");
        assert_eq!(push, expected);
    }

    #[test]
    fn a_single_zero_is_a_ping_and_a_pong() {
        assert_eq!(Codec::Protobuf.ping(), [0]);
        let commands = Codec::Protobuf.decode(&[0], 8).unwrap();
        assert!(matches!(commands[0], Command { id: 0, request: Request::Pong }));
    }

    #[test]
    fn a_recovered_subscription_keeps_the_bytes_of_its_publications() {
        let mut publication = Vec::new();
        Codec::Protobuf.encode_publication(&mut publication, "{}", Some(7));
        let publications = [Bytes::from(publication.clone())];
        let recovery = Recovery::Recovered { publications: &publications };
        let result = SubscribeResult { offset: 6, recovery, ..SubscribeResult::default() };
        let mut out = Vec::new();
        Codec::Protobuf.encode_reply(&mut out, 3, &Reply::Subscribe(result));
        let reply = ReplyMessage::decode_length_delimited(out.as_slice()).unwrap();
        let subscribed = reply.subscribe.unwrap();
        assert_eq!((reply.id, subscribed.offset, subscribed.recovered), (3, 6, true));
        let publication = PublicationMessage::decode(subscribed.publications[0].clone()).unwrap();
        assert_eq!((publication.offset, publication.data.as_slice()), (7, b"{}".as_slice()));
    }

    #[test]
    fn what_cannot_be_read_is_a_bad_request() {
        for hex in ["", "05 0801", "ff ff ff ff ff ff ff ff ff ff ff", "02 0801", "03 2a 01 00"] {
            let refused = Codec::Protobuf.decode(&bytes(hex), 8);
            assert_eq!(refused.unwrap_err(), Disconnect::BAD_REQUEST, "{hex}");
        }
        let two_pongs = [0, 0];
        assert!(Codec::Protobuf.decode(&two_pongs, 1).is_err(), "more than may be");
    }

    proptest! {
        #[test]
        fn any_bytes_are_commands_or_a_bad_request(message in vec(any::<u8>(), 0..200)) {
            match Codec::Protobuf.decode(&message, 16) {
                Ok(commands) => prop_assert!((1..=16).contains(&commands.len())),
                Err(refused) => prop_assert_eq!(refused, Disconnect::BAD_REQUEST),
            }
        }
    }
}
