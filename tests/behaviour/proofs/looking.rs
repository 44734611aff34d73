//! Looking at proofs, and hearing of them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::{Town, picture, png, proof, proofs};
use crate::links::ended_earlier;
use crate::support::{City, Phone, Server, of};

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
