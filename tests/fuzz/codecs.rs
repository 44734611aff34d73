//! What reads and writes messages: both codecs' commands, the other readers of what clients send,
//! and the forms in which messages leave.

use ordercast::frame::message_frame;
use ordercast::protocol::code::{Disconnect, Unsubscribed};
use ordercast::protocol::{Codec, Connect, Emulation, Push, Reply, Request};
use ordercast::wire::Wire;

use crate::allocation::{Cost, cost};
use crate::bytes::{LONGEST, message, seeds};
use crate::chance::{Chance, Run, Witness, hex};
use crate::support::dialect;

/// Commands of one message that the default settings allow.
const MOST: usize = 256;

/// Bytes that reading may ask for in all, for each byte of the message and beside them. The dearest
/// are positions of subscriptions in a connect: 6 bytes of a message, some 1000 of memory, most of
/// it given back before the message is read; a session keeps no more than it can have.
const PER_BYTE: i64 = 224;
const BESIDE: i64 = 256 * 1024;

fn assert_bounded(what: &str, length: usize, cost: Cost) {
    let may = PER_BYTE * i64::try_from(length).unwrap() + BESIDE;
    assert!(cost.asked <= may, "{what} of {length} bytes asked for {} in all", cost.asked);
}

#[test]
fn any_message_is_commands_or_a_bad_request() {
    let mut run = Run::begin("commands");
    let all = [Codec::Json, Codec::Protobuf].map(|codec| (codec, seeds(codec)));
    let (mut read, mut refused) = ([0_u64; 2], [0_u64; 2]);
    while let Some(mut chance) = run.next() {
        let nth = chance.below(2);
        let (codec, seeds) = &all[nth];
        let message = message(&mut chance, *codec, seeds);
        let _witness = Witness(|| format!("{codec:?}: {}", hex(&message)));
        let most = *chance.pick(&[1, 2, MOST]);
        let (decoded, cost) = cost(|| codec.decode(&message, most));
        assert_bounded("a message", message.len(), cost);
        match decoded {
            Ok(commands) => {
                assert!((1..=most).contains(&commands.len()), "{}", commands.len());
                for command in commands {
                    let needs_none =
                        matches!(command.request, Request::Send { .. } | Request::Pong);
                    assert!(command.id > 0 || needs_none, "{command:?}");
                    check_payloads(&command.request);
                }
                read[nth] += 1;
            }
            Err(disconnect) => {
                assert_eq!(disconnect, Disconnect::BAD_REQUEST);
                refused[nth] += 1;
            }
        }
    }
    assert!(read.into_iter().chain(refused).all(|count| count > 0), "{read:?}, {refused:?}");
    run.end(&format!("read {read:?}, refused {refused:?}"));
}

/// What says it is JSON is.
fn check_payloads(request: &Request) {
    let data = match request {
        Request::Connect(connect) => &connect.data,
        Request::Subscribe(subscribe) => &subscribe.data,
        Request::Publish { data, .. } | Request::Send { data } | Request::Rpc { data, .. } => data,
        Request::Unsubscribe { .. }
        | Request::Presence { .. }
        | Request::PresenceStats { .. }
        | Request::History(_)
        | Request::Ping
        | Request::Refresh { .. }
        | Request::SubRefresh { .. }
        | Request::Pong => &None,
    };
    if let Some(data) = data {
        assert_ne!(data.get().trim(), "null");
        serde_json::from_str::<serde::de::IgnoredAny>(data.get()).unwrap();
    }
}

#[test]
fn the_same_command_is_read_the_same_in_both_codecs() {
    for commands in crate::bytes::commands() {
        let read = dialect::BOTH.map(|codec| {
            let message = dialect::message(codec, &commands);
            let commands = codec.decode(&message, MOST).unwrap();
            format!("{commands:?}")
        });
        // Maps say their members in any order, but they are sorted here.
        assert_eq!(read[0], read[1]);
    }
}

#[test]
fn any_body_is_read_or_refused() {
    let mut run = Run::begin("bodies");
    let json = [
        &br#"{"session":"s","node":"n","data":"{\"id\":2,\"ping\":{}}"}"#[..],
        br#"{"session":"s","node":"n","data":{"id":2,"ping":{}}}"#,
        br#"{"token":"T","data":{"a":1},"subs":{"a":{"recover":true,"offset":5,"epoch":"e"}}}"#,
    ]
    .map(<[u8]>::to_vec);
    let mut binary = Vec::new();
    for (tag, text) in [(0x0a, "node"), (0x12, "session"), (0x1a, "\u{4}\u{8}\u{1}Z\u{0}")] {
        binary.push(tag);
        dialect::bytes(&mut binary, text.as_bytes());
    }
    let seeds: [Vec<Vec<u8>>; 2] = [json.into(), vec![binary]];
    let mut read = [0_u64; 3];
    while let Some(mut chance) = run.next() {
        let nth = chance.below(2);
        let codec = dialect::BOTH[nth];
        let body = message(&mut chance, codec, &seeds[nth]);
        let _witness = Witness(|| format!("{codec:?}: {}", hex(&body)));
        let (emulation, spent) = cost(|| Emulation::read(codec, &body));
        assert_bounded("an emulation", body.len(), spent);
        match emulation {
            Ok(emulation) => {
                assert!(emulation.data.len() <= body.len());
                read[nth] += 1;
            }
            Err(disconnect) => assert_eq!(disconnect, Disconnect::BAD_REQUEST),
        }
        let (connect, spent) = cost(|| Connect::from_json(&body));
        assert_bounded("a connect", body.len(), spent);
        match connect {
            Ok(connect) => {
                assert!(connect.token.len() <= body.len());
                read[2] += 1;
            }
            Err(disconnect) => assert_eq!(disconnect, Disconnect::BAD_REQUEST),
        }
    }
    assert!(read.into_iter().all(|count| count > 0), "{read:?}");
    run.end(&format!("read {read:?}"));
}

fn wires() -> [Wire; 5] {
    let epoch = Box::<str>::from("e1").into();
    [Wire::Socket, Wire::OneWay, Wire::Lines, Wire::Events, Wire::Resumable { epoch }]
}

/// JSON text as anybody may send it: with newlines between tokens, too.
fn payload(chance: &mut Chance) -> String {
    let mut values = vec![
        "null".to_owned(),
        "{}".to_owned(),
        "1e400".to_owned(),
        "\"\u{2028}\u{85}\\n\\r\\u0000\"".to_owned(),
        "\"}\\\"{\\\"push\\\":\"".to_owned(),
    ];
    for _ in 0..chance.below(6) {
        let (one, other) = (chance.pick(&values).clone(), chance.pick(&values).clone());
        let blank = *chance.pick(&["", "\n", "\r\n", " ", "\n\n"]);
        values.push(match chance.below(3) {
            0 => format!("[{blank}{one}{blank},{other}]"),
            1 => format!("{{{blank}\"pub\"{blank}:{one},{blank}\"x\":{other}}}"),
            _ => format!("{{\"data\":{one},\"offset\"{blank}:{blank}7,\"push\":{other}}}"),
        });
    }
    values.pop().unwrap()
}

#[test]
fn whatever_is_said_stays_one_message_on_every_way() {
    let mut run = Run::begin("wires");
    let names =
        ["", "order:1", "#a", "a\"b", "a\nb", "a\r\n\r\nb", "\u{0}", "\u{2028}", "{\"push\":"];
    while let Some(mut chance) = run.next() {
        let codec = *chance.pick(&dialect::BOTH);
        // Any bytes behind any header: nothing is promised but that it comes back.
        let length = chance.below(300);
        let any: Vec<u8> = (0..length).map(|_| chance.byte()).collect();
        for wire in wires() {
            let _witness = Witness(|| format!("{wire:?} {codec:?}: {}", hex(&any)));
            let (carried, spent) = cost(|| wire.carry(codec, any.clone().into()));
            assert_bounded("a frame", any.len(), spent);
            assert!(carried.len() <= 2 * any.len() + 64);
        }

        let (channel, data) = (*chance.pick(&names), payload(&mut chance));
        let offset = chance.one_in(2).then(|| chance.number() >> 11);
        let _witness = Witness(|| format!("{codec:?} on {channel:?}: {data:?} at {offset:?}"));
        let json: Box<ordercast::protocol::RawJson> = serde_json::from_str(&data).unwrap();
        let mut said = Vec::new();
        let publishes = chance.one_in(2);
        if publishes {
            let mut publication = Vec::new();
            codec.encode_publication(&mut publication, &data, offset);
            codec.encode_push_publication(&mut said, channel, &publication);
        } else {
            let (end, epoch) = (Unsubscribed::SERVER, channel);
            match chance.below(5) {
                0 => codec.encode_push(&mut said, &Push::Unsubscribe { channel, end }),
                1 => codec.encode_push(&mut said, &Push::Message { data: &json }),
                2 => codec.encode_reply(&mut said, 1, &Reply::Rpc { data: &json }),
                3 => {
                    let reply = Reply::History { epoch, offset: 0, publications: &[] };
                    codec.encode_reply(&mut said, u32::MAX, &reply);
                }
                _ => said.extend_from_slice(codec.ping()),
            }
        }
        let frame = message_frame(codec, &said);
        if codec == Codec::Json {
            assert!(!said.contains(&b'\n') && !said.contains(&b'\r'));
            serde_json::from_slice::<serde::de::IgnoredAny>(&said).unwrap();
        }
        assert_eq!(Wire::Socket.carry(codec, frame.clone()), frame);
        let line = Wire::Lines.carry(codec, frame.clone());
        let newline: &[u8] = if codec == Codec::Json { b"\n" } else { b"" };
        assert_eq!(line.strip_suffix(newline).unwrap(), said);
        if codec == Codec::Json {
            let event = Wire::Events.carry(codec, frame.clone());
            assert_eq!(events(&event), [(None, None, String::from_utf8(said.clone()).unwrap())]);
            let wire = Wire::Resumable { epoch: Box::<str>::from("e1").into() };
            let resumable = events(&wire.carry(codec, frame.clone()));
            if publishes {
                let [(id, None, text)] = &resumable[..] else { panic!("{resumable:?}") };
                // An offset of 0 is left out, as every default.
                let at = offset.filter(|offset| *offset > 0);
                assert_eq!(*id, at.map(|offset| format!("e1:{offset}")));
                assert_eq!(*text, data.replace(['\n', '\r'], ""));
            } else {
                assert!(resumable.iter().all(|(id, name, _)| id.is_none() && name.is_some()));
            }
        }
        assert!(Wire::OneWay.carry(codec, frame).len() <= said.len() + 10);
        assert!(said.len() <= LONGEST);
    }
    run.end("no finding");
}

/// Server-Sent Events as a browser reads them: id, name and data of each.
fn events(stream: &[u8]) -> Vec<(Option<String>, Option<String>, String)> {
    let text = std::str::from_utf8(stream).unwrap().replace("\r\n", "\n").replace('\r', "\n");
    assert!(text.ends_with("\n\n"), "{text:?}");
    let mut all = Vec::new();
    let (mut id, mut name, mut data): (Option<String>, Option<String>, Vec<&str>) =
        (None, None, vec![]);
    for line in text.split('\n') {
        match line.split_once(':') {
            None if line.is_empty() => {
                if !data.is_empty() {
                    all.push((id.take(), name.take(), data.join("\n")));
                }
                (id, name) = (None, None);
                data.clear();
            }
            Some(("", _comment)) => {}
            Some((field, value)) => {
                let value = value.strip_prefix(' ').unwrap_or(value);
                match field {
                    "id" => id = Some(value.to_owned()),
                    "event" => name = Some(value.to_owned()),
                    "data" => data.push(value),
                    _ => panic!("a field {field:?}"),
                }
            }
            None => panic!("a line {line:?}"),
        }
    }
    all
}
