//! A client that speaks either codec: the same messages, written as JSON or as Protobuf.

use std::collections::{BTreeMap, VecDeque};

use prost::Message;
use serde::{Deserialize, Serialize};

use super::{Closed, Raw, UPGRADE, client_frame, raw};

/// A payload: JSON itself in JSON, its bytes in Protobuf.
mod payload {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};
    use serde_json::value::RawValue;

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let text = if text.is_empty() { "null".to_owned() } else { text };
        RawValue::from_string(text).unwrap().serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        Ok(Box::<RawValue>::deserialize(deserializer)?.get().as_bytes().to_vec())
    }
}

/// Declares messages with the numbers of their fields, for both codecs at once.
macro_rules! messages {
    ($($name:ident { $($(#[$serde:meta])* $number:literal $field:ident: $type:ty = [$($kind:tt)+];)* })+) => {$(
        #[derive(Clone, PartialEq, Message, Serialize, Deserialize)]
        #[serde(default)]
        pub struct $name { $($(#[$serde])* #[prost($($kind)+, tag = $number)] pub $field: $type,)* }
    )+};
}

messages! {
    Command {
        1 id: u32 = [uint32];
        4 connect: Option<Connect> = [message];
        5 subscribe: Option<Subscribe> = [message];
        6 unsubscribe: Option<Named> = [message];
        7 publish: Option<Publish> = [message];
        8 presence: Option<Named> = [message];
        9 presence_stats: Option<Named> = [message];
        10 history: Option<History> = [message];
        13 rpc: Option<Rpc> = [message];
    }
    Connect { 1 token: String = [string]; }
    Subscribe {
        1 channel: String = [string];
        2 token: String = [string];
        3 recover: bool = [bool];
        6 epoch: String = [string];
        7 offset: u64 = [uint64];
        12 delta: String = [string];
        14 flag: i64 = [int64];
    }
    Named { 1 channel: String = [string]; }
    Publish { 1 channel: String = [string]; #[serde(with = "payload")] 2 data: Vec<u8> = [bytes = "vec"]; }
    History { 1 channel: String = [string]; 7 limit: i32 = [int32]; 9 reverse: bool = [bool]; }
    Rpc { 2 method: String = [string]; }

    Reply {
        1 id: u32 = [uint32];
        2 error: Option<Error> = [message];
        4 push: Option<Push> = [message];
        5 connect: Option<Connected> = [message];
        6 subscribe: Option<Subscribed> = [message];
        9 presence: Option<Presence> = [message];
        10 presence_stats: Option<Stats> = [message];
        11 history: Option<Past> = [message];
    }
    Error { 1 code: u32 = [uint32]; 2 message: String = [string]; }
    Connected {
        1 client: String = [string];
        6 subs: BTreeMap<String, Subscribed> = [btree_map = "string, message"];
    }
    Subscribed {
        3 recoverable: bool = [bool];
        6 epoch: String = [string];
        7 publications: Vec<Publication> = [message, repeated];
        8 recovered: bool = [bool];
        9 offset: u64 = [uint64];
        10 positioned: bool = [bool];
        12 was_recovering: bool = [bool];
        13 delta: bool = [bool];
    }
    Publication {
        #[serde(with = "payload")] 4 data: Vec<u8> = [bytes = "vec"];
        5 info: Option<Info> = [message];
        6 offset: u64 = [uint64];
        8 delta: bool = [bool];
    }
    Info { 1 user: String = [string]; 2 client: String = [string]; }
    Presence { 1 presence: BTreeMap<String, Info> = [btree_map = "string, message"]; }
    Stats { 1 num_clients: u32 = [uint32]; 2 num_users: u32 = [uint32]; }
    Past {
        1 publications: Vec<Publication> = [message, repeated];
        2 epoch: String = [string];
        3 offset: u64 = [uint64];
    }
    Push {
        2 channel: String = [string];
        #[serde(rename = "pub")] 4 publication: Option<Publication> = [message];
        5 join: Option<Moved> = [message];
        6 leave: Option<Moved> = [message];
    }
    Moved { 1 info: Option<Info> = [message]; }
}

/// One connection.
pub struct Speaker {
    raw: Raw,
    /// Whether it speaks Protobuf; JSON otherwise.
    pub binary: bool,
    /// Pushes in the order they came, not yet taken.
    pushes: VecDeque<Push>,
    replies: VecDeque<Reply>,
    next_id: u32,
}

impl Speaker {
    /// Opens the socket, and says nothing yet.
    pub async fn open(base: &str, binary: bool) -> Self {
        let mut raw = Raw::open(base).await;
        let offer = if binary { "Sec-WebSocket-Protocol: centrifuge-protobuf\r\n" } else { "" };
        let head = raw.get("/connection/websocket", &format!("{UPGRADE}{offer}")).await;
        assert_eq!(head.status, 101, "{head:?}");
        let (pushes, replies) = Default::default();
        Self { raw, binary, pushes, replies, next_id: 1 }
    }

    /// Opens and connects; an empty token for nobody.
    pub async fn connect(base: &str, binary: bool, token: &str) -> (Self, Connected) {
        let mut speaker = Self::open(base, binary).await;
        let connect = Some(Connect { token: token.to_owned() });
        let reply = speaker.ask(Command { connect, ..Command::default() }).await;
        let connected = reply.connect.clone().unwrap_or_else(|| panic!("{reply:?}"));
        (speaker, connected)
    }

    /// Sends a command and waits for its reply; pushes that come meanwhile are kept.
    pub async fn ask(&mut self, mut command: Command) -> Reply {
        command.id = self.next_id;
        self.next_id += 1;
        self.send(&command).await;
        loop {
            if let Some(reply) = self.replies.pop_front() {
                assert_eq!(reply.id, command.id, "{reply:?}");
                return reply;
            }
            self.read().await;
        }
    }

    /// Sends a command as it is.
    pub async fn send(&mut self, command: &Command) {
        let frame = if self.binary {
            client_frame(raw::BINARY, &command.encode_length_delimited_to_vec())
        } else {
            client_frame(raw::TEXT, &serde_json::to_vec(command).unwrap())
        };
        self.raw.send(&frame).await;
    }

    pub async fn subscribe(&mut self, subscribe: Subscribe) -> Reply {
        self.ask(Command { subscribe: Some(subscribe), ..Command::default() }).await
    }

    pub async fn publish(&mut self, channel: &str, data: &str) -> Reply {
        let publish = Publish { channel: channel.to_owned(), data: data.as_bytes().to_vec() };
        self.ask(Command { publish: Some(publish), ..Command::default() }).await
    }

    /// The next publication, whatever comes before it.
    pub async fn heard(&mut self) -> Publication {
        loop {
            if let Some(publication) = self.push().await.publication {
                return publication;
            }
        }
    }

    /// The next push.
    pub async fn push(&mut self) -> Push {
        loop {
            if let Some(push) = self.pushes.pop_front() {
                return push;
            }
            self.read().await;
        }
    }

    /// The next close frame, whatever comes before it.
    pub async fn closed(&mut self) -> Closed {
        self.raw.closed().await
    }

    /// Reads one frame, which may hold several messages.
    async fn read(&mut self) {
        let (first, message) = self.raw.frame().await.expect("it ended instead of answering");
        let expected = if self.binary { raw::BINARY } else { raw::TEXT };
        assert_eq!(first, expected, "{message:?}");
        let mut read = Vec::new();
        if self.binary {
            let mut rest = message.as_slice();
            while !rest.is_empty() {
                read.push(Reply::decode_length_delimited(&mut rest).unwrap());
            }
        } else {
            let values = serde_json::Deserializer::from_slice(&message).into_iter();
            read.extend(values.map(|value| value.unwrap()));
        }
        for reply in read {
            match reply.push {
                Some(push) => self.pushes.push_back(push),
                None if reply.id > 0 => self.replies.push_back(reply),
                // A ping.
                None => {}
            }
        }
    }
}
