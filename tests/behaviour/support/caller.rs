//! A client of the wire protocol in either codec, over a socket of which every byte is the
//! test's own.

use std::collections::VecDeque;

use ordercast::protocol::Codec;
use serde_json::{Value, json};

use super::raw::{BINARY, CLOSE, PONG, TEXT};
use super::{Closed, Raw, UPGRADE, client_frame, dialect};

/// One connection.
pub struct Caller {
    pub raw: Raw,
    pub codec: Codec,
    /// What came in the same message as what was taken last.
    waiting: VecDeque<Value>,
    /// The payload of the message that came last.
    pub last: Vec<u8>,
}

impl Caller {
    /// Opens the socket, and says nothing yet.
    pub async fn open(base: &str, codec: Codec) -> Self {
        let mut raw = Raw::open(base).await;
        let path = match codec {
            Codec::Json => "/connection/websocket",
            Codec::Protobuf => "/connection/websocket?format=protobuf",
        };
        let head = raw.get(path, UPGRADE).await;
        assert_eq!(head.status, 101, "{head:?}");
        Self { raw, codec, waiting: VecDeque::new(), last: Vec::new() }
    }

    /// Opens and connects, as command 1; the result.
    pub async fn connect(base: &str, codec: Codec, token: &str) -> (Self, Value) {
        let mut caller = Self::open(base, codec).await;
        let reply = caller.ask(json!({"id": 1, "connect": {"token": token}})).await;
        assert!(reply["connect"]["client"].is_string(), "{reply}");
        (caller, reply["connect"].clone())
    }

    /// Sends bytes as one message of the codec.
    pub async fn say_bytes(&mut self, message: &[u8]) {
        let first = if self.codec.is_text() { TEXT } else { BINARY };
        self.raw.send(&client_frame(first, message)).await;
    }

    /// Sends commands in one message.
    pub async fn say(&mut self, commands: &[Value]) {
        self.say_bytes(&dialect::message(self.codec, commands)).await;
    }

    /// Sends a command; what comes next must be its reply.
    pub async fn ask(&mut self, command: Value) -> Value {
        let id = command["id"].clone();
        self.say(&[command]).await;
        let reply = self.hear().await;
        assert_eq!(reply["id"], id, "{reply}");
        reply
    }

    /// The next reply, push or ping. Each message that comes must be in order.
    pub async fn hear(&mut self) -> Value {
        self.listen().await.unwrap_or_else(|closed| panic!("closed instead: {closed:?}"))
    }

    /// The next reply, push or ping, or how the connection ended. Pongs are passed over.
    pub async fn listen(&mut self) -> Result<Value, Closed> {
        loop {
            if let Some(value) = self.waiting.pop_front() {
                return Ok(value);
            }
            let none = Closed { code: None, reason: String::new() };
            let (first, payload) = self.raw.frame().await.ok_or(none)?;
            if first == CLOSE {
                let (code, reason) = payload.split_first_chunk().expect("a code");
                let reason = String::from_utf8(reason.to_vec()).unwrap();
                return Err(Closed { code: Some(u16::from_be_bytes(*code)), reason });
            }
            if first == PONG {
                continue;
            }
            assert_eq!(first, if self.codec.is_text() { TEXT } else { BINARY }, "{payload:?}");
            let replies = dialect::replies(self.codec, &payload);
            self.waiting = replies.unwrap_or_else(|error| panic!("{error}: {payload:?}")).into();
            self.last = payload;
        }
    }

    /// How the connection ends; nothing may be said before.
    pub async fn closed(&mut self) -> Closed {
        match self.listen().await {
            Ok(said) => panic!("it said something before: {said}"),
            Err(closed) => closed,
        }
    }
}
