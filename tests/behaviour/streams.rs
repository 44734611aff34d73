//! Connections without a socket, as the JavaScript SDK makes them where a network denies sockets:
//! `/connection/http_stream`, `/connection/sse`, and commands by `/emulation`.

use awc::http::Method;
use prost::Message as _;
use serde_json::{Value, json};

use crate::support::{
    Answer, City, Phone, Process, Raw, Rest, Scratch, Server, Stream, encoded, of, until,
};

const LINES: &str = "/connection/http_stream";
const EVENTS: &str = "/connection/sse";

fn sockets(server: &Server) -> usize {
    server.app().api().house.sockets()
}

/// Opens either kind with these first commands.
async fn open(url: &str, path: &str, commands: &[Value]) -> Stream {
    let first: Vec<_> = commands.iter().map(Value::to_string).collect();
    let first = first.join("\n");
    let stream = if path == EVENTS {
        let first = encoded(&first);
        Stream::get(url, &format!("{path}?cf_connect={first}"), "").await
    } else {
        Stream::post(url, path, "Content-Type: application/json\r\n", first.as_bytes()).await
    };
    assert_eq!(stream.head.status, 200, "{:?}", stream.head);
    stream
}

/// A connection, as far as its client must know it.
struct Connected {
    stream: Stream,
    rest: Rest,
    session: String,
    node: String,
}

impl Connected {
    /// Connects; every request of this client is a connection of its own.
    async fn new(url: &str, path: &str, token: &str) -> Self {
        let mut stream = open(url, path, &[json!({"id": 1, "connect": {"token": token}})]).await;
        let reply = stream.message().await.unwrap();
        let text = |name: &str| reply["connect"][name].as_str().unwrap().to_owned();
        let (session, node) = (text("session"), text("node"));
        Self { stream, rest: Rest::new(url, None), session, node }
    }

    async fn send(&self, commands: &Value) -> Answer {
        let body = json!({"session": self.session, "node": self.node, "data": commands});
        let close = [("connection", "close")];
        self.rest.send(Method::POST, "/emulation", &close, body.to_string().into()).await
    }

    /// Sends a command and waits for its reply, which must be what comes next.
    async fn ask(&mut self, command: Value) -> Value {
        assert_eq!(self.send(&command.to_string().into()).await.status, 204);
        let reply = self.stream.message().await.unwrap();
        assert_eq!(reply["id"], command["id"], "{reply}");
        reply
    }
}

#[actix_web::test]
async fn the_first_request_may_connect_and_subscribe_and_others_bring_more() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let token = city.ops_token().await;
    for (path, kind) in
        [(LINES, "application/json; charset=utf-8"), (EVENTS, "text/event-stream; charset=utf-8")]
    {
        let order = city.order_id().await;
        let connect = json!({"id": 1, "connect": {"token": token, "name": "js"}});
        let subscribe = json!({"id": 2, "subscribe": {"channel": "dispatch", "flag": 1}});
        let mut stream = open(&server.url, path, &[connect, subscribe]).await;
        for (name, value) in [
            ("content-type", kind),
            ("cache-control", "private, no-cache, no-store, no-transform"),
            ("x-accel-buffering", "no"),
        ] {
            assert_eq!(stream.head.header(name), Some(value), "{path}");
        }
        let connected = stream.message().await.unwrap()["connect"].clone();
        assert_eq!((&connected["ping"], &connected["pong"]), (&json!(25), &json!(true)));
        let subscribed = stream.message().await.unwrap();
        assert!(subscribed["subscribe"]["data"]["orders"].is_array(), "{subscribed}");
        let text = |name: &str| connected[name].as_str().unwrap().to_owned();
        let (session, node) = (text("session"), text("node"));
        let rest = Rest::new(&server.url, None);
        let mut this = Connected { stream, rest, session, node };
        // More often than there are threads: each takes new connections in turn, so that some of
        // these come to another than the stream's.
        for id in 3..11 {
            let data = json!({"order": order, "action": "nothing"});
            let reply =
                this.ask(json!({"id": id, "rpc": {"method": "nothing", "data": data}})).await;
            assert_eq!(reply["error"]["code"], 104, "{reply}");
        }
        let accept = json!({"id": 11, "rpc": {"method": "order.accept", "data": {"order": order}}});
        assert_eq!(this.send(&accept.to_string().into()).await.status, 204);
        let mut seen = Vec::new();
        for _ in 0..3 {
            let message = this.stream.message().await.unwrap();
            let event = message["push"]["pub"]["data"]["type"].as_str();
            seen.push(event.unwrap_or("the reply").to_owned());
        }
        seen.sort();
        assert_eq!(seen, ["order.accepted", "order.preparing", "the reply"], "{path}");
        // Several in one message; and the object itself instead of its text.
        let two = [json!({"id": 12, "ping": {}}), json!({"id": 13, "ping": {}})];
        let two = format!("{}\n{}", two[0], two[1]);
        assert_eq!(this.send(&two.into()).await.status, 204);
        assert_eq!(this.stream.message().await.unwrap()["id"], 12);
        assert_eq!(this.stream.message().await.unwrap()["id"], 13);
        assert_eq!(this.send(&json!({"id": 14, "ping": {}})).await.status, 204);
        assert_eq!(this.stream.message().await.unwrap()["id"], 14);
    }
    server.stop().await;
}

#[actix_web::test]
async fn the_first_commands_of_events_may_be_posted_too() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let connect = json!({"id": 1, "connect": {"token": city.key}}).to_string();
    let mut stream = Stream::post(&server.url, EVENTS, "", connect.as_bytes()).await;
    assert!(stream.message().await.unwrap()["connect"]["session"].is_string());
    server.stop().await;
}

/// Messages of Protobuf, as far as this needs them; the numbers are the protocol's.
mod messages {
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Emulation {
        #[prost(string, tag = "1")]
        pub node: String,
        #[prost(string, tag = "2")]
        pub session: String,
        #[prost(bytes = "vec", tag = "3")]
        pub data: Vec<u8>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Command {
        #[prost(uint32, tag = "1")]
        pub id: u32,
        #[prost(message, optional, tag = "4")]
        pub connect: Option<Connect>,
        #[prost(message, optional, tag = "5")]
        pub subscribe: Option<Subscribe>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Connect {
        #[prost(string, tag = "1")]
        pub token: String,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Subscribe {
        #[prost(string, tag = "1")]
        pub channel: String,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Reply {
        #[prost(uint32, tag = "1")]
        pub id: u32,
        #[prost(message, optional, tag = "4")]
        pub push: Option<Push>,
        #[prost(message, optional, tag = "5")]
        pub connect: Option<Connected>,
        #[prost(message, optional, tag = "6")]
        pub subscribe: Option<Subscribed>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Connected {
        #[prost(string, tag = "9")]
        pub session: String,
        #[prost(string, tag = "10")]
        pub node: String,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Subscribed {
        #[prost(uint64, tag = "9")]
        pub offset: u64,
        #[prost(bytes = "vec", tag = "11")]
        pub data: Vec<u8>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Push {
        #[prost(string, tag = "2")]
        pub channel: String,
        #[prost(message, optional, tag = "4")]
        pub publication: Option<Publication>,
        #[prost(message, optional, tag = "11")]
        pub disconnect: Option<Disconnect>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Publication {
        #[prost(bytes = "vec", tag = "4")]
        pub data: Vec<u8>,
        #[prost(uint64, tag = "6")]
        pub offset: u64,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Disconnect {
        #[prost(uint32, tag = "1")]
        pub code: u32,
    }
}

#[actix_web::test]
async fn lines_may_be_protobuf_behind_lengths() {
    use messages::{Command, Connect, Emulation, Reply, Subscribe};
    const BINARY: &str = "application/octet-stream";
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let connect = Some(Connect { token: city.key.clone() });
    let first = Command { id: 1, connect, subscribe: None }.encode_length_delimited_to_vec();
    let content = format!("Content-Type: {BINARY}\r\n");
    let mut stream = Stream::post(&server.url, LINES, &content, &first).await;
    assert_eq!(stream.head.header("content-type"), Some(BINARY));
    let mut next = async || {
        loop {
            let frame = stream.frame().await?;
            let reply = Reply::decode(&*frame).unwrap();
            // Not a ping.
            if !frame.is_empty() {
                return Some(reply);
            }
        }
    };
    let connected = next().await.unwrap().connect.unwrap();
    let subscribe = Some(Subscribe { channel: "tenant".to_owned() });
    let second = Command { id: 2, connect: None, subscribe }.encode_length_delimited_to_vec();
    let send = async |data: Vec<u8>| {
        let (node, session) = (connected.node.clone(), connected.session.clone());
        let body = Emulation { node, session, data }.encode_to_vec();
        let rest = Rest::new(&server.url, None);
        rest.send(Method::POST, "/emulation", &[("content-type", BINARY)], body).await.status
    };
    assert_eq!(send(second).await, 204);
    let subscribed = next().await.unwrap().subscribe.unwrap();
    let snapshot: Value = serde_json::from_slice(&subscribed.data).unwrap();
    assert_eq!(snapshot["orders"][0]["id"], order.as_str());
    city.act(&city.platform, &order, "accept", json!({})).await;
    let push = next().await.unwrap().push.unwrap();
    let publication = push.publication.unwrap();
    let event: Value = serde_json::from_slice(&publication.data).unwrap();
    assert_eq!((push.channel.as_str(), &event["type"]), ("tenant", &json!("order.accepted")));
    assert_eq!(
        (event["position"].as_u64(), publication.offset > subscribed.offset),
        (Some(publication.offset), true)
    );
    next().await.unwrap();
    // What cannot be read ends it, and the stream says so.
    assert_eq!(send(vec![0xff; 3]).await, 204);
    let push = next().await.unwrap().push.unwrap();
    assert_eq!(push.disconnect.map(|it| it.code), Some(3501));
    assert_eq!(next().await, None);
    server.stop().await;
}

#[actix_web::test]
async fn a_lost_stream_is_made_up_for_by_recovery() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let channel = format!("order:{order}");
    for path in [LINES, EVENTS] {
        let mut this = Connected::new(&server.url, path, &city.key).await;
        let seen = this.ask(json!({"id": 2, "subscribe": {"channel": channel}})).await;
        let seen = seen["subscribe"].clone();
        drop(this);
        let note = json!({"note": path});
        city.platform.patch(&format!("/v1/orders/{order}"), note).await.expect(200);
        let mut back = Connected::new(&server.url, path, &city.key).await;
        let subscribe = json!({
            "channel": channel, "recover": true, "offset": seen["offset"], "epoch": seen["epoch"],
        });
        let again = back.ask(json!({"id": 2, "subscribe": subscribe})).await;
        let again = &again["subscribe"];
        assert_eq!(again["recovered"], true, "{again}");
        assert_eq!(again["publications"].as_array().unwrap().len(), 1);
    }
    until("the streams to be gone", async || (sockets(&server) == 0).then_some(())).await;
    server.stop().await;
}

#[actix_web::test]
async fn pings_come_on_the_stream_and_pongs_by_requests() {
    let server = Server::start_with(|config| {
        config.socket.ping_interval_s = of(1);
        config.socket.pong_timeout_s = of(1);
    })
    .await;
    let city = City::found(&server.url, &server.database).await;
    for path in [LINES, EVENTS] {
        let mut alive = Connected::new(&server.url, path, &city.key).await;
        for nth in 1..=3 {
            // The reply to a command that nobody has sent yet: only pings come meanwhile.
            while alive.stream.comments < nth {
                let block = alive.stream.any().await.unwrap();
                assert_eq!(block, json!({}));
            }
            assert_eq!(alive.send(&"{}".into()).await.status, 204);
        }
        let reply = alive.ask(json!({"id": 2, "ping": {}})).await;
        assert_eq!(reply["error"]["code"], 108, "{path}");
        // And who answers no more is ended.
        let end = alive.stream.message().await.unwrap();
        assert_eq!(end["push"]["disconnect"], json!({"code": 3012, "reason": "no pong"}), "{path}");
        assert!(alive.stream.message().await.is_none() && alive.stream.whole);
    }
    server.stop().await;
}

#[actix_web::test]
async fn the_end_of_a_connection_is_told_by_a_push_and_ends_the_answer() {
    let server = Server::start_with(|config| config.socket.stale_timeout_s = of(1)).await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    for path in [LINES, EVENTS] {
        for (first, code) in [
            (json!({"id": 1, "connect": {"token": "nonsense"}}), 3500),
            (json!({"id": 1, "connect": {}}), 3501),
            (json!({"id": 1, "subscribe": {"channel": "tenant"}}), 3501),
            (json!([]), 3501),
        ] {
            let mut stream = open(&server.url, path, std::slice::from_ref(&first)).await;
            let end = stream.message().await.unwrap();
            assert_eq!(end["push"]["disconnect"]["code"], code, "{path} {first}: {end}");
            assert!(stream.message().await.is_none() && stream.whole);
        }
        let mut this = Connected::new(&server.url, path, &city.key).await;
        assert_eq!(this.send(&json!({"id": 2, "connect": {"token": city.key}})).await.status, 204);
        let end = this.stream.message().await.unwrap();
        assert_eq!(end["push"]["disconnect"], json!({"code": 3501, "reason": "bad request"}));
        assert!(this.stream.message().await.is_none() && this.stream.whole);
        // It is not there any more.
        until("the session to be gone", async || {
            (this.send(&json!({"id": 3, "ping": {}})).await.status == 404).then_some(())
        })
        .await;
        // A connect that is answered by an error: the stream is closed by who opened it, or is stale.
        let body = json!({"kind": "customer", "subject": "ann", "orders": [order], "ttl_s": 1});
        let token = city.platform.post("/v1/tokens", body).await.expect(201)["token"].clone();
        let rest = city.platform.with_token(token.as_str().unwrap());
        until("the token to expire", async || {
            (rest.get("/v1/orders").await.status == 401).then_some(())
        })
        .await;
        let first = json!({"id": 1, "connect": {"token": token}});
        let mut stream = open(&server.url, path, &[first]).await;
        assert_eq!(stream.message().await.unwrap()["error"]["code"], 109);
        let end = stream.message().await.unwrap();
        assert_eq!(end["push"]["disconnect"]["code"], 3502);
    }
    until("all to be gone", async || (sockets(&server) == 0).then_some(())).await;
    server.stop().await;
}

#[actix_web::test]
async fn what_is_wrong_with_a_request_is_a_problem() {
    let server = Server::start_with(|config| config.socket.max_sockets = 2).await;
    let city = City::found(&server.url, &server.database).await;
    let mut this = Connected::new(&server.url, LINES, &city.key).await;
    let rest = Rest::new(&server.url, None);
    let emulate =
        async |body: &[u8]| rest.send(Method::POST, "/emulation", &[], body.to_vec()).await;
    let to = |node: &str, session: &str| {
        json!({"node": node, "session": session, "data": "{}"}).to_string().into_bytes()
    };
    let unknown = "00000000-0000-4000-8000-000000000000";
    for body in [to(&this.node, unknown), to(unknown, &this.session), to("", ""), to("x", "y")] {
        emulate(&body).await.expect_problem(404, "not_found");
    }
    for body in ["", "nonsense", "[]", "7", r#"{"session":7}"#] {
        emulate(body.as_bytes()).await.expect_problem(400, "malformed");
    }
    let big = vec![b' '; 65_537];
    emulate(&big).await.expect_problem(413, "payload_too_large");
    for path in [LINES, EVENTS] {
        let answer = rest.send(Method::POST, path, &[], big.clone()).await;
        answer.expect_problem(413, "payload_too_large");
        let foreign = [("origin", "https://evil.example")];
        let answer = rest.send(Method::POST, path, &foreign, b"{}".to_vec()).await;
        answer.expect_problem(403, "role_not_allowed");
    }
    rest.get(LINES).await.expect_problem(405, "method_not_allowed");
    rest.get("/emulation").await.expect_problem(405, "method_not_allowed");
    // None of that did the stream any harm.
    assert_eq!(this.ask(json!({"id": 2, "ping": {}})).await["error"]["code"], 108);
    let _second = Phone::connect(&server.url, &city.key).await;
    for path in [LINES, EVENTS] {
        let answer = rest.send(Method::POST, path, &[], b"{}".to_vec()).await;
        answer.expect_problem(503, "overloaded");
    }
    server.stop().await;
}

#[actix_web::test]
async fn a_stream_that_nobody_reads_is_ended_and_one_that_is_dropped_is_gone() {
    let server = Server::start_with(|config| {
        config.socket.mailbox_bytes = 16 * 1024;
        config.server.unsent_bytes = 4_096;
        config.server.unread_timeout_s = of(1);
    })
    .await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let commands = [
        json!({"id": 1, "connect": {"token": city.key}}),
        json!({"id": 2, "subscribe": {"channel": "tenant"}}),
    ];
    for path in [LINES, EVENTS] {
        let mut dropped = open(&server.url, path, &commands).await;
        dropped.message().await.unwrap();
        dropped.message().await.unwrap();
        let first = format!("{}\n{}", commands[0], commands[1]);
        let mut raw = Raw::open_with(&server.url, Some(4_096)).await;
        let head = raw.post(path, "", first.as_bytes()).await;
        let mut slow = Stream::new(raw, head);
        slow.message().await.unwrap();
        slow.message().await.unwrap();
        assert_eq!(sockets(&server), 2);
        drop(dropped);
        until("the dropped one to be gone", async || (sockets(&server) == 1).then_some(())).await;
        let mut changes = 0;
        while sockets(&server) == 1 {
            let meta = json!({"meta": {"nth": changes, "text": "x".repeat(3_900)}});
            city.platform.patch(&format!("/v1/orders/{order}"), meta).await.expect(200);
            changes += 1;
            assert!(changes < 2_000, "{path}: it is never found slow");
        }
        let mut nth = 0;
        while let Some(message) = slow.message().await {
            if let Some(end) = message["push"].get("disconnect") {
                assert_eq!(end["code"], 3008);
                break;
            }
            assert_eq!(message["push"]["pub"]["data"]["data"]["meta"]["nth"], nth, "{path}");
            nth += 1;
        }
        assert!(nth < changes, "{path}");
    }
    server.stop().await;
}

#[actix_web::test]
async fn a_stop_ends_streams_as_it_does_sockets() {
    let database = Scratch::create().await;
    let process = Process::serve(&database).await;
    let city = City::found(&process.url, &database).await;
    let mut lines = Connected::new(&process.url, LINES, &city.key).await;
    let mut events = Connected::new(&process.url, EVENTS, &city.key).await;
    process.ask_to_stop();
    for this in [&mut lines, &mut events] {
        let end = this.stream.message().await.unwrap();
        assert_eq!(end["push"]["disconnect"], json!({"code": 3001, "reason": "shutdown"}));
        assert!(this.stream.message().await.is_none() && this.stream.whole);
    }
    assert_eq!(process.terminate(), Some(0));
}

#[actix_web::test]
async fn commands_that_come_to_another_process_reach_the_one_with_the_connection() {
    let database = Scratch::create().await;
    let (one, two) = (Process::serve(&database).await, Process::serve(&database).await);
    let city = City::found(&one.url, &database).await;
    let mut this = Connected::new(&one.url, LINES, &city.key).await;
    // The processes know of each other within a sign of life or two.
    this.rest = Rest::new(&two.url, None);
    until("the process to be known", async || {
        let ping = json!({"id": 2, "ping": {}}).to_string();
        (this.send(&ping.into()).await.status == 204).then_some(())
    })
    .await;
    assert_eq!(this.stream.message().await.unwrap()["id"], 2);
    let subscribe = json!({"id": 3, "subscribe": {"channel": "tenant"}});
    let reply = this.ask(subscribe).await;
    assert!(reply["subscribe"]["data"]["orders"].is_array(), "{reply}");
    city.order_id().await;
    let message = this.stream.message().await.unwrap();
    assert_eq!(message["push"]["pub"]["data"]["type"], "order.placed", "{message}");
    // Longer than processes can tell each other.
    let long = json!({"id": 4, "rpc": {"method": "x".repeat(8_000)}}).to_string();
    assert_eq!(this.send(&long.into()).await.status, 404);
    drop(this);
    assert_eq!(one.terminate(), Some(0));
    assert_eq!(two.terminate(), Some(0));
}
