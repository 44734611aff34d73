//! The client protocol of the Centrifuge SDKs, version 2: bytes to commands, replies and pushes
//! to bytes.
//!
//! One WebSocket message holds one or more commands one way, one or more replies and pushes the
//! other way. [`Codec`] is chosen once, at the handshake, and owns both directions; everything
//! below it ([`Command`], [`Reply`], [`Push`]) is the same for every codec, and payloads are JSON
//! text whatever the codec is. The codes of the wire live in [`code`] and nowhere else.
//!
//! Invariants of what we send: fields at their default are left out, the object of a result is
//! always there, no encoded object contains a newline, and a message never contains an empty line
//! (a blank line makes centrifuge-js 5.7 throw away the whole message).
//!
//! Absent on purpose:
//! - I/O, time and sessions: whether a command may run, and in which order replies leave, is the
//!   session's business. Rules about values (an empty channel, a name too long) are too, because
//!   their answers differ per command.
//! - Compaction, tag filters, map and poll subscriptions. What a client
//!   may ask of them is read, so that the session can decline it by the proper error.

pub mod code;
mod command;
pub mod delta;
mod json;
mod protobuf;
mod push;
mod reply;
mod request;

pub use command::Command;
pub use delta::Deltas;
pub use push::{ClientInfo, Form, Push, Said};
pub use reply::{ConnectResult, ErrorReply, Recovery, Reply, SubscribeResult};
pub use request::{Connect, Emulation, History, Position, Request, Subscribe, Token};
/// JSON text that is known to be valid: a payload.
pub use serde_json::value::RawValue as RawJson;

/// How the messages of one connection are written; chosen at the handshake, then fixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Text frames; objects separated by a newline.
    Json,
    /// Binary frames; messages behind their lengths.
    Protobuf,
}

impl Codec {
    /// How many there are.
    pub const COUNT: usize = 2;

    /// Whether messages travel in text frames; else in binary ones.
    #[must_use]
    pub fn is_text(self) -> bool {
        match self {
            Self::Json => true,
            Self::Protobuf => false,
        }
    }

    /// The message that asks whether the other side is alive; its answer looks the same.
    #[must_use]
    pub fn ping(self) -> &'static [u8] {
        match self {
            Self::Json => b"{}",
            Self::Protobuf => &[0],
        }
    }

    /// Prepares a message for one more object: call it before each `encode_reply`, `encode_push`
    /// or `encode_push_publication` that appends to bytes which may already hold one.
    pub fn separate(self, message: &mut Vec<u8>) {
        match self {
            Self::Json => {
                if !message.is_empty() {
                    message.push(b'\n');
                }
            }
            // Each message says its own length.
            Self::Protobuf => {}
        }
    }

    /// Appends already encoded replies and pushes to a message, in order; empty ones are skipped.
    pub fn join<I>(self, message: &mut Vec<u8>, objects: I)
    where
        I: IntoIterator,
        I::Item: AsRef<[u8]>,
    {
        for object in objects {
            let object = object.as_ref();
            if !object.is_empty() {
                self.separate(message);
                message.extend_from_slice(object);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::Codec;

    #[test]
    fn a_ping_is_an_empty_object() {
        assert_eq!(Codec::Json.ping(), b"{}");
    }

    #[test]
    fn joining_nothing_leaves_the_message_empty() {
        let mut message = Vec::new();
        Codec::Json.join(&mut message, [b"" as &[u8], b""]);
        assert!(message.is_empty());
    }

    #[test]
    fn joining_continues_a_message_that_has_begun() {
        let mut message = b"{\"id\":1}".to_vec();
        Codec::Json.join(&mut message, ["{\"id\":2}", "", "{}"]);
        assert_eq!(message, b"{\"id\":1}\n{\"id\":2}\n{}");
    }

    proptest! {
        #[test]
        fn a_joined_message_never_has_a_blank_line(objects in vec("(\\{\\}|\\{\"id\":1\\})?", 0..9)) {
            let mut message = Vec::new();
            Codec::Json.join(&mut message, &objects);
            let text = String::from_utf8(message).unwrap();
            let expected: Vec<&str> =
                objects.iter().map(String::as_str).filter(|o| !o.is_empty()).collect();
            let lines: Vec<&str> = if text.is_empty() { vec![] } else { text.split('\n').collect() };
            prop_assert_eq!(lines, expected);
        }
    }
}
