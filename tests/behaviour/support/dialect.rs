//! Commands and replies in both codecs, as JSON values on this side of them: by the field numbers
//! of `client.proto`, written down a second time here, so that a wrong number in ours shows.
//!
//! Reading is strict: a field that is not listed, a broken length, an empty line is an error.

use ordercast::protocol::Codec;
use serde_json::{Map, Value, json};

pub const BOTH: [Codec; 2] = [Codec::Json, Codec::Protobuf];

struct Field(u64, &'static str, Kind);

enum Kind {
    Number,
    /// A number that JSON says also when it is 0.
    EachNumber,
    Flag,
    Text,
    /// A payload.
    Data,
    Object(&'static [Field]),
    List(&'static [Field]),
    /// A list that JSON says also when it is empty.
    EachList(&'static [Field]),
    /// By keys that are texts.
    Map(&'static [Field]),
    /// A map that JSON says also when it is empty.
    EachMap(&'static [Field]),
    TextMap,
}

use Kind::{Data, EachList, EachMap, EachNumber, Flag, List, Number, Object, Text, TextMap};

const CHANNEL: &[Field] = &[Field(1, "channel", Text)];
const TOKEN: &[Field] = &[Field(1, "token", Text)];
const POSITION: &[Field] = &[Field(1, "offset", Number), Field(2, "epoch", Text)];
const SUBSCRIBE: &[Field] = &[
    Field(1, "channel", Text),
    Field(2, "token", Text),
    Field(3, "recover", Flag),
    Field(6, "epoch", Text),
    Field(7, "offset", Number),
    Field(8, "data", Data),
    Field(9, "positioned", Flag),
    Field(10, "recoverable", Flag),
    Field(11, "join_leave", Flag),
    Field(12, "delta", Text),
    Field(13, "tf", Object(&[Field(1, "op", Text)])),
    Field(14, "flag", Number),
    Field(15, "type", Number),
    Field(16, "phase", Number),
    Field(17, "cursor", Text),
];
const COMMAND: &[Field] = &[
    Field(1, "id", Number),
    Field(
        4,
        "connect",
        Object(&[
            Field(1, "token", Text),
            Field(2, "data", Data),
            Field(3, "subs", Kind::Map(SUBSCRIBE)),
            Field(4, "name", Text),
            Field(5, "version", Text),
            Field(6, "headers", TextMap),
            Field(7, "flag", Number),
        ]),
    ),
    Field(5, "subscribe", Object(SUBSCRIBE)),
    Field(6, "unsubscribe", Object(CHANNEL)),
    Field(7, "publish", Object(&[Field(1, "channel", Text), Field(2, "data", Data)])),
    Field(8, "presence", Object(CHANNEL)),
    Field(9, "presence_stats", Object(CHANNEL)),
    Field(
        10,
        "history",
        Object(&[
            Field(1, "channel", Text),
            Field(7, "limit", Number),
            Field(8, "since", Object(POSITION)),
            Field(9, "reverse", Flag),
        ]),
    ),
    Field(11, "ping", Object(&[])),
    Field(12, "send", Object(&[Field(1, "data", Data)])),
    Field(13, "rpc", Object(&[Field(1, "data", Data), Field(2, "method", Text)])),
    Field(14, "refresh", Object(TOKEN)),
    Field(15, "sub_refresh", Object(&[Field(1, "channel", Text), Field(2, "token", Text)])),
];

const INFO: &[Field] = &[
    Field(1, "user", Text),
    Field(2, "client", Text),
    Field(3, "conn_info", Data),
    Field(4, "chan_info", Data),
];
const PUBLICATION: &[Field] =
    &[Field(4, "data", Data), Field(6, "offset", Number), Field(8, "delta", Flag)];
const SUBSCRIBED: &[Field] = &[
    Field(1, "expires", Flag),
    Field(2, "ttl", Number),
    Field(3, "recoverable", Flag),
    Field(6, "epoch", Text),
    Field(7, "publications", List(PUBLICATION)),
    Field(8, "recovered", Flag),
    Field(9, "offset", Number),
    Field(10, "positioned", Flag),
    Field(11, "data", Data),
    Field(12, "was_recovering", Flag),
    Field(13, "delta", Flag),
];
const PUSH: &[Field] = &[
    Field(2, "channel", Text),
    Field(4, "pub", Object(PUBLICATION)),
    Field(5, "join", Object(&[Field(1, "info", Object(INFO))])),
    Field(6, "leave", Object(&[Field(1, "info", Object(INFO))])),
    Field(7, "unsubscribe", Object(&[Field(2, "code", Number), Field(3, "reason", Text)])),
    Field(8, "message", Object(&[Field(1, "data", Data)])),
    Field(11, "disconnect", Object(&[Field(1, "code", Number), Field(2, "reason", Text)])),
];
const REPLY: &[Field] = &[
    Field(1, "id", Number),
    Field(
        2,
        "error",
        Object(&[Field(1, "code", Number), Field(2, "message", Text), Field(3, "temporary", Flag)]),
    ),
    Field(4, "push", Object(PUSH)),
    Field(
        5,
        "connect",
        Object(&[
            Field(1, "client", Text),
            Field(2, "version", Text),
            Field(3, "expires", Flag),
            Field(4, "ttl", Number),
            Field(5, "data", Data),
            Field(6, "subs", Kind::Map(SUBSCRIBED)),
            Field(7, "ping", Number),
            Field(8, "pong", Flag),
        ]),
    ),
    Field(6, "subscribe", Object(SUBSCRIBED)),
    Field(7, "unsubscribe", Object(&[])),
    Field(8, "publish", Object(&[])),
    Field(9, "presence", Object(&[Field(1, "presence", EachMap(INFO))])),
    Field(
        10,
        "presence_stats",
        Object(&[Field(1, "num_clients", EachNumber), Field(2, "num_users", EachNumber)]),
    ),
    Field(
        11,
        "history",
        Object(&[
            Field(1, "publications", EachList(PUBLICATION)),
            Field(2, "epoch", Text),
            Field(3, "offset", Number),
        ]),
    ),
    Field(13, "rpc", Object(&[Field(1, "data", Data)])),
    Field(
        14,
        "refresh",
        Object(&[
            Field(1, "client", Text),
            Field(2, "version", Text),
            Field(3, "expires", Flag),
            Field(4, "ttl", Number),
        ]),
    ),
    Field(15, "sub_refresh", Object(&[Field(1, "expires", Flag), Field(2, "ttl", Number)])),
];

/// One WebSocket message of these commands. What a command says explicitly is written, also when
/// it is a default; what is null is not.
pub fn message(codec: Codec, commands: &[Value]) -> Vec<u8> {
    match codec {
        Codec::Json => {
            let lines: Vec<_> = commands.iter().map(ToString::to_string).collect();
            lines.join("\n").into_bytes()
        }
        Codec::Protobuf => {
            let mut out = Vec::new();
            for command in commands {
                bytes(&mut out, &object(COMMAND, command));
            }
            out
        }
    }
}

/// The replies and pushes of one WebSocket message; a ping is an empty object.
pub fn replies(codec: Codec, message: &[u8]) -> Result<Vec<Value>, String> {
    match codec {
        Codec::Json => {
            let lines = message.split(|byte| *byte == b'\n');
            let read = |line: &[u8]| {
                let value: Value = serde_json::from_slice(line)
                    .map_err(|error| format!("{error}: {}", String::from_utf8_lossy(line)))?;
                if value.is_object() { Ok(value) } else { Err(format!("no object: {value}")) }
            };
            lines.map(read).collect()
        }
        Codec::Protobuf => {
            let mut rest = message;
            let mut all = Vec::new();
            while !rest.is_empty() {
                all.push(read_object(REPLY, take_bytes(&mut rest)?)?);
            }
            if all.is_empty() { Err("an empty message".to_owned()) } else { Ok(all) }
        }
    }
}

/// Appends a number as Protobuf writes it.
pub fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// Appends bytes behind their length.
pub fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn object(fields: &[Field], value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in value.as_object().expect("an object") {
        let known = fields.iter().find(|Field(_, known, _)| known == name);
        let Field(number, _, kind) = known.unwrap_or_else(|| panic!("no field {name}"));
        if !value.is_null() {
            field(&mut out, *number, kind, value);
        }
    }
    out
}

fn field(out: &mut Vec<u8>, number: u64, kind: &Kind, value: &Value) {
    let mut delimited = |content: &[u8]| {
        varint(out, number << 3 | 2);
        bytes(out, content);
    };
    match kind {
        Number | EachNumber | Flag => {
            varint(out, number << 3);
            let signed = || value.as_i64().map(i64::cast_unsigned);
            let flag = || value.as_bool().map(u64::from);
            varint(out, value.as_u64().or_else(signed).or_else(flag).expect("a number"));
        }
        Text => delimited(value.as_str().expect("a text").as_bytes()),
        Data => delimited(value.to_string().as_bytes()),
        Object(fields) => delimited(&object(fields, value)),
        List(fields) | EachList(fields) => {
            for value in value.as_array().expect("a list") {
                delimited(&object(fields, value));
            }
        }
        Kind::Map(fields) | EachMap(fields) => {
            for (key, value) in value.as_object().expect("a map") {
                delimited(&entry(key, &object(fields, value)));
            }
        }
        TextMap => {
            for (key, value) in value.as_object().expect("a map") {
                delimited(&entry(key, value.as_str().expect("a text").as_bytes()));
            }
        }
    }
}

/// An entry of a map: the key and the value are its fields 1 and 2.
fn entry(key: &str, value: &[u8]) -> Vec<u8> {
    let mut entry = Vec::new();
    for (tag, content) in [(0x0a, key.as_bytes()), (0x12, value)] {
        entry.push(tag);
        bytes(&mut entry, content);
    }
    entry
}

fn take_varint(rest: &mut &[u8]) -> Result<u64, String> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (first, others) = rest.split_first().ok_or("it ends within a number")?;
        *rest = others;
        number |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err("a number without an end".to_owned())
}

fn take_bytes<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], String> {
    let length = usize::try_from(take_varint(rest)?).map_err(|error| error.to_string())?;
    let (taken, others) = rest.split_at_checked(length).ok_or("a length beyond the end")?;
    *rest = others;
    Ok(taken)
}

fn read_object(fields: &[Field], mut rest: &[u8]) -> Result<Value, String> {
    let mut object = Map::new();
    for Field(_, name, kind) in fields {
        let value = match kind {
            EachNumber => json!(0),
            EachList(_) => json!([]),
            EachMap(_) => json!({}),
            Number | Flag | Text | Data | Object(_) | List(_) | Kind::Map(_) | TextMap => continue,
        };
        object.insert((*name).to_owned(), value);
    }
    while !rest.is_empty() {
        let key = take_varint(&mut rest)?;
        let known = fields.iter().find(|Field(number, ..)| *number == key >> 3);
        let Field(_, name, kind) = known.ok_or_else(|| format!("a field {}", key >> 3))?;
        let varies = matches!(kind, Number | EachNumber | Flag);
        if key & 7 != if varies { 0 } else { 2 } {
            return Err(format!("{name} has type {}", key & 7));
        }
        if varies {
            let number = take_varint(&mut rest)?;
            let value = if matches!(kind, Flag) { json!(number != 0) } else { json!(number) };
            object.insert((*name).to_owned(), value);
            continue;
        }
        let content = take_bytes(&mut rest)?;
        let text = || String::from_utf8(content.to_vec()).map_err(|error| error.to_string());
        match kind {
            Text => drop(object.insert((*name).to_owned(), text()?.into())),
            Data => {
                let value = serde_json::from_slice(content).map_err(|error| error.to_string())?;
                object.insert((*name).to_owned(), value);
            }
            Object(fields) => {
                object.insert((*name).to_owned(), read_object(fields, content)?);
            }
            List(fields) | EachList(fields) => {
                let value = read_object(fields, content)?;
                let list = object.entry(*name).or_insert_with(|| json!([]));
                list.as_array_mut().expect("a list").push(value);
            }
            Kind::Map(fields) | EachMap(fields) => {
                let (key, value) = read_entry(fields, content)?;
                let map = object.entry(*name).or_insert_with(|| json!({}));
                if map.as_object_mut().expect("a map").insert(key, value).is_some() {
                    return Err(format!("{name} has a key twice"));
                }
            }
            TextMap | Number | EachNumber | Flag => return Err(format!("{name} is not sent")),
        }
    }
    Ok(object.into())
}

/// The same read: either may be left out as a default.
fn read_entry(fields: &[Field], mut rest: &[u8]) -> Result<(String, Value), String> {
    let (mut name, mut value) = (String::new(), read_object(fields, &[])?);
    while !rest.is_empty() {
        let key = take_varint(&mut rest)?;
        let content = take_bytes(&mut rest)?;
        match key {
            0x0a => {
                name = String::from_utf8(content.to_vec()).map_err(|error| error.to_string())?;
            }
            0x12 => value = read_object(fields, content)?,
            _ => return Err(format!("an entry has {key}")),
        }
    }
    Ok((name, value))
}
