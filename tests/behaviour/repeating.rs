//! Repeating: asking twice has one effect, and insisting on a version has none on another.

use awc::http::Method;
use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::{Answer, City, Rest, Server};

/// Posts with headers.
async fn post(who: &Rest, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
    who.send(Method::POST, path, headers, body.to_string().into_bytes()).await
}

#[actix_web::test]
async fn a_change_insists_on_the_version_it_names() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let accept = format!("/v1/orders/{order}/accept");
    let who = city.caller("store", &order).await;
    let empty = json!({});
    let before = server.database.contents().await;
    for tag in ["\"2\"", "0", "W/\"7\"", "\"-1\""] {
        let problem = post(&who, &accept, &[("if-match", tag)], &empty).await;
        let problem = problem.expect_problem(409, "version_mismatch");
        assert_eq!((&problem["version"], &problem["status"]), (&json!(1), &json!("placed")));
        assert_eq!(problem["allowed"], json!(["accept", "reject", "note"]));
    }
    for tag in ["", "\"\"", "one", "\"1\", \"2\"", "1.0", "99999999999999999999"] {
        let problem = post(&who, &accept, &[("if-match", tag)], &empty).await;
        let problem = problem.expect_problem(422, "validation");
        assert_eq!(problem["fields"][0]["field"], "If-Match", "{tag}");
    }
    assert_eq!(server.database.contents().await, before);
    let answer = post(&who, &accept, &[("if-match", "\"1\"")], &empty).await;
    assert_eq!(answer.header("etag"), Some("\"3\""));
    answer.expect(200);
    // The same once more took effect before: the answer was lost, not the change.
    let before = server.database.contents().await;
    post(&who, &accept, &[("if-match", "\"1\"")], &empty).await.expect(200);
    assert_eq!(server.database.contents().await, before);
    let ready = format!("/v1/orders/{order}/ready");
    post(&who, &ready, &[("if-match", "*")], &empty).await.expect(200);
    let unready = format!("/v1/orders/{order}/unready");
    post(&who, &unready, &[("if-match", "W/\"4\"")], &empty).await.expect(200);
    server.stop().await;
}

#[actix_web::test]
async fn every_command_said_again_by_the_same_actor_changes_nothing() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let driver = json!({"driver": city.driver});
    let wrong_address = json!({"reason": "wrong_address"});
    // To the end by as many steps as one order can take.
    let steps = [
        (Method::POST, "release", "ops", json!({})),
        (Method::POST, "accept", "store", json!({"prep_min": 15})),
        (Method::POST, "start", "store", json!({})),
        (Method::POST, "ready", "store", json!({})),
        (Method::POST, "unready", "store", json!({})),
        (Method::PUT, "driver", "platform", driver),
        (Method::POST, "at_store", "driver", json!({})),
        (Method::POST, "pickup", "driver", json!({})),
        (Method::POST, "at_door", "driver", json!({})),
        (Method::POST, "return", "driver", wrong_address),
        (Method::POST, "redeliver", "ops", json!({})),
        (Method::POST, "deliver", "driver", json!({})),
    ];
    let window = json!({"from": "2099-01-02T18:00:00Z", "to": "2099-01-02T18:30:00Z"});
    let order = city.order(json!({"window": window})).await["id"].as_str().unwrap().to_owned();
    for (method, action, role, body) in steps {
        let who = city.caller(role, &order).await;
        let path = format!("/v1/orders/{order}/{action}");
        let bytes = body.to_string().into_bytes();
        let first = who.send(method.clone(), &path, &[], bytes.clone()).await.expect(200);
        let before = server.database.contents().await;
        let again = who.send(method, &path, &[], bytes).await;
        assert_eq!(again.status, 200, "{action}: {}", again.body);
        assert_eq!(again.body, first, "{action}");
        assert_eq!(server.database.contents().await, before, "{action}");
    }
    for (action, role, body) in [
        ("reject", "store", json!({"reason": "too_busy"})),
        ("cancel", "customer", json!({"reason": "customer_request"})),
    ] {
        let order = city.order_id().await;
        let who = city.caller(role, &order).await;
        let first = city.act(&who, &order, action, body.clone()).await;
        let before = server.database.contents().await;
        assert_eq!(city.act(&who, &order, action, body).await, first);
        assert_eq!(server.database.contents().await, before, "{action}");
    }
    server.stop().await;
}

#[actix_web::test]
async fn what_another_did_is_no_repeat_but_a_conflict() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let path = format!("/v1/orders/{order}/accept");
    city.caller("store", &order).await.post(&path, json!({})).await.expect(200);
    let ops = city.caller("ops", &order).await;
    ops.post(&path, json!({})).await.expect_problem(409, "invalid_transition");
    server.stop().await;
}

#[actix_web::test]
async fn a_key_used_again_answers_as_the_first_time_whatever_came_between() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let store = city.caller("store", &order).await;
    let path = |action: &str| format!("/v1/orders/{order}/{action}");
    let key = [("idempotency-key", "tap-1")];
    let body = json!({"prep_min": 15});
    let first = post(&store, &path("accept"), &key, &body).await.expect(200);
    city.act(&store, &order, "ready", json!({})).await;
    city.assign(&order).await;
    city.act(&city.caller("driver", &order).await, &order, "pickup", json!({})).await;
    let before = server.database.contents().await;
    let again = post(&store, &path("accept"), &key, &body).await;
    assert_eq!(again.header("etag"), Some("\"3\""));
    assert_eq!(again.expect(200), first);
    // As JSON the same, written otherwise.
    let other_text = b"{ \"prep_min\" : 15 }\n".to_vec();
    let again = store.send(Method::POST, &path("accept"), &key, other_text).await;
    assert_eq!(again.expect(200), first);
    // The same key for anything else.
    post(&store, &path("accept"), &key, &json!({"prep_min": 16}))
        .await
        .expect_problem(409, "idempotency_key_reused");
    post(&store, &path("ready"), &key, &json!({}))
        .await
        .expect_problem(409, "idempotency_key_reused");
    assert_eq!(server.database.contents().await, before);
    let second = city.order_id().await;
    let elsewhere = post(&store, &format!("/v1/orders/{second}/accept"), &key, &body).await;
    elsewhere.expect_problem(409, "idempotency_key_reused");
    let untouched = city.platform.get(&format!("/v1/orders/{second}")).await.expect(200);
    assert_eq!(untouched["version"], 1);
    assert_eq!(server.database.count("idempotency_keys").await, 1);
    server.stop().await;
}

#[actix_web::test]
async fn a_new_order_with_a_key_is_made_once() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let key = [("idempotency-key", "cart-9")];
    let body = city.order_body(json!({}));
    let first = post(&city.platform, "/v1/orders", &key, &body).await.expect(201);
    let before = server.database.contents().await;
    let again = post(&city.platform, "/v1/orders", &key, &body).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (201, Some("true")));
    assert_eq!(again.body, first);
    let other = city.order_body(json!({}));
    let problem = post(&city.platform, "/v1/orders", &key, &other).await;
    problem.expect_problem(409, "idempotency_key_reused");
    assert_eq!(server.database.contents().await, before);
    server.stop().await;
}

#[actix_web::test]
async fn keys_of_different_callers_never_meet() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let other_city = City::found(&server.url, &server.database).await;
    let neighbour = city.new_store(json!({})).await;
    let key = [("idempotency-key", "1")];
    let mut callers = Vec::new();
    for (city, store, role) in [
        (&city, city.store.clone(), "store"),
        (&city, city.store.clone(), "ops"),
        (&city, city.store.clone(), "platform"),
        (&other_city, other_city.store.clone(), "ops"),
    ] {
        let order = city.order(json!({"store": store})).await["id"].as_str().unwrap().to_owned();
        callers.push((city.caller(role, &order).await, order));
    }
    let order = city.order(json!({"store": neighbour})).await["id"].as_str().unwrap().to_owned();
    let token = city.token("store", &neighbour, &[]).await;
    callers.push((city.platform.with_token(&token), order));
    let order = city.order_id().await;
    let token = city.token("ops", "bob", &[]).await;
    callers.push((city.platform.with_token(&token), order));
    for (who, order) in &callers {
        let path = format!("/v1/orders/{order}/accept");
        post(who, &path, &key, &json!({})).await.expect(200);
    }
    assert_eq!(server.database.count("idempotency_keys").await, 6);
    server.stop().await;
}

#[actix_web::test]
async fn a_key_that_is_empty_or_too_long_is_refused() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let path = format!("/v1/orders/{order}/accept");
    let before = server.database.contents().await;
    for key in ["", " ", &"k".repeat(256)] {
        let answer = post(&city.platform, &path, &[("idempotency-key", key)], &json!({})).await;
        let problem = answer.expect_problem(422, "validation");
        assert_eq!(problem["fields"][0]["field"], "Idempotency-Key");
    }
    assert_eq!(server.database.contents().await, before);
    let longest = "k".repeat(255);
    let answer = post(&city.platform, &path, &[("idempotency-key", &longest)], &json!({})).await;
    answer.expect(200);
    server.stop().await;
}

#[actix_web::test]
async fn a_refused_change_leaves_its_key_free() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let path = format!("/v1/orders/{order}/ready");
    let key = [("idempotency-key", "later")];
    let before = server.database.contents().await;
    let early = post(&city.platform, &path, &key, &json!({})).await;
    early.expect_problem(409, "invalid_transition");
    assert_eq!(server.database.contents().await, before);
    city.act(&city.platform, &order, "accept", json!({})).await;
    post(&city.platform, &path, &key, &json!({})).await.expect(200);
    server.stop().await;
}

#[actix_web::test]
async fn one_key_at_the_same_moment_has_one_effect() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    // Changes of details that would each be one more event.
    let order = city.order_id().await;
    let path = format!("/v1/orders/{order}/prep");
    city.act(&city.platform, &order, "accept", json!({"prep_min": 10})).await;
    let store = city.caller("store", &order).await;
    let key = [("idempotency-key", "hurry")];
    let body = json!({"prep_min": 200}).to_string().into_bytes();
    let asking = (0..12).map(|_| store.send(Method::PUT, &path, &key, body.clone()));
    let answers = join_all(asking).await;
    for answer in &answers {
        assert_eq!((answer.status, &answer.body), (200, &answers[0].body));
    }
    let types = "types=order.prep_changed";
    let log = city.platform.get(&format!("/v1/orders/{order}/events?{types}")).await.expect(200);
    assert_eq!(log["events"].as_array().unwrap().len(), 1);

    // And of two requests that differ one wins, the other is told so.
    let key = [("idempotency-key", "one of two")];
    let path = &path;
    let asking = [20, 30].map(|minutes| {
        let body = json!({"prep_min": minutes}).to_string().into_bytes();
        store.send(Method::PUT, path, &key, body)
    });
    let mut statuses: Vec<u16> = join_all(asking).await.iter().map(|a| a.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    server.stop().await;
}

#[actix_web::test]
async fn a_store_and_a_courier_said_again_are_the_same_ones() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let store = json!({"name": "Bistro", "lat": 1.5, "lng": 2.5, "tz": "Europe/Paris"});
    let first = city.platform.put("/v1/stores/ext/b", store.clone()).await.expect(201);
    assert_eq!(city.platform.put("/v1/stores/ext/b", store).await.expect(200), first);
    let renamed = json!({"name": "Brasserie"});
    let path = format!("/v1/stores/{}", first["id"].as_str().unwrap());
    let changed = city.platform.patch(&path, renamed).await.expect(200);
    assert_eq!((&changed["name"], &changed["lat"]), (&json!("Brasserie"), &json!(1.5)));
    assert_eq!(city.platform.get(&path).await.expect(200), changed);
    let driver = json!({"name": "Dana Berg", "vehicle": {"type": "car"}, "capacity": 3});
    let first = city.platform.put("/v1/drivers/ext/d", driver.clone()).await.expect(201);
    assert_eq!((&first["display_name"], &first["duty"]), (&json!("Dana B."), &json!("off")));
    let path = format!("/v1/drivers/{}", first["id"].as_str().unwrap());
    city.platform.put(&format!("{path}/duty"), json!({"duty": "on"})).await.expect(200);
    // Who works goes on working when the platform sends its list again.
    let again = city.platform.put("/v1/drivers/ext/d", driver).await.expect(200);
    assert_eq!((&again["id"], &again["duty"]), (&first["id"], &json!("on")));
    let before = server.database.contents().await;
    city.platform.put(&format!("{path}/duty"), json!({"duty": "on"})).await.expect(200);
    assert_eq!(server.database.contents().await, before);
    server.stop().await;
}
