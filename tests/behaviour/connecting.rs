//! The first command of a connection: who is let in, and what ends it at once.

use actix_http::ws::Message;
use jiff::{SignedDuration, Timestamp};
use ordercast::auth::{Grant, Keys};
use ordercast::domain::{Role, TenantId};
use serde_json::{Value, json};

use crate::support::{City, Phone, SECRET, Server, of};

/// A dispatcher's token that expires in, or expired before, so many seconds.
fn token(secret: &str, tenant: &str, expires_in: i64) -> String {
    let now = Timestamp::now();
    let grant = Grant {
        tenant: tenant.parse::<TenantId>().unwrap(),
        role: Role::Ops,
        subject: "ann".to_owned(),
        orders: vec![],
        info: None,
        expires_at: now + SignedDuration::from_secs(expires_in),
    };
    Keys::new(secret).issue(&grant, now).unwrap()
}

#[actix_web::test]
async fn connect_and_subscribe_may_come_in_one_message() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let mut phone = Phone::open(&server.url).await;
    let connect = json!({"id": 1, "connect": {"token": city.customer_token(&order).await,
        "name": "js", "version": "5.8.0", "data": {"a": 1}, "flag": 7, "unknown": [1]}});
    let first = json!({"id": 2, "subscribe": {"channel": format!("order:{order}"), "flag": 1}});
    let second = json!({"id": 3, "subscribe": {"channel": "nowhere"}});
    phone.send_text(&format!("{connect}\n{first}\n{second}\n")).await;
    let reply = phone.reply(1).await;
    assert!(reply["connect"]["client"].is_string(), "{reply}");
    assert_eq!((&reply["connect"]["ping"], &reply["connect"]["pong"]), (&json!(25), &json!(true)));
    assert_eq!(reply["connect"]["expires"], true);
    assert!((3_590..=3_600).contains(&reply["connect"]["ttl"].as_u64().unwrap()), "{reply}");
    assert_eq!(phone.reply(2).await["subscribe"]["data"]["order"]["id"], order.as_str());
    assert_eq!(phone.reply(3).await["error"]["code"], 102);
    server.stop().await;
}

#[actix_web::test]
async fn an_api_key_connects_for_as_long_as_it_likes() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let mut phone = Phone::open(&server.url).await;
    let reply = phone.ask(json!({"connect": {"token": city.key}})).await;
    assert!(reply["connect"].get("expires").is_none(), "{reply}");
    assert!(reply["connect"].get("ttl").is_none(), "{reply}");
    server.stop().await;
}

#[actix_web::test]
async fn nothing_but_a_connect_may_come_first() {
    let server = Server::start().await;
    for command in [
        json!({"subscribe": {"channel": "tenant"}}),
        json!({"unsubscribe": {"channel": "tenant"}}),
        json!({"publish": {"channel": "tenant", "data": {}}}),
        json!({"presence": {"channel": "tenant"}}),
        json!({"presence_stats": {"channel": "tenant"}}),
        json!({"history": {"channel": "tenant"}}),
        json!({"ping": {}}),
        json!({"send": {"data": {}}}),
        json!({"rpc": {"method": "order.accept", "data": {}}}),
        json!({"refresh": {"token": "x"}}),
        json!({"sub_refresh": {"channel": "tenant", "token": "x"}}),
    ] {
        let mut phone = Phone::open(&server.url).await;
        phone.send(command.clone()).await;
        let closed = phone.closed().await;
        assert_eq!((closed.code, closed.reason.as_str()), (Some(3501), "bad request"), "{command}");
    }
    server.stop().await;
}

#[actix_web::test]
async fn a_second_connect_ends_the_connection() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let mut phone = Phone::connect(&server.url, &city.key).await;
    phone.send(json!({"connect": {"token": city.key}})).await;
    assert_eq!(phone.closed().await.code, Some(3501));
    server.stop().await;
}

#[actix_web::test]
async fn a_message_that_cannot_be_read_ends_the_connection_and_none_of_it_is_done() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let accept = json!({"id": 7, "rpc": {"method": "order.accept", "data": {"order": order}}});
    let many = vec![r#"{"id":1,"ping":{}}"#; 257].join("\n");
    for message in [
        "",
        "\n",
        " ",
        "nonsense",
        r#"{"id":1"#,
        "[]",
        "7",
        "null",
        r#"{"id":1}"#,
        r#"{"subscribe":{"channel":"tenant"}}"#,
        r#"{"id":-1,"ping":{}}"#,
        r#"{"id":1,"subscribe":{"channel":7}}"#,
        r#"{"id":1,"subscribe":{"channel":""}}"#,
        r#"{"id":1,"subscribe":{"channel":"tenant","recover":true,"offset":9007199254740992}}"#,
        &format!("{accept}\nnonsense"),
        &many,
    ] {
        let mut phone = Phone::connect(&server.url, &city.key).await;
        phone.send_text(message).await;
        let closed = phone.closed().await;
        assert_eq!((closed.code, closed.reason.as_str()), (Some(3501), "bad request"), "{message}");
    }
    let view = city.platform.get(&format!("/v1/orders/{order}")).await.expect(200);
    assert_eq!(view["status"], "placed");
    server.stop().await;
}

#[actix_web::test]
async fn a_binary_message_is_not_what_this_socket_speaks() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let mut phone = Phone::connect(&server.url, &city.key).await;
    phone.send_raw(Message::Binary(vec![0].into())).await;
    assert_eq!(phone.closed().await.code, Some(3506));
    server.stop().await;
}

#[actix_web::test]
async fn a_token_that_is_none_of_ours_ends_the_connection_for_good() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let other = token("another secret of at least 32 bytes", &city.tenant, 60);
    let unknown_key = format!("ock_{}", "0".repeat(64));
    for (token, code, reason) in [
        ("nonsense", 3500, "invalid token"),
        (other.as_str(), 3500, "invalid token"),
        (unknown_key.as_str(), 3500, "invalid token"),
        ("", 3501, "bad request"),
    ] {
        let mut phone = Phone::open(&server.url).await;
        phone.send(json!({"connect": {"token": token}})).await;
        // No reply comes first: a disconnect is the whole answer.
        let closed = phone.closed().await;
        assert_eq!((closed.code, closed.reason.as_str()), (Some(code), reason), "{token:?}");
    }
    let mut phone = Phone::open(&server.url).await;
    phone.send(json!({"connect": {}})).await;
    assert_eq!(phone.closed().await.code, Some(3501));
    server.stop().await;
}

#[actix_web::test]
async fn an_expired_token_is_told_so_and_then_nothing_more_is_done() {
    let server = Server::start_with(|config| config.socket.stale_timeout_s = of(1)).await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let expired = token(SECRET, &city.tenant, -1);
    let mut phone = Phone::open(&server.url).await;
    let connect = json!({"id": 1, "connect": {"token": expired}});
    let accept = json!({"id": 2, "rpc": {"method": "order.accept", "data": {"order": order}}});
    let again = json!({"id": 3, "connect": {"token": city.key}});
    phone.send_text(&format!("{connect}\n{accept}")).await;
    let error = json!({"code": 109, "message": "token expired"});
    assert_eq!(phone.reply(1).await["error"], error);
    phone.send_text(&again.to_string()).await;
    phone.send_text(&accept.to_string()).await;
    assert_eq!(phone.closed().await.code, Some(3502));
    assert!(phone.unread().is_empty(), "{:?}", phone.unread());
    let view = city.platform.get(&format!("/v1/orders/{order}")).await.expect(200);
    assert_eq!(view["status"], "placed");
    server.stop().await;
}

#[actix_web::test]
async fn a_connect_that_names_more_subscriptions_than_one_can_have_is_refused_before_its_token() {
    let server = Server::start_with(|config| config.socket.max_subscriptions = 2).await;
    let city = City::found(&server.url, &server.database).await;
    let subs = |count: u32| -> Value {
        (0..count)
            .map(|nth| (format!("#{nth}"), json!({})))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    // The same for a token that nobody has looked at.
    for token in [city.key.as_str(), "nonsense"] {
        let mut phone = Phone::open(&server.url).await;
        let reply = phone.ask(json!({"connect": {"token": token, "subs": subs(3)}})).await;
        assert_eq!(reply["error"], json!({"code": 106, "message": "limit exceeded"}), "{reply}");
    }
    let mut phone = Phone::open(&server.url).await;
    let reply = phone.ask(json!({"connect": {"token": city.key, "subs": subs(2)}})).await;
    assert!(reply["connect"]["client"].is_string(), "{reply}");
    server.stop().await;
}

#[actix_web::test]
async fn a_socket_that_says_nothing_is_closed_as_stale() {
    let server = Server::start_with(|config| config.socket.stale_timeout_s = of(1)).await;
    let city = City::found(&server.url, &server.database).await;
    let mut silent = Phone::open(&server.url).await;
    let mut connected = Phone::connect(&server.url, &city.key).await;
    let closed = silent.closed().await;
    assert_eq!((closed.code, closed.reason.as_str()), (Some(3502), "stale"));
    // A pong is no connect.
    let mut ponging = Phone::open(&server.url).await;
    ponging.send_text("{}").await;
    assert_eq!(ponging.closed().await.code, Some(3502));
    // Who has connected may stay, whatever it says.
    let reply: Value = connected.ask(json!({"ping": {}})).await;
    assert_eq!(reply["error"]["code"], 108);
    server.stop().await;
}
