//! Staying connected: pings, tokens that end and are renewed, and the end of the process.

use futures::future::join_all;
use ordercast::protocol::Codec;
use serde_json::json;
use tokio::time::Instant;

use crate::support::raw::{PING, PONG};
use crate::support::{
    Caller, City, Closed, Phone, Process, Raw, Scratch, Server, UPGRADE, client_frame, of,
};

async fn token(city: &City, kind: &str, subject: &str, ttl_s: u64) -> String {
    let body = json!({"kind": kind, "subject": subject, "ttl_s": ttl_s});
    let issued = city.platform.post("/v1/tokens", body).await.expect(201);
    issued["token"].as_str().unwrap().to_owned()
}

fn closed(code: u16, reason: &str) -> Closed {
    Closed { code: Some(code), reason: reason.to_owned() }
}

#[actix_web::test]
async fn who_answers_pings_stays_and_who_does_not_is_closed() {
    let server = Server::start_with(|config| {
        config.socket.ping_interval_s = of(1);
        config.socket.pong_timeout_s = of(2);
    })
    .await;
    let city = City::found(&server.url, &server.database).await;
    let mut silent = Phone::connect(&server.url, &city.key).await;
    silent.answers_pings = false;
    let mut alive = Phone::connect(&server.url, &city.key).await;
    // Together, as both must be read.
    let (end, ()) = futures::join!(silent.closed(), alive.hear_pings(4));
    assert_eq!(end, closed(3012, "no pong"));
    let reply = alive.ask(json!({"ping": {}})).await;
    assert_eq!(reply["error"]["code"], 108, "{reply}");
    server.stop().await;
}

#[actix_web::test]
async fn a_ping_that_stays_unanswered_counts_even_when_others_follow_it() {
    let server = Server::start_with(|config| {
        config.socket.ping_interval_s = of(1);
        config.socket.pong_timeout_s = of(2);
    })
    .await;
    let city = City::found(&server.url, &server.database).await;
    let mut silent = Phone::connect(&server.url, &city.key).await;
    silent.answers_pings = false;
    assert_eq!(silent.closed().await, closed(3012, "no pong"));
    assert!(silent.pings <= 4, "{} pings", silent.pings);
    server.stop().await;
}

#[actix_web::test]
async fn a_pong_that_waits_behind_slow_commands_is_in_time() {
    let server = Server::start_with(|config| {
        config.socket.ping_interval_s = of(1);
        config.socket.pong_timeout_s = of(1);
        config.socket.reply_timeout_ms = of(700);
    })
    .await;
    let city = City::found(&server.url, &server.database).await;
    let channel = format!("order:{}", city.order_id().await);
    let (mut alive, _) = Caller::connect(&server.url, Codec::Json, &city.key).await;
    let (mut silent, _) = Caller::connect(&server.url, Codec::Json, &city.key).await;
    let mut client = server.database.connect().await;
    let lock = client.transaction().await.unwrap();
    lock.batch_execute("lock table orders in access exclusive mode").await.unwrap();
    // More than four seconds of them.
    let subscribe = |id| json!({"id": id, "subscribe": {"channel": channel}});
    let commands: Vec<_> = (2..8).map(subscribe).collect();
    alive.say(&commands).await;
    silent.say(&commands).await;
    let mut pings = 0;
    for id in 2..8 {
        let reply = loop {
            match alive.hear().await {
                ping if ping == json!({}) => {
                    pings += 1;
                    alive.say(&[ping]).await;
                }
                reply => break reply,
            }
        };
        assert_eq!((&reply["id"], &reply["error"]["code"]), (&json!(id), &json!(100)));
    }
    assert!(pings > 1, "{pings} pings");
    lock.rollback().await.unwrap();
    // It lives on; who really is silent does not.
    while pings < 6 {
        assert_eq!(alive.hear().await, json!({}));
        alive.say(&[json!({})]).await;
        pings += 1;
    }
    let end = loop {
        if let Err(end) = silent.listen().await {
            break end;
        }
    };
    assert_eq!(end, closed(3012, "no pong"));
    server.stop().await;
}

#[actix_web::test]
async fn a_bare_tool_may_have_websockets_own_pings_instead() {
    let server = Server::start_with(|config| {
        config.socket.ping_interval_s = of(1);
        config.socket.pong_timeout_s = of(1);
    })
    .await;
    let city = City::found(&server.url, &server.database).await;
    let mut raw = Raw::open(&server.url).await;
    let path = "/connection/websocket?cf_ws_frame_ping_pong=true&format=json";
    assert_eq!(raw.get(path, UPGRADE).await.status, 101);
    raw.send_text(&json!({"id": 1, "connect": {"token": city.key}}).to_string()).await;
    let connect = raw.text().await["connect"].clone();
    assert!(connect.get("ping").is_none() && connect.get("pong").is_none(), "{connect}");
    for _ in 0..2 {
        assert_eq!(raw.frame().await.unwrap(), (PING, vec![]));
        raw.send(&client_frame(PONG, b"")).await;
    }
    assert_eq!(raw.frame().await.unwrap(), (PING, vec![]));
    assert_eq!(raw.closed().await, closed(3012, "no pong"));
    server.stop().await;
}

#[actix_web::test]
async fn a_connection_ends_with_its_token_unless_a_newer_one_comes() {
    let server = Server::start_with(|config| config.socket.expiry_grace_s = of(0)).await;
    let city = City::found(&server.url, &server.database).await;
    let short = token(&city, "ops", "ann", 3).await;
    let long = token(&city, "ops", "ann", 600).await;
    let mut renewing = Phone::connect(&server.url, &short).await;
    let mut ending = Phone::open(&server.url).await;
    let reply = ending.ask(json!({"connect": {"token": short}})).await;
    assert_eq!(reply["connect"]["expires"], true, "{reply}");
    assert!((1..=3).contains(&reply["connect"]["ttl"].as_u64().unwrap()), "{reply}");

    let reply = renewing.ask(json!({"refresh": {"token": long}})).await;
    let refresh = &reply["refresh"];
    assert!(refresh["client"].is_string() && refresh["version"].is_string(), "{reply}");
    assert_eq!(refresh["expires"], true);
    assert!((590..=600).contains(&refresh["ttl"].as_u64().unwrap()), "{reply}");

    assert_eq!(ending.closed().await, closed(3005, "connection expired"));
    let reply = renewing.rpc("nothing.such", json!({})).await;
    assert_eq!(reply["error"]["code"], 104, "{reply}");
    server.stop().await;
}

#[actix_web::test]
async fn a_token_awaited_within_the_grace_comes_in_time() {
    let server = Server::start_with(|config| config.socket.expiry_grace_s = of(30)).await;
    let city = City::found(&server.url, &server.database).await;
    let short = token(&city, "ops", "ann", 2).await;
    let mut phone = Phone::connect(&server.url, &short).await;
    crate::support::until("the token to expire", async || {
        let mut other = Phone::open(&server.url).await;
        let reply = other.ask(json!({"connect": {"token": short}})).await;
        (reply["error"]["code"] == 109).then_some(())
    })
    .await;
    let long = token(&city, "ops", "ann", 600).await;
    let reply = phone.ask(json!({"refresh": {"token": long}})).await;
    assert!(reply["refresh"]["client"].is_string(), "{reply}");
    server.stop().await;
}

#[actix_web::test]
async fn a_refresh_by_anyone_elses_token_or_a_dead_one_ends_the_connection() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let other_city = City::found(&server.url, &server.database).await;
    let own = token(&city, "ops", "ann", 600).await;
    let dead = token(&city, "ops", "ann", 1).await;
    let invalid = closed(3500, "invalid token");
    for (fresh, end) in [
        ("nonsense".to_owned(), invalid.clone()),
        (String::new(), invalid.clone()),
        (token(&city, "ops", "bob", 600).await, invalid.clone()),
        (token(&city, "store", &city.store, 600).await, invalid.clone()),
        (token(&other_city, "ops", "ann", 600).await, invalid),
        (dead.clone(), closed(3005, "connection expired")),
    ] {
        if fresh == dead {
            crate::support::until("the token to expire", async || {
                let answer = city.platform.with_token(&dead).get("/v1/orders").await;
                (answer.status == 401).then_some(())
            })
            .await;
        }
        let mut phone = Phone::connect(&server.url, &own).await;
        phone.send(json!({"refresh": {"token": fresh}})).await;
        assert_eq!(phone.closed().await, end, "{fresh}");
    }
    server.stop().await;
}

#[actix_web::test]
async fn a_newer_token_that_names_an_order_no_more_ends_its_subscription() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let (kept, gone) = (city.order_id().await, city.order_id().await);
    let both = city.token("customer", "customer-1", &[&kept, &gone]).await;
    let fewer = city.token("customer", "customer-1", &[&kept]).await;
    let mut phone = Phone::connect(&server.url, &both).await;
    phone.subscribe(&format!("order:{kept}")).await;
    phone.subscribe(&format!("order:{gone}")).await;
    let reply = phone.ask(json!({"refresh": {"token": fewer}})).await;
    assert!(reply["refresh"].is_object(), "{reply}");
    let end = json!({"code": 2000, "reason": "server unsubscribe"});
    assert_eq!(phone.push().await, json!({"channel": format!("order:{gone}"), "unsubscribe": end}));
    for order in [&gone, &kept] {
        city.act(&city.platform, order, "accept", json!({})).await;
    }
    assert_eq!(phone.event().await["order"], kept.as_str());
    server.stop().await;
}

#[actix_web::test]
async fn a_process_that_is_asked_to_stop_says_so_on_every_socket_and_exits() {
    let database = Scratch::create().await;
    let process = Process::serve(&database).await;
    let url = process.url.clone();
    let city = City::found(&url, &database).await;
    let phones = join_all((0..120).map(|_| Phone::connect(&url, &city.key))).await;
    // These never answer the close: they must not hold the process up for long.
    let mut deaf = join_all((0..3).map(|_| Raw::upgraded(&url))).await;
    let since = Instant::now();
    let exit = actix_web::rt::task::spawn_blocking(move || process.terminate());
    let ends =
        join_all(phones.into_iter().map(|mut phone| async move { phone.closed().await })).await;
    for end in ends {
        assert_eq!(end, closed(3001, "shutdown"));
    }
    for raw in &mut deaf {
        assert_eq!(raw.closed().await, closed(3001, "shutdown"));
    }
    assert_eq!(exit.await.unwrap(), Some(0));
    // close_timeout_s is 5, shutdown_timeout_s is 10.
    assert!(since.elapsed().as_secs() < 14, "{:?}", since.elapsed());
}
