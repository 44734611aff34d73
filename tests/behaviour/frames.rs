//! The frames of WebSocket itself: put together, refused, answered.

use serde_json::json;
use tokio::time::Instant;

use crate::support::raw::{BINARY, CLOSE, PING, PONG, TEXT};
use crate::support::{City, PATIENCE, Raw, Server, client_frame, of};

fn connect(city: &City) -> String {
    json!({"id": 1, "connect": {"token": city.key}}).to_string()
}

#[actix_web::test]
async fn a_frame_that_announces_too_much_is_refused_before_it_comes() {
    let server = Server::start().await;
    let mut raw = Raw::upgraded(&server.url).await;
    // A gigabyte is announced; what is sent are the header and its mask.
    let mut header = vec![TEXT, 0xff];
    header.extend((1_u64 << 30).to_be_bytes());
    header.extend([1, 2, 3, 4]);
    assert_eq!(header.len(), 14);
    raw.send(&header).await;
    let closed = raw.closed().await;
    assert_eq!((closed.code, closed.reason.as_str()), (Some(1009), "message too big"));
    server.stop().await;
}

#[actix_web::test]
async fn a_message_may_be_as_long_as_the_limit_and_not_a_byte_longer() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let limit = 65_536;
    let padded = |length: usize| {
        let mut text = connect(&city);
        text.extend(std::iter::repeat_n(' ', length - text.len()));
        text
    };
    let mut raw = Raw::upgraded(&server.url).await;
    raw.send_text(&padded(limit)).await;
    assert!(raw.text().await["connect"]["client"].is_string());
    let mut raw = Raw::upgraded(&server.url).await;
    raw.send_text(&padded(limit + 1)).await;
    assert_eq!(raw.closed().await.code, Some(1009));
    // The limit is the message's, however many frames it is cut into.
    let mut raw = Raw::upgraded(&server.url).await;
    let text = padded(limit + 1);
    let (start, end) = text.as_bytes().split_at(limit / 2);
    raw.send(&client_frame(0x01, start)).await;
    raw.send(&client_frame(0x80, end)).await;
    assert_eq!(raw.closed().await.code, Some(1009));
    server.stop().await;
}

#[actix_web::test]
async fn a_message_in_fragments_is_one_message_and_pings_between_them_are_answered() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let mut raw = Raw::upgraded(&server.url).await;
    let text = connect(&city);
    let (start, rest) = text.as_bytes().split_at(10);
    let (middle, end) = rest.split_at(20);
    raw.send(&client_frame(0x01, start)).await;
    raw.send(&client_frame(PING, b"are you there")).await;
    assert_eq!(raw.frame().await.unwrap(), (PONG, b"are you there".to_vec()));
    raw.send(&client_frame(0x00, middle)).await;
    raw.send(&client_frame(0x80, end)).await;
    assert!(raw.text().await["connect"]["client"].is_string());
    server.stop().await;
}

#[actix_web::test]
async fn a_client_that_sends_byte_by_byte_is_understood() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let mut raw = Raw::open(&server.url).await;
    let mut bytes = raw.request("/connection/websocket", crate::support::UPGRADE);
    bytes.extend(client_frame(TEXT, connect(&city).as_bytes()));
    for byte in bytes {
        raw.send(&[byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(raw.head().await.status, 101);
    assert!(raw.text().await["connect"]["client"].is_string());
    server.stop().await;
}

#[actix_web::test]
async fn broken_frames_are_closed_with_what_is_wrong_about_them() {
    let server = Server::start().await;
    let cases: [(&str, Vec<u8>, u16, &str); 6] = [
        ("unmasked", b"\x81\x02{}".to_vec(), 1002, "protocol error"),
        ("a reserved bit", client_frame(0xc1, b"{}"), 1002, "protocol error"),
        ("an unknown opcode", client_frame(0x83, b"{}"), 1002, "protocol error"),
        ("nothing to continue", client_frame(0x80, b"{}"), 1002, "protocol error"),
        ("not UTF-8", client_frame(TEXT, b"{\"id\":\"\xc3\x28\"}"), 1007, "text is not UTF-8"),
        ("binary", client_frame(BINARY, b"{}"), 3506, "inappropriate protocol"),
    ];
    for (what, bytes, code, reason) in cases {
        let mut raw = Raw::upgraded(&server.url).await;
        raw.send(&bytes).await;
        let closed = raw.closed().await;
        assert_eq!((closed.code, closed.reason.as_str()), (Some(code), reason), "{what}");
    }
    server.stop().await;
}

#[actix_web::test]
async fn a_close_is_answered_with_its_code_and_then_the_connection_ends_at_once() {
    // Longer than the test would wait.
    let server = Server::start_with(|config| config.socket.close_timeout_s = of(30)).await;
    let city = City::found(&server.url, &server.database).await;
    for (payload, code) in [(&b"\x03\xe8bye"[..], 1000), (b"", 1000), (b"\x0f\xa1", 4001)] {
        let mut raw = Raw::upgraded(&server.url).await;
        raw.send_text(&connect(&city)).await;
        assert!(raw.text().await["connect"]["client"].is_string());
        raw.send(&client_frame(CLOSE, payload)).await;
        assert_eq!(raw.closed().await.code, Some(code));
        // The server is the one to end it (RFC 6455, section 7.1.1): browsers wait for that.
        raw.ended().await;
    }
    server.stop().await;
}

#[actix_web::test]
async fn a_client_that_never_answers_a_close_is_let_go_all_the_same() {
    let server = Server::start_with(|config| config.socket.close_timeout_s = of(1)).await;
    let mut raw = Raw::upgraded(&server.url).await;
    raw.send_text("nonsense").await;
    assert_eq!(raw.closed().await.code, Some(3501));
    let since = Instant::now();
    raw.ended().await;
    assert!(since.elapsed() < PATIENCE / 2, "{:?}", since.elapsed());
    server.stop().await;
}
