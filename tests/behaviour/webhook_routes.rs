//! Webhooks as they are made, shown, changed and forgotten; and where nothing may be posted to.

use awc::http::Method;
use serde_json::{Value, json};

use crate::support::{City, Phone, Receiver, Server, delivering, of, until};
use crate::webhooks::{attempts, hook, hurry, path, view};

const URL: &str = "https://8.8.8.8/hook";

#[actix_web::test]
async fn a_webhook_is_made_shown_changed_and_forgotten() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let answer = city.platform.post("/v1/webhooks", json!({"url": URL})).await;
    let location = answer.header("location").unwrap().to_owned();
    let mut made = answer.expect(201);
    let secret = made.as_object_mut().unwrap().remove("secret").unwrap();
    assert!(secret.as_str().unwrap().starts_with("whsec_"));
    assert_eq!((&made["url"], &made["types"]), (&json!(URL), &Value::Null));
    assert_eq!((&made["state"], &made["failures"]), (&json!("enabled"), &json!(0)));
    assert_eq!(made["position"], 1, "what is committed from now on");
    assert_eq!(city.platform.get(&location).await.expect(200), made, "without the secret");
    let types = json!(["order.ready", "courier.at_store"]);
    let second = hook(&city, URL, types.clone()).await;
    assert_eq!(second["types"], types);

    let page = city.platform.get("/v1/webhooks?limit=1").await.expect(200);
    assert_eq!(page["webhooks"], json!([made]));
    let next = page["next"].as_str().unwrap();
    let rest = city.platform.get(&format!("/v1/webhooks?cursor={next}")).await.expect(200);
    assert_eq!(rest["webhooks"][0]["id"], second["id"]);
    assert_eq!(rest["next"], Value::Null);

    let patch = json!({"url": "https://1.1.1.1/", "types": ["order.placed"], "state": "disabled"});
    let changed = city.platform.patch(&path(&second, ""), patch).await.expect(200);
    assert_eq!(
        (&changed["url"], &changed["state"]),
        (&json!("https://1.1.1.1/"), &json!("disabled"))
    );
    assert_eq!(
        (&changed["types"], &changed["reason"]),
        (&json!(["order.placed"]), &json!("asked"))
    );
    let changed = city.platform.patch(&path(&second, ""), json!({"types": null})).await.expect(200);
    assert_eq!((&changed["types"], &changed["state"]), (&Value::Null, &json!("disabled")));
    assert_eq!(changed["url"], "https://1.1.1.1/");

    for _again in 0..2 {
        city.platform.delete(&path(&second, "")).await.expect(204);
    }
    city.platform.get(&path(&second, "")).await.expect_problem(404, "not_found");
    server.stop().await;
}

#[actix_web::test]
async fn a_body_that_does_not_do_is_refused_by_its_field() {
    let server = Server::start_with(|config| config.webhooks.per_tenant_max = 2).await;
    let city = City::found(&server.url, &server.database).await;
    let hook = hook(&city, URL, Value::Null).await;
    let long = format!("https://8.8.8.8/{}", "a".repeat(2_048));
    let post =
        |body: Value, field: &'static str| (Method::POST, "/v1/webhooks".to_owned(), body, field);
    let patch = |body: Value, field: &'static str| (Method::PATCH, path(&hook, ""), body, field);
    let to = |more: &str, body: Value, field: &'static str| {
        (Method::POST, path(&hook, more), body, field)
    };
    for (method, path, body, field) in [
        post(json!({}), "url"),
        post(json!({"url": 7}), "url"),
        post(json!({"url": ""}), "url"),
        post(json!({"url": "example.com"}), "url"),
        post(json!({"url": "http://8.8.8.8/"}), "url"),
        post(json!({"url": "https://ann:pw@8.8.8.8/"}), "url"),
        post(json!({"url": long}), "url"),
        post(json!({"url": URL, "types": []}), "types"),
        post(json!({"url": URL, "types": ["order.ready", "ready"]}), "types[1]"),
        post(json!({"url": URL, "types": ["Order.Ready"]}), "types[0]"),
        post(json!({"url": URL, "types": ["a.b\u{0}"]}), "types[0]"),
        post(json!({"url": URL, "types": vec!["a.b"; 65]}), "types"),
        post(json!({"url": URL, "secret": "mine"}), "secret"),
        patch(json!({"url": "https://10.0.0.1/"}), "url"),
        patch(json!({"types": []}), "types"),
        patch(json!({"state": "paused"}), "state"),
        patch(json!({"secret": "mine"}), "secret"),
        to("/rotate", json!({"keep_s": 604_801}), "keep_s"),
        to("/rotate", json!({"keep_s": -1}), "keep_s"),
        to("/replay", json!({}), "after"),
        to("/replay?after=x", json!({}), "after"),
        to("/replay?after=-1", json!({}), "after"),
        to("/replay?after=0&from=0", json!({}), "from"),
        (Method::GET, path_with(&hook, "/attempts?limit=0"), json!({}), "limit"),
        (Method::GET, path_with(&hook, "/attempts?cursor=x"), json!({}), "cursor"),
        (Method::GET, "/v1/webhooks?cursor=x".to_owned(), json!({}), "cursor"),
        (Method::GET, "/v1/webhooks?store=x".to_owned(), json!({}), "store"),
    ] {
        let told = format!("{method} {path} {body}");
        let answer = city.platform.send(method, &path, &[], body.to_string().into_bytes()).await;
        let problem = answer.expect_problem(422, "validation");
        assert_eq!(problem["fields"][0]["field"], field, "{told}");
    }
    self::hook(&city, URL, Value::Null).await;
    let third = city.platform.post("/v1/webhooks", json!({"url": URL})).await;
    third.expect_problem(422, "validation");
    server.stop().await;
}

fn path_with(hook: &Value, more: &str) -> String {
    path(hook, more)
}

#[actix_web::test]
async fn only_the_platform_has_webhooks_and_no_other_tenant_sees_them() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let stranger = City::found(&server.url, &server.database).await;
    let hook = hook(&city, URL, Value::Null).await;
    let order = city.order_id().await;
    let requests = [
        (Method::POST, "/v1/webhooks".to_owned(), json!({"url": URL})),
        (Method::GET, "/v1/webhooks".to_owned(), json!({})),
        (Method::GET, path(&hook, ""), json!({})),
        (Method::PATCH, path(&hook, ""), json!({"url": "https://1.1.1.1/"})),
        (Method::GET, path(&hook, "/attempts"), json!({})),
        (Method::POST, path(&hook, "/rotate"), json!({})),
        (Method::POST, path(&hook, "/replay?after=0"), json!({})),
        (Method::POST, path(&hook, "/test"), json!({})),
        (Method::DELETE, path(&hook, ""), json!({})),
    ];
    for role in ["ops", "store", "driver", "customer"] {
        let caller = city.caller(role, &order).await;
        for (method, path, body) in &requests {
            let body = body.to_string().into_bytes();
            let answer = caller.send(method.clone(), path, &[], body).await;
            answer.expect_problem(403, "role_not_allowed");
        }
    }
    let before = view(&city, &hook).await;
    for (method, path, body) in &requests[2..] {
        let body = body.to_string().into_bytes();
        let answer = stranger.platform.send(method.clone(), path, &[], body).await;
        if *method == Method::DELETE {
            // As with one that never was.
            answer.expect(204);
        } else {
            answer.expect_problem(404, "not_found");
        }
    }
    let theirs = stranger.platform.get("/v1/webhooks").await.expect(200);
    assert_eq!(theirs["webhooks"], json!([]));
    assert_eq!(view(&city, &hook).await["url"], before["url"]);
    server.stop().await;
}

#[actix_web::test]
async fn nothing_is_posted_into_the_own_network() {
    let server = Server::start_with(|config| config.webhooks.look_interval_ms = of(100)).await;
    let client = server.database.connect().await;
    let city = City::found(&server.url, &server.database).await;
    let receiver = Receiver::start();
    let port = receiver.url.split(':').nth(2).unwrap().to_owned();
    for host in [
        "127.0.0.1",
        "localhost",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "224.0.0.1",
        "[::1]",
        "[::]",
        "[fe80::1]",
        "[fd00::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[ff02::1]",
    ] {
        let body = json!({"url": format!("https://{host}:{port}")});
        let refused = city.platform.post("/v1/webhooks", body).await;
        let problem = refused.expect_problem(422, "validation");
        assert_eq!(problem["fields"][0]["field"], "url", "{host}");
    }
    // Nor where it was allowed once, or where a name leads now.
    let hook = hook(&city, URL, Value::Null).await;
    for (times, url) in (1..).zip([
        receiver.url.clone(),
        receiver.url.replace("http://", "https://"),
        format!("https://localhost:{port}"),
        format!("https://0:{port}"),
        format!("https://[::ffff:127.0.0.1]:{port}"),
    ]) {
        client.execute("update webhooks set url = $1", &[&url]).await.unwrap();
        if times == 1 {
            city.order_id().await;
        }
        hurry(&client).await;
        until("the failure to be noted", async || {
            let tried = attempts(&city, &hook).await;
            (tried.len() >= times).then(|| assert_eq!(tried[times - 1]["outcome"], "forbidden"))
        })
        .await;
    }
    let sent = city.platform.post(&path(&hook, "/test"), json!({})).await.expect(200);
    assert_eq!(sent["outcome"], "forbidden");
    assert!(receiver.letters().is_empty());
    server.stop().await;
}

#[actix_web::test]
async fn a_test_posts_one_ping_that_the_log_knows_nothing_of() {
    let server = Server::start_with(delivering).await;
    let city = City::found(&server.url, &server.database).await;
    let receiver = Receiver::start();
    let hook = hook(&city, &receiver.url, json!(["order.ready"])).await;
    city.platform.patch(&path(&hook, ""), json!({"state": "disabled"})).await.expect(200);
    let head = server.database.count("events").await;
    let sent = city.platform.post(&path(&hook, "/test"), json!({})).await.expect(200);
    assert_eq!((&sent["outcome"], &sent["status"]), (&json!("delivered"), &json!(204)));
    receiver.say(crate::support::Says::status(500));
    let sent = city.platform.post(&path(&hook, "/test"), json!({})).await.expect(200);
    assert_eq!((&sent["outcome"], &sent["status"]), (&json!("status"), &json!(500)));
    let letters = receiver.letters();
    assert_eq!(letters.len(), 2);
    assert!(letters[0].is_signed_by(hook["secret"].as_str().unwrap()));
    let event = letters[0].event();
    assert_eq!((&event["type"], &event["v"]), (&json!("webhook.ping"), &json!(1)));
    assert_eq!(event["id"], letters[0].id);
    assert_eq!(event["tenant"], city.tenant.as_str());
    assert!(event.get("position").is_none());
    let tried = attempts(&city, &hook).await;
    assert_eq!((&tried[0]["event"], &tried[0]["position"]), (&event["id"], &Value::Null));
    assert_eq!(tried[1]["outcome"], "status");
    assert_eq!(view(&city, &hook).await["failures"], 0);
    assert_eq!(server.database.count("events").await, head);
    server.stop().await;
}

#[actix_web::test]
async fn webhooks_can_be_changed_over_a_socket() {
    let server = Server::start_with(delivering).await;
    let city = City::found(&server.url, &server.database).await;
    let receiver = Receiver::start();
    let mut phone = Phone::connect(&server.url, &city.key).await;
    let mut call = async |verb: &str, data: Value| {
        let reply = phone.rpc(&format!("webhook.{verb}"), data).await;
        if reply.get("error").is_some() {
            reply["error"].clone()
        } else {
            reply["rpc"]["data"].clone()
        }
    };
    let made = call("create", json!({"url": receiver.url})).await;
    let id = made["id"].clone();
    assert!(made["secret"].is_string());
    let changed = call("update", json!({"webhook": id, "types": ["order.ready"]})).await;
    assert_eq!(changed["types"], json!(["order.ready"]));
    let rotated = call("rotate", json!({"webhook": id})).await;
    assert_ne!(rotated["secret"], made["secret"]);
    let moved = call("replay", json!({"webhook": id, "after": 0})).await;
    assert_eq!(moved["id"], id);
    let refused = call("replay", json!({"webhook": id, "after": 99})).await;
    assert_eq!(refused["code"], 1431);
    let refused = call("replay", json!({"webhook": id})).await;
    assert_eq!(refused["code"], 422);
    let refused = call("delete", json!({"webhook": id, "now": true})).await;
    assert_eq!(refused["code"], 422);
    assert_eq!(call("test", json!({"webhook": id})).await["outcome"], "delivered");
    assert_eq!(call("delete", json!({"webhook": id})).await, json!({}));
    let gone = call("test", json!({"webhook": id})).await;
    assert_eq!(gone["code"], 404);
    assert_eq!(call("no_such", json!({"webhook": id})).await["code"], 104);
    server.stop().await;
}
