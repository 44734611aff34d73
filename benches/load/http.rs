//! A keep-alive HTTP connection that costs next to nothing: requests are bytes, of an answer only
//! status and body are read.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use serde_json::Value;
use tokio::net::{TcpSocket, TcpStream};

/// Longest answer: a page of the log.
const ANSWER_MAX: usize = 64 * 1024 * 1024;

/// One connection.
pub(crate) struct Http {
    stream: Arc<TcpStream>,
    /// What came and is not yet read.
    pending: Vec<u8>,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Whether it went well.
    pub(crate) fn is_good(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body of one that went well.
    pub(crate) fn good(&self) -> anyhow::Result<&[u8]> {
        if self.is_good() {
            return Ok(&self.body);
        }
        bail!("answered {}: {}", self.status, String::from_utf8_lossy(&self.body))
    }

    /// The same as JSON.
    pub(crate) fn json(&self) -> anyhow::Result<Value> {
        serde_json::from_slice(self.good()?).context("reading an answer")
    }
}

/// A request's bytes; `body` is JSON.
pub(crate) fn request(method: &str, path: &str, token: &str, body: &str) -> Vec<u8> {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: load\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Connects, from another loopback address for each 10,000 when the server is on this machine: an
/// address has no more ports than that to spare. They are not those of who connects to another
/// server meanwhile, as whoever binds an address shares its ports with all that do.
pub(crate) async fn connect(to: SocketAddr, nth: usize) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    let block = u8::try_from(nth / 10_000 % 200).unwrap_or(0);
    if block > 0 && to.ip().is_loopback() {
        let [high, low] = to.port().to_be_bytes();
        socket.bind(SocketAddr::from(([127, high, low, 1 + block], 0)))?;
    }
    let stream = socket.connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Writes all of it.
pub(crate) async fn write_all(stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match stream.try_write(bytes) {
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => stream.writable().await?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl Http {
    /// Connects.
    pub(crate) async fn open(to: SocketAddr) -> anyhow::Result<Self> {
        let stream = connect(to, 0).await.with_context(|| format!("connecting to {to}"))?;
        Ok(Self { stream: Arc::new(stream), pending: Vec::new() })
    }

    /// Its socket, to send requests from another thread.
    pub(crate) fn sender(&self) -> Arc<TcpStream> {
        Arc::clone(&self.stream)
    }

    /// Asks, and reads the answer.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> anyhow::Result<Answer> {
        write_all(&self.stream, request).await?;
        self.answer().await
    }

    /// Asks with a JSON body; the JSON of an answer that went well.
    pub(crate) async fn call(
        &mut self,
        method: &str,
        path: &str,
        token: &str,
        body: &Value,
    ) -> anyhow::Result<Value> {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.ask(&request(method, path, token, &text)).await?;
        answer.json().with_context(|| format!("{method} {path}"))
    }

    /// Reads the next answer.
    pub(crate) async fn answer(&mut self) -> anyhow::Result<Answer> {
        loop {
            if let Some((answer, length)) = parse(&self.pending)? {
                self.pending.drain(..length);
                return Ok(answer);
            }
            self.stream.readable().await?;
            match self.stream.try_read_buf(&mut self.pending) {
                Ok(0) => bail!("the server closed an HTTP connection"),
                Ok(_) if self.pending.len() > ANSWER_MAX => bail!("an answer is too long"),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// An answer and its length, once all of it is there.
fn parse(bytes: &[u8]) -> anyhow::Result<Option<(Answer, usize)>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let (head, rest) = bytes.split_at(end + 4);
    let head = std::str::from_utf8(head).context("an answer's head")?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let status = status.and_then(|status| status.parse().ok()).context("an answer's status")?;
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let length = length.unwrap_or(0);
    Ok(rest.get(..length).map(|body| {
        let answer = Answer { status, body: body.to_vec() };
        (answer, end + 4 + length)
    }))
}
