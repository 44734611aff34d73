//! A connection of which every byte is the test's own.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::{Closed, PATIENCE};

pub const TEXT: u8 = 0x81;
pub const BINARY: u8 = 0x82;
pub const CLOSE: u8 = 0x88;
pub const PING: u8 = 0x89;
pub const PONG: u8 = 0x8a;

/// What every handshake here says; RFC 6455 tells the answer to this key.
pub const UPGRADE: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// A client's frame: `first` is FIN, the reserved bits and the opcode.
pub fn client_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        short @ ..=125 => frame.push(0x80 | u8::try_from(short).unwrap()),
        long @ 126..=0xffff => {
            frame.push(0xfe);
            frame.extend(u16::try_from(long).unwrap().to_be_bytes());
        }
        long => {
            frame.push(0xff);
            frame.extend((long as u64).to_be_bytes());
        }
    }
    let mask = [7, 11, 13, 17];
    frame.extend(mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// A text as it stands in a query.
pub fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |out, byte| out + &format!("%{byte:02X}"))
}

/// The head of an HTTP answer.
#[derive(Debug)]
pub struct Head {
    pub status: u16,
    text: String,
}

impl Head {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.text.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

/// One TCP connection.
#[derive(Debug)]
pub struct Raw {
    pub stream: TcpStream,
    host: String,
    pending: Vec<u8>,
}

impl Raw {
    pub async fn open(base: &str) -> Self {
        Self::open_with(base, None).await
    }

    /// With a receive buffer of so many bytes in the kernel.
    pub async fn open_with(base: &str, receive_buffer: Option<u32>) -> Self {
        let host = base.strip_prefix("http://").unwrap().to_owned();
        let socket = TcpSocket::new_v4().unwrap();
        if let Some(bytes) = receive_buffer {
            socket.set_recv_buffer_size(bytes).unwrap();
        }
        let stream = socket.connect(host.parse().unwrap()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, host, pending: Vec::new() }
    }

    /// Opens and shakes hands.
    pub async fn upgraded(base: &str) -> Self {
        let mut raw = Self::open(base).await;
        let head = raw.get("/connection/websocket", UPGRADE).await;
        assert_eq!(head.status, 101, "{head:?}");
        raw
    }

    pub fn request(&self, path: &str, headers: &str) -> Vec<u8> {
        format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{headers}\r\n", self.host).into_bytes()
    }

    /// Sends a POST with a body; the answer's head.
    pub async fn post(&mut self, path: &str, headers: &str, body: &[u8]) -> Head {
        let (host, length) = (&self.host, body.len());
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n{headers}\r\n"
        );
        self.send(&[head.as_bytes(), body].concat()).await;
        self.head().await
    }

    /// The next chunk of a body that comes in such; none at its end. `Err` when the connection
    /// ended before it.
    pub async fn chunk(&mut self) -> Result<Option<Vec<u8>>, ()> {
        let line = loop {
            if let Some(end) = self.pending.windows(2).position(|two| two == b"\r\n") {
                break end;
            }
            if !self.fill().await {
                return Err(());
            }
        };
        let length = std::str::from_utf8(&self.pending[..line]).unwrap();
        let length = usize::from_str_radix(length, 16).unwrap();
        while self.pending.len() < line + 2 + length + 2 {
            if !self.fill().await {
                return Err(());
            }
        }
        let rest = self.pending.split_off(line + 2 + length + 2);
        let mut chunk = std::mem::replace(&mut self.pending, rest);
        chunk.truncate(line + 2 + length);
        let chunk = chunk.split_off(line + 2);
        Ok((length > 0).then_some(chunk))
    }

    /// Sends a request with these header lines; the answer's head.
    pub async fn get(&mut self, path: &str, headers: &str) -> Head {
        let request = self.request(path, headers);
        self.send(&request).await;
        self.head().await
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    pub async fn send_text(&mut self, text: &str) {
        self.send(&client_frame(TEXT, text.as_bytes())).await;
    }

    pub async fn head(&mut self) -> Head {
        loop {
            if let Some(end) = self.pending.windows(4).position(|four| four == b"\r\n\r\n") {
                let rest = self.pending.split_off(end + 4);
                let head = std::mem::replace(&mut self.pending, rest);
                let text = String::from_utf8(head).unwrap();
                let status = text.split(' ').nth(1).unwrap().parse().unwrap();
                return Head { status, text };
            }
            assert!(self.fill().await, "the connection ended within a head");
        }
    }

    /// The body of an answer that says how long it is, which must be JSON.
    pub async fn body(&mut self, head: &Head) -> serde_json::Value {
        let length = head.header("content-length").unwrap().parse().unwrap();
        serde_json::from_slice(&self.take(length).await).unwrap()
    }

    /// The next so many bytes.
    pub async fn take(&mut self, length: usize) -> Vec<u8> {
        while self.pending.len() < length {
            assert!(self.fill().await, "the connection ended within a body");
        }
        let rest = self.pending.split_off(length);
        std::mem::replace(&mut self.pending, rest)
    }

    /// The next frame's first byte and payload; none at the end.
    pub async fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let Some((header, length)) = server_frame(&self.pending)
                && self.pending.len() >= header + length
            {
                let rest = self.pending.split_off(header + length);
                let mut frame = std::mem::replace(&mut self.pending, rest);
                let first = frame[0];
                return Some((first, frame.split_off(header)));
            }
            if !self.fill().await {
                assert!(self.pending.is_empty(), "the connection ended within a frame");
                return None;
            }
        }
    }

    /// The next text frame, as JSON.
    pub async fn text(&mut self) -> serde_json::Value {
        let (first, payload) = self.frame().await.expect("it ended before a text");
        assert_eq!(first, TEXT, "{payload:?}");
        serde_json::from_slice(&payload).unwrap()
    }

    /// The next close frame, whatever comes before it.
    pub async fn closed(&mut self) -> Closed {
        loop {
            let (first, payload) = self.frame().await.expect("it ended without a close frame");
            if first == CLOSE {
                let (code, reason) = payload.split_first_chunk().unwrap();
                let reason = String::from_utf8(reason.to_vec()).unwrap();
                return Closed { code: Some(u16::from_be_bytes(*code)), reason };
            }
        }
    }

    /// Waits until the server has ended the connection.
    pub async fn ended(&mut self) {
        while self.fill().await {}
    }

    /// Reads what there is; false at the end.
    async fn fill(&mut self) -> bool {
        let read = self.stream.read_buf(&mut self.pending);
        match timeout(PATIENCE, read).await.expect("nothing came in time") {
            Ok(count) => count > 0,
            Err(_reset) => false,
        }
    }
}

/// Lengths of the header and of the payload, once the header is there.
fn server_frame(bytes: &[u8]) -> Option<(usize, usize)> {
    let second = *bytes.get(1)?;
    assert_eq!(second & 0x80, 0, "servers do not mask");
    Some(match second {
        126 => (4, usize::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?))),
        127 => {
            let length = u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?);
            (10, usize::try_from(length).unwrap())
        }
        short => (2, usize::from(short)),
    })
}
