//! Messages that are nearly right: seeds of what clients really send, and what chance does to
//! them.

use ordercast::protocol::Codec;
use serde_json::{Value, json};

use crate::chance::Chance;
use crate::support::dialect;

/// What is kept of what once was found, or is otherwise worth a try in every run: hexadecimal,
/// one message a line, by codec.
const KEPT: [(Codec, &str); 2] = [
    (Codec::Json, include_str!("corpus/json.txt")),
    (Codec::Protobuf, include_str!("corpus/protobuf.txt")),
];

/// The longest message a fuzzer makes: that of the default settings.
pub const LONGEST: usize = 65_536;

/// Commands as SDKs send them, a message each.
pub fn commands() -> Vec<Vec<Value>> {
    let connect = json!({"connect": {"token": "T", "data": {"a": 1}, "name": "driver",
        "version": "1.2.3", "headers": {"X-H": "v"}}, "id": 1});
    let subscribe = json!({"subscribe": {"channel": "order:1", "token": "ST", "positioned": true,
        "recoverable": true, "join_leave": true, "flag": 1, "delta": "fossil"}, "id": 2});
    vec![
        vec![connect, subscribe],
        vec![json!({})],
        vec![json!({"connect": {"token": "T", "name": "dart"}, "id": 1})],
        vec![json!({"connect": {"subs": {"#42": {"recover": true, "offset": 2, "epoch": "e"},
            "#43": {"recover": true, "offset": 9_007_199_254_740_991_u64}}}, "id": 2})],
        vec![json!({"subscribe": {"channel": "order:1", "recover": true, "epoch": "e1",
            "offset": 5, "flag": 3, "type": 1, "tf": {"op": "and"}, "phase": 2}, "id": 4})],
        vec![json!({"subscribe": {"channel": "dispatch", "data": {"store": ["s"],
            "status": "ready"}}, "id": 4})],
        vec![
            json!({"unsubscribe": {"channel": "order:1"}, "id": 3}),
            json!({}),
            json!({"publish": {"channel": "a", "data": [1.50, "x\u{e9}\u{2028}\n", null]}, "id": 3}),
        ],
        vec![json!({"history": {"channel": "a", "limit": -1, "since": {"offset": 3, "epoch": "e"},
            "reverse": true}, "id": 3})],
        vec![
            json!({"presence": {"channel": "a"}, "id": 4}),
            json!({"presence_stats": {"channel": "a"}, "id": 5}),
            json!({"ping": {}, "id": 6}),
        ],
        vec![json!({"rpc": {"method": "order.accept", "data": {"order": "or_1"}}, "id": 6})],
        vec![json!({"send": {"data": {"hi": 1}}})],
        vec![
            json!({"refresh": {"token": "T2"}, "id": 3}),
            json!({"sub_refresh": {"channel": "a", "token": "ST2"}, "id": 4_294_967_295_u32}),
        ],
    ]
}

/// What a codec's messages are made from.
pub fn seeds(codec: Codec) -> Vec<Vec<u8>> {
    let mut seeds: Vec<_> =
        commands().iter().map(|commands| dialect::message(codec, commands)).collect();
    for (of, text) in KEPT {
        let lines = text.lines().filter(|line| of == codec && !line.starts_with('#'));
        seeds.extend(lines.map(unhex));
    }
    seeds
}

fn unhex(line: &str) -> Vec<u8> {
    let pairs = line.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

/// One of the seeds or something made up, mostly spoilt somewhere.
pub fn message(chance: &mut Chance, codec: Codec, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut message = match chance.below(8) {
        0 => (0..chance.below(64)).map(|_| chance.byte()).collect(),
        1 | 2 => match codec {
            Codec::Json => tokens(chance),
            Codec::Protobuf => {
                let mut out = Vec::new();
                for _ in 0..=chance.below(3) {
                    dialect::bytes(&mut out, &fields(chance, 4));
                }
                out
            }
        },
        3 => repeated(chance, codec),
        _ => chance.pick(seeds).clone(),
    };
    for _ in 0..chance.below(5) {
        spoil(chance, &mut message, seeds);
    }
    message.truncate(LONGEST);
    message
}

/// Changes something.
pub fn spoil(chance: &mut Chance, bytes: &mut Vec<u8>, others: &[Vec<u8>]) {
    let at = chance.below(bytes.len() + 1);
    match chance.below(9) {
        0 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << chance.below(8);
            }
        }
        1 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = *chance.pick(&[0, 1, 0x7f, 0x80, 0xff, b'{', b'}', b'"', b'\n', b'\\', 1]);
            }
        }
        2 => bytes.truncate(at),
        // A piece less, a piece twice, another's piece.
        3 => drop(bytes.drain(at..(at + chance.below(9)).min(bytes.len()))),
        4 => {
            let piece = bytes[at..(at + chance.below(40)).min(bytes.len())].to_vec();
            bytes.splice(at..at, piece);
        }
        5 => {
            let other = chance.pick(others);
            let from = chance.below(other.len() + 1);
            let to = (from + chance.below(80)).min(other.len());
            bytes.splice(at..at, other[from..to].iter().copied());
        }
        6 => bytes.insert(at, chance.byte()),
        // A length that lies.
        7 => {
            let mut number = Vec::new();
            dialect::varint(&mut number, chance.number());
            let end = (at + 1).min(bytes.len());
            bytes.splice(at..end, number);
        }
        _ => {
            let digits = chance.number().to_string();
            let digit = bytes.iter().position(u8::is_ascii_digit).unwrap_or(at);
            bytes.splice(digit..(digit + 1).min(bytes.len()), digits.bytes());
        }
    }
}

/// The same thing again and again, up to the limit: many commands, many members, deep nesting.
fn repeated(chance: &mut Chance, codec: Codec) -> Vec<u8> {
    let most = *chance.pick(&[4, 300, 20_000]);
    let many = 1 + chance.below(most);
    let count = |one: &str| many.min(LONGEST / one.len().max(1));
    match codec {
        Codec::Json => {
            let (head, one, tail) = *chance.pick(&[
                ("", "{}", ""),
                ("", "{\"id\":1,\"ping\":{}}\n", ""),
                ("", "\n", "{}"),
                ("{\"id\":1,\"rpc\":{\"data\":", "[", ""),
                ("{\"id\":1,\"new\":", "{\"a\":", ""),
                ("{\"id\":1,\"connect\":{\"data\":\"", "\\u00e9", "\"}}"),
                ("{\"id\":1,\"rpc\":{\"method\":\"", "\\n", "\"}}"),
                ("{\"id\":1,\"connect\":{\"headers\":{", "\"\":\"\",", "\"a\":\"\"}}}"),
                ("{\"id\":1,", "\"a\":1,", "\"ping\":{}}"),
            ]);
            if chance.one_in(3) {
                let subs = (0..many.min(6_000)).map(|nth| format!("\"{nth:x}\":{{}}"));
                let subs: Vec<_> = subs.collect();
                return format!(r#"{{"id":1,"connect":{{"subs":{{{}}}}}}}"#, subs.join(","))
                    .into_bytes();
            }
            [head, &one.repeat(count(one)), tail].concat().into_bytes()
        }
        Codec::Protobuf => {
            let mut inner = Vec::new();
            let (tag, field) = *chance.pick(&[(0x22, 0x1a), (0x22, 0x32), (0x2a, 0x6a), (0x6a, 8)]);
            for nth in 0..many {
                if inner.len() > LONGEST - 64 {
                    break;
                }
                inner.push(field);
                let mut entry = vec![0x0a];
                let key = format!("{nth:x}");
                dialect::bytes(&mut entry, key.as_bytes());
                if chance.one_in(50) {
                    entry.extend([0x12, 0]);
                }
                if field == 8 { inner.push(1) } else { dialect::bytes(&mut inner, &entry) }
            }
            let mut command = vec![0x08, 1, tag];
            dialect::bytes(&mut command, &inner);
            let mut out = Vec::new();
            if chance.one_in(3) {
                out = vec![0; many.min(LONGEST)];
            } else {
                dialect::bytes(&mut out, &command);
            }
            out
        }
    }
}

/// A heap of what JSON and our commands are made of.
fn tokens(chance: &mut Chance) -> Vec<u8> {
    const TOKENS: &[&str] = &[
        "{",
        "}",
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\n",
        "\r",
        " ",
        "0",
        "-1",
        "-0",
        "1e9",
        "1E400",
        "0.1",
        "00",
        "null",
        "true",
        "false",
        "\"",
        "\"a\"",
        "\"\\ud800\"",
        "\\u",
        "\u{e9}",
        "\u{feff}",
        "{\"id\":1,",
        "\"id\":",
        "\"connect\":{",
        "\"subscribe\":{",
        "\"subs\":{",
        "\"offset\":",
        "\"epoch\":",
        "\"data\":",
        "\"channel\":",
        "\"history\":{\"since\":",
        "\"limit\":",
        "\"type\":",
        "\"tf\":",
        "\"rpc\":{\"method\":",
        "\"ping\":{}}",
        "\"send\":{",
    ];
    let count = chance.below(40);
    (0..count).flat_map(|_| chance.pick(TOKENS).bytes()).collect()
}

/// Fields of a Protobuf message: numbers, types and contents as they come.
fn fields(chance: &mut Chance, depth: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..chance.below(6) {
        let number = if chance.one_in(8) { chance.number() >> 3 } else { chance.below(20) as u64 };
        let kind = *chance.pick(&[0, 0, 2, 2, 2, 2, 1, 5, 3, 4, 6, 7]);
        dialect::varint(&mut out, number << 3 | kind);
        match kind {
            0 => dialect::varint(&mut out, chance.number()),
            1 => out.extend([chance.byte(); 8]),
            2 => {
                let content = match chance.below(4) {
                    0 if depth > 0 => fields(chance, depth - 1),
                    1 => chance
                        .pick(&["", "a", "{}", "{\"a\":1}", "null", "[", "\u{e9}"])
                        .as_bytes()
                        .to_vec(),
                    2 => (0..chance.below(12)).map(|_| chance.byte()).collect(),
                    _ => fields(chance, depth.saturating_sub(2)),
                };
                if chance.one_in(20) {
                    dialect::varint(&mut out, chance.number());
                    out.extend(content);
                } else {
                    dialect::bytes(&mut out, &content);
                }
            }
            5 => out.extend([chance.byte(); 4]),
            _ => {}
        }
    }
    out
}
