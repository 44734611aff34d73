//! Handing proofs in: where, by whom, how often, and what is none.

use awc::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::{Town, inline, png, proof, proofs};
use crate::support::{City, Server, merged, until};

#[actix_web::test]
async fn at_each_point_each_kind_is_handed_in_by_those_whose_hand_over_it_is() {
    let town = Town::found().await;
    let roles = ["platform", "ops", "store", "driver", "customer"];
    for (fulfilment, status, point, may) in [
        ("delivery", "ready", "pickup", &["ops", "driver"][..]),
        ("delivery", "picked_up", "dropoff", &["ops", "driver"]),
        ("delivery", "delivered", "dropoff", &["ops", "driver"]),
        ("delivery", "returning", "return", &["ops", "store", "driver"]),
        ("delivery", "returned", "return", &["ops", "store", "driver"]),
        ("store_delivery", "ready", "pickup", &["ops", "store"]),
        ("store_delivery", "picked_up", "dropoff", &["ops", "store"]),
        ("store_delivery", "returning", "return", &["ops", "store"]),
        ("collection", "ready", "dropoff", &["ops", "store"]),
    ] {
        let order = town.order(json!({"fulfilment": fulfilment}), status).await;
        for role in roles {
            let who = town.city.caller(role, &order).await;
            for kind in ["photo", "signature", "scan"] {
                let what = format!("{role}: {kind} at {point} of {fulfilment} {status}");
                let before = town.ops.get(&format!("/v1/orders/{order}")).await.expect(200);
                let body = proof(point, kind, &format!("{role} {kind}"));
                let answer = who.post(&proofs(&order), body.clone()).await;
                let after = town.ops.get(&format!("/v1/orders/{order}")).await.expect(200);
                if !may.contains(&role) {
                    assert!([403, 404, 409].contains(&answer.status), "{what}: {answer:?}");
                    assert_eq!(after, before, "{what}");
                    continue;
                }
                let etag = answer.header("etag").map(str::to_owned);
                let added = answer.expect(201);
                let version = before["version"].as_i64().unwrap() + 1;
                assert_eq!(after["version"], version, "{what}");
                assert_eq!(etag, Some(format!("\"{version}\"")), "{what}");
                assert_eq!(added["version"], version, "{what}");
                assert!(added["id"].as_str().unwrap().starts_with("pf_"), "{what}");
                assert_eq!((&added["point"], &added["kind"]), (&json!(point), &json!(kind)));
                assert_eq!(added["by"]["role"], role, "{what}");
                assert_eq!(after["status"], before["status"], "{what}");
                // The same again is the same, and writes nothing.
                let again = who.post(&proofs(&order), body).await.expect(200);
                assert_eq!(again, added, "{what}");
            }
        }
    }
    // A point that an order has not come to, or never will.
    for (fulfilment, status, points) in [
        ("delivery", "ready", &["dropoff", "return"][..]),
        ("delivery", "picked_up", &["return"]),
        ("collection", "ready", &["pickup", "return"]),
    ] {
        let order = town.order(json!({"fulfilment": fulfilment}), status).await;
        for point in points {
            let body = proof(point, "photo", "early");
            let answer = town.ops.post(&proofs(&order), body).await;
            answer.expect_problem(409, "invalid_transition");
        }
    }
    town.server.stop().await;
}

#[actix_web::test]
async fn a_proof_comes_after_the_end_and_a_retry_of_it_is_one() {
    let town = Town::found().await;
    let order = town.order(json!({}), "delivered").await;
    let driver = town.city.caller("driver", &order).await;
    let ended = town.ops.get(&format!("/v1/orders/{order}")).await.expect(200);
    let body = inline("dropoff", "photo", "was offline").to_string().into_bytes();
    let send = async |key: &str, body: &[u8]| {
        let headers = [("Idempotency-Key", key)];
        driver.send(Method::POST, &proofs(&order), &headers, body.to_vec()).await
    };
    let first = send("tap-1", &body).await.expect(201);
    // By key, and by another key with the same picture.
    for (key, status, replayed) in
        [("tap-1", 201, Some("true")), ("tap-2", 200, None), ("tap-2", 200, Some("true"))]
    {
        let again = send(key, &body).await;
        assert_eq!(again.header("idempotent-replayed"), replayed, "{key}");
        assert_eq!(again.expect(status), first, "{key}");
    }
    let other = inline("dropoff", "photo", "another").to_string().into_bytes();
    send("tap-1", &other).await.expect_problem(409, "idempotency_key_reused");
    let after = town.ops.get(&format!("/v1/orders/{order}")).await.expect(200);
    assert_eq!(after["version"], ended["version"].as_i64().unwrap() + 1);
    assert_eq!(after["status"], "delivered");
    assert_eq!(after["stamps"], ended["stamps"]);
    let listed = town.ops.get(&proofs(&order)).await.expect(200);
    assert_eq!(listed["proofs"].as_array().unwrap().len(), 1);
    // Two at once: one is the first.
    let body = inline("dropoff", "photo", "twice at once");
    let path = proofs(&order);
    let (one, two) =
        futures::join!(driver.post(&path, body.clone()), driver.post(&path, body.clone()));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 201]);
    assert_eq!(one.body["id"], two.body["id"]);
    town.server.stop().await;
}

#[actix_web::test]
async fn what_is_no_proof_is_refused_with_its_field() {
    let town = Town::found().await;
    let order = town.order(json!({}), "picked_up").await;
    let with = |more: Value| merged(inline("dropoff", "photo", "x"), more);
    let data = |bytes: &[u8]| json!({"data": BASE64.encode(bytes)});
    let url = |url: &str| json!({"point": "dropoff", "kind": "photo", "url": url});
    let long = format!("https://example.org/{}", "x".repeat(2_030));
    for (body, field) in [
        (json!({}), "point"),
        (with(json!({"point": "door"})), "point"),
        (with(json!({"kind": "song"})), "kind"),
        (json!({"point": "dropoff", "kind": "pin"}), "kind"),
        (json!({"point": "dropoff", "kind": "pin", "ref": "1234"}), "ref"),
        (json!({"point": "dropoff", "kind": "photo"}), "url"),
        (with(json!({"url": "https://example.org/1"})), "url"),
        (url("http://example.org/1"), "url"),
        (url("https://ann@example.org/1"), "url"),
        (url("javascript:alert(1)"), "url"),
        (url("data:image/png;base64,AAAA"), "url"),
        (url("https://"), "url"),
        (url("https://example.org/ö"), "url"),
        (url(&long), "url"),
        (json!({"point": "dropoff", "kind": "photo", "ref": "x"}), "ref"),
        (json!({"point": "dropoff", "kind": "scan"}), "ref"),
        (json!({"point": "dropoff", "kind": "scan", "ref": ""}), "ref"),
        (json!({"point": "dropoff", "kind": "scan", "ref": "x".repeat(2_049)}), "ref"),
        (json!({"point": "dropoff", "kind": "scan", "url": "https://example.org"}), "url"),
        (json!({"point": "dropoff", "kind": "photo", "data": "AAAA"}), "content_type"),
        (
            json!({"point": "dropoff", "kind": "photo", "url": "https://e.org", "content_type": "image/png"}),
            "content_type",
        ),
        (with(json!({"content_type": "image/svg+xml"})), "content_type"),
        (with(json!({"content_type": "text/html"})), "content_type"),
        (with(json!({"data": "not base64!"})), "data"),
        (with(json!({"data": ""})), "data"),
        (with(data(b"<svg onload=alert(1)>")), "data"),
        (with(data(b"\xFF\xD8\xFF and so on")), "data"),
        (with(data(&png(&"x".repeat(262_144)))), "data"),
        (with(json!({"at": "yesterday"})), "at"),
        (with(json!({"lat": 1})), "lng"),
        (with(json!({"lat": 91, "lng": 1})), "lat"),
        (with(json!({"colour": "red"})), "colour"),
    ] {
        let told: String = body.to_string().chars().take(200).collect();
        let problem = town.ops.post(&proofs(&order), body).await;
        assert_eq!(problem.status, 422, "{told}: {}", problem.body);
        let problem = problem.expect_problem(422, "validation");
        assert_eq!(problem["fields"][0]["field"], field, "{told}");
    }
    assert_eq!(town.ops.get(&proofs(&order)).await.expect(200), json!({"proofs": []}));
    // As large as it may be, beyond what other requests may: and not one byte more.
    let largest = png(&"x".repeat(262_144 - 8));
    town.ops.post(&proofs(&order), with(data(&largest))).await.expect(201);
    let too_much = json!({"data": "x".repeat(393_216)});
    town.ops.post(&proofs(&order), too_much).await.expect_problem(413, "payload_too_large");
    let note = json!({"note": "x".repeat(262_144)});
    let other = town.ops.post(&format!("/v1/orders/{order}/note"), note).await;
    other.expect_problem(413, "payload_too_large");
    // Which proofs an order may ask for.
    for (required, field) in [
        (json!({"pickup": ["pin"]}), "proof_required.pickup[0]"),
        (json!({"return": ["photo", "song"]}), "proof_required.return[1]"),
        (json!({"pickup": vec!["photo"; 5]}), "proof_required.pickup"),
        (json!({"pickup": "photo"}), "proof_required.pickup"),
        (json!({"dropoff": ["photo"]}), "proof_required.dropoff"),
    ] {
        let body = town.city.order_body(json!({"proof_required": required}));
        let problem = town.city.platform.post("/v1/orders", body).await;
        let problem = problem.expect_problem(422, "validation");
        assert_eq!(problem["fields"][0]["field"], field, "{problem}");
    }
    town.server.stop().await;
}

#[actix_web::test]
async fn as_many_as_are_let_in_hand_in_at_once_and_the_others_are_told_to_wait() {
    let server = Server::start_with(|config| config.proofs.uploads_max = 1).await;
    let city = City::found(&server.url, &server.database).await;
    let ops = city.caller("ops", "").await;
    let order = city.order_id().await;
    city.assign(&order).await;
    city.act(&ops, &order, "accept", json!({})).await;
    // Somebody holds the order, so the first one waits.
    let client = server.database.connect().await;
    client.batch_execute("begin").await.unwrap();
    let lock = "select from orders where id::text is not null for update";
    client.batch_execute(lock).await.unwrap();
    let path = proofs(&order);
    let first = {
        let (ops, path) = (ops.clone(), path.clone());
        actix_web::rt::spawn(async move { ops.post(&path, proof("pickup", "photo", "1")).await })
    };
    let api = server.app().api();
    until("the first to be under way", async || {
        (api.proof_uploads.available_permits() == 0).then_some(())
    })
    .await;
    let second = ops.post(&path, proof("pickup", "photo", "2")).await;
    assert!(second.header("retry-after").is_some());
    second.expect_problem(503, "overloaded");
    client.batch_execute("rollback").await.unwrap();
    first.await.unwrap().expect(201);
    ops.post(&path, proof("pickup", "photo", "2")).await.expect(201);
    server.stop().await;
}
