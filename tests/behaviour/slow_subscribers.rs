//! Subscribers that do not read: they cost little, harm nobody, and lose nothing.

use std::time::Duration;

use ordercast::config::Config;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::time::{Instant, timeout};

use crate::support::{City, Follower, Phone, Raw, Server, UPGRADE, client_frame, of, raw, until};

/// What the kernel keeps of a stalled connection, on both sides, at these settings.
const KERNEL: usize = 96 * 1024;
const MAILBOX: usize = 16 * 1024;

fn small(config: &mut Config) {
    config.socket.mailbox_bytes = MAILBOX;
    config.socket.send_buffer_bytes = 4_096;
    config.server.workers = 1;
}

/// Connects and subscribes on a socket with little room, and reads only the two replies.
async fn stalled(url: &str, token: &str, channel: &str) -> (Raw, Value) {
    let mut raw = Raw::open_with(url, Some(4_096)).await;
    assert_eq!(raw.get("/connection/websocket", UPGRADE).await.status, 101);
    let connect = json!({"id": 1, "connect": {"token": token}});
    let subscribe = json!({"id": 2, "subscribe": {"channel": channel}});
    raw.send_text(&format!("{connect}\n{subscribe}")).await;
    assert!(raw.text().await["connect"].is_object());
    let reply = raw.text().await;
    (raw, reply["subscribe"].clone())
}

/// A change of which dispatchers hear some four kilobytes.
async fn change(city: &City, order: &str, nth: usize) {
    let meta = json!({"meta": {"nth": nth, "text": "x".repeat(3_900)}});
    city.platform.patch(&format!("/v1/orders/{order}"), meta).await.expect(200);
}

#[actix_web::test]
async fn a_subscriber_that_stops_reading_is_closed_as_slow_and_recovers_all_while_others_go_on() {
    let server = Server::start_with(|config| {
        small(config);
        // Time enough to read again and learn why.
        config.socket.close_timeout_s = of(30);
    })
    .await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let token = city.ops_token().await;
    let mut healthy = Phone::connect(&server.url, &token).await;
    healthy.subscribe("dispatch").await;
    let mut follower = Follower::new("dispatch", &token);
    let (mut slow, reply) = stalled(&server.url, &token, "dispatch").await;
    follower.take_reply(&reply);

    let changes = (KERNEL + MAILBOX) / 4_000 + 20;
    let mut longest = Duration::ZERO;
    for nth in 0..changes {
        change(&city, &order, nth).await;
        let since = Instant::now();
        assert_eq!(healthy.event().await["data"]["meta"]["nth"], nth);
        longest = longest.max(since.elapsed());
    }
    assert!(longest < Duration::from_secs(5), "others waited for {longest:?}");

    // It reads again: what the kernel had, whole frames only, and then why it ends.
    let mut bytes = 0;
    let closed = loop {
        let (first, payload) = slow.frame().await.expect("it ended without a word");
        if first == raw::CLOSE {
            break payload;
        }
        bytes += payload.len();
        let message: Value = serde_json::from_slice(&payload).unwrap();
        follower.take_push(&message["push"]);
    };
    assert_eq!(closed, [&3008_u16.to_be_bytes()[..], b"slow"].concat());
    assert!(bytes < KERNEL + MAILBOX, "{bytes} bytes waited for it");
    assert!(follower.heard.len() < changes);
    drop(slow);

    let mut phone = follower.join(&server.url).await;
    assert!(follower.lost.is_empty());
    change(&city, &order, changes).await;
    let last = healthy.event().await["position"].as_u64().unwrap();
    follower.follow(&mut phone, last).await;
    assert_eq!(follower.heard.len(), changes + 1);
    drop((phone, healthy));
    server.stop().await;
}

/// Makes orders enough for a snapshot that no kernel keeps, and a dispatcher who has asked for it
/// and reads nothing but its beginning's arrival. Also the last of the orders.
async fn with_long_snapshot(server: &Server, city: &City, token: &str) -> (Raw, String) {
    let mut order = String::new();
    for _ in 0..(KERNEL + 2 * MAILBOX) / 4_000 {
        let body = json!({"meta": {"text": "x".repeat(3_900)}});
        city.order(body).await["id"].as_str().unwrap().clone_into(&mut order);
    }
    let mut raw = Raw::open_with(&server.url, Some(4_096)).await;
    assert_eq!(raw.get("/connection/websocket", UPGRADE).await.status, 101);
    raw.send_text(&json!({"id": 1, "connect": {"token": token}}).to_string()).await;
    assert!(raw.text().await["connect"].is_object());
    raw.send_text(r#"{"id":2,"subscribe":{"channel":"dispatch"}}"#).await;
    raw.stream.readable().await.unwrap();
    (raw, order)
}

#[actix_web::test]
async fn a_subscriber_that_never_reads_again_is_let_go_soon() {
    let server = Server::start_with(small).await;
    let city = City::found(&server.url, &server.database).await;
    let token = city.ops_token().await;
    let (_deaf, order) = with_long_snapshot(&server, &city, &token).await;
    let sockets = || server.app().api().house.sockets();
    assert_eq!(sockets(), 1);
    for nth in 0..(KERNEL + MAILBOX) / 4_000 + 20 {
        change(&city, &order, nth).await;
    }
    // Well before a ping would tell: the first comes after 12.5 s, and may take 8 more.
    let since = Instant::now();
    until("the socket to be gone", async || (sockets() == 0).then_some(())).await;
    assert!(since.elapsed() < Duration::from_secs(8), "{:?}", since.elapsed());
    server.stop().await;
}

#[actix_web::test]
async fn a_snapshot_longer_than_the_mailbox_does_not_make_its_reader_slow() {
    let server = Server::start_with(small).await;
    let city = City::found(&server.url, &server.database).await;
    let token = city.ops_token().await;
    let (mut raw, order) = with_long_snapshot(&server, &city, &token).await;
    let mut healthy = Phone::connect(&server.url, &token).await;
    healthy.subscribe("dispatch").await;
    // The reply has begun to come, and is still on its way when something happens.
    city.act(&city.platform, &order, "accept", json!({})).await;
    assert_eq!(healthy.event().await["type"], "order.accepted");
    assert_eq!(healthy.event().await["type"], "order.preparing");
    let mut follower = Follower::new("dispatch", &token);
    follower.take_reply(&raw.text().await["subscribe"]);
    for _ in 0..2 {
        follower.take_push(&raw.text().await["push"]);
    }
    assert_eq!(follower.orders[&order].status.as_deref(), Some("preparing"));
    raw.send_text(r#"{"id":3,"ping":{}}"#).await;
    assert_eq!(raw.text().await["id"], 3);
    server.stop().await;
}

#[actix_web::test]
async fn a_client_that_asks_and_does_not_read_has_to_wait_and_is_answered_all_the_same() {
    let server = Server::start_with(small).await;
    let city = City::found(&server.url, &server.database).await;
    let mut raw = Raw::open_with(&server.url, Some(4_096)).await;
    assert_eq!(raw.get("/connection/websocket", UPGRADE).await.status, 101);
    raw.send_text(&json!({"id": 1, "connect": {"token": city.key}}).to_string()).await;
    assert!(raw.text().await["connect"].is_object());

    let mut next = 2;
    let mut sent = 0;
    // Until the kernel has no more room, because the server does not read on.
    let rest = loop {
        let commands: Vec<_> =
            (next..next + 100).map(|id| json!({"id": id, "ping": {}}).to_string()).collect();
        next += 100;
        let frame = client_frame(raw::TEXT, commands.join("\n").as_bytes());
        let mut taken = 0;
        while taken < frame.len() {
            let write = raw.stream.write(&frame[taken..]);
            match timeout(Duration::from_secs(1), write).await {
                Ok(count) => taken += count.unwrap(),
                Err(_full) => break,
            }
        }
        sent += taken;
        if taken < frame.len() {
            break frame[taken..].to_vec();
        }
        assert!(sent < 16 << 20, "the server reads without end");
    };
    let (mut reading, writing) = (2, rest);
    let mut written = 0;
    while reading < next {
        // It reads now; the rest of the last frame goes out when there is room.
        if written < writing.len()
            && let Ok(count) = raw.stream.try_write(&writing[written..])
        {
            written += count;
        }
        let reply = raw.text().await;
        // A ping.
        if reply == json!({}) {
            continue;
        }
        assert_eq!((&reply["id"], &reply["error"]["code"]), (&json!(reading), &json!(108)));
        reading += 1;
    }
    server.stop().await;
}
