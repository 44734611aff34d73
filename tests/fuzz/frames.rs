//! The decoder of WebSocket frames, fed anything in any pieces.

use std::cell::RefCell;

use ordercast::frame::{Decoder, Incoming};
use ordercast::protocol::code::Disconnect;

use crate::allocation::{Cost, cost};
use crate::chance::{Chance, Run, Witness, hex};
use crate::support::client_frame;

/// Bytes that the buffers of a decoder may take beyond twice what it was fed and may hold; what it
/// yields is counted, too.
const SLACK: usize = 1024;

/// How a run of frames came out.
#[derive(Debug, PartialEq)]
struct Outcome {
    all: Vec<Incoming>,
    end: Option<Disconnect>,
}

/// Feeds these pieces, and asks again after the end.
fn decode<'a>(limit: usize, pieces: impl Iterator<Item = &'a [u8]>) -> Outcome {
    let mut decoder = Decoder::new(limit);
    let mut all = Vec::new();
    let mut end = None;
    let mut has_closed = false;
    for piece in pieces {
        let ((), Cost { peak, .. }) = cost(|| decoder.feed(piece));
        let may = 4 * (limit + piece.len() + SLACK);
        assert!(peak <= i64::try_from(may).unwrap(), "a feed of {} took {peak}", piece.len());
        loop {
            let (found, Cost { peak, .. }) = cost(|| decoder.decode());
            let may = 4 * (limit + SLACK);
            assert!(peak <= i64::try_from(may).unwrap(), "a decode took {peak}");
            assert!(!has_closed || matches!(found, Ok(None)), "after a close: {found:?}");
            match found {
                Ok(None) => break,
                Ok(Some(incoming)) => {
                    check(&incoming, limit);
                    has_closed = matches!(incoming, Incoming::Close(_));
                    all.push(incoming);
                }
                Err(disconnect) => {
                    let known = [
                        Disconnect::PROTOCOL_ERROR,
                        Disconnect::INVALID_TEXT,
                        Disconnect::MESSAGE_TOO_BIG,
                    ];
                    assert!(known.contains(&disconnect), "{disconnect:?}");
                    assert!(end.is_none_or(|end| end == disconnect), "{end:?}, {disconnect:?}");
                    end = Some(disconnect);
                    break;
                }
            }
        }
    }
    Outcome { all, end }
}

fn check(incoming: &Incoming, limit: usize) {
    match incoming {
        Incoming::Message { text, bytes } => {
            assert!(bytes.len() <= limit);
            assert!(!text || std::str::from_utf8(bytes).is_ok());
        }
        Incoming::Ping(payload) | Incoming::Pong(payload) => assert!(payload.len() <= 125),
        Incoming::Close(None) => {}
        Incoming::Close(Some((code, reason))) => {
            assert!((1000..5000).contains(code) && reason.len() <= 123);
        }
    }
}

/// Frames, most of them in order, and something spoilt in many of them.
fn frames(chance: &mut Chance, limit: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..=chance.below(6) {
        let first = *chance.pick(&[
            0x81, 0x81, 0x82, 0x01, 0x00, 0x80, 0x02, 0x89, 0x8a, 0x88, 0x83, 0xc1, 0x09, 0x8f,
        ]);
        let length = match chance.below(4) {
            0 => chance.below(130),
            1 => *chance.pick(&[0, 1, 2, 125, 126, 127, limit - 1, limit, limit + 1]),
            _ => chance.below(9),
        };
        let is_text = chance.one_in(2);
        let mut payload: Vec<u8> =
            (0..length).map(|_| if is_text { b'a' } else { chance.byte() }).collect();
        if first == 0x88 && chance.one_in(2) {
            let codes = [1000_u16, 1005, 1006, 1015, 2999, 3000, 4999, 5000];
            payload.splice(..length.min(2), chance.pick(&codes).to_be_bytes());
        }
        bytes.extend(client_frame(first, &payload));
    }
    for _ in 0..chance.below(3) {
        // Where the headers are likelier than elsewhere.
        let reach = if chance.one_in(2) { 16 } else { usize::MAX };
        let at = chance.below(bytes.len().min(reach));
        match chance.below(5) {
            0 => bytes[at] = chance.byte(),
            1 => bytes[at] ^= 1 << chance.below(8),
            2 => bytes.truncate(at + 1),
            3 => {
                let length = chance.number().to_be_bytes();
                bytes.splice(at..at, length);
            }
            _ => drop(bytes.remove(at)),
        }
        if bytes.is_empty() {
            bytes.push(chance.byte());
        }
    }
    bytes
}

#[test]
fn frames_come_out_the_same_however_they_are_cut() {
    let mut run = Run::begin("frames");
    let (mut messages, mut ends) = (0_u64, 0_u64);
    while let Some(mut chance) = run.next() {
        let limit = *chance.pick(&[0, 1, 125, 126, 200, 65_535, 65_536, 70_000]).max(&1);
        let bytes = frames(&mut chance, limit);
        let cuts = RefCell::new(Vec::new());
        let _witness =
            Witness(|| format!("limit {limit}, cut at {:?}: {}", cuts.borrow(), hex(&bytes)));
        let whole = decode(limit, std::iter::once(&*bytes));
        messages += whole.all.len() as u64;
        ends += u64::from(whole.end.is_some());

        let mut at = 0;
        while at < bytes.len() {
            let reach = if chance.one_in(2) { 5 } else { bytes.len() };
            at += 1 + chance.below(reach);
            cuts.borrow_mut().push(at.min(bytes.len()));
        }
        let mut from = 0;
        let pieces: Vec<&[u8]> = cuts
            .borrow()
            .iter()
            .map(|cut| {
                let piece = &bytes[from..*cut];
                from = *cut;
                piece
            })
            .collect();
        assert_eq!(decode(limit, pieces.into_iter()), whole);
        if bytes.len() < 600 {
            cuts.borrow_mut().clear();
            assert_eq!(decode(limit, bytes.chunks(1)), whole, "byte by byte");
        }
    }
    assert!(messages > 0 && ends > 0, "the fuzzer does not reach what it is for");
    run.end(&format!("{messages} messages, {ends} refusals"));
}
