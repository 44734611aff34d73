//! WebSocket frames: bytes of a client to messages, payloads to the bytes of a frame.
//!
//! [`Decoder`] is fed whatever the socket gave and yields whole messages. It reads the header of
//! a frame itself and refuses what is too long or out of order before any of it is kept: the
//! parser of `actix_http`, which does the unmasking, compares a length with its limit only after
//! it has buffered the whole frame, so one client could make us hold hundreds of megabytes.
//!
//! Invariants: at most one message of the limit, one header and one read of the socket are held;
//! with nothing pending nothing is held, so an idle connection costs the size of the struct. No
//! memory is reserved for what a header only announces. How the bytes are cut into reads changes
//! neither what comes out nor how it ends.
//!
//! Absent on purpose: answering (pings, closes) is the session's business, and there are no
//! extensions, so every reserved bit is an error.

use actix_http::ws::{OpCode, Parser};
use bytes::{Bytes, BytesMut};

use crate::protocol::Codec;
use crate::protocol::code::Disconnect;

/// Longest payload of a control frame, in bytes.
const MAX_CONTROL: usize = 125;

/// Bytes of the mask that follows every client's header.
const MASK: usize = 4;

/// What a client sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// A whole message, put together if it came in fragments.
    Message {
        /// Whether it is text, which is then UTF-8, or binary.
        text: bool,
        /// The payload.
        bytes: Bytes,
    },
    /// To be answered by a pong with the same payload.
    Ping(Bytes),
    /// The answer to a ping of ours, or a sign of life.
    Pong(Bytes),
    /// Code and reason, if the client gave any; nothing is yielded after it.
    Close(Option<(u16, String)>),
}

/// Puts the messages of one client together.
#[derive(Debug)]
pub struct Decoder {
    /// Longest message, in bytes.
    limit: usize,
    /// Bytes not yet understood.
    pending: BytesMut,
    /// The message of which fragments have come.
    fragments: Option<Box<Fragments>>,
    end: Option<End>,
}

#[derive(Debug)]
struct Fragments {
    text: bool,
    bytes: BytesMut,
}

/// After either, bytes are thrown away unread.
#[derive(Debug, Clone, Copy)]
enum End {
    Closed,
    Failed(Disconnect),
}

/// A frame's header, found to be in order.
struct Header {
    last: bool,
    opcode: OpCode,
    /// Bytes of the whole frame, this header included.
    frame: usize,
}

impl Decoder {
    /// A decoder for messages of at most `limit` bytes, over all their fragments.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, pending: BytesMut::new(), fragments: None, end: None }
    }

    /// Takes bytes as they came. Call [`Decoder::decode`] until it yields nothing before feeding
    /// more, or the limit does not bound what is held.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.end.is_none() {
            self.pending.extend_from_slice(bytes);
        }
    }

    /// The next thing the client sent, or none until more is fed.
    ///
    /// An error is how to close the connection, and it stays: 1002 for broken framing, 1007 for
    /// text that is not UTF-8, 1009 for a message over the limit.
    pub fn decode(&mut self) -> Result<Option<Incoming>, Disconnect> {
        match self.end {
            Some(End::Closed) => return Ok(None),
            Some(End::Failed(disconnect)) => return Err(disconnect),
            None => {}
        }
        let outcome = self.advance();
        match &outcome {
            Ok(Some(Incoming::Close(_))) => self.end = Some(End::Closed),
            Ok(Some(Incoming::Message { .. } | Incoming::Ping(_) | Incoming::Pong(_)) | None) => {}
            Err(disconnect) => self.end = Some(End::Failed(*disconnect)),
        }
        if self.end.is_some() {
            self.fragments = None;
        }
        if self.end.is_some() || self.pending.is_empty() {
            self.pending = BytesMut::new(); // gives the allocation back
        }
        outcome
    }

    /// Goes on to the end of a message or of the bytes.
    fn advance(&mut self) -> Result<Option<Incoming>, Disconnect> {
        while let Some(header) = self.header()? {
            if self.pending.len() < header.frame {
                break;
            }
            let Ok(Some((_, _, payload))) =
                Parser::parse(&mut self.pending, true, self.limit.max(MAX_CONTROL))
            else {
                return Err(Disconnect::PROTOCOL_ERROR);
            };
            let payload = payload.unwrap_or_default();
            match header.opcode {
                OpCode::Ping => return Ok(Some(Incoming::Ping(payload.freeze()))),
                OpCode::Pong => return Ok(Some(Incoming::Pong(payload.freeze()))),
                OpCode::Close => return close(&payload).map(Some),
                OpCode::Text | OpCode::Binary | OpCode::Continue => {
                    let text = header.opcode == OpCode::Text;
                    if let Some(message) = self.collect(text, payload, header.last)? {
                        return Ok(Some(message));
                    }
                }
                OpCode::Bad => return Err(Disconnect::PROTOCOL_ERROR),
            }
        }
        Ok(None)
    }

    /// Reads the header of the next frame, if it is all there, and checks what it announces.
    fn header(&self) -> Result<Option<Header>, Disconnect> {
        let [first, second, rest @ ..] = &*self.pending else { return Ok(None) };
        let (last, masked) = (first & 0x80 != 0, second & 0x80 != 0);
        let opcode = OpCode::from(first & 0x0f);
        let short = usize::from(second & 0x7f);
        let control = match opcode {
            OpCode::Close | OpCode::Ping | OpCode::Pong => true,
            OpCode::Text | OpCode::Binary | OpCode::Continue => false,
            OpCode::Bad => return Err(Disconnect::PROTOCOL_ERROR),
        };
        let in_order = if control {
            last && short <= MAX_CONTROL
        } else {
            (opcode == OpCode::Continue) == self.fragments.is_some()
        };
        if first & 0x70 != 0 || !masked || !in_order {
            return Err(Disconnect::PROTOCOL_ERROR);
        }

        // A length in more bytes than it needs is refused as well (RFC 6455, section 5.2).
        let (length, extra) = match short {
            126 => match rest.first_chunk() {
                Some(bytes) => (u64::from(u16::from_be_bytes(*bytes)), 2),
                None => return Ok(None),
            },
            127 => match rest.first_chunk() {
                Some(bytes) => (u64::from_be_bytes(*bytes), 8),
                None => return Ok(None),
            },
            short => (short as u64, 0),
        };
        if (extra == 2 && length < 126) || (extra == 8 && u16::try_from(length).is_ok()) {
            return Err(Disconnect::PROTOCOL_ERROR);
        }
        let room = if control {
            MAX_CONTROL
        } else {
            self.limit - self.fragments.as_ref().map_or(0, |f| f.bytes.len())
        };
        match usize::try_from(length) {
            Ok(length) if length <= room => {
                Ok(Some(Header { last, opcode, frame: 2 + extra + MASK + length }))
            }
            Ok(_) | Err(_) => Err(Disconnect::MESSAGE_TOO_BIG),
        }
    }

    /// Adds a data frame to its message; yields the message if that was its last.
    fn collect(
        &mut self,
        text: bool,
        payload: BytesMut,
        last: bool,
    ) -> Result<Option<Incoming>, Disconnect> {
        let (text, bytes) = match (self.fragments.take(), last) {
            (None, true) => (text, payload),
            (None, false) => {
                // A copy, so that a fragment does not keep the whole read it came in.
                let bytes = BytesMut::from(&*payload);
                self.fragments = Some(Box::new(Fragments { text, bytes }));
                return Ok(None);
            }
            (Some(mut fragments), last) => {
                fragments.bytes.extend_from_slice(&payload);
                if !last {
                    self.fragments = Some(fragments);
                    return Ok(None);
                }
                (fragments.text, fragments.bytes)
            }
        };
        if text && std::str::from_utf8(&bytes).is_err() {
            return Err(Disconnect::INVALID_TEXT);
        }
        Ok(Some(Incoming::Message { text, bytes: bytes.freeze() }))
    }
}

fn close(payload: &[u8]) -> Result<Incoming, Disconnect> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        let empty = payload.is_empty();
        return if empty { Ok(Incoming::Close(None)) } else { Err(Disconnect::PROTOCOL_ERROR) };
    };
    let code = u16::from_be_bytes(*code);
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(Disconnect::PROTOCOL_ERROR);
    }
    match std::str::from_utf8(reason) {
        Ok(reason) => Ok(Incoming::Close(Some((code, reason.to_owned())))),
        Err(_) => Err(Disconnect::INVALID_TEXT),
    }
}

/// A message of a codec as one frame, to be shared by all who get it.
#[must_use]
pub fn message_frame(codec: Codec, payload: &[u8]) -> Bytes {
    frame(if codec.is_text() { OpCode::Text } else { OpCode::Binary }, payload)
}

/// A ping; the payload, at most 125 bytes, comes back in the pong.
#[must_use]
pub fn ping_frame(payload: &[u8]) -> Bytes {
    frame(OpCode::Ping, payload)
}

/// The answer to a ping, with its payload.
#[must_use]
pub fn pong_frame(payload: &[u8]) -> Bytes {
    frame(OpCode::Pong, payload)
}

/// The end of the connection. A reason over 123 bytes is cut, between two characters.
#[must_use]
pub fn close_frame(code: u16, reason: &str) -> Bytes {
    let (reason, _) = reason.split_at(reason.floor_char_boundary(MAX_CONTROL - 2));
    frame(OpCode::Close, &[&code.to_be_bytes(), reason.as_bytes()].concat())
}

fn frame(opcode: OpCode, payload: &[u8]) -> Bytes {
    let mut frame = BytesMut::new();
    Parser::write_message(&mut frame, payload, opcode, true, false);
    frame.freeze()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::{Index, select};

    use super::*;

    const TEXT: u8 = 0x81;
    const BINARY: u8 = 0x82;
    const PING: u8 = 0x89;
    const CLOSE: u8 = 0x88;
    /// The limit of the decoders here.
    const LIMIT: usize = 200;

    /// A client's frame: `first` is FIN, the reserved bits and the opcode.
    fn client(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![first];
        match payload.len() {
            short @ ..=125 => frame.push(0x80 | u8::try_from(short).unwrap()),
            long => {
                frame.push(0xfe);
                frame.extend(u16::try_from(long).unwrap().to_be_bytes());
            }
        }
        let mask = [7, 11, 13, 17];
        frame.extend(mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    }

    /// All that comes out, the error at the end included.
    fn decode<'a>(
        chunks: impl IntoIterator<Item = &'a [u8]>,
    ) -> (Vec<Incoming>, Option<Disconnect>, Decoder) {
        let mut decoder = Decoder::new(LIMIT);
        let mut all = Vec::new();
        for chunk in chunks {
            decoder.feed(chunk);
            loop {
                match decoder.decode() {
                    Ok(Some(incoming)) => all.push(incoming),
                    Ok(None) => break,
                    Err(disconnect) => return (all, Some(disconnect), decoder),
                }
            }
        }
        (all, None, decoder)
    }

    fn messages(frames: &[Vec<u8>]) -> Vec<Incoming> {
        let (messages, error, _) = decode([&*frames.concat()]);
        assert_eq!(error, None);
        messages
    }

    fn error(bytes: &[u8]) -> Disconnect {
        decode([bytes]).1.expect("should be refused")
    }

    fn message(text: bool, bytes: &'static [u8]) -> Incoming {
        Incoming::Message { text, bytes: Bytes::from_static(bytes) }
    }

    #[test]
    fn frames_of_one_read_come_out_in_order() {
        let frames = [client(TEXT, b"{}"), client(PING, b"p"), client(BINARY, b"\xff")];
        let expected = [
            message(true, b"{}"),
            Incoming::Ping(Bytes::from_static(b"p")),
            message(false, b"\xff"),
        ];
        assert_eq!(messages(&frames), expected);
    }

    #[test]
    fn empty_messages_are_messages() {
        assert_eq!(messages(&[client(TEXT, b"")]), [message(true, b"")]);
    }

    #[test]
    fn fragments_become_one_message_with_pongs_between() {
        let frames =
            [client(0x01, b"\xc3"), client(0x8a, b""), client(0x00, b"\xa9"), client(0x80, b"!")];
        let expected = [Incoming::Pong(Bytes::new()), message(true, "é!".as_bytes())];
        assert_eq!(messages(&frames), expected);
    }

    #[test]
    fn a_close_is_the_last_thing_heard() {
        let frames = [client(CLOSE, b"\x03\xe8bye"), client(TEXT, b"{}")];
        assert_eq!(messages(&frames), [Incoming::Close(Some((1000, "bye".to_owned())))]);
        assert_eq!(messages(&[client(CLOSE, b"")]), [Incoming::Close(None)]);
    }

    #[test]
    fn a_frame_over_the_limit_is_refused_by_its_header() {
        assert_eq!(error(&[TEXT, 0xfe, 0, 201]), Disconnect::MESSAGE_TOO_BIG);
        assert_eq!(error(&[TEXT, 0xff, 0, 0, 0, 0, 0, 1, 0, 0]), Disconnect::MESSAGE_TOO_BIG);
        assert_eq!(error(&[&[TEXT, 0xff], &[0xff; 8][..]].concat()), Disconnect::MESSAGE_TOO_BIG);
        assert_eq!(messages(&[client(TEXT, &[b'a'; LIMIT])]).len(), 1);
    }

    #[test]
    fn the_limit_counts_all_fragments_of_a_message() {
        let frames = [client(0x01, &[b'a'; 150]), client(0x80, &[b'a'; 50])];
        assert_eq!(messages(&frames).len(), 1);
        let frames = [client(0x01, &[b'a'; 150]), client(0x80, &[b'a'; 51])];
        assert_eq!(error(&frames.concat()), Disconnect::MESSAGE_TOO_BIG);
    }

    #[test]
    fn broken_framing_is_a_protocol_error() {
        let cases: &[(&str, Vec<u8>)] = &[
            ("not masked", vec![TEXT, 0x02]),
            ("reserved bit", client(0xc1, b"a")),
            ("unknown opcode", client(0x83, b"a")),
            ("unknown control opcode", client(0x8b, b"a")),
            ("fragmented ping", client(0x09, b"a")),
            ("long ping", client(PING, &[0; 126])),
            ("nothing to continue", client(0x80, b"a")),
            ("a message within a message", [client(0x01, b"a"), client(TEXT, b"b")].concat()),
            ("a 16-bit length that fits 7 bits", vec![TEXT, 0xfe, 0, 125]),
            ("a 64-bit length that fits 16 bits", vec![TEXT, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff]),
            ("half a close code", client(CLOSE, b"\x03")),
            ("a close code nobody may send", client(CLOSE, b"\x03\xed")),
        ];
        for (case, bytes) in cases {
            assert_eq!(error(bytes), Disconnect::PROTOCOL_ERROR, "{case}");
        }
    }

    #[test]
    fn text_that_is_not_utf_8_is_refused() {
        assert_eq!(error(&client(TEXT, b"\xff")), Disconnect::INVALID_TEXT);
        assert_eq!(error(&client(CLOSE, b"\x03\xe8\xff")), Disconnect::INVALID_TEXT);
        let split = [client(0x01, b"\xc3"), client(0x80, b"\x28")].concat();
        assert_eq!(error(&split), Disconnect::INVALID_TEXT);
    }

    #[test]
    fn an_error_stays_and_later_bytes_are_not_kept() {
        let (_, _, mut decoder) = decode([&[TEXT, 0x02][..]]);
        decoder.feed(&client(TEXT, b"{}"));
        assert_eq!(decoder.decode(), Err(Disconnect::PROTOCOL_ERROR));
        assert_eq!(decoder.pending.capacity(), 0);
    }

    #[test]
    fn an_idle_decoder_holds_no_memory() {
        let frames = [client(0x01, b"a"), client(0x80, b"b"), client(PING, b"")].concat();
        let (_, _, decoder) = decode([&*frames]);
        assert_eq!(decoder.pending.capacity(), 0);
        assert!(decoder.fragments.is_none());
    }

    #[test]
    fn an_announced_length_reserves_no_memory() {
        let mut decoder = Decoder::new(65_536);
        decoder.feed(&[TEXT, 0xfe, 0xff, 0xff, 1, 2, 3, 4]);
        assert_eq!(decoder.decode(), Ok(None));
        assert!(decoder.pending.capacity() < 100);
    }

    #[test]
    fn frames_of_ours_are_whole_and_not_masked() {
        assert_eq!(&*message_frame(Codec::Json, b"{}"), b"\x81\x02{}");
        assert_eq!(&message_frame(Codec::Json, &[b'a'; 126])[..4], b"\x81\x7e\x00\x7e");
        assert_eq!(
            &message_frame(Codec::Json, &vec![b'a'; 65_536])[..10],
            b"\x81\x7f\0\0\0\0\0\x01\0\0"
        );
        assert_eq!(&*ping_frame(b""), b"\x89\x00");
        assert_eq!(&*pong_frame(b"p"), b"\x8a\x01p");
        assert_eq!(&*close_frame(3001, "shutdown"), b"\x88\x0a\x0b\xb9shutdown");
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let frame = close_frame(3001, &"é".repeat(100));
        assert_eq!((frame[1], frame.len()), (124, 126));
        assert_eq!(std::str::from_utf8(&frame[4..]).unwrap(), "é".repeat(61));
    }

    /// Frames, many of them in order.
    fn frames() -> impl Strategy<Value = Vec<u8>> {
        let first = select(vec![TEXT, TEXT, BINARY, PING, 0x8a, 0x01, 0x02, 0x00, 0x80, CLOSE]);
        let payload =
            prop_oneof!["[a-z\u{e9}]{0,12}".prop_map(String::into_bytes), vec(0_u8.., 0..160)];
        vec((first, payload).prop_map(|(first, payload)| client(first, &payload)), 0..12)
            .prop_map(|frames| frames.concat())
    }

    proptest! {
        #[test]
        fn any_split_of_any_bytes_gives_the_same(
            bytes in prop_oneof![frames(), vec(0_u8.., 0..64)],
            cuts in vec(any::<Index>(), 0..12),
        ) {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let chunks = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]);
            let (whole, error, _) = decode([&*bytes]);
            let (split, split_error, _) = decode(chunks);
            prop_assert_eq!((&split, split_error), (&whole, error));
            let (single, single_error, _) = decode(bytes.chunks(1));
            prop_assert_eq!((single, single_error), (whole, error));
        }

        #[test]
        fn what_a_client_sends_arrives(payloads in vec(vec(0_u8.., 0..LIMIT), 0..6)) {
            let frames: Vec<_> = payloads.iter().map(|payload| client(BINARY, payload)).collect();
            let expected: Vec<_> = payloads
                .into_iter()
                .map(|payload| Incoming::Message { text: false, bytes: payload.into() })
                .collect();
            prop_assert_eq!(messages(&frames), expected);
        }
    }
}
