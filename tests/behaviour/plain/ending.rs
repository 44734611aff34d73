//! How streams end: by their readers, their tokens, and the process.

use awc::http::Method;
use serde_json::json;

use super::sockets;
use crate::support::{City, Process, Raw, Rest, Scratch, Server, Stream, of, until};

async fn short_token(city: &City, ttl_s: u64) -> String {
    let body = json!({"kind": "ops", "subject": "ann", "ttl_s": ttl_s});
    let issued = city.platform.post("/v1/tokens", body).await.expect(201);
    issued["token"].as_str().unwrap().to_owned()
}

/// One that follows dispatch through a receive buffer of a few kilobytes.
async fn small(server: &Server, token: &str) -> Stream {
    let mut raw = Raw::open_with(&server.url, Some(4_096)).await;
    let headers = format!("Authorization: Bearer {token}\r\n");
    let head = raw.get("/v1/sse?channel=dispatch", &headers).await;
    let mut stream = Stream::new(raw, head);
    stream.event("snapshot").await;
    stream
}

#[actix_web::test]
async fn a_reader_that_is_too_slow_is_ended_and_resumes_with_all_of_it() {
    let server = Server::start_with(|config| {
        config.socket.mailbox_bytes = 16 * 1024;
        config.server.unsent_bytes = 4_096;
        config.socket.recovery_limit = 2_000;
    })
    .await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let token = city.ops_token().await;
    let mut healthy = Stream::follow(&server.url, &token, "channel=dispatch", "").await;
    healthy.event("snapshot").await;
    let mut slow = small(&server, &token).await;
    assert_eq!(sockets(&server), 2);
    let mut changes = 0;
    while sockets(&server) == 2 {
        let meta = json!({"meta": {"nth": changes, "text": "x".repeat(3_900)}});
        city.platform.patch(&format!("/v1/orders/{order}"), meta).await.expect(200);
        assert_eq!(healthy.envelope().await["data"]["meta"]["nth"], changes);
        changes += 1;
        assert!(changes < 2_000, "it is never found slow");
    }
    // It reads again: whole events in order, as far as they had left, and then nothing more.
    let mut nth = 0;
    while let Some(event) = slow.next().await {
        if event.name == "end" {
            assert_eq!(event.json(), json!({"code": 3008, "reason": "slow"}));
            break;
        }
        assert_eq!(event.json()["data"]["meta"]["nth"], nth);
        nth += 1;
    }
    assert!(nth < changes);
    let mut back = Stream::follow(&server.url, &token, "channel=dispatch", &slow.last_id).await;
    while nth < changes {
        assert_eq!(back.envelope().await["data"]["meta"]["nth"], nth);
        nth += 1;
    }
    server.stop().await;
}

#[actix_web::test]
async fn a_reader_that_is_gone_or_never_reads_again_holds_no_place() {
    let server = Server::start_with(|config| {
        config.socket.mailbox_bytes = 16 * 1024;
        config.server.unsent_bytes = 4_096;
        config.server.unread_timeout_s = of(1);
        config.socket.max_sockets = 2;
    })
    .await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let token = city.ops_token().await;
    let mut first = Stream::follow(&server.url, &token, "channel=dispatch", "").await;
    first.event("snapshot").await;
    let id = first.last_id.clone();
    let second = small(&server, &token).await;
    // Full: who comes for the first time is told so, and a browser that would stop for good at
    // any status but 200 is let come again.
    let third = Stream::follow(&server.url, &token, "channel=dispatch", "").await;
    assert_eq!(third.head.header("retry-after"), Some("1"));
    assert_eq!(third.problem(503).await["code"], "overloaded");
    let mut again = Stream::follow(&server.url, &token, "channel=dispatch", &id).await;
    assert_eq!(again.head.status, 200);
    assert_eq!(again.event("end").await.json()["code"], 3004);
    assert!(again.next().await.is_none() && again.whole && again.retry.is_some());
    assert_eq!(again.last_id, id);

    drop(first);
    until("the first to be gone", async || (sockets(&server) == 1).then_some(())).await;
    // A second one that reads nothing, however long it lasts: not even the connection is kept.
    let mut changes = 0;
    while sockets(&server) == 1 {
        let meta = json!({"meta": {"nth": changes, "text": "x".repeat(3_900)}});
        city.platform.patch(&format!("/v1/orders/{order}"), meta).await.expect(200);
        changes += 1;
        assert!(changes < 4_000, "it is never found slow");
    }
    until("the connection to be cut", async || second.raw.stream.try_write(b"x").err()).await;
    server.stop().await;
}

#[actix_web::test]
async fn a_stream_ends_with_its_token_and_then_for_good() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let token = short_token(&city, 2).await;
    let mut stream = Stream::follow(&server.url, &token, "channel=dispatch", "").await;
    stream.event("snapshot").await;
    let end = stream.event("end").await;
    assert_eq!(end.json(), json!({"code": 3005, "reason": "connection expired"}));
    assert_eq!(end.id, None);
    assert!(stream.next().await.is_none() && stream.whole);
    let rest = Rest::new(&server.url, Some(&token));
    let last = [("last-event-id", stream.last_id.as_str())];
    let answer = rest.send(Method::GET, "/v1/sse?channel=dispatch", &last, vec![]).await;
    answer.expect_problem(401, "token_expired");
    assert_eq!(sockets(&server), 0);
    server.stop().await;
}

#[actix_web::test]
async fn a_stop_ends_every_stream_and_whoever_comes_back_elsewhere_misses_nothing() {
    let database = Scratch::create().await;
    let (going, staying) = (Process::serve(&database).await, Process::serve(&database).await);
    let city = City::found(&staying.url, &database).await;
    let order = city.order_id().await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        let mut stream = Stream::follow(&going.url, &city.key, "channel=tenant", "").await;
        stream.event("snapshot").await;
        streams.push(stream);
    }
    going.ask_to_stop();
    for stream in &mut streams {
        let end = stream.event("end").await;
        assert_eq!(end.json(), json!({"code": 3001, "reason": "shutdown"}));
        assert!(stream.next().await.is_none() && stream.whole);
    }
    city.act(&city.platform, &order, "accept", json!({})).await;
    for stream in streams {
        let last = stream.last_id;
        let mut back = Stream::follow(&staying.url, &city.key, "channel=tenant", &last).await;
        assert_eq!(back.envelope().await["type"], "order.accepted");
        drop(back);
    }
    assert_eq!(going.terminate(), Some(0));
    assert_eq!(staying.terminate(), Some(0));
}

#[actix_web::test]
async fn comments_are_the_signs_of_life_and_need_no_answer() {
    let server = Server::start_with(|config| {
        config.socket.ping_interval_s = of(1);
        config.socket.pong_timeout_s = of(1);
    })
    .await;
    let city = City::found(&server.url, &server.database).await;
    let mut stream = Stream::follow(&server.url, &city.key, "channel=tenant", "").await;
    while stream.comments < 3 {
        let block = stream.block().await.expect("a stream nobody answers on was ended");
        assert!(!block.comment || (block.id.is_none() && block.data.is_none()), "{block:?}");
    }
    let order = city.order_id().await;
    assert_eq!(stream.envelope().await["order"], order.as_str());
    server.stop().await;
}
