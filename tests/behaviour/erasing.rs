//! Erasing what is personal of an order that is over: nothing of it is left anywhere, and all
//! that is not personal is.

use awc::http::Method;
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::support::{
    City, Letter, Phone, Process, Receiver, Rest, Server, check_log, delivering, until,
};
use crate::webhooks::{hook, log};

/// What tells who it was for. None of it stands anywhere else in a city.
const PERSONAL: &[&str] = &[
    "Ann Lee",
    "Ann",
    "99887766",
    "Hauptstr",
    "ring twice",
    "no onions",
    "loyal",
    "52.53",
    "Ann's dog",
    "customer-1",
    "why-ann",
    "photo-of-ann",
    "52.987",
];

/// Every row of every table that holds one of these, as text.
async fn found(client: &Client, words: &[&str]) -> Vec<String> {
    let tables = "select c.oid::regclass::text from pg_class c
                  where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'm')";
    let mut found = Vec::new();
    for table in client.query(tables, &[]).await.unwrap() {
        let table: String = table.try_get(0).unwrap();
        for row in client.query(&format!("select t::text from {table} t"), &[]).await.unwrap() {
            let row: String = row.try_get(0).unwrap();
            if words.iter().any(|word| row.contains(word)) {
                found.push(format!("{table}: {row}"));
            }
        }
    }
    found
}

fn assert_nothing_of_it(what: &str, text: &str) {
    for word in PERSONAL {
        assert!(!text.contains(word), "{word:?} in {what}: {text}");
    }
}

/// An order on which everybody has left something, and which is over.
async fn order(city: &City) -> String {
    let body = json!({"note": "no onions", "meta": {"loyal": true}});
    let placed = city.order_body(body);
    let key = placed["external_id"].as_str().unwrap().to_owned();
    let body = placed.to_string().into_bytes();
    let placed = city
        .platform
        .send(Method::POST, "/v1/orders", &[("idempotency-key", key.as_str())], body)
        .await;
    let order = placed.expect(201)["id"].as_str().unwrap().to_owned();
    let store = city.caller("store", &order).await;
    let courier = city.caller("driver", &order).await;
    city.act(&store, &order, "accept", json!({"prep_min": 10})).await;
    let prep = json!({"prep_min": 15, "why": "why-ann"});
    store.put(&format!("/v1/orders/{order}/prep"), prep).await.expect(200);
    city.platform
        .patch(&format!("/v1/orders/{order}"), json!({"note": "no onions, says Ann"}))
        .await
        .expect(200);
    city.assign(&order).await;
    let away = json!({"reason": "other", "note": "Ann's dog"});
    city.act(&courier, &order, "drop", away).await;
    city.assign(&order).await;
    let there =
        json!({"lat": 52.987, "lng": 13.4, "proofs": [{"kind": "photo", "ref": "photo-of-ann"}]});
    city.act(&courier, &order, "pickup", there).await;
    let why = json!({"reason": "other", "note": "Ann's dog"});
    city.act(&courier, &order, "return", why).await;
    city.act(&store, &order, "returned", json!({})).await;
    order
}

/// An order that its customer has called off.
async fn called_off(city: &City) -> String {
    let order = city.order_id().await;
    let customer = city.caller("customer", &order).await;
    let body = json!({"reason": "other", "note": "Ann's dog"}).to_string().into_bytes();
    let path = format!("/v1/orders/{order}/cancel");
    customer.send(Method::POST, &path, &[("idempotency-key", "off")], body).await.expect(200);
    order
}

fn types(page: &Value) -> Vec<&str> {
    page["events"].as_array().unwrap().iter().map(|it| it["type"].as_str().unwrap()).collect()
}

async fn erase(city: &City, order: &str) -> Value {
    city.act(&city.platform, order, "erase", json!({})).await
}

#[actix_web::test]
async fn nothing_personal_is_left_in_any_table_and_the_history_stays() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let client = server.database.connect().await;
    let other = city
        .order(json!({"dropoff": {
        "name": "Bob Fox", "address": "Nebenstr. 2, Berlin", "lat": 52.51, "lng": 13.42}}))
        .await;
    for by_customer in [false, true] {
        let order = if by_customer { called_off(&city).await } else { order(&city).await };
        let path = format!("/v1/orders/{order}");
        let before = city.platform.get(&path).await.expect(200);
        let events = city.platform.get(&format!("{path}/events")).await.expect(200);
        let rows = found(&client, PERSONAL).await;
        for table in ["orders", "events_from_1", "idempotency_keys"] {
            assert!(rows.iter().any(|row| row.starts_with(table)), "{table} in {rows:#?}");
        }
        let erased = erase(&city, &order).await;
        assert_eq!(found(&client, PERSONAL).await, Vec::<String>::new());
        check_log(&server.database).await;

        assert_eq!(erased["version"].as_i64(), before["version"].as_i64().map(|n| n + 1));
        assert!(erased["erased_at"].is_string());
        assert_eq!((&erased["dropoff"], &erased["note"]), (&Value::Null, &Value::Null));
        assert_eq!(erased["meta"], json!({}));
        for kept in
            ["status", "leg", "stamps", "items", "driver", "store", "external_id", "prep_min"]
        {
            assert_eq!(erased[kept], before[kept], "{kept}");
        }
        assert_eq!(erased["reason"]["code"], before["reason"]["code"]);
        assert_eq!(city.platform.get(&path).await.expect(200), erased);

        let after = city.platform.get(&format!("{path}/events")).await.expect(200);
        assert_nothing_of_it("its events", &after.to_string());
        let mut wanted = types(&events);
        wanted.push("order.erased");
        assert_eq!(types(&after), wanted);
        for (was, is) in
            events["events"].as_array().unwrap().iter().zip(after["events"].as_array().unwrap())
        {
            for kept in ["id", "position", "n", "at", "driver", "store"] {
                assert_eq!(was[kept], is[kept], "{kept}");
            }
            for kept in ["code", "by", "prep_min", "ready_eta", "driver", "proofs"] {
                assert_eq!(was["data"][kept], is["data"][kept], "{kept} of {}", was["type"]);
            }
            assert_eq!(was["by"]["role"], is["by"]["role"]);
        }
    }
    // Of another order all is there.
    let path = format!("/v1/orders/{}", other["id"].as_str().unwrap());
    assert_eq!(city.platform.get(&path).await.expect(200)["dropoff"]["name"], "Bob Fox");
    assert!(!found(&client, &["Bob Fox"]).await.is_empty());
    server.stop().await;
}

#[actix_web::test]
async fn only_the_platform_erases_and_only_what_is_over_and_once() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let open = city.order_id().await;
    let path = format!("/v1/orders/{open}/erase");
    let refused = city.platform.post(&path, json!({})).await;
    let standing = refused.expect_problem(409, "invalid_transition");
    assert!(!standing["allowed"].as_array().unwrap().contains(&json!("erase")));
    city.act(&city.platform, &open, "cancel", json!({"reason": "duplicate"})).await;
    for role in ["ops", "store", "customer"] {
        let who = city.caller(role, &open).await;
        who.post(&path, json!({})).await.expect_problem(403, "role_not_allowed");
    }
    let stranger = City::found(&server.url, &server.database).await;
    stranger.platform.post(&path, json!({})).await.expect_problem(404, "not_found");
    city.platform.post(&path, json!({"reason": "gdpr"})).await.expect_problem(422, "validation");

    let mut platform = Phone::connect(&server.url, &city.key).await;
    let reply = platform.rpc("order.erase", json!({"order": open})).await;
    let first = reply["rpc"]["data"].clone();
    assert!(first["erased_at"].is_string(), "{reply}");
    let contents = server.database.contents().await;
    assert_eq!(erase(&city, &open).await, first);
    assert_eq!(server.database.contents().await, contents, "asked again it writes nothing");
    server.stop().await;
}

#[actix_web::test]
async fn what_was_made_once_is_not_made_again_under_its_external_id() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let body = city.order_body(json!({}));
    let placing = async |key: &'static str| {
        let body = body.to_string().into_bytes();
        city.platform.send(Method::POST, "/v1/orders", &[("idempotency-key", key)], body).await
    };
    let order = placing("once").await.expect(201);
    let id = order["id"].as_str().unwrap();
    city.act(&city.platform, id, "cancel", json!({"reason": "duplicate"})).await;
    erase(&city, id).await;
    // The key still stands for what was answered, without what was personal in it.
    let repeated = placing("once").await.expect(201);
    assert_eq!((&repeated["id"], &repeated["version"]), (&order["id"], &json!(1)));
    assert_nothing_of_it("what a key stands for", &repeated.to_string());
    // What it was made by is not known any more.
    placing("twice").await.expect_problem(409, "external_id_conflict");
    server.stop().await;
}

/// All that a socket can be told of the order: recovered, by history, by a snapshot.
async fn told(url: &str, city: &City, order: &str, (from, epoch): (u64, &str)) -> Vec<Value> {
    let ops = city.ops_token().await;
    let tokens = [
        ("tenant".to_owned(), city.key.clone()),
        ("dispatch".to_owned(), ops.clone()),
        (format!("order:{order}"), ops),
        (format!("order:{order}"), city.customer_token(order).await),
        (format!("store:{}", city.store), city.store_token().await),
        (format!("driver:{}", city.driver), city.driver_token().await),
    ];
    let mut told = Vec::new();
    for (channel, token) in tokens {
        let mut phone = Phone::connect(url, &token).await;
        let recovered = phone.recover(&channel, from, epoch).await;
        assert_eq!(recovered["recovered"], true, "{channel}: {recovered}");
        told.push(recovered);
        let history = json!({"history": {"channel": channel, "limit": 300}});
        told.push(phone.ask(history).await);
        let mut phone = Phone::connect(url, &token).await;
        told.push(phone.subscribe(&channel).await);
    }
    told
}

#[actix_web::test]
async fn no_process_gives_it_out_from_memory_and_all_hear_that_it_is_gone() {
    let server = Server::start_with(delivering).await;
    let other = Process::serve(&server.database).await;
    let city = City::found(&server.url, &server.database).await;
    let mut platform = Phone::connect(&other.url, &city.key).await;
    let seen = platform.subscribe("tenant").await;
    let (from, epoch) = (seen["offset"].as_u64().unwrap(), seen["epoch"].as_str().unwrap());
    let mut store = Phone::connect(&other.url, &city.store_token().await).await;
    store.subscribe(&format!("store:{}", city.store)).await;
    let order = order(&city).await;
    let logged = log(&city, from).await.len();
    for nth in 0..logged {
        assert_eq!(platform.event().await["position"], from + 1 + u64::try_from(nth).unwrap());
    }
    // Both know it, from memory.
    for url in [&server.url, &other.url] {
        let told = Value::from(told(url, &city, &order, (from, epoch)).await).to_string();
        assert!(told.contains("Hauptstr") && told.contains("Ann's dog"), "{told}");
    }
    erase(&city, &order).await;
    let told_here = told(&server.url, &city, &order, (from, epoch)).await;
    assert_nothing_of_it("what is told where it was asked", &Value::from(told_here).to_string());
    let event = platform.event().await;
    assert_eq!((&event["type"], &event["data"]), (&json!("order.erased"), &json!({})));
    assert_eq!(event["order"], order.as_str());
    let told_there = told(&other.url, &city, &order, (from, epoch)).await;
    assert_nothing_of_it("what is told elsewhere", &Value::from(told_there).to_string());

    // It is for platform and dispatchers; of the store's own it hears the next.
    city.order_id().await;
    let last = until("the next order to be heard of", async || {
        let event = store.event().await;
        assert_ne!(event["type"], "order.erased");
        (event["type"] == "order.placed" && event["order"] != order.as_str()).then_some(event)
    })
    .await;
    assert_eq!(last["n"], 1);
    for role in ["store", "driver"] {
        let who = city.caller(role, &order).await;
        let page = who.get(&format!("/v1/orders/{order}/events")).await.expect(200);
        assert!(!types(&page).contains(&"order.erased"), "{role}");
        let view = who.get(&format!("/v1/orders/{order}")).await.expect(200);
        assert_eq!(view["erased_at"], Value::Null, "{role}");
    }

    // What is posted again is as the log has it now.
    let receiver = Receiver::start();
    let hook = hook(&city, &receiver.url, Value::Null).await;
    let replay = format!("/v1/webhooks/{}/replay?after={from}", hook["id"].as_str().unwrap());
    city.platform.post(&replay, json!({})).await.expect(200);
    let letters = receiver.received(logged + 1).await;
    let bodies: Vec<Value> = letters[..=logged].iter().map(Letter::event).collect();
    assert_eq!(bodies[logged]["type"], "order.erased");
    assert_nothing_of_it("what is posted", &Value::from(bodies).to_string());
    server.stop().await;
}

#[actix_web::test]
async fn it_is_erased_also_where_the_log_lies_in_many_partitions_or_is_gone() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let client = server.database.connect().await;
    let (first, second) = (order(&city).await, order(&city).await);
    let cut = "update events set recorded_at = recorded_at - interval '1 day'";
    client.batch_execute(cut).await.unwrap();
    let api = server.app().api();
    api.database.keep_log(&api.config.retention).await.unwrap();
    let border = "select max(substring(relname from '^events_from_([0-9]+)$')::int8) from pg_class";
    let border: i64 = client.query_one(border, &[]).await.unwrap().try_get(0).unwrap();
    let who = Rest::new(&server.url, Some(&city.key));
    while api.database.read_head().await.unwrap() < border.unsigned_abs() {
        let pause = json!({"duty": "paused"});
        who.put(&format!("/v1/drivers/{}/duty", city.driver), pause).await.expect(200);
        who.put(&format!("/v1/drivers/{}/duty", city.driver), json!({"duty": "on"}))
            .await
            .expect(200);
    }
    // Its last event lies in the second partition, the others in the first.
    erase(&city, &first).await;
    let rows = found(&client, &["Ann's dog"]).await;
    assert!(rows.iter().all(|row| !row.contains(&uuid(&first))), "{rows:#?}");
    let old =
        "update events set recorded_at = recorded_at - interval '100 days' where position < $1";
    client.execute(old, &[&border]).await.unwrap();
    api.database.keep_log(&api.config.retention).await.unwrap();
    assert!(found(&client, &["Ann's dog"]).await.iter().all(|row| !row.starts_with("events")));
    erase(&city, &second).await;
    assert_eq!(found(&client, PERSONAL).await, Vec::<String>::new());
    server.stop().await;
}

/// An order's identifier as the database writes it.
fn uuid(order: &str) -> String {
    order.parse::<ordercast::domain::OrderId>().unwrap().uuid().to_string()
}
