//! The state of things and what follows, or exactly what was missed.

use std::cell::Cell;
use std::rc::Rc;

use actix_web::rt;
use serde_json::json;

use crate::support::{City, Phone, Server, Stream, forget};

/// The newest position of the log.
async fn top(city: &City) -> u64 {
    city.platform.get("/v1/events?limit=1000").await.expect(200)["next"].as_u64().unwrap()
}

#[actix_web::test]
async fn a_first_visit_starts_from_the_state_of_things_as_a_subscribe_does() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let channels = [
        (format!("order:{order}"), city.customer_token(&order).await),
        (format!("store:{}", city.store), city.store_token().await),
        (format!("driver:{}", city.driver), city.driver_token().await),
        ("dispatch".to_owned(), city.ops_token().await),
        ("tenant".to_owned(), city.key.clone()),
    ];
    let mut following = Vec::new();
    for (channel, token) in &channels {
        let mut phone = Phone::connect(&server.url, token).await;
        let reply = phone.subscribe(channel).await;
        let query = format!("channel={channel}");
        let mut stream = Stream::follow(&server.url, token, &query, "").await;
        assert_eq!(stream.head.status, 200, "{:?}", stream.head);
        for (name, value) in [
            ("content-type", "text/event-stream; charset=utf-8"),
            ("cache-control", "private, no-cache, no-store, no-transform"),
            ("x-accel-buffering", "no"),
        ] {
            assert_eq!(stream.head.header(name), Some(value));
        }
        assert_eq!(stream.head.header("content-encoding"), None);
        let first = stream.block().await.unwrap();
        assert!((1_000..=5_000).contains(&first.retry.unwrap()), "{first:?}");
        let snapshot = stream.event("snapshot").await;
        let id = format!("{}:{}", reply["epoch"].as_str().unwrap(), reply["offset"]);
        assert_eq!(snapshot.id, Some(id));
        let (mut given, mut subscribed) = (snapshot.json(), reply["data"].clone());
        // Each says when it was read.
        assert!(given["at"].take().is_string() && subscribed["at"].take().is_string());
        assert_eq!(given, subscribed, "{channel}");
        following.push((phone, stream));
    }
    // And goes on as a subscription does, to the end of the order.
    city.act(&city.platform, &order, "accept", json!({})).await;
    city.assign(&order).await;
    let courier = city.platform.with_token(&city.driver_token().await);
    city.act(&courier, &order, "pickup", json!({})).await;
    city.act(&courier, &order, "deliver", json!({})).await;
    for (phone, stream) in &mut following {
        loop {
            let event = phone.event().await;
            assert_eq!(stream.envelope().await, event);
            if event["type"] == "order.delivered" {
                break;
            }
        }
    }
    server.stop().await;
}

#[actix_web::test]
async fn who_comes_back_is_sent_what_it_missed_and_no_snapshot() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let (query, token) = (format!("channel=order:{order}"), city.customer_token(&order).await);
    let mut staying = Phone::connect(&server.url, &token).await;
    staying.subscribe(&format!("order:{order}")).await;
    let mut leaving = Stream::follow(&server.url, &token, &query, "").await;
    leaving.event("snapshot").await;
    let left_at = leaving.last_id.clone();
    drop(leaving);
    let other = city.order_id().await;
    city.act(&city.platform, &order, "accept", json!({})).await;
    city.act(&city.platform, &other, "accept", json!({})).await;
    city.act(&city.platform, &order, "ready", json!({})).await;
    let missed = [staying.event().await, staying.event().await, staying.event().await];
    let mut back = Stream::follow(&server.url, &token, &query, &left_at).await;
    for event in &missed {
        assert_eq!(back.envelope().await, *event);
    }
    city.assign(&order).await;
    assert_eq!(back.envelope().await, staying.event().await);

    // For tools that cannot set the header there is the query; a browser's header is newer.
    let epoch = left_at.rsplit_once(':').unwrap().0.to_owned();
    let tool = format!("{query}&last_event_id={left_at}");
    let mut tool_back = Stream::follow(&server.url, &token, &tool, "").await;
    assert_eq!(tool_back.envelope().await, missed[0]);
    let newer = format!("{epoch}:{}", missed[1]["position"]);
    let mut newer_back = Stream::follow(&server.url, &token, &tool, &newer).await;
    assert_eq!(newer_back.envelope().await, missed[2]);

    // Nothing was missed: it is told where the log stands, so that it has not to be read again.
    let now = format!("{epoch}:{}", top(&city).await);
    city.act(&city.platform, &other, "ready", json!({})).await;
    let mut quiet = Stream::follow(&server.url, &token, &query, &now).await;
    assert!(quiet.block().await.unwrap().retry.is_some());
    let stands = quiet.block().await.unwrap();
    assert_eq!((stands.position(), stands.data), (top(&city).await, None));
    let ops = city.platform.with_token(&city.ops_token().await);
    city.act(&ops, &order, "unready", json!({})).await;
    assert_eq!(quiet.envelope().await["type"], "order.unready");
    server.stop().await;
}

#[actix_web::test]
async fn what_cannot_be_resumed_starts_from_a_snapshot() {
    let server = Server::start_with(|config| {
        config.socket.recovery_limit = 3;
        // Memory would hold what is deleted below.
        config.feed.window_len = 0;
    })
    .await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let (query, token) = (format!("channel=order:{order}"), city.customer_token(&order).await);
    let mut stream = Stream::follow(&server.url, &token, &query, "").await;
    let seen = stream.event("snapshot").await;
    let epoch = seen.id.as_ref().unwrap().rsplit_once(':').unwrap().0;
    city.act(&city.platform, &order, "accept", json!({})).await;
    city.act(&city.platform, &order, "ready", json!({})).await;
    let from = seen.position();
    // Three is as many as there may be.
    let mut back = Stream::follow(&server.url, &token, &query, &format!("{epoch}:{from}")).await;
    assert_eq!(back.envelope().await["n"], 2);
    city.assign(&order).await;
    let now = top(&city).await;
    for (why, last) in [
        ("too much was missed", format!("{epoch}:{from}")),
        ("another log", format!("another:{now}")),
        ("ahead of the log", format!("{epoch}:{}", now + 1)),
    ] {
        let mut back = Stream::follow(&server.url, &token, &query, &last).await;
        let snapshot = back.event("snapshot").await;
        assert_eq!(snapshot.id, Some(format!("{epoch}:{now}")), "{why}");
        assert_eq!(snapshot.json()["order"]["version"], 5, "{why}");
    }
    // The log does not reach back any more.
    let client = server.database.connect().await;
    let cut = i64::try_from(now - 1).unwrap();
    forget(&client, cut).await;
    let last = format!("{epoch}:{}", now - 2);
    let mut back = Stream::follow(&server.url, &token, &query, &last).await;
    assert_eq!(back.event("snapshot").await.position(), now);
    let last = format!("{epoch}:{}", now - 1);
    let mut back = Stream::follow(&server.url, &token, &query, &last).await;
    assert_eq!(back.envelope().await["position"], now);
    server.stop().await;
}

#[actix_web::test]
async fn coming_back_in_the_middle_of_changes_leaves_no_gap_and_repeats_nothing() {
    // The writers are quick, and each must find all that it missed.
    let server = Server::start_with(|config| config.socket.recovery_limit = 10_000).await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let stop = Rc::new(Cell::new(false));
    let writers: Vec<_> = (0..3)
        .map(|writer| {
            let (city, order, stop) = (city.clone(), order.clone(), Rc::clone(&stop));
            rt::spawn(async move {
                let mut nth = 0_u64;
                while !stop.get() {
                    nth += 1;
                    let note = json!({"note": format!("{writer} {nth}")});
                    city.platform.patch(&format!("/v1/orders/{order}"), note).await.expect(200);
                }
            })
        })
        .collect();
    let channels = [
        (format!("channel=order:{order}"), city.customer_token(&order).await),
        (format!("channel=store:{}", city.store), city.store_token().await),
        ("channel=dispatch&status=placed".to_owned(), city.ops_token().await),
        ("channel=tenant".to_owned(), city.key.clone()),
    ];
    // By channel: what it came back with, and the version of the order that it knows.
    let mut known = vec![(String::new(), 0); channels.len()];
    let hear = async |(query, token): &(String, String), known: &mut (String, u64), upto: u64| {
        let mut stream = Stream::follow(&server.url, token, query, &known.0).await;
        if known.0.is_empty() {
            let snapshot = stream.event("snapshot").await.json();
            let order = snapshot.get("order").unwrap_or(&snapshot["orders"][0]).clone();
            known.1 = order["version"].as_u64().unwrap();
        }
        while known.1 < upto {
            let event = stream.envelope().await;
            assert_eq!(event["n"], known.1 + 1, "{query}: {event}");
            known.1 += 1;
        }
        known.0 = stream.last_id;
    };
    for _ in 0..12 {
        for (channel, known) in channels.iter().zip(&mut known) {
            let upto = known.1 + 4;
            hear(channel, known, upto).await;
        }
    }
    stop.set(true);
    for writer in writers {
        writer.await.unwrap();
    }
    let view = city.platform.get(&format!("/v1/orders/{order}")).await.expect(200);
    let version = view["version"].as_u64().unwrap();
    for (channel, known) in channels.iter().zip(&mut known) {
        hear(channel, known, version).await;
    }
    server.stop().await;
}
