//! The client's side of the protocol, as far as a load needs it: commands to bytes, replies and
//! pushes from bytes, in both codecs. Publications are not parsed but looked through.

use ordercast::protocol::Codec;
use prost::Message as _;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

/// The ids of the first two commands of every connection.
pub(crate) const CONNECT: u32 = 1;
pub(crate) const SUBSCRIBE: u32 = 2;
/// No call has a lower id.
pub(crate) const FIRST_CALL: u32 = 10;

/// Where to go on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Place {
    pub(crate) epoch: String,
    pub(crate) offset: u64,
}

/// Something from the server.
#[derive(Debug)]
pub(crate) enum Said<'a> {
    /// To be answered by the same.
    Ping,
    /// An event, live or recovered.
    Event(Event<'a>),
    /// What is in no log, such as where a courier is: JSON.
    Passing(&'a [u8]),
    /// The subscription stands; its publications have been said before.
    Subscribed { place: Place, recovered: bool },
    /// A command of ours failed.
    Failed { id: u32, code: u32, message: String },
    /// A call's answer, JSON.
    Answered { id: u32, data: &'a [u8] },
    /// The subscription was taken away.
    Unsubscribed(u32),
    /// Nothing that matters here.
    Other,
}

/// What of an event is looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Event<'a> {
    pub(crate) offset: u64,
    /// The envelope, JSON.
    pub(crate) data: &'a [u8],
}

impl Event<'_> {
    /// The order it is about, and its version.
    pub(crate) fn order(&self) -> Option<(&str, u64)> {
        let order = member(self.data, b"\"order\":\"")?;
        let order = std::str::from_utf8(order.get(..order.iter().position(|&byte| byte == b'"')?)?);
        Some((order.ok()?, number(member(self.data, b"\"n\":")?)))
    }
}

/// What follows the first `name` in JSON text.
pub(crate) fn member<'a>(text: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let at = text.windows(name.len()).position(|window| window == name)?;
    text.get(at + name.len()..)
}

/// The number at the beginning.
pub(crate) fn number(text: &[u8]) -> u64 {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
}

#[derive(prost::Message)]
struct Command {
    #[prost(uint32, tag = "1")]
    id: u32,
    #[prost(message, optional, tag = "4")]
    connect: Option<Connect>,
    #[prost(message, optional, tag = "5")]
    subscribe: Option<Subscribe>,
    #[prost(message, optional, tag = "13")]
    rpc: Option<Rpc>,
}

#[derive(prost::Message)]
struct Connect {
    #[prost(string, tag = "1")]
    token: String,
}

#[derive(prost::Message)]
struct Subscribe {
    #[prost(string, tag = "1")]
    channel: String,
    #[prost(bool, tag = "3")]
    recover: bool,
    #[prost(string, tag = "6")]
    epoch: String,
    #[prost(uint64, tag = "7")]
    offset: u64,
}

#[derive(prost::Message)]
struct Rpc {
    #[prost(bytes = "vec", tag = "1")]
    data: Vec<u8>,
    #[prost(string, tag = "2")]
    method: String,
}

#[derive(prost::Message)]
struct Reply {
    #[prost(uint32, tag = "1")]
    id: u32,
    #[prost(message, optional, tag = "2")]
    error: Option<ErrorBody>,
    #[prost(message, optional, tag = "4")]
    push: Option<Push>,
    #[prost(message, optional, tag = "6")]
    subscribe: Option<Subscribed>,
    #[prost(message, optional, tag = "13")]
    rpc: Option<Answer>,
}

#[derive(prost::Message, Deserialize)]
struct ErrorBody {
    #[prost(uint32, tag = "1")]
    code: u32,
    #[prost(string, tag = "2")]
    #[serde(default)]
    message: String,
}

#[derive(prost::Message)]
struct Push {
    #[prost(message, optional, tag = "4")]
    publication: Option<Publication>,
    #[prost(message, optional, tag = "7")]
    unsubscribe: Option<End>,
}

#[derive(prost::Message, Deserialize)]
struct End {
    #[prost(uint32, tag = "2")]
    code: u32,
}

#[derive(prost::Message)]
struct Publication {
    #[prost(bytes = "vec", tag = "4")]
    data: Vec<u8>,
    #[prost(uint64, tag = "6")]
    offset: u64,
}

#[derive(prost::Message)]
struct Subscribed {
    #[prost(string, tag = "6")]
    epoch: String,
    #[prost(message, repeated, tag = "7")]
    publications: Vec<Publication>,
    #[prost(bool, tag = "8")]
    recovered: bool,
    #[prost(uint64, tag = "9")]
    offset: u64,
}

#[derive(prost::Message)]
struct Answer {
    #[prost(bytes = "vec", tag = "1")]
    data: Vec<u8>,
}

/// The same in JSON, where payloads stand as they are.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(default)]
    id: u32,
    error: Option<ErrorBody>,
    #[serde(borrow)]
    push: Option<LinePush<'a>>,
    #[serde(borrow)]
    subscribe: Option<LineSubscribed<'a>>,
    #[serde(borrow)]
    rpc: Option<LineAnswer<'a>>,
}

#[derive(Deserialize)]
struct LinePush<'a> {
    #[serde(borrow, rename = "pub")]
    publication: Option<LinePublication<'a>>,
    unsubscribe: Option<End>,
}

#[derive(Deserialize)]
struct LinePublication<'a> {
    #[serde(borrow)]
    data: &'a RawValue,
    #[serde(default)]
    offset: u64,
}

#[derive(Deserialize)]
struct LineSubscribed<'a> {
    #[serde(default)]
    epoch: String,
    #[serde(default)]
    offset: u64,
    #[serde(default)]
    recovered: bool,
    #[serde(default, borrow)]
    publications: Vec<LinePublication<'a>>,
}

#[derive(Deserialize)]
struct LineAnswer<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// Connect and, if there is a channel, subscribe, in one message.
pub(crate) fn hello(
    codec: Codec,
    token: &str,
    channel: Option<&str>,
    from: Option<&Place>,
) -> Vec<u8> {
    let from = from.filter(|place| !place.epoch.is_empty());
    let place = from.cloned().unwrap_or_default();
    let mut message = Vec::new();
    match codec {
        Codec::Json => {
            let connect = json!({"id": CONNECT, "connect": {"token": token}});
            message.extend_from_slice(connect.to_string().as_bytes());
            if let Some(channel) = channel {
                let mut subscribe = json!({"channel": channel, "flag": 1});
                if let (Some(place), Some(members)) = (from, subscribe.as_object_mut()) {
                    members.insert("recover".to_owned(), true.into());
                    members.insert("epoch".to_owned(), place.epoch.as_str().into());
                    members.insert("offset".to_owned(), place.offset.into());
                }
                let subscribe = json!({"id": SUBSCRIBE, "subscribe": subscribe});
                message.push(b'\n');
                message.extend_from_slice(subscribe.to_string().as_bytes());
            }
        }
        Codec::Protobuf => {
            let connect = Some(Connect { token: token.to_owned() });
            let command = Command { id: CONNECT, connect, subscribe: None, rpc: None };
            message.extend(command.encode_length_delimited_to_vec());
            if let Some(channel) = channel {
                let subscribe = Some(Subscribe {
                    channel: channel.to_owned(),
                    recover: from.is_some(),
                    epoch: place.epoch,
                    offset: place.offset,
                });
                let command = Command { id: SUBSCRIBE, connect: None, subscribe, rpc: None };
                message.extend(command.encode_length_delimited_to_vec());
            }
        }
    }
    message
}

/// A call; `data` is JSON.
pub(crate) fn call(codec: Codec, id: u32, method: &str, data: &str) -> Vec<u8> {
    match codec {
        Codec::Json => {
            format!(r#"{{"id":{id},"rpc":{{"method":"{method}","data":{data}}}}}"#).into_bytes()
        }
        Codec::Protobuf => {
            let rpc = Some(Rpc { data: data.as_bytes().to_vec(), method: method.to_owned() });
            Command { id, connect: None, subscribe: None, rpc }.encode_length_delimited_to_vec()
        }
    }
}

/// Reads one message of the server, and says each thing in it.
pub(crate) fn read(
    codec: Codec,
    message: &[u8],
    say: &mut dyn FnMut(Said<'_>),
) -> Result<(), String> {
    match codec {
        Codec::Json => {
            for line in message.split(|&byte| byte == b'\n') {
                read_line(line, say)?;
            }
        }
        Codec::Protobuf => {
            let mut rest = message;
            while !rest.is_empty() {
                let reply = Reply::decode_length_delimited(&mut rest);
                read_reply(&reply.map_err(|error| error.to_string())?, say);
            }
        }
    }
    Ok(())
}

/// Live publications are most of what comes: where they begin and end is known.
const PUBLICATION: &[u8] = b"\"pub\":{\"data\":";
const OFFSET: &[u8] = b",\"offset\":";

/// A live publication; one that passes has the offset 0.
fn live(line: &[u8]) -> Option<Event<'_>> {
    if !line.starts_with(b"{\"push\":{\"channel\":") {
        return None;
    }
    // Behind the channel's name.
    let head = line.get(..line.len().min(200))?;
    let from = head.windows(PUBLICATION.len()).position(|window| window == PUBLICATION)?;
    let digits = line.len()
        - 3
        - line.strip_suffix(b"}}}")?.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (before, after) = line.split_at_checked(digits)?;
    let before = if after.starts_with(b"}}}") { before } else { before.strip_suffix(OFFSET)? };
    let data = before.get(from + PUBLICATION.len()..)?;
    Some(Event { offset: number(after), data })
}

fn say_publication(event: Event<'_>, say: &mut dyn FnMut(Said<'_>)) {
    say(if event.offset > 0 { Said::Event(event) } else { Said::Passing(event.data) });
}

fn read_line(line: &[u8], say: &mut dyn FnMut(Said<'_>)) -> Result<(), String> {
    if line == b"{}" {
        say(Said::Ping);
        return Ok(());
    }
    if let Some(event) = live(line) {
        say_publication(event, say);
        return Ok(());
    }
    let unreadable = |error| format!("{error}: {}", String::from_utf8_lossy(line));
    let line: Line<'_> = serde_json::from_slice(line).map_err(unreadable)?;
    let event = |publication: &LinePublication<'_>, say: &mut dyn FnMut(Said<'_>)| {
        let LinePublication { data, offset } = publication;
        say_publication(Event { offset: *offset, data: data.get().as_bytes() }, say);
    };
    if let Some(ErrorBody { code, message }) = line.error {
        say(Said::Failed { id: line.id, code, message });
    } else if let Some(push) = line.push {
        if let Some(publication) = &push.publication {
            event(publication, say);
        }
        if let Some(End { code }) = push.unsubscribe {
            say(Said::Unsubscribed(code));
        }
    } else if let Some(subscribed) = line.subscribe {
        for publication in &subscribed.publications {
            event(publication, say);
        }
        let place = Place { epoch: subscribed.epoch, offset: subscribed.offset };
        say(Said::Subscribed { place, recovered: subscribed.recovered });
    } else if let Some(answer) = line.rpc {
        let data = answer.data.map_or("null", RawValue::get).as_bytes();
        say(Said::Answered { id: line.id, data });
    } else {
        say(Said::Other);
    }
    Ok(())
}

fn read_reply(reply: &Reply, say: &mut dyn FnMut(Said<'_>)) {
    let event = |publication: &Publication, say: &mut dyn FnMut(Said<'_>)| {
        say_publication(Event { offset: publication.offset, data: &publication.data }, say);
    };
    if let Some(error) = &reply.error {
        say(Said::Failed { id: reply.id, code: error.code, message: error.message.clone() });
    } else if let Some(push) = &reply.push {
        if let Some(publication) = &push.publication {
            event(publication, say);
        }
        if let Some(End { code }) = push.unsubscribe {
            say(Said::Unsubscribed(code));
        }
    } else if let Some(subscribed) = &reply.subscribe {
        for publication in &subscribed.publications {
            event(publication, say);
        }
        let place = Place { epoch: subscribed.epoch.clone(), offset: subscribed.offset };
        say(Said::Subscribed { place, recovered: subscribed.recovered });
    } else if let Some(answer) = &reply.rpc {
        say(Said::Answered { id: reply.id, data: &answer.data });
    } else if reply.id == 0 {
        say(Said::Ping);
    } else {
        say(Said::Other);
    }
}
