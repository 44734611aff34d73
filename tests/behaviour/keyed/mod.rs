//! Keys: every write that comes twice with one key is done once and answered twice, whichever way
//! it comes.

mod links;
mod offers;
mod writes;

use std::collections::{BTreeSet, HashMap};

use awc::http::Method;
use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::{
    Answer, City, Phone, Process, Receiver, Rest, Scratch, Server, delivering, merged,
};
use crate::webhooks::{attempts, hook, path};
use writes::{routes, writes};

/// Sends one request under a key; a body that is null is none.
async fn send(who: &Rest, method: Method, path: &str, body: &Value, key: &str) -> Answer {
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    who.send(method, path, &[("idempotency-key", key)], body).await
}

/// What a request could change.
async fn contents(database: &Scratch) -> (Vec<(String, String)>, Option<String>) {
    let webhooks = "select string_agg(concat_ws(' ', id, url, types, secret, prior_secret, cursor), \
                    ',' order by id) from webhooks";
    let client = database.connect().await;
    let webhooks = client.query_one(webhooks, &[]).await.unwrap().try_get(0).unwrap();
    (database.contents().await, webhooks)
}

/// Who does writes, by role.
async fn callers(city: &City) -> HashMap<&'static str, Rest> {
    let mut callers = HashMap::new();
    for role in ["platform", "ops", "driver"] {
        callers.insert(role, city.caller(role, "").await);
    }
    callers
}

#[actix_web::test]
async fn every_write_with_a_key_is_done_once_and_answered_twice() {
    let server = Server::start_with(delivering).await;
    let city = City::found(&server.url, &server.database).await;
    let receiver = Receiver::start();
    let all = writes(&city, &receiver.url).await;
    let tested: BTreeSet<String> = all.iter().map(|write| write.route.to_owned()).collect();
    assert_eq!(tested, routes(), "left what is tested, right what there is");
    let callers = callers(&city).await;
    for (nth, write) in all.iter().enumerate() {
        let (route, key) = (write.route, format!("key {nth}"));
        let who = &callers[write.who];
        let first = write.send(who, &key).await;
        assert!((200..300).contains(&first.status), "{route}: {:#}", first.body);
        assert_eq!(first.header("idempotent-replayed"), None, "{route}");
        let before = contents(&server.database).await;
        let again = write.send(who, &key).await;
        assert_eq!(again.header("idempotent-replayed"), Some("true"), "{route}");
        assert_eq!((again.status, &again.body), (first.status, &first.body), "{route}");
        for name in ["etag", "location", "content-type"] {
            assert_eq!(again.header(name), first.header(name), "{route}");
        }
        let (path, body) = &write.other;
        let other = send(who, write.method(), path, body, &key).await;
        other.expect_problem(409, "idempotency_key_reused");
        assert_eq!(contents(&server.database).await, before, "{route}");
    }
    assert_eq!(receiver.letters().len(), 1, "one ping");
    server.stop().await;
}

#[actix_web::test]
async fn every_write_over_a_socket_has_keys_as_well_and_the_same_ones() {
    let server = Server::start_with(delivering).await;
    let city = City::found(&server.url, &server.database).await;
    let receiver = Receiver::start();
    let elsewhere = city.order_id().await;
    let (callers, mut phones) = (callers(&city).await, HashMap::new());
    for (role, who) in &callers {
        phones.insert(*role, Phone::connect(&server.url, who.token.as_ref().unwrap()).await);
    }
    for (nth, write) in writes(&city, &receiver.url).await.iter().enumerate() {
        let (who, phone) = (&callers[write.who], phones.get_mut(write.who).unwrap());
        let (method, more) = write.rpc.clone();
        let route = write.route;
        let key = json!({"idempotency_key": format!("key {nth}")});
        let body = if write.body.is_null() { json!({}) } else { write.body.clone() };
        let data = merged(merged(body, more), key.clone());
        let first = phone.rpc(method, data.clone()).await["rpc"]["data"].clone();
        assert!(first.is_object(), "{method}");
        let before = contents(&server.database).await;
        assert_eq!(phone.rpc(method, data).await["rpc"]["data"], first, "{method}");
        // By a path that names what the body does it is another request.
        if !route.contains("/ext/") {
            let rest = write.send(who, &format!("key {nth}")).await;
            assert_eq!(rest.header("idempotent-replayed"), Some("true"), "{method}");
            let body = if rest.status == 204 { json!({}) } else { rest.body };
            assert_eq!(body, first, "{method}");
        }
        let other = merged(json!({"order": elsewhere, "note": method}), key);
        let refused = phone.rpc("order.update", other).await;
        assert_eq!(refused["error"]["code"], 1415, "{method}: {refused}");
        assert_eq!(contents(&server.database).await, before, "{method}");
    }
    assert_eq!(receiver.letters().len(), 1, "one ping");
    server.stop().await;
}

#[actix_web::test]
async fn one_key_at_the_same_moment_at_two_processes_makes_one_thing() {
    let database = Scratch::create().await;
    let processes = [Process::serve(&database).await, Process::serve(&database).await];
    let city = City::found(&processes[0].url, &database).await;
    let url = "https://8.8.8.8/hook";
    for round in 0..5 {
        let body = json!({"url": url, "types": [format!("round.r{}", "x".repeat(round))]});
        let callers: Vec<Rest> =
            processes.iter().map(|process| Rest::new(&process.url, Some(&city.key))).collect();
        let key = format!("round {round}");
        let asking =
            (0..12).map(|nth| send(&callers[nth % 2], Method::POST, "/v1/webhooks", &body, &key));
        let answers = join_all(asking).await;
        for answer in &answers {
            assert_eq!((answer.status, &answer.body), (201, &answers[0].body));
        }
        let firsts = answers.iter().filter(|it| it.header("idempotent-replayed").is_none());
        assert_eq!(firsts.count(), 1);
        assert_eq!(database.count("webhooks").await, i64::try_from(round).unwrap() + 1);
    }
    // The writer's, which are two.
    let callers = processes.each_ref().map(|process| Rest::new(&process.url, Some(&city.key)));
    let path = format!("/v1/drivers/{}/duty", city.driver);
    for (duty, events) in [("paused", 1), ("on", 1), ("off", 1), ("on", 0)] {
        let before = database.count("events").await;
        let body = json!({"duty": duty});
        let asking = (0..8).map(|nth| send(&callers[nth % 2], Method::PUT, &path, &body, duty));
        let answers = join_all(asking).await;
        for answer in &answers {
            assert_eq!((answer.status, &answer.body), (200, &answers[0].body));
        }
        assert_eq!(answers[0].body["duty"], duty);
        assert_eq!(database.count("events").await, before + events, "{duty}");
    }
    let courier = city.platform.get(&format!("/v1/drivers/{}", city.driver)).await.expect(200);
    assert_eq!(courier["duty"], "off", "the key of the first \"on\" does not do it again");
    for process in processes {
        assert_eq!(process.terminate(), Some(0));
    }
}

#[actix_web::test]
async fn a_ping_that_is_under_way_is_not_posted_by_another() {
    let server = Server::start_with(delivering).await;
    let city = City::found(&server.url, &server.database).await;
    let receiver = Receiver::start();
    let hook = hook(&city, &receiver.url, json!(["no.such"])).await;
    receiver.fall_silent();
    let path = path(&hook, "/test");
    let first = send(&city.platform, Method::POST, &path, &Value::Null, "ping");
    let others = async {
        receiver.received(1).await;
        for _again in 0..3 {
            let other = send(&city.platform, Method::POST, &path, &Value::Null, "ping").await;
            assert_eq!(other.header("retry-after"), Some("1"));
            other.expect_problem(409, "idempotency_key_in_use");
        }
        receiver.answer_all();
    };
    let (first, ()) = futures::join!(first, others);
    let first = first.expect(200);
    assert_eq!(first["outcome"], "delivered");
    let again = send(&city.platform, Method::POST, &path, &Value::Null, "ping").await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.expect(200), first);
    assert_eq!((receiver.letters().len(), attempts(&city, &hook).await.len()), (1, 1));
    server.stop().await;
}

#[actix_web::test]
async fn what_was_refused_may_be_asked_for_again_by_its_key() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let store = format!("/v1/stores/{}", city.store);
    let none = Value::Null;
    let refused = send(&city.platform, Method::DELETE, &store, &none, "later").await;
    refused.expect_problem(409, "has_open_orders");
    let bad = json!({"name": ""});
    let refused = send(&city.platform, Method::PATCH, &store, &bad, "other").await;
    refused.expect_problem(422, "validation");
    let missing = format!("/v1/webhooks/{}/rotate", "wh_01k0000000e008000000000000");
    let refused = send(&city.platform, Method::POST, &missing, &json!({}), "third").await;
    refused.expect_problem(404, "not_found");
    assert_eq!(server.database.count("idempotency_keys").await, 0);
    let reason = json!({"reason": "duplicate"});
    city.act(&city.platform, &order, "cancel", reason).await;
    let good = json!({"name": "Better"});
    send(&city.platform, Method::PATCH, &store, &good, "other").await.expect(200);
    send(&city.platform, Method::DELETE, &store, &none, "later").await.expect(204);
    // Its answer is that of then, though it could not be asked for now.
    let again = send(&city.platform, Method::PATCH, &store, &good, "other").await;
    assert_eq!(again.expect(200)["name"], "Better");
    server.stop().await;
}

#[actix_web::test]
async fn what_was_so_already_is_answered_the_same_again_too() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let path = |action: &str| format!("/v1/orders/{order}/{action}");
    city.act(&city.platform, &order, "accept", json!({})).await;
    let events = server.database.count("events").await;
    let accept =
        async || send(&city.platform, Method::POST, &path("accept"), &json!({}), "a").await;
    let first = accept().await.expect(200);
    assert_eq!(server.database.count("events").await, events, "it was so");
    city.act(&city.platform, &order, "ready", json!({})).await;
    let again = accept().await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.expect(200), first);
    server.stop().await;
}

#[actix_web::test]
async fn no_secret_is_kept_with_an_answer() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let body = json!({"kind": "customer", "subject": "ann", "orders": [city.order_id().await]});
    let token = send(&city.platform, Method::POST, "/v1/tokens", &body, "t").await.expect(201);
    let channel = format!("order:{}", city.order_id().await);
    let body = json!({"kind": "customer", "subject": "ann", "channel": channel, "info": [1]});
    let permit = send(&city.platform, Method::POST, "/v1/tokens", &body, "p").await;
    let permit = permit.expect(201);
    let again = send(&city.platform, Method::POST, "/v1/tokens", &body, "p").await;
    assert_eq!(again.expect(201), permit);
    let made = json!({"url": "https://8.8.8.8/hook"});
    let create = async || send(&city.platform, Method::POST, "/v1/webhooks", &made, "w").await;
    let hook = create().await.expect(201);
    let rotate = path(&hook, "/rotate");
    let keep = json!({"keep_s": 3600});
    let rotated = send(&city.platform, Method::POST, &rotate, &keep, "r").await.expect(200);

    let client = server.database.connect().await;
    let kept = "select string_agg(to_jsonb(k)::text, ' ') from idempotency_keys k";
    let kept: String = client.query_one(kept, &[]).await.unwrap().try_get(0).unwrap();
    assert!(kept.contains("customer") && kept.contains("8.8.8.8"));
    for secret in [&token["token"], &permit["token"], &hook["secret"], &rotated["secret"]] {
        let secret = secret.as_str().unwrap();
        assert!(
            !kept.contains(secret) && !kept.contains(secret.rsplit(['.', '_']).next().unwrap())
        );
    }
    // Shown again as long as the webhook knows it, be it as the one before; then no more.
    assert_eq!(create().await.expect(201), hook);
    let other = json!({"keep_s": 0});
    city.platform.post(&rotate, other).await.expect(200);
    let again = create().await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    let mut without = hook.clone();
    without.as_object_mut().unwrap().remove("secret");
    assert_eq!(again.expect(201), without);
    city.platform.delete(&path(&hook, "")).await.expect(204);
    assert_eq!(create().await.expect(201), without);
    server.stop().await;
}
