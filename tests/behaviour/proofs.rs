//! Proofs: handed in at each point by those whose it is, looked at by those who may, and asked for
//! before an order moves on.

use awc::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use crate::links::ended_earlier;
use crate::support::{Answer, City, Phone, Rest, Server, merged, of, until};

/// The first bytes of a PNG, and some that tell one from another.
fn png(salt: &str) -> Vec<u8> {
    [b"\x89PNG\r\n\x1A\n", salt.as_bytes()].concat()
}

fn inline(point: &str, kind: &str, salt: &str) -> Value {
    let data = BASE64.encode(png(salt));
    json!({"point": point, "kind": kind, "content_type": "image/png", "data": data})
}

fn proof(point: &str, kind: &str, salt: &str) -> Value {
    if kind == "scan" {
        json!({"point": point, "kind": kind, "ref": salt})
    } else {
        inline(point, kind, salt)
    }
}

fn proofs(order: &str) -> String {
    format!("/v1/orders/{order}/proofs")
}

async fn picture(who: &Rest, order: &str, proof: &Value) -> Answer {
    who.get(&format!("{}/{}", proofs(order), proof["id"].as_str().unwrap())).await
}

struct Town {
    server: Server,
    city: City,
    ops: Rest,
}

impl Town {
    async fn found() -> Self {
        let server = Server::start().await;
        let city = City::found(&server.url, &server.database).await;
        let ops = city.caller("ops", "").await;
        Self { server, city, ops }
    }

    /// An order that has come so far, by the dispatcher: `ready`, `picked_up`, `returning`,
    /// `delivered` or `returned`.
    async fn order(&self, more: Value, status: &str) -> String {
        let order = self.city.order(more).await;
        let id = order["id"].as_str().unwrap().to_owned();
        let steps = [
            ("accept", json!({})),
            ("ready", json!({})),
            ("pickup", json!({})),
            if status == "delivered" {
                ("deliver", json!({}))
            } else {
                ("return", json!({"reason": "refused"}))
            },
            ("returned", json!({})),
        ];
        let far = match status {
            "ready" => 2,
            "picked_up" => 3,
            "returning" | "delivered" => 4,
            _ => 5,
        };
        for (action, body) in &steps[..far] {
            if *action == "ready" && order["fulfilment"] == "delivery" {
                self.city.assign(&id).await;
            }
            self.city.act(&self.ops, &id, action, body.clone()).await;
        }
        id
    }
}

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
async fn what_is_required_is_asked_for_at_its_point_and_counts_however_it_came() {
    let town = Town::found().await;
    let city = &town.city;
    let asked = json!({
        "photo": true, "scan": true, "pickup": ["scan", "photo"], "return": ["signature"],
    });
    let order = town.order(json!({"proof_required": asked}), "ready").await;
    let view = town.ops.get(&format!("/v1/orders/{order}")).await.expect(200);
    assert_eq!(
        view["proof_required"],
        json!({
            "photo": true, "signature": false, "pin": false, "scan": true,
            "pickup": ["photo", "scan"], "return": ["signature"],
        })
    );
    let driver = city.caller("driver", &order).await;
    let missing = async |who: &Rest, action: &str, body: Value, kinds: &str| {
        let path = format!("/v1/orders/{order}/{action}");
        let problem = who.post(&path, body).await.expect_problem(422, "proof_required");
        assert_eq!(problem["detail"], format!("still required: {kinds}"));
        let named: Vec<String> =
            kinds.split(", ").map(|kind| format!("{kind} is required")).collect();
        let fields = problem["fields"].as_array().unwrap();
        let fields: Vec<_> = fields.iter().map(|at| at["detail"].as_str().unwrap()).collect();
        assert_eq!(fields, named);
    };
    missing(&driver, "pickup", json!({}), "photo, scan").await;
    driver.post(&proofs(&order), proof("pickup", "scan", "parcel")).await.expect(201);
    missing(&driver, "pickup", json!({}), "photo").await;
    let photo = json!({"proofs": [{"kind": "photo", "ref": "https://example.org/bag"}]});
    let gone = city.act(&driver, &order, "pickup", photo).await;
    assert_eq!(gone["proofs"], json!({"pickup": ["photo", "scan"]}));
    missing(&driver, "deliver", json!({}), "photo, scan").await;
    let body = proof("dropoff", "photo", "first door");
    driver.post(&proofs(&order), body.clone()).await.expect(201);
    missing(&driver, "deliver", json!({}), "scan").await;

    city.act(&driver, &order, "return", json!({"reason": "refused"})).await;
    let store = city.caller("store", &order).await;
    missing(&store, "returned", json!({}), "signature").await;
    // A second attempt is proved anew, be it by the same picture.
    city.act(&town.ops, &order, "redeliver", json!({})).await;
    missing(&driver, "deliver", json!({}), "photo, scan").await;
    driver.post(&proofs(&order), body).await.expect(201);
    driver.post(&proofs(&order), proof("dropoff", "scan", "parcel")).await.expect(201);
    city.act(&driver, &order, "return", json!({"reason": "refused"})).await;
    store.post(&proofs(&order), proof("return", "signature", "chef")).await.expect(201);
    city.act(&store, &order, "returned", json!({})).await;

    let events = town.ops.get(&format!("/v1/orders/{order}/events")).await.expect(200);
    let events = events["events"].as_array().unwrap().clone();
    let of = |kind: &str| events.iter().rfind(|event| event["type"] == kind).unwrap();
    assert_eq!(of("order.picked_up")["data"]["proofs"], json!(["photo", "scan"]));
    assert_eq!(of("order.returned")["data"]["proofs"], json!(["signature"]));
    let numbers: Vec<i64> = events.iter().filter_map(|event| event["n"].as_i64()).collect();
    assert_eq!(numbers, (1..=i64::try_from(numbers.len()).unwrap()).collect::<Vec<_>>());
    // All are listed, with those that came with actions.
    let listed = town.ops.get(&proofs(&order)).await.expect(200);
    let listed: Vec<String> = listed["proofs"].as_array().unwrap().iter().map(short).collect();
    assert_eq!(
        listed,
        [
            "pickup scan 1",
            "pickup photo 1",
            "dropoff photo 1",
            "dropoff photo 2",
            "dropoff scan 2",
            "return signature 2",
        ]
    );
    town.server.stop().await;
}

fn short(proof: &Value) -> String {
    let word = |key: &str| proof[key].as_str().unwrap();
    format!("{} {} {}", word("point"), word("kind"), proof["attempt"])
}

#[actix_web::test]
async fn a_collection_is_handed_out_with_what_is_required() {
    let town = Town::found().await;
    let more = json!({"fulfilment": "collection", "proof_required": {"signature": true}});
    let order = town.order(more, "ready").await;
    let store = town.city.caller("store", &order).await;
    let customer = town.city.caller("customer", &order).await;
    let path = format!("/v1/orders/{order}");
    let pin = customer.get(&path).await.expect(200)["pin"].clone();
    let collect = format!("{path}/collect");
    let problem = store.post(&collect, json!({})).await.expect_problem(422, "proof_required");
    assert_eq!(problem["detail"], "still required: signature");
    let problem = customer.post(&collect, json!({"pin": pin})).await;
    problem.expect_problem(422, "proof_required");
    store.post(&proofs(&order), proof("dropoff", "signature", "ann")).await.expect(201);
    customer.post(&collect, json!({"pin": pin})).await.expect(200);
    let event = town.ops.get(&format!("{path}/events")).await.expect(200);
    let last = event["events"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(last["data"]["proofs"], json!(["signature", "pin"]));
    town.server.stop().await;
}

#[actix_web::test]
async fn pictures_are_looked_at_by_those_who_may_and_given_out_as_they_came() {
    let town = Town::found().await;
    let city = &town.city;
    let order = town.order(json!({}), "picked_up").await;
    let driver = city.caller("driver", &order).await;
    let mut added = Vec::new();
    for point in ["pickup", "dropoff"] {
        for kind in ["photo", "signature", "scan"] {
            let body = proof(point, kind, &format!("{point} {kind}"));
            added.push(driver.post(&proofs(&order), body).await.expect(201));
        }
    }
    let url = "https://pictures.example.org/1?signed=yes";
    let body = json!({"point": "dropoff", "kind": "photo", "url": url});
    let elsewhere = driver.post(&proofs(&order), body).await.expect(201);
    // Whoever hands in is told no address, its own neither.
    assert!(!elsewhere.to_string().contains("pictures.example.org"), "{elsewhere}");
    assert!(added.iter().all(|proof| proof.get("href").is_none()));

    for role in ["platform", "ops", "store", "customer"] {
        let who = city.caller(role, &order).await;
        let listed = who.get(&proofs(&order)).await;
        assert_eq!(listed.header("cache-control"), Some("no-store"));
        let listed = listed.expect(200)["proofs"].as_array().unwrap().clone();
        assert_eq!(listed.len(), if role == "customer" { 3 } else { 7 }, "{role}");
        assert!(listed.iter().any(|proof| proof["url"] == url), "{role}");
        for proof in &added {
            let mine = proof["point"] == "dropoff" && proof["kind"] != "scan";
            let shown = listed.iter().find(|shown| shown["id"] == proof["id"]);
            assert_eq!(shown.is_some(), mine || role != "customer", "{role} {proof}");
            let answer = picture(&who, &order, proof).await;
            if proof["kind"] == "scan" || shown.is_none() {
                answer.expect_problem(404, "not_found");
                continue;
            }
            let href = shown.unwrap()["href"].as_str().unwrap();
            assert_eq!(href, format!("{}/{}", proofs(&order), proof["id"].as_str().unwrap()));
            assert_eq!(answer.status, 200, "{role}");
            for (name, value) in [
                ("content-type", "image/png"),
                ("cache-control", "no-store"),
                ("x-content-type-options", "nosniff"),
                ("content-security-policy", "default-src 'none'; sandbox"),
                ("content-disposition", "inline"),
            ] {
                assert_eq!(answer.header(name), Some(value), "{role} {name}");
            }
            let salt =
                format!("{} {}", proof["point"].as_str().unwrap(), proof["kind"].as_str().unwrap());
            let bytes = String::from_utf8_lossy(&png(&salt)).into_owned();
            assert_eq!(answer.body, Value::String(bytes), "{role}");
        }
        // What a scan read, where the device was and who it was is between those who run it all.
        let text = Value::Array(listed).to_string();
        let inside = ["platform", "ops"].contains(&role);
        assert_eq!(text.contains("pickup scan"), inside, "{role}: {text}");
        assert_eq!(text.contains(&city.driver), inside, "{role}: {text}");
    }
    // A courier hands in, and looks at none.
    driver.get(&proofs(&order)).await.expect_problem(403, "role_not_allowed");
    picture(&driver, &order, &added[0]).await.expect_problem(403, "role_not_allowed");
    // Others find nothing: another customer, another store, another order, another tenant.
    let other_order = city.order_id().await;
    let other_city = City::found(&town.server.url, &town.server.database).await;
    let other_store = city.new_store(json!({})).await;
    let store_token = city.token("store", &other_store, &[]).await;
    for who in [
        city.caller("customer", &other_order).await,
        city.platform.with_token(&store_token),
        other_city.caller("ops", "").await,
        other_city.platform.clone(),
    ] {
        who.get(&proofs(&order)).await.expect_problem(404, "not_found");
        picture(&who, &order, &added[3]).await.expect_problem(404, "not_found");
    }
    picture(&town.ops, &other_order, &added[3]).await.expect_problem(404, "not_found");
    let stranger = city.new_driver(json!({})).await;
    let stranger = city.platform.with_token(&city.token("driver", &stranger, &[]).await);
    let body = proof("dropoff", "photo", "not mine");
    stranger.post(&proofs(&order), body.clone()).await.expect_problem(404, "not_found");
    let foreign = other_city.caller("ops", "").await;
    foreign.post(&proofs(&order), body).await.expect_problem(404, "not_found");

    // A store may look for a week.
    let store = city.caller("store", &order).await;
    let client = town.server.database.connect().await;
    let age = "update proofs set recorded_at = recorded_at - interval '7 days'";
    client.batch_execute(age).await.unwrap();
    assert_eq!(store.get(&proofs(&order)).await.expect(200), json!({"proofs": []}));
    picture(&store, &order, &added[3]).await.expect_problem(404, "not_found");
    assert_eq!(picture(&town.ops, &order, &added[3]).await.status, 200);
    town.server.stop().await;
}

#[actix_web::test]
async fn each_who_follows_hears_what_it_may_of_a_proof_and_nobody_its_bytes() {
    let town = Town::found().await;
    let city = &town.city;
    let order = town.order(json!({}), "picked_up").await;
    let driver_token = city.driver_token().await;
    let mut listeners = Vec::new();
    for (role, channel, token) in [
        ("customer", format!("order:{order}"), city.customer_token(&order).await),
        ("store", format!("store:{}", city.store), city.store_token().await),
        ("driver", format!("driver:{}", city.driver), driver_token.clone()),
        ("ops", "dispatch".to_owned(), city.ops_token().await),
        ("platform", "tenant".to_owned(), city.key.clone()),
    ] {
        let mut phone = Phone::connect(&town.server.url, &token).await;
        let read = phone.subscribe(&channel).await;
        assert!(read["data"].is_object(), "{read}");
        listeners.push((role, phone));
    }
    let mut courier = Phone::connect(&town.server.url, &driver_token).await;
    let url = "https://pictures.example.org/secret";
    let here = json!({"at": "2020-01-01T00:00:00Z", "lat": 52.5, "lng": 13.4});
    let mut sent = Vec::new();
    for (point, kind) in
        [("pickup", "photo"), ("pickup", "scan"), ("dropoff", "signature"), ("dropoff", "scan")]
    {
        sent.push(proof(point, kind, "bytes-of-it"));
    }
    sent.push(json!({"point": "dropoff", "kind": "photo", "url": url}));
    for body in &sent {
        let mut data = body.clone();
        data["order"] = json!(order);
        data.as_object_mut().unwrap().extend(here.as_object().unwrap().clone());
        let reply = courier.rpc("proof.add", data.clone()).await;
        assert!(reply["rpc"]["data"]["id"].as_str().unwrap().starts_with("pf_"), "{reply}");
        // Once more over the socket: the very same.
        assert_eq!(courier.rpc("proof.add", data).await["rpc"]["data"], reply["rpc"]["data"]);
    }
    let bytes = BASE64.encode(png("bytes-of-it"));
    let all = ["pickup photo", "pickup scan", "dropoff signature", "dropoff scan", "dropoff photo"];
    for (role, phone) in &mut listeners {
        // A customer hears of its own hand-over, and nothing of what a scan read.
        let expected: Vec<&str> =
            if *role == "customer" { vec![all[2], all[4]] } else { all.to_vec() };
        let mut heard = Vec::new();
        while heard.len() < expected.len() {
            let event = phone.event().await;
            if event["type"] == "proof.added" {
                heard.push(event);
            }
        }
        let what: Vec<String> = heard
            .iter()
            .map(|event| {
                let data = &event["data"];
                format!("{} {}", data["point"].as_str().unwrap(), data["kind"].as_str().unwrap())
            })
            .collect();
        assert_eq!(what, expected, "{role}");
        let inside = ["ops", "platform"].contains(role);
        let text = json!(heard).to_string();
        assert!(!text.contains(&bytes), "{role} hears the bytes");
        for secret in [url, "bytes-of-it", "\"place\""] {
            assert_eq!(text.contains(secret), inside, "{role}: {secret} in {text}");
        }
        assert!(heard.iter().all(|event| event["data"]["proof"].is_string()), "{role}");
        let steps: Vec<i64> = heard.iter().map(|event| event["n"].as_i64().unwrap()).collect();
        assert!(steps.windows(2).all(|pair| pair[0] < pair[1]), "{role}: {steps:?}");
    }
    // Nothing of a picture's bytes is in the log, or in what is kept of answers.
    let client = town.server.database.connect().await;
    for sql in [
        "select string_agg(data::text, '') from events",
        "select string_agg(outcome::text, '') from idempotency_keys",
    ] {
        let row = client.query_one(sql, &[]).await.unwrap();
        let text: Option<String> = row.try_get(0).unwrap();
        assert!(!text.unwrap_or_default().contains(&bytes), "{sql}");
    }
    drop(listeners);
    drop(courier);
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
    assert_eq!(send("tap-1", &body).await.expect(200), first);
    assert_eq!(send("tap-2", &body).await.expect(200), first);
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

#[actix_web::test]
async fn a_store_looks_as_long_as_is_set() {
    let server = Server::start_with(|config| config.proofs.store_s = of(0)).await;
    let city = City::found(&server.url, &server.database).await;
    let ops = city.caller("ops", "").await;
    let order = city.order_id().await;
    city.assign(&order).await;
    city.act(&ops, &order, "accept", json!({})).await;
    ops.post(&proofs(&order), proof("pickup", "photo", "1")).await.expect(201);
    let store = city.caller("store", &order).await;
    assert_eq!(store.get(&proofs(&order)).await.expect(200), json!({"proofs": []}));
    server.stop().await;
}

#[actix_web::test]
async fn whoever_has_the_orders_link_looks_until_it_ends_and_hands_nothing_in() {
    let town = Town::found().await;
    let order = town.order(json!({}), "picked_up").await;
    let driver = town.city.caller("driver", &order).await;
    let mut added = Vec::new();
    for (point, kind) in
        [("dropoff", "photo"), ("dropoff", "signature"), ("dropoff", "scan"), ("pickup", "photo")]
    {
        driver.post(&proofs(&order), proof(point, kind, kind)).await.expect(201);
    }
    for proof in town.ops.get(&proofs(&order)).await.expect(200)["proofs"].as_array().unwrap() {
        added.push(proof.clone());
    }
    let link = town.city.link(&order).await;
    let bearer = town.city.platform.with_token(link["token"].as_str().unwrap());
    let looks = async |expected: &[u16]| {
        for (proof, status) in added.iter().zip(expected) {
            assert_eq!(picture(&bearer, &order, proof).await.status, *status, "{proof}");
        }
        let listed = bearer.get(&proofs(&order)).await.expect(200);
        let count = expected.iter().filter(|status| **status == 200).count();
        assert_eq!(listed["proofs"].as_array().unwrap().len(), count);
    };
    looks(&[200, 200, 404, 404]).await;
    let body = proof("dropoff", "photo", "mine");
    bearer.post(&proofs(&order), body).await.expect_problem(403, "role_not_allowed");
    town.city.act(&driver, &order, "deliver", json!({})).await;
    looks(&[200, 200, 404, 404]).await;
    // Once it shows no name any more, it shows no signature either.
    ended_earlier(&town.server.database, &order, "3 hours").await;
    looks(&[200, 404, 404, 404]).await;
    ended_earlier(&town.server.database, &order, "30 days").await;
    for path in [proofs(&order), format!("{}/{}", proofs(&order), added[0]["id"].as_str().unwrap())]
    {
        bearer.get(&path).await.expect_problem(401, "unauthenticated");
    }
    town.server.stop().await;
}
