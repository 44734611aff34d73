//! Who may follow what, and how it is asked for.

use awc::http::Method;
use serde_json::{Value, json};

use crate::support::{City, Phone, Rest, Server, Stream, until};

#[actix_web::test]
async fn nobody_follows_what_is_not_its_own() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let other = City::found(&server.url, &server.database).await;
    let (order, foreign) = (city.order_id().await, other.order_id().await);
    let tokens = [
        ("customer", city.customer_token(&order).await, format!("order:{order}")),
        ("store", city.store_token().await, format!("store:{}", city.store)),
        ("driver", city.driver_token().await, format!("driver:{}", city.driver)),
        ("ops", city.ops_token().await, "dispatch".to_owned()),
        ("platform", city.key.clone(), "tenant".to_owned()),
    ];
    let channels = [
        format!("order:{foreign}"),
        format!("order:{order}"),
        format!("store:{}", city.store),
        format!("store:{}", other.store),
        format!("driver:{}", city.driver),
        format!("driver:{}", other.driver),
        "dispatch".to_owned(),
        "tenant".to_owned(),
        "order:nonsense".to_owned(),
    ];
    for (who, token, own) in &tokens {
        for channel in &channels {
            let inside = matches!(*who, "ops" | "platform") && *channel == format!("order:{order}");
            if channel == own || inside {
                continue;
            }
            // Neither from the state of things nor from where the log began.
            for last in ["", "e:0"] {
                let query = format!("channel={channel}");
                let stream = Stream::follow(&server.url, token, &query, last).await;
                let problem = stream.problem(403).await;
                assert_eq!(problem["code"], "role_not_allowed", "{who} {channel}");
                assert_eq!(problem["fields"][0]["field"], "channel", "{who} {channel}");
            }
        }
        let nowhere = Stream::follow(&server.url, token, "channel=nowhere", "").await;
        assert_eq!(nowhere.problem(404).await["fields"][0]["field"], "channel", "{who}");
    }
    // Whoever follows hears its own tenant only.
    let mut dispatch = Stream::follow(&server.url, &tokens[3].1, "channel=dispatch", "").await;
    let snapshot = dispatch.event("snapshot").await.json();
    assert_eq!(snapshot["orders"].as_array().unwrap().len(), 1);
    city_and_other(&city, &order, &other, &foreign).await;
    assert_eq!(dispatch.envelope().await["order"], order.as_str());
    server.stop().await;
}

/// The other's first, so that it would be heard first.
async fn city_and_other(city: &City, order: &str, other: &City, foreign: &str) {
    other.act(&other.platform, foreign, "accept", json!({})).await;
    city.act(&city.platform, order, "accept", json!({})).await;
}

#[actix_web::test]
async fn a_bad_request_is_told_before_anything_is_streamed() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let token = city.ops_token().await;
    let long = format!("channel={}", "x".repeat(300));
    for (query, last, field) in [
        ("", "", "channel"),
        ("channel=", "", "channel"),
        ("channel=dispatch&channel=tenant", "", "channel"),
        (long.as_str(), "", "channel"),
        ("channel=dispatch&token=abc", "", "token"),
        ("channel=dispatch", "nonsense", "Last-Event-ID"),
        ("channel=dispatch", "e:-1", "Last-Event-ID"),
        ("channel=dispatch", "e:9007199254740992", "Last-Event-ID"),
        ("channel=dispatch&last_event_id=7", "", "last_event_id"),
        ("channel=dispatch&store=nonsense", "", "store"),
        ("channel=dispatch&status=placed,asleep", "", "status"),
        (&format!("channel=order:{order}&status=placed"), "", "status"),
    ] {
        let problem = Stream::follow(&server.url, &token, query, last).await.problem(422).await;
        assert_eq!(problem["code"], "validation", "{query} {last}");
        assert_eq!(problem["fields"][0]["field"], field, "{query} {last}: {problem}");
    }
    let rest = Rest::new(&server.url, Some(&token));
    rest.post("/v1/sse?channel=dispatch", json!({}))
        .await
        .expect_problem(405, "method_not_allowed");
    rest.get("/v1/sse?%ff").await.expect_problem(422, "validation");
    for origin in ["https://evil.example", "null"] {
        let headers = format!("Authorization: Bearer {token}\r\nOrigin: {origin}\r\n");
        let stream = Stream::get(&server.url, "/v1/sse?channel=dispatch", &headers).await;
        assert_eq!(stream.problem(403).await["code"], "role_not_allowed", "{origin}");
    }
    server.stop().await;
}

#[actix_web::test]
async fn a_dispatcher_follows_the_stores_and_statuses_it_names() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let second = city.new_store(json!({})).await;
    let third = city.new_store(json!({})).await;
    let token = city.ops_token().await;
    let (one, two) = (&city.store, &second);
    let queries = [
        format!("channel=dispatch&store={one}"),
        format!("channel=dispatch&store={one},{two}&status=ready,accepted"),
        format!("channel=dispatch&store={one}&store={two}&status=accepted&status=ready"),
    ];
    let mut streams = Vec::new();
    for query in &queries {
        let mut stream = Stream::follow(&server.url, &token, query, "").await;
        assert_eq!(stream.event("snapshot").await.json()["orders"], json!([]));
        streams.push(stream);
    }
    let mut orders = Vec::new();
    for store in [&third, &second, &city.store] {
        let order = city.order(json!({"store": store})).await["id"].clone();
        city.act(&city.platform, order.as_str().unwrap(), "accept", json!({})).await;
        orders.push(order);
    }
    let events = async |stream: &mut Stream, count: usize| {
        let mut heard = Vec::new();
        for _ in 0..count {
            let event = stream.envelope().await;
            heard.push((event["order"].clone(), event["type"].as_str().unwrap().to_owned()));
        }
        heard
    };
    let said = |order: &Value, kind: &str| (order.clone(), kind.to_owned());
    let (second, first) = (&orders[1], &orders[2]);
    let placed = [
        said(first, "order.placed"),
        said(first, "order.accepted"),
        said(first, "order.preparing"),
    ];
    assert_eq!(events(&mut streams[0], 3).await, placed);
    for stream in &mut streams[1..] {
        let both = [
            said(second, "order.accepted"),
            said(second, "order.preparing"),
            said(first, "order.accepted"),
            said(first, "order.preparing"),
        ];
        assert_eq!(events(stream, 4).await, both);
    }
    // It comes back with the same address.
    let last = std::mem::take(&mut streams[0].last_id);
    city.act(&city.platform, orders[0].as_str().unwrap(), "ready", json!({})).await;
    city.act(&city.platform, first.as_str().unwrap(), "ready", json!({})).await;
    let mut back = Stream::follow(&server.url, &token, &queries[0], &last).await;
    assert_eq!(events(&mut back, 1).await, [said(first, "order.ready")]);
    server.stop().await;
}

#[actix_web::test]
async fn a_browser_brings_its_token_in_a_cookie() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let token = city.customer_token(&order).await;
    let rest = Rest::new(&server.url, Some(&token));
    let path = "/v1/sse/cookie";
    let given = rest.send(Method::POST, path, &[], vec![]).await;
    assert_eq!((given.status, given.header("cache-control")), (204, Some("no-store")));
    let cookie = given.header("set-cookie").unwrap();
    let (pair, attributes) = cookie.split_once("; ").unwrap();
    assert_eq!(pair, format!("ordercast_sse={token}"));
    let (fixed, age) = attributes.rsplit_once("; Max-Age=").unwrap();
    assert_eq!(fixed, "HttpOnly; SameSite=Strict; Path=/v1/sse");
    assert!((3_590..=3_600).contains(&age.parse::<u32>().unwrap()), "{age}");
    let proxied = [("x-forwarded-proto", "https")];
    let given = rest.send(Method::POST, path, &proxied, vec![]).await;
    assert!(given.header("set-cookie").unwrap().ends_with("; Secure"));

    let follow = format!("/v1/sse?channel=order:{order}");
    let headers = format!("Cookie: theme=dark; {pair}; a=b\r\n");
    let mut stream = Stream::get(&server.url, &follow, &headers).await;
    assert_eq!(stream.event("snapshot").await.json()["order"]["id"], order.as_str());

    // The cookie is for this alone, a header goes before it, and it must be good.
    let answer = Stream::get(&server.url, &format!("/v1/orders/{order}"), &headers).await;
    assert_eq!(answer.problem(401).await["code"], "unauthenticated");
    for headers in [
        format!("{headers}Authorization: Basic {token}\r\n"),
        format!("{headers}Authorization: Bearer nonsense\r\n"),
        "Cookie: ordercast_sse=nonsense\r\n".to_owned(),
        "Cookie: ordercast_sse=\r\n".to_owned(),
        format!("Cookie: xordercast_sse={token}\r\n"),
        String::new(),
    ] {
        let problem = Stream::get(&server.url, &follow, &headers).await.problem(401).await;
        assert_eq!(problem["code"], "unauthenticated", "{headers}");
    }
    let nobody = Rest::new(&server.url, None);
    let cookies = [("cookie", pair)];
    nobody.send(Method::POST, path, &cookies, vec![]).await.expect_problem(401, "unauthenticated");
    // An API key would be the whole tenant's.
    let keyed = city.platform.send(Method::POST, path, &[], vec![]).await;
    keyed.expect_problem(403, "role_not_allowed");
    let foreign = [("origin", "https://evil.example")];
    rest.send(Method::POST, path, &foreign, vec![]).await.expect_problem(403, "role_not_allowed");
    server.stop().await;
}

#[actix_web::test]
async fn a_customer_who_follows_is_seen_as_one_who_subscribes() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let channel = format!("order:{order}");
    let token = city.customer_token(&order).await;
    let mut phone = Phone::connect(&server.url, &city.ops_token().await).await;
    let mut seen = async || {
        let reply = phone.ask(json!({"presence_stats": {"channel": channel}})).await;
        reply["presence_stats"]["num_clients"].as_u64()
    };
    let query = format!("channel=order:{order}");
    let mut stream = Stream::follow(&server.url, &token, &query, "").await;
    stream.event("snapshot").await;
    assert_eq!(seen().await, Some(1));
    drop(stream);
    until("nobody to be there", async || (seen().await == Some(0)).then_some(())).await;
    server.stop().await;
}
