//! Keys: every write that comes twice with one key is done once and answered twice, whichever way
//! it comes.

use std::collections::BTreeSet;
use std::path::Path;

use awc::http::Method;
use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::{
    Answer, City, Phone, Process, Receiver, Rest, Scratch, Server, delivering, merged,
};
use crate::webhooks::{attempts, hook, path};

/// One write, and another request that its key must not do for.
struct Write {
    /// As in the routes.
    route: &'static str,
    path: String,
    body: Value,
    /// Path and body of another request.
    other: (String, Value),
    /// Method over a socket, and what its data has besides the body.
    rpc: (&'static str, Value),
}

impl Write {
    fn method(&self) -> Method {
        self.route.split(' ').next().unwrap().parse().unwrap()
    }

    /// The platform does all but promise when an order will be ready.
    fn is_of_ops(&self) -> bool {
        self.route.ends_with("/prep")
    }

    async fn send(&self, who: &Rest, key: &str) -> Answer {
        send(who, self.method(), &self.path, &self.body, key).await
    }
}

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

/// Every write of the platform, about things that nothing was done to yet.
async fn writes(city: &City, url: &str) -> Vec<Write> {
    let mut writes = Vec::new();
    let mut add = |route, path: String, body: Value, other: (String, Value), rpc| {
        writes.push(Write { route, path, body, other, rpc });
    };
    let body = city.order_body(json!({}));
    let other = city.order_body(json!({}));
    let path = "/v1/orders".to_owned();
    let rpc = ("order.create", json!({}));
    add("POST /v1/orders", path.clone(), body, (path, other), rpc);
    let driver = city.new_driver(json!({})).await;
    for (route, more, body, other, method) in [
        ("PATCH /v1/orders/{order}", "", json!({"note": "a"}), json!({"note": "b"}), "update"),
        (
            "POST /v1/orders/{order}/{action}",
            "/ready",
            json!({}),
            json!({"at": "2026-01-01T00:00:00Z"}),
            "ready",
        ),
        (
            "PUT /v1/orders/{order}/prep",
            "/prep",
            json!({"prep_min": 50}),
            json!({"prep_min": 51}),
            "prep",
        ),
        (
            "PUT /v1/orders/{order}/driver",
            "/driver",
            json!({"driver": city.driver}),
            json!({"driver": driver}),
            "assign",
        ),
        (
            "DELETE /v1/orders/{order}/driver",
            "/driver",
            json!({}),
            json!({"reason": "other", "note": "late"}),
            "unassign",
        ),
    ] {
        let order = city.order_id().await;
        city.act(&city.platform, &order, "accept", json!({})).await;
        if method == "unassign" {
            city.assign(&order).await;
        }
        let path = format!("/v1/orders/{order}{more}");
        let method = ["update", "ready", "prep", "assign", "unassign"]
            .into_iter()
            .zip(["order.update", "order.ready", "order.prep", "order.assign", "order.unassign"])
            .find(|(action, _)| *action == method)
            .unwrap()
            .1;
        add(route, path.clone(), body, (path, other), (method, json!({"order": order})));
    }

    let store = city.new_store(json!({})).await;
    let doomed = city.new_store(json!({})).await;
    let at = |noun: &str, id: &str, more: &str| format!("/v1/{noun}/{id}{more}");
    let store_body = |name: &str| json!({"name": name, "lat": 1, "lng": 2, "tz": "Europe/Paris"});
    let made = |name: &str| merged(store_body(name), json!({"external_id": driver}));
    let (one, other) = (made("One"), made("Other"));
    let all = "/v1/stores".to_owned();
    let rpc = ("store.create", json!({}));
    add("POST /v1/stores", all.clone(), one, (all, other), rpc);
    let ext = at("stores/ext", &store, "");
    let (one, other) = (store_body("One"), store_body("Other"));
    let rpc = ("store.create", json!({"external_id": store}));
    add("PUT /v1/stores/ext/{external_id}", ext.clone(), one, (ext, other), rpc);
    let path = at("stores", &store, "");
    let (one, other) = (json!({"name": "New"}), json!({"name": "Newer"}));
    let rpc = ("store.update", json!({"store": store}));
    add("PATCH /v1/stores/{store}", path.clone(), one, (path, other), rpc);
    let path = at("stores", &store, "/pause");
    let (one, other) = (json!({"until": "2099-01-01T00:00:00Z"}), json!({}));
    let rpc = ("store.pause", json!({"store": store}));
    add("PUT /v1/stores/{store}/pause", path.clone(), one, (path, other), rpc);
    let (path, other) = (at("stores", &doomed, ""), (at("stores", &store, ""), Value::Null));
    let rpc = ("store.delete", json!({"store": doomed}));
    add("DELETE /v1/stores/{store}", path, Value::Null, other, rpc);

    let doomed = city.new_driver(json!({})).await;
    let driver_body = |name: &str| json!({"name": name, "vehicle": {"type": "car"}});
    let made = |name: &str| merged(driver_body(name), json!({"external_id": store}));
    let (one, other) = (made("One"), made("Other"));
    let all = "/v1/drivers".to_owned();
    let rpc = ("driver.create", json!({}));
    add("POST /v1/drivers", all.clone(), one, (all, other), rpc);
    let ext = at("drivers/ext", &driver, "");
    let (one, other) = (driver_body("One"), driver_body("Other"));
    let rpc = ("driver.create", json!({"external_id": driver}));
    add("PUT /v1/drivers/ext/{external_id}", ext.clone(), one, (ext, other), rpc);
    let path = at("drivers", &driver, "");
    let (one, other) = (json!({"capacity": 7}), json!({"capacity": 8}));
    let rpc = ("driver.update", json!({"driver": driver}));
    add("PATCH /v1/drivers/{driver}", path.clone(), one, (path, other), rpc);
    let path = at("drivers", &driver, "/duty");
    let (one, other) = (json!({"duty": "paused"}), json!({"duty": "off"}));
    let rpc = ("driver.duty", json!({"driver": driver}));
    add("PUT /v1/drivers/{driver}/duty", path.clone(), one, (path, other), rpc);
    let (path, other) = (at("drivers", &doomed, ""), (at("drivers", &driver, ""), Value::Null));
    let rpc = ("driver.delete", json!({"driver": doomed}));
    add("DELETE /v1/drivers/{driver}", path, Value::Null, other, rpc);

    let path = "/v1/tokens".to_owned();
    let body = |subject: &str| json!({"kind": "ops", "subject": subject, "info": {"a": 1}});
    let rpc = ("token.create", json!({}));
    add("POST /v1/tokens", path.clone(), body("ann"), (path.clone(), body("bob")), rpc);
    let issue = async || {
        let issued = city.platform.post(&path, body("cyd")).await.expect(201);
        issued["id"].as_str().unwrap().to_owned()
    };
    let (token, second) = (issue().await, issue().await);
    let other = (at("tokens", &second, ""), Value::Null);
    let rpc = ("token.revoke", json!({"token": token}));
    add("DELETE /v1/tokens/{token}", at("tokens", &token, ""), Value::Null, other, rpc);

    // Disabled: nothing but what is asked for is posted.
    let path = "/v1/webhooks".to_owned();
    let body = json!({"url": url, "types": ["no.such"]});
    let other = (path.clone(), json!({"url": url}));
    add("POST /v1/webhooks", path, body, other, ("webhook.create", json!({})));
    let silent = async || {
        let made = hook(city, url, json!(["no.such"])).await;
        let id = made["id"].as_str().unwrap().to_owned();
        let off = json!({"state": "disabled"});
        city.platform.patch(&at("webhooks", &id, ""), off).await.expect(200);
        id
    };
    let (webhook, doomed) = (silent().await, silent().await);
    let named = json!({"webhook": webhook});
    let path = at("webhooks", &webhook, "");
    let (one, other) = (json!({"types": ["no.other"]}), json!({"types": null}));
    let rpc = ("webhook.update", named.clone());
    add("PATCH /v1/webhooks/{webhook}", path.clone(), one, (path, other), rpc);
    let path = at("webhooks", &webhook, "/rotate");
    let (one, other) = (json!({"keep_s": 60}), json!({}));
    let rpc = ("webhook.rotate", named.clone());
    add("POST /v1/webhooks/{webhook}/rotate", path.clone(), one, (path, other), rpc);
    let path = at("webhooks", &webhook, "/replay?after=1");
    let other = (at("webhooks", &webhook, "/replay?after=0"), Value::Null);
    let rpc = ("webhook.replay", merged(named.clone(), json!({"after": 1})));
    add("POST /v1/webhooks/{webhook}/replay", path, Value::Null, other, rpc);
    let path = at("webhooks", &webhook, "/test");
    let other = (at("webhooks", &doomed, "/test"), Value::Null);
    add("POST /v1/webhooks/{webhook}/test", path, Value::Null, other, ("webhook.test", named));
    let (path, other) = (at("webhooks", &doomed, ""), (at("webhooks", &webhook, ""), Value::Null));
    let rpc = ("webhook.delete", json!({"webhook": doomed}));
    add("DELETE /v1/webhooks/{webhook}", path, Value::Null, other, rpc);
    writes
}

/// Every route that writes, as it stands in the code; bulk has tests of its own.
fn routes() -> BTreeSet<String> {
    let mut routes = BTreeSet::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http");
    for entry in std::fs::read_dir(folder).unwrap() {
        let code = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for resource in code.split("web::resource(\"").skip(1) {
            let (path, rest) = resource.split_once('"').unwrap();
            for (method, word) in
                [("POST", "post"), ("PUT", "put"), ("PATCH", "patch"), ("DELETE", "delete")]
            {
                if rest.contains(&format!("web::{word}()")) && !path.contains("/bulk") {
                    routes.insert(format!("{method} {path}"));
                }
            }
        }
    }
    assert!(routes.len() > 20);
    routes
}

#[actix_web::test]
async fn every_write_with_a_key_is_done_once_and_answered_twice() {
    let server = Server::start_with(delivering).await;
    let city = City::found(&server.url, &server.database).await;
    let receiver = Receiver::start();
    let all = writes(&city, &receiver.url).await;
    let tested: BTreeSet<String> = all.iter().map(|write| write.route.to_owned()).collect();
    assert_eq!(tested, routes(), "left what is tested, right what there is");
    let ops = city.caller("ops", "").await;
    for (nth, write) in all.iter().enumerate() {
        let (route, key) = (write.route, format!("key {nth}"));
        let who = if write.is_of_ops() { &ops } else { &city.platform };
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
    let mut platform = Phone::connect(&server.url, &city.key).await;
    let ops = city.caller("ops", "").await;
    let elsewhere = city.order_id().await;
    let mut dispatcher = Phone::connect(&server.url, ops.token.as_ref().unwrap()).await;
    for (nth, write) in writes(&city, &receiver.url).await.iter().enumerate() {
        let (who, phone) = if write.is_of_ops() {
            (&ops, &mut dispatcher)
        } else {
            (&city.platform, &mut platform)
        };
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
