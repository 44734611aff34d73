//! `/connection/uni_websocket`: a socket for bare tools, which say who they are and then only
//! listen.

use awc::http::Method;
use serde_json::{Value, json};

use crate::support::raw::{BINARY, PING, PONG, TEXT};
use crate::support::{City, Phone, Raw, Rest, Server, UPGRADE, client_frame, encoded, of};

const PATH: &str = "/connection/uni_websocket";

async fn open(url: &str) -> Raw {
    let mut raw = Raw::open(url).await;
    assert_eq!(raw.get(PATH, UPGRADE).await.status, 101);
    raw
}

/// Opens, and sends the connect as the first message.
async fn listen(url: &str, connect: &Value) -> Raw {
    let mut raw = open(url).await;
    raw.send_text(&connect.to_string()).await;
    raw
}

async fn expired_token(city: &City) -> String {
    let body = json!({"kind": "ops", "subject": "ann", "ttl_s": 1});
    let issued = city.platform.post("/v1/tokens", body).await.expect(201);
    let token = issued["token"].as_str().unwrap().to_owned();
    let rest = city.platform.with_token(&token);
    crate::support::until("the token to expire", async || {
        (rest.get("/v1/orders").await.status == 401).then_some(())
    })
    .await;
    token
}

#[actix_web::test]
async fn the_first_message_connects_and_names_channels_and_bare_pushes_follow() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let token = city.ops_token().await;
    let mut phone = Phone::connect(&server.url, &token).await;
    let seen = phone.subscribe("dispatch").await;
    let connect = json!({"token": token, "subs": {"dispatch": {}}, "name": "websocat", "x": 1});
    let mut raw = listen(&server.url, &connect).await;
    let connected = raw.text().await["connect"].clone();
    assert!(connected["client"].is_string(), "{connected}");
    assert_eq!((&connected["ping"], connected.get("pong")), (&json!(25), None));
    assert_eq!((&connected["expires"], connected.get("session")), (&json!(true), None));
    let expected = json!({"dispatch": {
        "recoverable": true, "positioned": true, "offset": seen["offset"], "epoch": seen["epoch"],
    }});
    assert_eq!(connected["subs"], expected);
    city.act(&city.platform, &order, "accept", json!({})).await;
    for _ in 0..2 {
        assert_eq!(raw.text().await, phone.push().await);
    }

    // Whatever it says now is nothing to us, be it a command, a connect or no JSON at all.
    raw.send_text(r#"{"id":1,"rpc":{"method":"order.ready","data":{}}}"#).await;
    raw.send_text(&json!({"token": "nonsense"}).to_string()).await;
    raw.send_text("nonsense").await;
    raw.send(&client_frame(BINARY, b"\0")).await;
    city.act(&city.platform, &order, "ready", json!({})).await;
    assert_eq!(raw.text().await["pub"]["data"]["type"], "order.ready");

    // It comes back with where it stood.
    let position = json!({"recover": true, "offset": seen["offset"], "epoch": seen["epoch"]});
    let connect = json!({"token": token, "subs": {"dispatch": position}});
    let mut back = listen(&server.url, &connect).await;
    let again = back.text().await["connect"]["subs"]["dispatch"].clone();
    assert_eq!((&again["recovered"], &again["offset"]), (&json!(true), &seen["offset"]));
    let kinds: Vec<_> = again["publications"].as_array().unwrap().iter().collect();
    let kinds: Vec<_> = kinds.iter().map(|it| it["data"]["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["order.accepted", "order.preparing", "order.ready"]);
    city.act(&city.platform.with_token(&token), &order, "unready", json!({})).await;
    assert_eq!(back.text().await["pub"]["data"]["type"], "order.unready");
    // Another log: where it stands, and that nothing was recovered.
    let position = json!({"recover": true, "offset": 1, "epoch": "another"});
    let connect = json!({"token": token, "subs": {"dispatch": position}});
    let again = listen(&server.url, &connect).await.text().await;
    let again = &again["connect"]["subs"]["dispatch"];
    assert_eq!((again.get("recovered"), &again["was_recovering"]), (None, &json!(true)), "{again}");
    server.stop().await;
}

#[actix_web::test]
async fn a_filter_and_the_personal_feed_work_as_on_other_sockets() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let elsewhere = city.new_store(json!({})).await;
    let (order, token) = (city.order_id().await, city.ops_token().await);
    let filter = json!({"data": {"store": elsewhere}});
    let connect = json!({"token": token, "subs": {"dispatch": filter}});
    let mut filtered = listen(&server.url, &connect).await;
    filtered.text().await;
    let customer = city.customer_token(&order).await;
    let connect = json!({"token": customer, "data": {"personal": true}});
    let mut personal = listen(&server.url, &connect).await;
    let connected = personal.text().await;
    assert!(connected["connect"]["subs"]["#customer-1"].is_object(), "{connected}");
    city.act(&city.platform, &order, "accept", json!({})).await;
    let push = personal.text().await;
    assert_eq!((&push["channel"], &push["pub"]["data"]["n"]), (&json!("#customer-1"), &json!(2)));
    let other = city.order(json!({"store": elsewhere})).await;
    assert_eq!(filtered.text().await["pub"]["data"]["order"], other["id"]);
    server.stop().await;
}

#[actix_web::test]
async fn what_is_wrong_with_a_connect_is_told_by_the_close() {
    let server = Server::start_with(|config| config.socket.max_subscriptions = 2).await;
    let city = City::found(&server.url, &server.database).await;
    let other = City::found(&server.url, &server.database).await;
    let (order, foreign) = (city.order_id().await, other.order_id().await);
    let (token, expired) = (city.ops_token().await, expired_token(&city).await);
    let customer = city.customer_token(&order).await;
    let courier = city.driver_token().await;
    let subs =
        |token: &str, channel: &str, ask: Value| json!({"token": token, "subs": {channel: ask}});
    let on = |id: &str| format!("order:{id}");
    let second = on(&city.order_id().await);
    let many = json!({"token": token, "subs": {"dispatch": {}, on(&order): {}, second: {}}});
    for (connect, code, reason) in [
        (json!({"token": "nonsense"}), 3500, "invalid token"),
        (json!({}), 3501, "bad request"),
        (json!([]), 3501, "bad request"),
        (json!({"token": 7}), 3501, "bad request"),
        (json!({"token": expired}), 3005, "connection expired"),
        (subs(&token, "nowhere", json!({})), 3507, "permission denied"),
        (subs(&token, "tenant", json!({})), 3507, "permission denied"),
        (subs(&customer, &on(&foreign), json!({})), 3507, "permission denied"),
        // Another tenant's, which a name alone does not tell.
        (subs(&token, &on(&foreign), json!({})), 3507, "permission denied"),
        (subs(&token, &on(&foreign), json!({"recover": true})), 3507, "permission denied"),
        // A courier who does not have the order.
        (subs(&courier, &on(&order), json!({})), 3507, "permission denied"),
        (subs(&token, "dispatch", json!({"data": {"store": "x"}})), 3501, "bad request"),
        (many, 3505, "channel limit"),
    ] {
        let closed = listen(&server.url, &connect).await.closed().await;
        assert_eq!((closed.code, closed.reason.as_str()), (Some(code), reason), "{connect}");
    }
    let mut raw = open(&server.url).await;
    raw.send_text("nonsense").await;
    assert_eq!(raw.closed().await.code, Some(3501));
    // Nobody is seen where it was not let in.
    let mut phone = Phone::connect(&server.url, &other.key).await;
    let ask = json!({"presence_stats": {"channel": on(&foreign)}});
    assert_eq!(phone.ask(ask).await["presence_stats"]["num_clients"], 0);
    server.stop().await;
}

#[actix_web::test]
async fn a_connect_may_stand_in_the_address_but_a_token_only_in_a_header() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let token = city.ops_token().await;
    let header = format!("{UPGRADE}Authorization: Bearer {token}\r\n");
    let connect = encoded(r#"{"subs":{"dispatch":{}}}"#);
    let mut raw = Raw::open(&server.url).await;
    let path = format!("{PATH}?cf_connect={connect}");
    assert_eq!(raw.get(&path, &header).await.status, 101);
    assert!(raw.text().await["connect"]["subs"]["dispatch"].is_object());
    city.act(&city.platform, &order, "accept", json!({})).await;
    assert_eq!(raw.text().await["pub"]["data"]["type"], "order.accepted");
    // The header serves the first message as well.
    let mut raw = Raw::open(&server.url).await;
    assert_eq!(raw.get(PATH, &header).await.status, 101);
    raw.send_text("{}").await;
    assert!(raw.text().await["connect"]["client"].is_string());
    // Without either nobody has said who it is.
    let mut raw = Raw::open(&server.url).await;
    assert_eq!(raw.get(&path, UPGRADE).await.status, 101);
    assert_eq!(raw.closed().await.code, Some(3501));
    let with_token = json!({"token": token}).to_string();
    for text in [with_token.as_str(), "nonsense", "[]", ""] {
        let mut raw = Raw::open(&server.url).await;
        let head = raw.get(&format!("{PATH}?cf_connect={}", encoded(text)), &header).await;
        assert_eq!(head.status, 400, "{text}");
        assert_eq!(raw.body(&head).await["code"], "malformed", "{text}");
    }
    let rest = Rest::new(&server.url, Some(&token));
    rest.get(PATH).await.expect_problem(400, "malformed");
    let post = rest.send(Method::POST, PATH, &[], vec![]).await;
    post.expect_problem(405, "method_not_allowed");
    let mut raw = Raw::open(&server.url).await;
    let head = raw.get(PATH, &format!("{header}Origin: https://evil.example\r\n")).await;
    assert_eq!(head.status, 403);
    server.stop().await;
}

#[actix_web::test]
async fn pings_are_bare_and_need_no_answer_unless_they_are_websockets_own() {
    let server = Server::start_with(|config| {
        config.socket.ping_interval_s = of(1);
        config.socket.pong_timeout_s = of(1);
    })
    .await;
    let city = City::found(&server.url, &server.database).await;
    let connect = json!({"token": city.key}).to_string();
    let mut raw = open(&server.url).await;
    raw.send_text(&connect).await;
    assert_eq!(raw.text().await["connect"]["ping"], 1);
    for _ in 0..3 {
        assert_eq!(raw.frame().await.unwrap(), (TEXT, b"{}".to_vec()));
    }
    let mut native = Raw::open(&server.url).await;
    let path = format!("{PATH}?cf_ws_frame_ping_pong=true");
    assert_eq!(native.get(&path, UPGRADE).await.status, 101);
    native.send_text(&connect).await;
    assert_eq!(native.text().await["connect"].get("ping"), None);
    for _ in 0..2 {
        assert_eq!(native.frame().await.unwrap(), (PING, vec![]));
        native.send(&client_frame(PONG, b"")).await;
    }
    assert_eq!(native.closed().await.code, Some(3012));
    server.stop().await;
}

#[actix_web::test]
async fn it_ends_with_its_token_at_once_as_it_cannot_bring_a_newer_one() {
    let server = Server::start_with(|config| config.socket.expiry_grace_s = of(300)).await;
    let city = City::found(&server.url, &server.database).await;
    let body = json!({"kind": "ops", "subject": "ann", "ttl_s": 2});
    let issued = city.platform.post("/v1/tokens", body).await.expect(201);
    let mut raw = listen(&server.url, &json!({"token": issued["token"]})).await;
    assert_eq!(raw.text().await["connect"]["expires"], true);
    assert_eq!(raw.closed().await.code, Some(3005));
    server.stop().await;
}

#[actix_web::test]
async fn who_says_nothing_is_closed_as_on_other_sockets() {
    let server = Server::start_with(|config| config.socket.stale_timeout_s = of(1)).await;
    assert_eq!(open(&server.url).await.closed().await.code, Some(3502));
    let mut raw = open(&server.url).await;
    raw.send(&client_frame(crate::support::raw::CLOSE, &1000_u16.to_be_bytes())).await;
    assert_eq!(raw.closed().await.code, Some(1000));
    server.stop().await;
}
