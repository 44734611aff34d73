//! Tenants: what is another's is not there, and neither is what is another store's, courier's
//! or customer's.

use awc::http::Method;
use ordercast::domain::{DriverId, OrderId, StoreId};
use serde_json::{Value, json};

use crate::support::{City, Rest, Server};

/// Every request that names something: method, path, body.
fn requests(order: &str, store: &str, driver: &str) -> Vec<(Method, String, Value)> {
    let one = format!("/v1/orders/{order}");
    let reason = json!({"reason": "other", "note": "x"});
    let mut requests = vec![
        (Method::GET, one.clone(), json!({})),
        (Method::GET, format!("{one}/events"), json!({})),
        (Method::PATCH, one.clone(), json!({"note": "mine now"})),
        (Method::PUT, format!("{one}/prep"), json!({"prep_min": 5})),
        (Method::PUT, format!("{one}/driver"), json!({"driver": driver})),
        (Method::DELETE, format!("{one}/driver"), json!({})),
        (Method::GET, format!("/v1/stores/{store}"), json!({})),
        (Method::PATCH, format!("/v1/stores/{store}"), json!({"name": "mine now"})),
        (Method::PUT, format!("/v1/stores/{store}/pause"), json!({"until": null})),
        (Method::GET, format!("/v1/drivers/{driver}"), json!({})),
        (Method::PATCH, format!("/v1/drivers/{driver}"), json!({"name": "mine now"})),
        (Method::PUT, format!("/v1/drivers/{driver}/duty"), json!({"duty": "off"})),
        (Method::DELETE, format!("/v1/stores/{store}"), json!({})),
        (Method::DELETE, format!("/v1/drivers/{driver}"), json!({})),
    ];
    for action in ["reject", "cancel", "fail", "return", "drop"] {
        requests.push((Method::POST, format!("{one}/{action}"), reason.clone()));
    }
    for action in [
        "release",
        "accept",
        "start",
        "ready",
        "unready",
        "pickup",
        "deliver",
        "collect",
        "returned",
        "redeliver",
        "at_store",
        "at_door",
    ] {
        requests.push((Method::POST, format!("{one}/{action}"), json!({})));
    }
    requests
}

async fn send(who: &Rest, (method, path, body): &(Method, String, Value)) -> Value {
    let answer = who.send(method.clone(), path, &[], body.to_string().into_bytes()).await;
    // A role that never does this may hear so; nobody hears that it is there.
    let code = answer.body["code"].as_str().unwrap_or_default().to_owned();
    assert!(
        matches!((answer.status, code.as_str()), (404, "not_found") | (403, "role_not_allowed")),
        "{method} {path}: {} {}",
        answer.status,
        answer.body
    );
    let mut body = answer.body;
    body.as_object_mut().unwrap().remove("request_id");
    body
}

#[actix_web::test]
async fn another_tenants_things_are_answered_as_if_they_were_not_there() {
    let server = Server::start().await;
    let ours = City::found(&server.url, &server.database).await;
    let theirs = City::found(&server.url, &server.database).await;
    let order = theirs.order_id().await;
    theirs.assign(&order).await;
    let own = ours.order_id().await;
    let real = requests(&order, &theirs.store, &theirs.driver);
    let (absent_order, absent_store, absent_driver) =
        (OrderId::new().to_string(), StoreId::new().to_string(), DriverId::new().to_string());
    let absent = requests(&absent_order, &absent_store, &absent_driver);
    let before = server.database.contents().await;
    for role in ["platform", "ops", "store", "driver", "customer"] {
        let who = ours.caller(role, &own).await;
        for (real, absent) in real.iter().zip(&absent) {
            let problem = send(&who, real).await;
            assert_eq!(problem, send(&who, absent).await, "{role} {real:?}");
            // Of an order that is not theirs even those hear nothing who never do such a thing.
            if role == "platform" || real.1.contains("/orders/") {
                assert_eq!(problem["code"], "not_found", "{role} {real:?}");
            }
        }
    }
    assert_eq!(server.database.contents().await, before);
    server.stop().await;
}

#[actix_web::test]
async fn another_tenants_things_cannot_be_named_in_a_body() {
    let server = Server::start().await;
    let ours = City::found(&server.url, &server.database).await;
    let theirs = City::found(&server.url, &server.database).await;
    let order = theirs.order_id().await;
    let own = ours.order_id().await;
    let before = server.database.contents().await;
    let field = |problem: &Value| problem["fields"][0]["field"].as_str().unwrap().to_owned();
    let new = ours.order_body(json!({"store": theirs.store}));
    let problem = ours.platform.post("/v1/orders", new).await.expect_problem(422, "validation");
    assert_eq!(field(&problem), "store");
    let path = format!("/v1/orders/{own}/driver");
    let foreign = ours.platform.put(&path, json!({"driver": theirs.driver})).await;
    foreign.expect_problem(404, "not_found");
    for (kind, subject, orders, at_fault) in [
        ("store", &theirs.store, json!([]), "subject"),
        ("driver", &theirs.driver, json!([]), "subject"),
        ("customer", &"ann".to_owned(), json!([own, order]), "orders[1]"),
    ] {
        let body = json!({"kind": kind, "subject": subject, "orders": orders});
        let problem = ours.platform.post("/v1/tokens", body).await;
        let problem = problem.expect_problem(422, "validation");
        assert_eq!(field(&problem), at_fault);
    }
    assert_eq!(server.database.contents().await, before);
    server.stop().await;
}

#[actix_web::test]
async fn lists_and_logs_hold_nothing_of_another_tenant() {
    let server = Server::start().await;
    let ours = City::found(&server.url, &server.database).await;
    let theirs = City::found(&server.url, &server.database).await;
    let their_order = theirs.order(json!({"external_id": "same"})).await;
    let our_order = ours.order(json!({"external_id": "same"})).await;
    theirs.assign(their_order["id"].as_str().unwrap()).await;
    for role in ["platform", "ops"] {
        let who = ours.caller(role, "").await;
        for (path, list, id) in [
            ("orders", "orders", &our_order["id"]),
            ("orders?external_id=same", "orders", &our_order["id"]),
            ("stores", "stores", &json!(ours.store)),
            ("drivers", "drivers", &json!(ours.driver)),
        ] {
            let page = who.get(&format!("/v1/{path}")).await.expect(200);
            let ids: Vec<&Value> =
                page[list].as_array().unwrap().iter().map(|o| &o["id"]).collect();
            assert_eq!(ids, [id], "{role} {path}");
        }
        for filter in [format!("store={}", theirs.store), format!("driver={}", theirs.driver)] {
            let page = who.get(&format!("/v1/orders?{filter}")).await.expect(200);
            assert_eq!(page["orders"], json!([]), "{filter}");
        }
        let log = who.get("/v1/events").await.expect(200);
        let events = log["events"].as_array().unwrap();
        assert_eq!(events.len(), 2, "the duty of the courier and the order: {events:?}");
        assert!(events.iter().all(|event| event["tenant"] == ours.tenant.as_str()));
    }
    // A cursor of another tenant's list says where to go on, and opens nothing.
    let page = theirs.platform.get("/v1/orders?limit=1").await.expect(200);
    assert_eq!(page["next"], Value::Null);
    // The same names are other things.
    let path = "/v1/stores/ext/twin";
    let twin = json!({"name": "Twin", "lat": 1, "lng": 2, "tz": "UTC"});
    let one = ours.platform.put(path, twin.clone()).await.expect(201);
    let other = theirs.platform.put(path, twin).await.expect(201);
    assert_ne!(one["id"], other["id"]);
    server.stop().await;
}

#[actix_web::test]
async fn a_store_a_courier_and_a_customer_find_only_what_is_theirs() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    city.assign(&order).await;
    let neighbour = city.new_store(json!({})).await;
    let colleague = city.new_driver(json!({})).await;
    let neighbours_order = city.order(json!({"store": neighbour})).await;
    let neighbours_order = neighbours_order["id"].as_str().unwrap();
    let others = [
        ("store", city.token("store", &neighbour, &[]).await),
        ("driver", city.token("driver", &colleague, &[]).await),
        ("customer", city.customer_token(neighbours_order).await),
    ];
    let before = server.database.contents().await;
    for (role, token) in &others {
        let who = city.platform.with_token(token);
        for request in requests(&order, &city.store, &city.driver) {
            let problem = send(&who, &request).await;
            if request.1.contains("/orders/") {
                assert_eq!(problem["code"], "not_found", "{role} {request:?}");
            }
        }
    }
    assert_eq!(server.database.contents().await, before);
    for (role, mine) in [("store", Some(neighbours_order)), ("driver", None)] {
        let who = city.platform.with_token(&others.iter().find(|(r, _)| *r == role).unwrap().1);
        let page = who.get("/v1/orders").await.expect(200);
        let ids: Vec<&str> =
            page["orders"].as_array().unwrap().iter().map(|o| o["id"].as_str().unwrap()).collect();
        assert_eq!(ids, mine.into_iter().collect::<Vec<_>>());
        // A filter narrows what is seen and never widens it.
        for filter in [format!("store={}", city.store), format!("driver={}", city.driver)] {
            let page = who.get(&format!("/v1/orders?{filter}")).await.expect(200);
            assert_eq!(page["orders"], json!([]), "{role} {filter}");
        }
    }
    server.stop().await;
}
