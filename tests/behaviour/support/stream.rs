//! A long HTTP answer, read as it comes: Server-Sent Events, or lines.

use serde_json::{Value, json};

use super::Raw;
use super::raw::Head;

/// One block of Server-Sent Events, field by field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// `message` where the block names none.
    pub name: String,
    pub id: Option<String>,
    pub data: Option<String>,
    pub retry: Option<u64>,
    /// It held a comment.
    pub comment: bool,
}

impl Event {
    fn read(block: &str) -> Self {
        let mut event = Self { name: "message".to_owned(), ..Self::default() };
        for line in block.trim_end().lines() {
            let (field, value) = line.split_once(':').unwrap();
            match (field, value.trim_start()) {
                ("", _) => event.comment = true,
                ("event", value) => value.clone_into(&mut event.name),
                ("id", value) => event.id = Some(value.to_owned()),
                ("data", value) => event.data = Some(value.to_owned()),
                ("retry", value) => event.retry = Some(value.parse().unwrap()),
                (field, _) => panic!("what is {field}? {block}"),
            }
        }
        event
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(self.data.as_ref().unwrap()).unwrap()
    }

    /// The position behind the last colon of the id.
    pub fn position(&self) -> u64 {
        self.id.as_ref().unwrap().rsplit_once(':').unwrap().1.parse().unwrap()
    }
}

/// The answer to one request.
#[derive(Debug)]
pub struct Stream {
    pub raw: Raw,
    pub head: Head,
    pending: Vec<u8>,
    taken: usize,
    /// What an `EventSource` would send as it comes back.
    pub last_id: String,
    /// What the answer said about coming back.
    pub retry: Option<u64>,
    pub comments: usize,
    /// Whether the end of the body was told; else the connection was cut.
    pub whole: bool,
}

impl Stream {
    /// Of a request that `raw` has sent.
    pub fn new(raw: Raw, head: Head) -> Self {
        let (pending, last_id) = (Vec::new(), String::new());
        Self { raw, head, pending, taken: 0, last_id, retry: None, comments: 0, whole: false }
    }

    /// A GET with these header lines.
    pub async fn get(base: &str, path: &str, headers: &str) -> Self {
        let mut raw = Raw::open(base).await;
        let head = raw.get(path, headers).await;
        Self::new(raw, head)
    }

    /// A POST with these header lines.
    pub async fn post(base: &str, path: &str, headers: &str, body: &[u8]) -> Self {
        let mut raw = Raw::open(base).await;
        let head = raw.post(path, headers, body).await;
        Self::new(raw, head)
    }

    /// `GET /v1/sse` with a token, coming back if there is something to come back from.
    pub async fn follow(base: &str, token: &str, query: &str, last_id: &str) -> Self {
        let mut headers = format!("Authorization: Bearer {token}\r\n");
        if !last_id.is_empty() {
            headers.extend(["Last-Event-ID: ", last_id, "\r\n"]);
        }
        let mut stream = Self::get(base, &format!("/v1/sse?{query}"), &headers).await;
        last_id.clone_into(&mut stream.last_id);
        stream
    }

    /// The body of an answer that is no stream.
    pub async fn problem(mut self, status: u16) -> Value {
        assert_eq!(self.head.status, status, "{:?}", self.head);
        assert_eq!(self.head.header("content-type"), Some("application/problem+json"));
        self.raw.body(&self.head).await
    }

    /// More of the body, which says how long it is as a whole or in each part.
    async fn chunk(&mut self) -> Result<Option<Vec<u8>>, ()> {
        match self.head.header("content-length").map(|length| length.parse().unwrap()) {
            None => self.raw.chunk().await,
            Some(length) if self.taken < length => {
                self.taken = length;
                Ok(Some(self.raw.take(length).await))
            }
            Some(_) => Ok(None),
        }
    }

    /// The bytes up to and with the next `end`; none at the end of the body.
    async fn until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self.pending.windows(end.len()).position(|part| part == end) {
                let rest = self.pending.split_off(at + end.len());
                return Some(std::mem::replace(&mut self.pending, rest));
            }
            match self.chunk().await {
                Ok(Some(chunk)) => self.pending.extend(chunk),
                Ok(None) => {
                    self.whole = true;
                    assert!(self.pending.is_empty(), "the body ended in the middle");
                    return None;
                }
                Err(()) => return None,
            }
        }
    }

    /// The next block; none at the end.
    pub async fn block(&mut self) -> Option<Event> {
        let block = self.until(b"\n\n").await?;
        let event = Event::read(std::str::from_utf8(&block).unwrap());
        if let Some(id) = &event.id {
            self.last_id.clone_from(id);
        }
        self.retry = event.retry.or(self.retry);
        self.comments += usize::from(event.comment);
        Some(event)
    }

    /// The next block that an `EventSource` hands on; none at the end.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            let event = self.block().await?;
            if event.data.is_some() {
                return Some(event);
            }
        }
    }

    /// The next event, which must be there.
    pub async fn event(&mut self, name: &str) -> Event {
        let event = self.next().await.expect("the stream ended before an event");
        assert_eq!(event.name, name, "{event:?}");
        event
    }

    /// The next envelope; its id must be its position.
    pub async fn envelope(&mut self) -> Value {
        let event = self.event("message").await;
        let envelope = event.json();
        assert_eq!(envelope["position"], event.position(), "{envelope}");
        envelope
    }

    /// The next line or event of emulation, as JSON, which is no ping; none at the end.
    pub async fn message(&mut self) -> Option<Value> {
        loop {
            let message = self.any().await?;
            if message != json!({}) {
                return Some(message);
            }
        }
    }

    /// The same, also when it is a ping; those are counted as comments are.
    pub async fn any(&mut self) -> Option<Value> {
        let events = self.head.header("content-type")?.starts_with("text/event-stream");
        let message = if events {
            self.block().await?.json()
        } else {
            serde_json::from_slice(&self.until(b"\n").await?).unwrap()
        };
        self.comments += usize::from(message == json!({}));
        Some(message)
    }

    /// The next message of Protobuf behind its length; none at the end.
    pub async fn frame(&mut self) -> Option<Vec<u8>> {
        loop {
            let length = self.pending.iter().position(|byte| byte & 0x80 == 0).map(|last| {
                let bytes = self.pending[..=last].iter().rev();
                let fold = |length, byte: &u8| (length << 7) | usize::from(byte & 0x7f);
                (last + 1, bytes.fold(0, fold))
            });
            if let Some((header, length)) = length
                && self.pending.len() >= header + length
            {
                let rest = self.pending.split_off(header + length);
                let mut frame = std::mem::replace(&mut self.pending, rest);
                return Some(frame.split_off(header));
            }
            match self.chunk().await {
                Ok(Some(chunk)) => self.pending.extend(chunk),
                Ok(None) | Err(()) => return None,
            }
        }
    }
}
