//! WebSocket frames as a client writes and reads them, and the handshake.

use std::io;

use ordercast::protocol::Codec;

/// Longest message from the server: a snapshot of many orders.
const MESSAGE_MAX: usize = 64 * 1024 * 1024;

/// The request that asks for a socket.
pub(crate) fn handshake(codec: Codec) -> &'static [u8] {
    match codec {
        Codec::Json => {
            b"GET /connection/websocket HTTP/1.1\r\nHost: load\r\nConnection: Upgrade\r\n\
              Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
              Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        }
        Codec::Protobuf => {
            b"GET /connection/websocket HTTP/1.1\r\nHost: load\r\nConnection: Upgrade\r\n\
              Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
              Sec-WebSocket-Protocol: centrifuge-protobuf\r\n\
              Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        }
    }
}

/// A message as one frame. The mask is zero, which the server undoes like any other and which
/// costs the client nothing.
pub(crate) fn message(codec: Codec, payload: &[u8]) -> Vec<u8> {
    frame(if codec.is_text() { 0x81 } else { 0x82 }, payload)
}

/// The answer to a ping of the WebSocket itself.
pub(crate) fn pong(payload: &[u8]) -> Vec<u8> {
    frame(0x8a, payload)
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(payload.len() + 14);
    frame.push(first);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(short @ ..=125), _) => frame.push(0x80 | short),
        (_, Ok(medium)) => {
            frame.push(0xfe);
            frame.extend(medium.to_be_bytes());
        }
        _ => {
            frame.push(0xff);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend_from_slice(payload);
    frame
}

/// A frame of the server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    Message(&'a [u8]),
    Ping(&'a [u8]),
    Close(u16, &'a [u8]),
    Pong,
}

/// The first frame of `bytes` and its length, once all of it is there.
pub(crate) fn read(bytes: &[u8]) -> io::Result<Option<(Frame<'_>, usize)>> {
    let wrong = |what: &'static str| Err(io::Error::new(io::ErrorKind::InvalidData, what));
    let [first, second, rest @ ..] = bytes else { return Ok(None) };
    let (length, header) = match second {
        126 => match rest.first_chunk() {
            Some(length) => (u64::from(u16::from_be_bytes(*length)), 4),
            None => return Ok(None),
        },
        127 => match rest.first_chunk() {
            Some(length) => (u64::from_be_bytes(*length), 10),
            None => return Ok(None),
        },
        short => (u64::from(*short), 2),
    };
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > MESSAGE_MAX {
        return wrong("a frame is too long, or masked");
    }
    let Some(payload) = bytes.get(header..header + length) else { return Ok(None) };
    let frame = match first {
        0x81 | 0x82 => Frame::Message(payload),
        0x89 => Frame::Ping(payload),
        0x8a => Frame::Pong,
        0x88 => {
            let code = payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code));
            Frame::Close(code, payload.get(2..).unwrap_or_default())
        }
        _ => return wrong("a frame of a kind that the server never sends"),
    };
    Ok(Some((frame, header + length)))
}
