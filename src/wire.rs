//! How messages travel besides WebSocket frames: as lines or events of a long HTTP answer, and as
//! bare pushes for clients that only listen.
//!
//! Everything that is sent is made once, as a WebSocket frame; [`Wire::carry`] gives the same
//! message the form of another way. Those ways are for the few whom a network denies sockets, or
//! who are bare tools, so the copy is theirs to bear.
//!
//! Absent on purpose: no socket and no body; bytes in, bytes out.

use std::cell::OnceCell;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::frame::close_frame;
use crate::protocol::code::Disconnect;
use crate::protocol::{Codec, Push};

/// The way of one connection's messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wire {
    /// WebSocket frames.
    Socket,
    /// WebSocket frames of pushes without their envelope: the client only listens.
    OneWay,
    /// The body of one HTTP answer: JSON line by line, or Protobuf behind lengths.
    Lines,
    /// Server-Sent Events, a reply or a push in each.
    Events,
    /// Server-Sent Events of publications alone, each with the position from which a bare
    /// `EventSource` resumes.
    Resumable {
        /// The log's identity, known once the channel has been read.
        epoch: OnceCell<Box<str>>,
    },
}

/// A push, as far as bare listeners are told of it.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    push: Option<Pushed<'a>>,
}

#[derive(Deserialize)]
struct Pushed<'a> {
    #[serde(borrow, rename = "pub")]
    publication: Option<Published<'a>>,
    #[serde(borrow)]
    unsubscribe: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Published<'a> {
    #[serde(borrow)]
    data: &'a RawValue,
    offset: Option<u64>,
}

impl Wire {
    /// The frame's message in the form of this way.
    pub fn carry(&self, codec: Codec, frame: Bytes) -> Bytes {
        match self {
            Self::Socket => frame,
            Self::OneWay => bare(codec, &payload(&frame)),
            Self::Lines => lines(codec, &payload(&frame)),
            Self::Events => event("", &payload(&frame)),
            Self::Resumable { epoch } => {
                let epoch = epoch.get().map_or("", |epoch| &**epoch);
                resumable(epoch, &payload(&frame))
            }
        }
    }

    /// What is sent last: why the connection ends.
    pub fn goodbye(&self, codec: Codec, disconnect: Disconnect) -> Bytes {
        let mut push = Vec::with_capacity(96);
        codec.encode_push(&mut push, &Push::Disconnect(disconnect));
        match self {
            Self::Socket | Self::OneWay => close_frame(disconnect.code, disconnect.reason),
            Self::Lines => lines(codec, &push),
            Self::Events => event("", &push),
            Self::Resumable { .. } => {
                let Disconnect { code, reason } = disconnect;
                event(
                    "event: end\n",
                    format!(r#"{{"code":{code},"reason":"{reason}"}}"#).as_bytes(),
                )
            }
        }
    }

    /// Server-Sent Events to resume from, of a log that is not known yet.
    pub const fn resumable() -> Self {
        Self::Resumable { epoch: OnceCell::new() }
    }

    /// Says which log its events are of, before the first of them; others need not know.
    pub fn resume(&self, log: &str) {
        if let Self::Resumable { epoch } = self {
            epoch.get_or_init(|| log.into());
        }
    }

    /// Whether the client sends nothing, besides what it asked for as it came.
    pub const fn is_one_way(&self) -> bool {
        matches!(self, Self::OneWay | Self::Resumable { .. })
    }

    /// Whether the client sees a close frame, and answers it.
    pub const fn is_socket(&self) -> bool {
        matches!(self, Self::Socket | Self::OneWay)
    }
}

/// Server-Sent Events: how long to wait before coming back.
pub fn retry_event(wait: Duration) -> Bytes {
    Bytes::from(format!("retry: {}\n\n", wait.as_millis()))
}

/// Server-Sent Events: the state of a channel at a position.
pub fn snapshot_event(epoch: &str, position: u64, data: &str) -> Bytes {
    event(&format!("event: snapshot\nid: {epoch}:{position}\n"), data.as_bytes())
}

/// Server-Sent Events: nothing has happened up to a position, from which to resume.
pub fn position_event(epoch: &str, position: u64) -> Bytes {
    Bytes::from(format!("id: {epoch}:{position}\n\n"))
}

/// What a server's frame holds behind its header (RFC 6455, section 5.2: no mask).
fn payload(frame: &Bytes) -> Bytes {
    let header = match frame.get(1) {
        Some(126) => 4,
        Some(127) => 10,
        _ => 2,
    };
    frame.slice(header.min(frame.len())..)
}

fn bare(codec: Codec, message: &[u8]) -> Bytes {
    let inner = message.strip_prefix(br#"{"push":"#).and_then(|rest| rest.strip_suffix(b"}"));
    crate::frame::message_frame(codec, inner.unwrap_or(message))
}

fn lines(codec: Codec, message: &[u8]) -> Bytes {
    let mut line = BytesMut::with_capacity(message.len() + 1);
    line.put_slice(message);
    if codec.is_text() {
        line.put_u8(b'\n');
    }
    line.freeze()
}

fn event(fields: &str, data: &[u8]) -> Bytes {
    let mut event = BytesMut::with_capacity(fields.len() + data.len() + 8);
    event.put_slice(fields.as_bytes());
    event.put_slice(b"data: ");
    event.put_slice(data);
    event.put_slice(b"\n\n");
    event.freeze()
}

fn resumable(epoch: &str, message: &[u8]) -> Bytes {
    let push = serde_json::from_slice::<Envelope<'_>>(message).ok().and_then(|it| it.push);
    match push {
        Some(Pushed { publication: Some(publication), .. }) => {
            let id = publication.offset.map(|offset| format!("id: {epoch}:{offset}\n"));
            event(&id.unwrap_or_default(), publication.data.get().as_bytes())
        }
        Some(Pushed { unsubscribe: Some(why), .. }) => event("event: end\n", why.get().as_bytes()),
        // A sign of life.
        _ => Bytes::from_static(b":\n\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::message_frame;

    fn push(codec: Codec) -> Bytes {
        let (mut publication, mut push) = (Vec::new(), Vec::new());
        codec.encode_publication(&mut publication, r#"{"s":1}"#, Some(6));
        codec.encode_push_publication(&mut push, "order:1", &publication);
        message_frame(codec, &push)
    }

    #[test]
    fn a_socket_gets_the_frame_itself() {
        let frame = push(Codec::Protobuf);
        assert_eq!(Wire::Socket.carry(Codec::Protobuf, frame.clone()), frame);
    }

    #[test]
    fn lines_and_events_carry_the_whole_push() {
        let whole = r#"{"push":{"channel":"order:1","pub":{"data":{"s":1},"offset":6}}}"#;
        let line = Wire::Lines.carry(Codec::Json, push(Codec::Json));
        assert_eq!(line, format!("{whole}\n"));
        let event = Wire::Events.carry(Codec::Json, push(Codec::Json));
        assert_eq!(event, format!("data: {whole}\n\n"));
    }

    #[test]
    fn protobuf_lines_are_told_apart_by_their_lengths() {
        let frame = push(Codec::Protobuf);
        assert_eq!(Wire::Lines.carry(Codec::Protobuf, frame.clone()), frame.slice(2..));
    }

    #[test]
    fn a_bare_push_loses_its_envelope_and_a_ping_stays() {
        let bare = Wire::OneWay.carry(Codec::Json, push(Codec::Json));
        assert_eq!(&bare[2..], br#"{"channel":"order:1","pub":{"data":{"s":1},"offset":6}}"#);
        let ping = message_frame(Codec::Json, b"{}");
        assert_eq!(Wire::OneWay.carry(Codec::Json, ping.clone()), ping);
    }

    #[test]
    fn a_resumable_event_says_where_it_stands() {
        let wire = Wire::resumable();
        wire.resume("e1");
        let event = wire.carry(Codec::Json, push(Codec::Json));
        assert_eq!(event, "id: e1:6\ndata: {\"s\":1}\n\n");
        assert_eq!(wire.carry(Codec::Json, message_frame(Codec::Json, b"{}")), ":\n\n");
    }

    #[test]
    fn frames_of_every_length_are_unwrapped() {
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            let message = vec![b'x'; length];
            assert_eq!(payload(&message_frame(Codec::Json, &message)), message);
        }
    }
}
