//! A client of the wire protocol, as bare as can be: what it heard is what was sent.

use std::collections::VecDeque;

use actix_codec::Framed;
use actix_http::ws::{self, Frame, Message};
use awc::BoxedSocket;
use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{PATIENCE, contract};

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// The close code; none when the socket just ended.
    pub code: Option<u16>,
    pub reason: String,
}

/// One connection.
pub struct Phone {
    socket: Framed<BoxedSocket, ws::Codec>,
    /// Pushes in the order they came, not yet taken.
    pub pushes: VecDeque<Value>,
    /// The same of where couriers are, which come in between: each with the offset that was the last
    /// to be heard by then, as `after`.
    pub locations: VecDeque<Value>,
    last: u64,
    replies: VecDeque<Value>,
    closed: Option<Closed>,
    next_id: u32,
    /// Whether the server's pings are answered.
    pub answers_pings: bool,
    /// Pings of the protocol that came.
    pub pings: u32,
}

impl Phone {
    /// Opens the socket, and says nothing yet.
    pub async fn open(base: &str) -> Self {
        let url = format!("{base}/connection/websocket").replacen("http", "ws", 1);
        let client = awc::Client::builder().max_http_version(awc::http::Version::HTTP_11).finish();
        let (_response, socket) = client.ws(url).max_frame_size(64 << 20).connect().await.unwrap();
        Self {
            socket,
            pushes: VecDeque::new(),
            locations: VecDeque::new(),
            last: 0,
            replies: VecDeque::new(),
            closed: None,
            next_id: 1,
            answers_pings: true,
            pings: 0,
        }
    }

    /// Opens and connects.
    pub async fn connect(base: &str, token: &str) -> Self {
        let mut phone = Self::open(base).await;
        let reply = phone.ask(json!({"connect": {"token": token}})).await;
        assert!(reply["connect"]["client"].is_string(), "{reply}");
        phone
    }

    /// Sends text as it is.
    pub async fn send_text(&mut self, text: &str) {
        self.socket.send(Message::Text(text.to_owned().into())).await.unwrap();
    }

    /// Sends any message.
    pub async fn send_raw(&mut self, message: Message) {
        self.socket.send(message).await.unwrap();
    }

    /// Sends a command with the next id, and gives that id.
    pub async fn send(&mut self, mut command: Value) -> u32 {
        let id = self.next_id;
        self.next_id += 1;
        command["id"] = id.into();
        self.send_text(&command.to_string()).await;
        id
    }

    /// Sends a command and waits for its reply; pushes that come meanwhile are kept.
    pub async fn ask(&mut self, command: Value) -> Value {
        let id = self.send(command).await;
        self.reply(id).await
    }

    /// Waits for the reply to a command.
    pub async fn reply(&mut self, id: u32) -> Value {
        loop {
            if let Some(place) = self.replies.iter().position(|reply| reply["id"] == id) {
                return self.replies.remove(place).unwrap();
            }
            assert!(self.receive().await, "closed before the reply {id}: {:?}", self.closed);
        }
    }

    /// Subscribes for the first time; the result.
    pub async fn subscribe(&mut self, channel: &str) -> Value {
        let reply = self.ask(json!({"subscribe": {"channel": channel}})).await;
        assert!(reply["subscribe"].is_object(), "{reply}");
        if let Some(state) = reply["subscribe"].get("data") {
            contract::check_state(channel, state);
        }
        reply["subscribe"].clone()
    }

    /// Subscribes again from a position; the result.
    pub async fn recover(&mut self, channel: &str, offset: u64, epoch: &str) -> Value {
        let subscribe =
            json!({"channel": channel, "recover": true, "offset": offset, "epoch": epoch});
        let reply = self.ask(json!({"subscribe": subscribe})).await;
        assert!(reply["subscribe"].is_object(), "{reply}");
        reply["subscribe"].clone()
    }

    /// Calls a method; the reply, result or error.
    pub async fn rpc(&mut self, method: &str, data: Value) -> Value {
        let call = json!({"rpc": {"method": method, "data": data}});
        let reply = self.ask(call.clone()).await;
        contract::check_call(call, &reply);
        reply
    }

    /// Waits for the next push.
    pub async fn push(&mut self) -> Value {
        loop {
            if let Some(push) = self.pushes.pop_front() {
                return push;
            }
            assert!(self.receive().await, "closed before a push: {:?}", self.closed);
        }
    }

    /// Waits for the next publication on any channel: its envelope. Its offset must be its
    /// position.
    pub async fn event(&mut self) -> Value {
        let push = self.push().await;
        let publication = &push["pub"];
        assert!(publication.is_object(), "{push}");
        assert_eq!(publication["offset"], publication["data"]["position"], "{push}");
        publication["data"].clone()
    }

    /// Waits until it is told where a courier is: the channel, and the publication's data. It has
    /// no offset.
    pub async fn location(&mut self) -> (String, Value) {
        loop {
            if let Some(push) = self.locations.pop_front() {
                assert!(push["pub"].get("offset").is_none(), "{push}");
                let channel = push["channel"].as_str().unwrap().to_owned();
                return (channel, push["pub"]["data"].clone());
            }
            assert!(self.receive().await, "closed before a location: {:?}", self.closed);
        }
    }

    /// Takes all that has come up to the reply to a question.
    pub async fn catch_up(&mut self) {
        self.ask(json!({"rpc": {"method": "nothing"}})).await;
    }

    /// Waits until so many pings have come.
    pub async fn hear_pings(&mut self, count: u32) {
        while self.pings < count {
            assert!(self.receive().await, "closed before a ping: {:?}", self.closed);
        }
    }

    /// Waits until the server has closed.
    pub async fn closed(&mut self) -> Closed {
        // Pings come as long as it lasts.
        let all = async { while self.receive().await {} };
        timeout(PATIENCE, all).await.expect("it was not closed in time");
        self.closed.clone().unwrap()
    }

    /// Replies nobody has asked for yet.
    pub fn unread(&self) -> &VecDeque<Value> {
        &self.replies
    }

    /// Ends the connection without a word.
    pub fn drop_connection(self) {
        drop(self.socket);
    }

    /// Takes one message of the socket; false once it is closed.
    async fn receive(&mut self) -> bool {
        if self.closed.is_some() {
            return false;
        }
        let frame = timeout(PATIENCE, self.socket.next()).await.expect("nothing came in time");
        match frame {
            Some(Ok(Frame::Text(bytes))) => {
                for line in bytes.split(|byte| *byte == b'\n') {
                    let value: Value = serde_json::from_slice(line).unwrap();
                    if let Some(push) = value.get("push") {
                        contract::check_event(&push["pub"]["data"]);
                        if push["pub"]["data"]["type"] == "driver.location" {
                            let mut push = push.clone();
                            push["after"] = self.last.into();
                            self.locations.push_back(push);
                        } else {
                            self.last = push["pub"]["offset"].as_u64().unwrap_or(self.last);
                            self.pushes.push_back(push.clone());
                        }
                    } else if value.get("id").is_some() {
                        let offset = &value["subscribe"]["offset"];
                        self.last = offset.as_u64().unwrap_or(self.last);
                        self.replies.push_back(value);
                    } else {
                        assert_eq!(value, json!({}), "neither reply, push nor ping");
                        self.pings += 1;
                        if self.answers_pings {
                            self.send_text("{}").await;
                        }
                    }
                }
                true
            }
            Some(Ok(Frame::Ping(payload))) => {
                self.send_raw(Message::Pong(payload)).await;
                true
            }
            Some(Ok(Frame::Close(reason))) => {
                let code = reason.as_ref().map(|reason| u16::from(reason.code));
                let reason = reason.and_then(|reason| reason.description).unwrap_or_default();
                self.closed = Some(Closed { code, reason });
                // A peer that may be gone already needs no answer.
                drop(self.socket.send(Message::Close(None)).await);
                false
            }
            Some(Ok(Frame::Pong(_))) => true,
            Some(Ok(frame)) => panic!("an unexpected frame: {frame:?}"),
            Some(Err(_)) | None => {
                self.closed = Some(Closed { code: None, reason: String::new() });
                false
            }
        }
    }
}
