//! Getting a socket at all: the handshake, and who is turned away before it.

use awc::http::Method;
use serde_json::json;

use crate::support::{City, Phone, Raw, Rest, Server, UPGRADE, client_frame, raw, until};

const PATH: &str = "/connection/websocket";

#[actix_web::test]
async fn the_subprotocol_is_echoed_if_offered_and_none_is_made_up() {
    let server = Server::start().await;
    for (offer, echo) in [
        ("Sec-WebSocket-Protocol: centrifuge-json\r\n", Some("centrifuge-json")),
        ("Sec-WebSocket-Protocol: chat, centrifuge-json\r\n", Some("centrifuge-json")),
        ("", None),
        // As centrifuge-python before 0.6 says it.
        ("Sec-WebSocket-Protocol:\r\n", None),
        ("Sec-WebSocket-Protocol: \r\n", None),
    ] {
        let mut raw = Raw::open(&server.url).await;
        let head = raw.get(PATH, &format!("{UPGRADE}{offer}")).await;
        assert_eq!(head.status, 101, "{offer:?}: {head:?}");
        assert_eq!(head.header("sec-websocket-protocol"), echo, "{offer:?}");
        // RFC 6455, section 1.3.
        assert_eq!(head.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        raw.send_text(r#"{"id":1,"connect":{"token":"x"}}"#).await;
        assert_eq!(raw.closed().await.code, Some(3500), "{offer:?}");
    }
    server.stop().await;
}

#[actix_web::test]
async fn protobuf_is_spoken_to_whoever_asks_by_subprotocol_or_query() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let subprotocol = "Sec-WebSocket-Protocol: centrifuge-protobuf\r\n";
    for (path, offer, echo) in [
        (PATH.to_owned(), subprotocol, Some("centrifuge-protobuf")),
        (format!("{PATH}?format=protobuf"), "", None),
        (format!("{PATH}?cf_protocol=protobuf"), "", None),
    ] {
        let mut raw = Raw::open(&server.url).await;
        let head = raw.get(&path, &format!("{UPGRADE}{offer}")).await;
        assert_eq!(head.status, 101, "{path} {offer}");
        assert_eq!(head.header("sec-websocket-protocol"), echo, "{path} {offer}");
        // {id: 1, connect: {token}}, each behind its length. A key is 68 characters.
        let key = city.key.as_bytes();
        let length = u8::try_from(key.len()).unwrap();
        let mut connect = vec![length + 6, 0x08, 1, 0x22, length + 2, 0x0a, length];
        connect.extend_from_slice(key);
        raw.send(&client_frame(raw::BINARY, &connect)).await;
        let (first, reply) = raw.frame().await.unwrap();
        assert_eq!(first, raw::BINARY);
        // {id: 1, connect: {client: 36 characters…}}.
        assert_eq!(reply[1..4], [0x08, 1, 0x2a], "{reply:?}");
        assert_eq!(reply[5..7], [0x0a, 36], "{reply:?}");
        raw.send_text("{}").await;
        assert_eq!(raw.closed().await.code, Some(3506), "text is the other codec's");
    }
    server.stop().await;
}

#[actix_web::test]
async fn browsers_get_in_from_our_own_host_and_from_the_origins_named() {
    let server = Server::start_with(|config| {
        config.socket.allowed_origins = vec!["https://app.example.com".to_owned()];
    })
    .await;
    let own = server.url.clone();
    for origin in [own.as_str(), "https://app.example.com"] {
        let mut raw = Raw::open(&server.url).await;
        let head = raw.get(PATH, &format!("{UPGRADE}Origin: {origin}\r\n")).await;
        assert_eq!(head.status, 101, "{origin}");
    }
    for origin in ["https://evil.example", "null", "https://app.example.com.evil.example", ""] {
        let mut raw = Raw::open(&server.url).await;
        let head = raw.get(PATH, &format!("{UPGRADE}Origin: {origin}\r\n")).await;
        assert_eq!(head.status, 403, "{origin}");
        assert_eq!(head.header("content-type"), Some("application/problem+json"));
        assert_eq!(raw.body(&head).await["code"], "role_not_allowed");
        raw.ended().await;
    }
    server.stop().await;
}

#[actix_web::test]
async fn whoever_does_not_ask_for_an_upgrade_is_told_so() {
    let server = Server::start().await;
    let rest = Rest::new(&server.url, None);
    rest.get(PATH).await.expect_problem(400, "malformed");
    let post = rest.send(Method::POST, PATH, &[], Vec::new()).await;
    post.expect_problem(405, "method_not_allowed");
    for broken in [
        UPGRADE.replace("Version: 13", "Version: 12"),
        UPGRADE.replace("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""),
        UPGRADE.replace("Upgrade: websocket", "Upgrade: h2c"),
    ] {
        let mut raw = Raw::open(&server.url).await;
        let head = raw.get(PATH, &broken).await;
        assert_eq!(head.status, 400, "{broken}: {head:?}");
        assert_eq!(raw.body(&head).await["code"], "malformed");
        raw.ended().await;
    }
    server.stop().await;
}

#[actix_web::test]
async fn an_upgrade_of_any_other_path_is_answered_as_if_it_was_not_asked_for() {
    let server = Server::start().await;
    for (path, status) in [("/healthz", 200), ("/v1/orders", 401), ("/nowhere", 404)] {
        let mut raw = Raw::open(&server.url).await;
        let head = raw.get(path, UPGRADE).await;
        assert_eq!(head.status, status, "{path}");
        raw.ended().await;
    }
    server.stop().await;
}

#[actix_web::test]
async fn what_comes_right_behind_the_handshake_is_taken() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let mut raw = Raw::open(&server.url).await;
    let mut bytes = raw.request(PATH, UPGRADE);
    let connect = json!({"id": 1, "connect": {"token": city.key}}).to_string();
    bytes.extend(client_frame(raw::TEXT, connect.as_bytes()));
    let subscribe = json!({"id": 2, "subscribe": {"channel": "tenant"}}).to_string();
    bytes.extend(client_frame(raw::TEXT, subscribe.as_bytes()));
    raw.send(&bytes).await;
    assert_eq!(raw.head().await.status, 101);
    assert!(raw.text().await["connect"]["client"].is_string());
    assert_eq!(raw.text().await["subscribe"]["recoverable"], true);
    server.stop().await;
}

#[actix_web::test]
async fn over_the_limit_of_sockets_the_handshake_is_refused_until_one_has_gone() {
    let server = Server::start_with(|config| config.socket.max_sockets = 2).await;
    let city = City::found(&server.url, &server.database).await;
    let first = Phone::connect(&server.url, &city.key).await;
    let _second = Phone::connect(&server.url, &city.key).await;
    let mut raw = Raw::open(&server.url).await;
    let head = raw.get(PATH, UPGRADE).await;
    assert_eq!((head.status, head.header("retry-after")), (503, Some("1")));
    assert_eq!(raw.body(&head).await["code"], "overloaded");
    raw.ended().await;
    // Other requests are served all the same.
    city.platform.get("/v1/orders").await.expect(200);
    first.drop_connection();
    until("a place to be free", async || (server.app().api().house.sockets() < 2).then_some(()))
        .await;
    Phone::connect(&server.url, &city.key).await;
    server.stop().await;
}
