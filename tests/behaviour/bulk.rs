//! Bulk: many orders in one request, each made, changed or refused for itself.

use std::cell::Cell;

use awc::http::Method;
use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::{Answer, City, Phone, Rest, Server, merged, until};

const CREATE: &str = "/v1/orders/bulk";

async fn post(who: &Rest, path: &str, key: Option<&str>, body: &Value) -> Answer {
    let key: Vec<_> = key.map(|key| ("idempotency-key", key)).into_iter().collect();
    who.send(Method::POST, path, &key, body.to_string().into_bytes()).await
}

/// The status of each item.
fn statuses(body: &Value) -> Vec<u64> {
    let results = body["results"].as_array().unwrap_or_else(|| panic!("{body:#}"));
    results.iter().map(|item| item["status"].as_u64().unwrap()).collect()
}

fn id(item: &Value) -> String {
    item["order"]["id"].as_str().unwrap_or_else(|| panic!("{item:#}")).to_owned()
}

fn items(body: &Value) -> impl Iterator<Item = &Value> {
    body["results"].as_array().unwrap().iter()
}

fn orders(city: &City, count: usize) -> Value {
    (0..count).map(|_| city.order_body(json!({}))).collect()
}

async fn version(city: &City, order: &str) -> Value {
    city.platform.get(&format!("/v1/orders/{order}")).await.expect(200)["version"].clone()
}

#[actix_web::test]
async fn each_order_is_made_or_refused_for_itself_and_told_in_its_place() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let (one, two) = (city.order_body(json!({})), city.order_body(json!({})));
    let conflict = merged(one.clone(), json!({"note": "other"}));
    let keyed = merged(city.order_body(json!({})), json!({"idempotency_key": "k"}));
    let reused = merged(city.order_body(json!({})), json!({"idempotency_key": "k"}));
    let nowhere = merged(city.order_body(json!({})), json!({"store": city.driver}));
    let list = json!([
        one, {"external_id": "x"}, two, one, conflict, 7, keyed, keyed, reused, nowhere,
        merged(city.order_body(json!({})), json!({"if_match": "x"})),
    ]);
    let answer = post(&city.platform, CREATE, None, &json!({"orders": list})).await;
    assert_eq!(answer.header("idempotent-replayed"), None);
    let body = answer.expect(207);
    assert_eq!(statuses(&body), [201, 422, 201, 200, 409, 422, 201, 201, 409, 422, 422]);
    let items = &body["results"];
    assert_eq!(items[1]["problem"]["fields"][0]["field"], "store");
    assert_eq!(items[1]["problem"]["type"], "about:blank");
    assert_eq!(items[4]["problem"]["code"], "external_id_conflict");
    assert_eq!(items[8]["problem"]["code"], "idempotency_key_reused");
    assert_eq!(items[10]["problem"]["fields"][0]["field"], "if_match");
    assert_eq!(items[3]["order"], items[0]["order"]);
    assert_eq!((&items[6]["replayed"], &items[7]["replayed"]), (&json!(false), &json!(true)));
    assert_eq!(items[7]["order"], items[6]["order"]);
    assert_eq!(server.database.count("orders").await, 3);
    for nth in [0, 2, 6] {
        let path = format!("/v1/orders/{}", id(&items[nth]));
        assert_eq!(city.platform.get(&path).await.expect(200), items[nth]["order"]);
    }
    // Alone, by the key of the item, it is the same request.
    let mut alone = keyed;
    alone.as_object_mut().unwrap().remove("idempotency_key");
    let again = post(&city.platform, "/v1/orders", Some("k"), &alone).await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.expect(201), items[6]["order"]);
    server.stop().await;
}

#[actix_web::test]
async fn five_hundred_orders_ride_together() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let client = server.database.connect().await;
    // Each batch has one time.
    let batches = async |kind: &str| -> i64 {
        let count = "select count(distinct recorded_at) from events where type = $1";
        client.query_one(count, &[&kind]).await.unwrap().try_get(0).unwrap()
    };
    let body = json!({"orders": orders(&city, 500)});
    let made = post(&city.platform, CREATE, None, &body).await.expect(200);
    assert_eq!(statuses(&made), [201; 500]);
    let items = made["results"].as_array().unwrap();
    for (item, asked) in items.iter().zip(body["orders"].as_array().unwrap()) {
        assert_eq!(item["order"]["external_id"], asked["external_id"]);
    }
    let rides = batches("order.placed").await;
    assert!((1..=5).contains(&rides), "{rides} batches");

    let accept: Value = items.iter().map(|item| json!({"order": id(item)})).collect();
    let path = "/v1/orders/bulk/accept";
    let accepted = post(&city.platform, path, None, &json!({"items": accept})).await.expect(200);
    assert_eq!(statuses(&accepted), [200; 500]);
    for (item, made) in accepted["results"].as_array().unwrap().iter().zip(items) {
        assert_eq!(item["order"]["id"], made["order"]["id"]);
        assert_eq!(item["order"]["status"], "preparing");
    }
    let rides = batches("order.accepted").await;
    assert!((1..=5).contains(&rides), "{rides} batches");
    server.stop().await;
}

#[actix_web::test]
async fn what_is_said_twice_of_one_order_is_judged_in_turn() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let (order, other) = (city.order_id().await, city.order_id().await);
    let note = |text: &str| json!({"order": order, "note": text});
    let seeing = |version: i64, text: &str| merged(note(text), json!({"if_match": version}));
    let items = json!([
        note("a"),
        seeing(2, "b"),
        {"order": other, "note": "else"},
        seeing(2, "stale"),
        note("c"),
        note("c"),
        {"order": "or_nothing", "note": "x"},
        {"note": "x"},
        {"order": order, "prep_min": 7},
    ]);
    let path = "/v1/orders/bulk/update";
    let body = post(&city.platform, path, None, &json!({"items": items})).await.expect(207);
    assert_eq!(statuses(&body), [200, 200, 200, 409, 200, 200, 404, 422, 422]);
    let items = &body["results"];
    let told = |nth: usize| (&items[nth]["order"]["note"], &items[nth]["order"]["version"]);
    assert_eq!(told(0), (&json!("a"), &json!(2)));
    assert_eq!(told(1), (&json!("b"), &json!(3)));
    assert_eq!(told(4), (&json!("c"), &json!(4)));
    assert_eq!(told(5), told(4), "it was so");
    let problem = &items[3]["problem"];
    assert_eq!((&problem["code"], &problem["version"]), (&json!("version_mismatch"), &json!(3)));
    assert_eq!(problem["status"], "placed");
    assert_eq!(items[7]["problem"]["fields"][0]["field"], "order");
    assert_eq!(version(&city, &order).await, 4);
    server.stop().await;
}

#[actix_web::test]
async fn remarks_and_promises_about_many_are_made_once_by_one_key() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let (one, two) = (city.order_id().await, city.order_id().await);
    for order in [&one, &two] {
        city.act(&city.platform, order, "accept", json!({})).await;
    }
    let count = async |order: &str, kind: &str| {
        let path = format!("/v1/orders/{order}/events?types={kind}");
        let log = city.platform.get(&path).await.expect(200);
        log["events"].as_array().unwrap().len()
    };
    let note = json!({"note": "storm: all are late"});
    let eta = |at: &str| json!({"dropoff_eta": format!("2099-01-01T{at}Z")});
    for (action, kind, first, second) in [
        ("note", "order.noted", note.clone(), note),
        ("eta", "order.eta", eta("12:00:00"), eta("13:00:00")),
    ] {
        let path = format!("/v1/orders/bulk/{action}");
        let items = json!([
            merged(first, json!({"order": one})),
            merged(second, json!({"order": two})),
            {"order": two, "colour": "red"},
        ]);
        let body = json!({"items": items});
        let before = (count(&one, kind).await, count(&two, kind).await);
        let done = post(&city.platform, &path, Some(action), &body).await.expect(207);
        assert_eq!(statuses(&done), [200, 200, 422], "{done:#}");
        let again = post(&city.platform, &path, Some(action), &body).await.expect(207);
        for nth in [0, 1] {
            let (done, again) = (&done["results"][nth], &again["results"][nth]);
            assert_eq!((&again["order"], &again["replayed"]), (&done["order"], &json!(true)));
        }
        let after = (count(&one, kind).await, count(&two, kind).await);
        assert_eq!(after, (before.0 + 1, before.1 + 1), "{action}");
    }
    let view = city.platform.get(&format!("/v1/orders/{two}")).await.expect(200);
    assert_eq!(view["dropoff_eta"], "2099-01-01T13:00:00.000Z");
    server.stop().await;
}

#[actix_web::test]
async fn each_may_do_in_bulk_what_it_may_do_alone() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let other = City::found(&server.url, &server.database).await;
    let neighbour = city.new_store(json!({})).await;
    let (own, foreign) = (city.order_id().await, other.order_id().await);
    let next_door = city.order(json!({"store": neighbour})).await;
    let items = json!([
        {"order": own}, {"order": foreign}, {"order": next_door["id"]},
    ]);
    let body = json!({"items": items});
    let store = city.caller("store", &own).await;
    let answer = post(&store, "/v1/orders/bulk/accept", None, &body).await.expect(207);
    assert_eq!(statuses(&answer), [200, 404, 404]);
    let customer = city.caller("customer", &own).await;
    let cancel = json!({"items": [
        {"order": next_door["id"], "reason": "customer_request"},
        {"order": own, "reason": "customer_request"},
    ]});
    let answer = post(&customer, "/v1/orders/bulk/cancel", None, &cancel).await.expect(207);
    let alone = format!("/v1/orders/{own}/cancel");
    let alone = customer.post(&alone, json!({"reason": "customer_request"})).await;
    assert_eq!(statuses(&answer), [404, u64::from(alone.status)]);
    assert_eq!(answer["results"][1]["problem"]["code"], alone.body["code"]);
    let create = json!({"orders": orders(&city, 1)});
    for who in [&store, &customer] {
        post(who, CREATE, None, &create).await.expect_problem(403, "role_not_allowed");
    }
    let nobody = Rest::new(&server.url, None);
    post(&nobody, CREATE, None, &create).await.expect_problem(401, "unauthenticated");
    server.stop().await;
}

#[actix_web::test]
async fn a_key_of_the_whole_does_what_is_yet_to_be_done() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let longest = "k".repeat(255);
    let key = Some(longest.as_str());
    let body = json!({"orders": orders(&city, 3)});
    let first = post(&city.platform, CREATE, key, &body).await.expect(200);
    let before = server.database.contents().await;
    let again = post(&city.platform, CREATE, key, &body).await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    let again = again.expect(200);
    assert_eq!(statuses(&again), [201; 3]);
    for (again, first) in items(&again).zip(items(&first)) {
        assert_eq!((&again["order"], &again["replayed"]), (&first["order"], &json!(true)));
    }
    let longer = json!({"orders": orders(&city, 1)});
    let problem = post(&city.platform, CREATE, key, &longer).await;
    problem.expect_problem(409, "idempotency_key_reused");
    assert_eq!(server.database.contents().await, before);

    // One of two cannot be done yet; asked again it can, and the other is not done again.
    let ids: Vec<String> = items(&first).map(id).collect();
    city.act(&city.platform, &ids[0], "accept", json!({})).await;
    let ready = json!({"items": [{"order": ids[0]}, {"order": ids[1]}]});
    let path = "/v1/orders/bulk/ready";
    let half = post(&city.platform, path, Some("half"), &ready).await.expect(207);
    assert_eq!(statuses(&half), [200, 409]);
    city.act(&city.caller("ops", "").await, &ids[0], "unready", json!({})).await;
    city.act(&city.platform, &ids[1], "accept", json!({})).await;
    let whole = post(&city.platform, path, Some("half"), &ready).await;
    assert_eq!(whole.header("idempotent-replayed"), None, "something was done");
    let whole = whole.expect(200);
    assert_eq!(whole["results"][0]["order"], half["results"][0]["order"]);
    let replayed: Vec<_> = items(&whole).map(|item| item["replayed"].clone()).collect();
    assert_eq!(replayed, [true, false]);
    let view = city.platform.get(&format!("/v1/orders/{}", ids[0])).await.expect(200);
    assert_eq!(view["status"], "preparing", "it is not ready a second time");
    let other = "/v1/orders/bulk/start";
    let problem = post(&city.platform, other, Some("half"), &ready).await;
    problem.expect_problem(409, "idempotency_key_reused");

    // The same at once: one effect, one answer.
    let body = json!({"orders": orders(&city, 20)});
    let asking = (0..6).map(|_| post(&city.platform, CREATE, Some("at once"), &body));
    let answers = join_all(asking).await;
    let made = |answer: &Answer| items(&answer.body).map(id).collect::<Vec<_>>();
    for answer in &answers {
        assert_eq!(statuses(&answer.body), [201; 20]);
        assert_eq!(made(answer), made(&answers[0]));
    }
    assert_eq!(server.database.count("orders").await, 23);
    server.stop().await;
}

#[actix_web::test]
async fn what_does_not_fit_is_refused_and_what_fits_is_not_lost() {
    let server = Server::start_with(|config| {
        config.writer.queue_len = 8;
        config.writer.batch_max = 4;
    })
    .await;
    let city = City::found(&server.url, &server.database).await;
    let before = server.database.count("orders").await;
    // Whoever holds the head keeps the writer from ending its batch.
    let holder = server.database.connect().await;
    holder.batch_execute("begin; select from log_head for update").await.unwrap();
    let bodies: Vec<Value> = (0..8).map(|_| json!({"orders": orders(&city, 6)})).collect();
    let full = Cell::new(0);
    let asking = bodies.iter().enumerate().map(async |(nth, body)| {
        let answer = post(&city.platform, CREATE, Some(&nth.to_string()), body).await;
        full.set(full.get() + u32::from(answer.status == 503));
        answer
    });
    let releasing = async {
        until("one of them to be refused", async || (full.get() > 0).then_some(())).await;
        holder.batch_execute("commit").await.unwrap();
    };
    let (answers, ()) = futures::join!(join_all(asking), releasing);
    let mut made = 0;
    for answer in answers {
        if answer.status == 503 {
            assert_eq!(answer.header("retry-after"), Some("1"));
            answer.expect_problem(503, "overloaded");
            continue;
        }
        let retry_after = answer.header("retry-after").map(str::to_owned);
        let (status, statuses) = (answer.status, statuses(&answer.body));
        let fit = statuses.iter().take_while(|status| **status == 201).count();
        assert!(fit > 0 && statuses[fit..].iter().all(|status| *status == 503), "{statuses:?}");
        let wanted = if fit < 6 { (207, Some("1")) } else { (200, None) };
        assert_eq!((status, retry_after.as_deref()), wanted);
        made += i64::try_from(fit).unwrap();
    }
    assert!(made > 0);
    assert_eq!(server.database.count("orders").await, before + made);
    // Asked again by their keys until all is done: each order is there once.
    for (nth, body) in bodies.iter().enumerate() {
        until("all to be done", async || {
            let again = post(&city.platform, CREATE, Some(&nth.to_string()), body).await;
            (again.status == 200).then(|| assert_eq!(statuses(&again.body), [201; 6]))
        })
        .await;
    }
    assert_eq!(server.database.count("orders").await, before + 48);
    server.stop().await;
}

#[actix_web::test]
async fn a_request_that_does_not_do_is_refused_as_a_whole() {
    let server = Server::start_with(|config| {
        config.api.bulk_items_max = 3;
        config.api.bulk_body_limit_bytes = 300_000;
    })
    .await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let before = server.database.contents().await;
    let one = json!([{"order": order}]);
    let accept = "/v1/orders/bulk/accept";
    for (path, body, field) in [
        (CREATE, json!({}), "orders"),
        (CREATE, json!({"orders": []}), "orders"),
        (CREATE, json!({"orders": {}}), "orders"),
        (CREATE, json!({"orders": orders(&city, 4)}), "orders"),
        (CREATE, json!({"orders": orders(&city, 1), "more": 1}), "more"),
        (accept, json!({"items": []}), "items"),
        (accept, json!({"orders": one}), "orders"),
        (accept, json!([]), "body"),
    ] {
        let problem = post(&city.platform, path, Some("k"), &body).await;
        let problem = problem.expect_problem(422, "validation");
        assert_eq!(problem["fields"][0]["field"], field, "{body}");
    }
    let body = json!({"items": one});
    for action in ["", "fly", "search", "events", "driver"] {
        let path = format!("/v1/orders/bulk/{action}");
        post(&city.platform, &path, None, &body).await.expect_problem(404, "not_found");
    }
    let bytes = body.to_string().into_bytes();
    let headers = [("if-match", "1")];
    let problem = city.platform.send(Method::POST, accept, &headers, bytes).await;
    assert_eq!(problem.expect_problem(422, "validation")["fields"][0]["field"], "If-Match");
    let broken = city.platform.send(Method::POST, accept, &[], b"{".to_vec()).await;
    broken.expect_problem(400, "malformed");
    for method in [Method::GET, Method::DELETE] {
        let other = city.platform.send(method, CREATE, &[], Vec::new()).await;
        other.expect_problem(405, "method_not_allowed");
    }
    let long = |bytes: usize| json!({"items": [{"order": order, "note": "n".repeat(bytes)}]});
    post(&city.platform, accept, None, &long(300_000))
        .await
        .expect_problem(413, "payload_too_large");
    // Longer than other bodies may be, and read.
    let answer = post(&city.platform, accept, None, &long(290_000)).await.expect(207);
    assert_eq!(statuses(&answer), [422]);
    assert_eq!(server.database.contents().await, before);
    server.stop().await;
}

#[actix_web::test]
async fn the_same_can_be_asked_for_over_a_socket() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let mut phone = Phone::connect(&server.url, &city.key).await;
    let create = json!({"orders": [city.order_body(json!({})), {}], "idempotency_key": "c"});
    let made = phone.rpc("order.bulk_create", create.clone()).await["rpc"]["data"].clone();
    let order = id(&made["results"][0]);
    assert_eq!(made["results"][0]["created"], true);
    assert_eq!(made["results"][1]["problem"]["code"], "validation");
    let again = phone.rpc("order.bulk_create", create.clone()).await["rpc"]["data"].clone();
    assert_eq!(again["results"][0]["order"], made["results"][0]["order"]);
    assert_eq!(again["results"][0]["replayed"], true);
    // Over REST it is the same request.
    let body = json!({"orders": create["orders"]});
    let rest = post(&city.platform, CREATE, Some("c"), &body).await.expect(207);
    assert_eq!(rest["results"][0]["order"], made["results"][0]["order"]);
    assert_eq!(statuses(&rest), [201, 422]);

    let act = json!({"action": "accept", "items": [{"order": order, "prep_min": 5}, {}]});
    let acted = phone.rpc("order.bulk", act).await["rpc"]["data"].clone();
    assert_eq!(acted["results"][0]["order"]["status"], "preparing");
    assert_eq!(acted["results"][1]["problem"]["fields"][0]["field"], "order");
    for (data, code) in [
        (json!({"items": []}), 422),
        (json!({"action": "accept", "items": []}), 422),
        (json!({"action": "fly", "items": [{}]}), 404),
        (json!({"action": "accept", "items": [{}], "if_match": 1}), 422),
    ] {
        assert_eq!(phone.rpc("order.bulk", data).await["error"]["code"], code);
    }
    server.stop().await;
}

#[actix_web::test]
async fn the_room_that_one_item_gives_is_there_for_the_next() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let small = city.new_driver(json!({"capacity": 1})).await;
    let (held, next) = (city.order_id().await, city.order_id().await);
    for order in [&held, &next] {
        city.act(&city.platform, order, "accept", json!({})).await;
    }
    let body = json!({"driver": small});
    city.platform.put(&format!("/v1/orders/{held}/driver"), body).await.expect(200);
    // What it had goes to another, then it is given the next; for a third there is no room.
    let third = city.order_id().await;
    let items = json!([
        {"order": held, "driver": city.driver},
        {"order": next, "driver": small},
        {"order": third, "driver": small},
    ]);
    let path = "/v1/orders/bulk/assign";
    let body = post(&city.platform, path, None, &json!({"items": items})).await.expect(207);
    assert_eq!(statuses(&body), [200, 200, 409], "{body:#}");
    assert_eq!(body["results"][2]["problem"]["code"], "driver_at_capacity");
    assert_eq!(body["results"][1]["order"]["driver"]["id"], small.as_str());
    server.stop().await;
}
