//! Ordering: every action by those whose it is, and what becomes of the order.

use awc::http::Method;
use serde_json::{Value, json};

use crate::support::{Answer, City, Rest, Server};

/// One step of an order's life: who, what, with which body; where the order stands then, and
/// which events that wrote.
type Step<'a> = (&'a str, &'a str, Value, &'a str, &'a str, &'a [&'a str]);

/// Does an action the way REST has it, as the role.
async fn act(who: &Rest, order: &str, action: &str, body: Value) -> Answer {
    let path = format!("/v1/orders/{order}");
    match action {
        "prep" => who.put(&format!("{path}/prep"), body).await,
        "assign" => who.put(&format!("{path}/driver"), body).await,
        "unassign" => {
            let body = body.to_string().into_bytes();
            who.send(Method::DELETE, &format!("{path}/driver"), &[], body).await
        }
        "update" => who.patch(&path, body).await,
        _ => who.post(&format!("{path}/{action}"), body).await,
    }
}

/// Walks an order through `steps` and compares each answer, the row, and the log at the end.
async fn walk(city: &City, more: Value, placed_as: &str, steps: &[Step<'_>]) -> String {
    let order = city.order(more).await;
    let id = order["id"].as_str().unwrap().to_owned();
    assert_eq!(order["status"], placed_as);
    let mut version = 1;
    let mut log = vec![(format!("order.{placed_as}"), "platform".to_owned())];
    for (role, action, body, status, leg, events) in steps {
        let who = city.caller(role, &id).await;
        let answer = act(&who, &id, action, body.clone()).await;
        let etag = answer.header("etag").map(str::to_owned);
        let view = answer.expect(200);
        version += events.len();
        assert_eq!(view["version"], version, "{role} {action}: {view:#}");
        assert_eq!(etag, Some(format!("\"{version}\"")), "{action}");
        let row = city.platform.get(&format!("/v1/orders/{id}")).await.expect(200);
        assert_eq!((&row["status"], &row["leg"]), (&json!(status), &json!(leg)), "{action}");
        assert_eq!(row["version"], version);
        // A consequence is the system's; the last event is what was asked for, but for an
        // acceptance that starts the preparing.
        for (nth, event) in events.iter().enumerate() {
            let asked = if *action == "accept" { nth == 0 } else { nth + 1 == events.len() };
            log.push(((*event).to_owned(), if asked { *role } else { "system" }.to_owned()));
        }
    }
    let page = city.platform.get(&format!("/v1/orders/{id}/events")).await.expect(200);
    let events = page["events"].as_array().unwrap();
    let heard: Vec<(String, String)> = events
        .iter()
        .map(|event| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (text(&event["type"]), text(&event["by"]["role"]))
        })
        .collect();
    assert_eq!(heard, log);
    for (nth, event) in events.iter().enumerate() {
        assert_eq!(event["n"], nth + 1);
        assert_eq!(event["order"], id.as_str());
        assert_eq!((&event["v"], &event["tenant"]), (&json!(1), &json!(city.tenant)));
    }
    id
}

#[actix_web::test]
async fn a_delivery_goes_from_placed_to_delivered_by_the_hands_of_each() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let driver = json!({"driver": city.driver});
    walk(
        &city,
        json!({}),
        "placed",
        &[
            (
                "store",
                "accept",
                json!({"prep_min": 15}),
                "preparing",
                "none",
                &["order.accepted", "order.preparing"],
            ),
            (
                "store",
                "prep",
                json!({"prep_min": 30, "why": "busy"}),
                "preparing",
                "none",
                &["order.prep_changed"],
            ),
            ("store", "ready", json!({}), "ready", "none", &["order.ready"]),
            ("store", "unready", json!({}), "preparing", "none", &["order.unready"]),
            ("platform", "assign", driver, "preparing", "assigned", &["courier.assigned"]),
            ("driver", "at_store", json!({}), "preparing", "at_store", &["courier.at_store"]),
            (
                "driver",
                "pickup",
                json!({}),
                "picked_up",
                "en_route",
                &["order.ready", "order.picked_up"],
            ),
            ("driver", "at_door", json!({}), "picked_up", "at_door", &["courier.at_door"]),
            ("driver", "deliver", json!({}), "delivered", "closed", &["order.delivered"]),
        ],
    )
    .await;
    server.stop().await;
}

#[actix_web::test]
async fn a_scheduled_order_is_released_prepared_lost_by_its_courier_and_brought_back() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let driver = json!({"driver": city.driver});
    let wrong_address = json!({"reason": "wrong_address"});
    let window = json!({"from": "2099-01-02T18:00:00Z", "to": "2099-01-02T18:30:00Z"});
    walk(
        &city,
        json!({"window": window}),
        "scheduled",
        &[
            ("ops", "release", json!({}), "placed", "none", &["order.placed"]),
            ("ops", "accept", json!({}), "accepted", "none", &["order.accepted"]),
            ("platform", "start", json!({}), "preparing", "none", &["order.preparing"]),
            ("ops", "assign", driver.clone(), "preparing", "assigned", &["courier.assigned"]),
            (
                "driver",
                "drop",
                json!({"reason": "vehicle"}),
                "preparing",
                "none",
                &["courier.unassigned"],
            ),
            ("ops", "assign", driver.clone(), "preparing", "assigned", &["courier.assigned"]),
            ("platform", "unassign", json!({}), "preparing", "none", &["courier.unassigned"]),
            ("ops", "ready", json!({}), "ready", "none", &["order.ready"]),
            ("platform", "assign", driver, "ready", "assigned", &["courier.assigned"]),
            ("ops", "pickup", json!({}), "picked_up", "en_route", &["order.picked_up"]),
            (
                "driver",
                "return",
                wrong_address.clone(),
                "returning",
                "en_route",
                &["order.returning"],
            ),
            ("platform", "redeliver", json!({}), "picked_up", "en_route", &["order.redelivery"]),
            ("ops", "return", wrong_address, "returning", "en_route", &["order.returning"]),
            ("store", "returned", json!({}), "returned", "closed", &["order.returned"]),
        ],
    )
    .await;
    server.stop().await;
}

#[actix_web::test]
async fn an_order_ends_early_by_whoever_may_end_it() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let driver = json!({"driver": city.driver});
    let rejected: Step<'_> = (
        "store",
        "reject",
        json!({"reason": "too_busy"}),
        "rejected",
        "closed",
        &["order.rejected"],
    );
    walk(&city, json!({}), "placed", &[rejected]).await;
    for role in ["customer", "platform", "ops"] {
        let reason = json!({"reason": "customer_request"});
        let cancelled: Step<'_> =
            (role, "cancel", reason, "cancelled", "closed", &["order.cancelled"]);
        walk(&city, json!({}), "placed", &[cancelled]).await;
    }
    let accepted: &[&str] = &["order.accepted", "order.preparing"];
    walk(
        &city,
        json!({}),
        "placed",
        &[
            ("platform", "accept", json!({}), "preparing", "none", accepted),
            (
                "store",
                "cancel",
                json!({"reason": "item_unavailable"}),
                "cancelled",
                "closed",
                &["order.cancelled"],
            ),
        ],
    )
    .await;
    let to_the_courier: [Step<'_>; 3] = [
        ("store", "accept", json!({}), "preparing", "none", accepted),
        ("ops", "assign", driver, "preparing", "assigned", &["courier.assigned"]),
        (
            "driver",
            "pickup",
            json!({}),
            "picked_up",
            "en_route",
            &["order.ready", "order.picked_up"],
        ),
    ];
    let mut disposed = to_the_courier.to_vec();
    disposed.push((
        "driver",
        "fail",
        json!({"reason": "refused"}),
        "failed",
        "closed",
        &["order.failed"],
    ));
    walk(&city, json!({"undeliverable_action": "dispose"}), "placed", &disposed).await;
    let mut lost = to_the_courier.to_vec();
    let refused = json!({"reason": "refused"});
    lost.push(("driver", "return", refused, "returning", "en_route", &["order.returning"]));
    let other = json!({"reason": "other", "note": "the van burned down"});
    lost.push(("ops", "fail", other, "failed", "closed", &["order.failed"]));
    walk(&city, json!({}), "placed", &lost).await;
    server.stop().await;
}

#[actix_web::test]
async fn a_collection_is_fetched_and_a_store_brings_its_own_deliveries() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let made: [Step<'_>; 2] = [
        ("store", "accept", json!({}), "preparing", "none", &["order.accepted", "order.preparing"]),
        ("store", "ready", json!({}), "ready", "none", &["order.ready"]),
    ];
    let mut fetched = made.to_vec();
    fetched.push(("store", "collect", json!({}), "delivered", "closed", &["order.delivered"]));
    walk(&city, json!({"fulfilment": "collection", "dropoff": null}), "placed", &fetched).await;
    let mut brought = made.to_vec();
    brought.push(("store", "pickup", json!({}), "picked_up", "none", &["order.picked_up"]));
    brought.push(("store", "deliver", json!({}), "delivered", "closed", &["order.delivered"]));
    walk(&city, json!({"fulfilment": "store_delivery"}), "placed", &brought).await;
    server.stop().await;
}

#[actix_web::test]
async fn a_new_order_is_answered_with_its_place_its_version_and_all_that_was_asked() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let body = city.order_body(json!({
        "note": "no onions", "meta": {"basket": [1, 2], "text": "\\u0000"}, "undeliverable_action": "leave",
        "proof_required": {"photo": true},
    }));
    let answer = city.platform.post("/v1/orders", body.clone()).await;
    assert_eq!(answer.header("etag"), Some("\"1\""));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let location = answer.header("location").unwrap().to_owned();
    let order = answer.expect(201);
    assert_eq!(location, format!("/v1/orders/{}", order["id"].as_str().unwrap()));
    for (key, value) in body.as_object().unwrap() {
        match key.as_str() {
            "store" => assert_eq!(order["store"]["id"], *value),
            "dropoff" => {
                for (key, value) in value.as_object().unwrap() {
                    assert_eq!(order["dropoff"][key], *value, "{key}");
                }
            }
            "proof_required" => {
                let all = json!({"photo": true, "signature": false, "pin": false, "scan": false});
                assert_eq!(order["proof_required"], all);
            }
            _ => assert_eq!(order[key], *value, "{key}"),
        }
    }
    assert_eq!(order["short_code"].as_str().unwrap().len(), 4);
    assert_eq!(order["stamps"]["placed"], order["stamps"]["created"]);
    let read = city.platform.get(&location).await;
    assert_eq!(read.header("etag"), Some("\"1\""));
    assert_eq!(read.expect(200), order);
    server.stop().await;
}

#[actix_web::test]
async fn the_same_external_id_is_the_same_order_and_another_content_a_conflict() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let body = city.order_body(json!({"external_id": "R-1"}));
    let first = city.platform.post("/v1/orders", body.clone()).await.expect(201);
    let before = server.database.contents().await;
    let again = city.platform.post("/v1/orders", body.clone()).await;
    assert_eq!(again.header("location"), None);
    assert_eq!(again.expect(200), first);
    for (key, value) in [("note", json!("more")), ("items", json!([{"name": "Tea", "qty": 1}]))] {
        let mut other = body.clone();
        other[key] = value;
        let problem = city.platform.post("/v1/orders", other).await;
        let problem = problem.expect_problem(409, "external_id_conflict");
        assert_eq!((&problem["status"], &problem["version"]), (&json!("placed"), &json!(1)));
    }
    assert_eq!(server.database.contents().await, before);
    // The order has gone on: the same request still finds it, as it stands now.
    let id = first["id"].as_str().unwrap();
    city.act(&city.platform, id, "accept", json!({})).await;
    let found = city.platform.post("/v1/orders", body).await.expect(200);
    assert_eq!((&found["id"], &found["status"]), (&first["id"], &json!("preparing")));
    // Another tenant's names are its own.
    let other = City::found(&server.url, &server.database).await;
    other.order(json!({"external_id": "R-1"})).await;
    server.stop().await;
}

#[actix_web::test]
async fn the_same_order_asked_for_many_times_at_once_is_made_once() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let body = city.order_body(json!({}));
    let asking = (0..16).map(|_| city.platform.post("/v1/orders", body.clone()));
    let answers = futures::future::join_all(asking).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses[..15], [200; 15]);
    assert_eq!(statuses[15], 201);
    assert!(answers.iter().all(|answer| answer.body == answers[0].body));
    assert_eq!(server.database.count("orders").await, 1);
    server.stop().await;
}

#[actix_web::test]
async fn a_store_that_accepts_by_itself_never_rings() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let store = city.new_store(json!({"auto_accept": true, "default_prep_min": 25})).await;
    let order = city.order(json!({"store": store})).await;
    assert_eq!(
        (&order["status"], &order["version"], &order["prep_min"]),
        (&json!("preparing"), &json!(3), &json!(25))
    );
    let path = format!("/v1/orders/{}/events", order["id"].as_str().unwrap());
    let page = city.platform.get(&path).await.expect(200);
    let by = |nth: usize| page["events"][nth]["by"]["role"].clone();
    assert_eq!([by(0), by(1), by(2)], [json!("platform"), json!("system"), json!("system")]);
    server.stop().await;
}

#[actix_web::test]
async fn a_paused_store_takes_no_orders_until_it_opens_again() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let store = city.caller("store", "").await;
    let pause = format!("/v1/stores/{}/pause", city.store);
    let until = "2099-01-01T00:00:00.000Z";
    let paused = store.put(&pause, json!({"until": until})).await.expect(200);
    assert_eq!(paused["paused_until"], until);
    let before = server.database.contents().await;
    // Said twice is said once.
    store.put(&pause, json!({"until": until})).await.expect(200);
    let refused = city.platform.post("/v1/orders", city.order_body(json!({}))).await;
    let refused = refused.expect_problem(422, "outside_window");
    assert_eq!(refused["detail"], "the store is paused");
    let past = store.put(&pause, json!({"until": "2001-01-01T00:00:00Z"})).await;
    assert_eq!(past.expect_problem(422, "validation")["fields"][0]["field"], "until");
    assert_eq!(server.database.contents().await, before);
    let window = json!({"from": "2099-02-02T18:00:00Z", "to": "2099-02-02T18:30:00Z"});
    assert_eq!(city.order(json!({"window": window})).await["status"], "scheduled");
    let open = store.put(&pause, json!({"until": null})).await.expect(200);
    assert_eq!(open.get("paused_until"), None);
    city.order(json!({})).await;
    let events = city.platform.get("/v1/events?types=store.paused").await.expect(200);
    let untils: Vec<&Value> =
        events["events"].as_array().unwrap().iter().map(|e| &e["data"]["until"]).collect();
    assert_eq!(untils, [&json!(until), &Value::Null]);
    server.stop().await;
}

#[actix_web::test]
async fn the_devices_time_and_place_are_kept_within_reason() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let driver = city.caller("driver", "").await;
    for (at, kept) in [("2001-01-01T00:00:00Z", "placed"), ("2099-01-01T00:00:00Z", "ahead")] {
        let order = city.order_id().await;
        city.assign(&order).await;
        let body = json!({"at": at, "lat": 52.5, "lng": 13.4});
        let view = city.act(&driver, &order, "at_store", body).await;
        let page = city.platform.get(&format!("/v1/orders/{order}/events")).await.expect(200);
        let event = page["events"].as_array().unwrap().last().unwrap();
        let moment =
            |value: &Value| -> jiff::Timestamp { value.as_str().unwrap().parse().unwrap() };
        let occurred = moment(&event["occurred_at"]);
        if kept == "placed" {
            assert_eq!(occurred, moment(&view["stamps"]["placed"]));
        } else {
            assert_eq!(occurred, moment(&event["at"]) + std::time::Duration::from_mins(2));
        }
        assert_eq!(event["data"]["place"], json!({"lat": 52.5, "lng": 13.4}));
    }
    server.stop().await;
}

#[actix_web::test]
async fn details_change_while_they_still_can() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order(json!({"note": "no onions"})).await;
    let id = order["id"].as_str().unwrap();
    let path = format!("/v1/orders/{id}");
    let mut door = order["dropoff"].clone();
    door["address"] = json!("Nebenstr. 2, Mitte, Berlin");
    let window = json!({"from": "2030-01-01T10:00:00.000Z", "to": "2030-01-01T11:00:00.000Z"});
    let patch = json!({"note": null, "dropoff": door, "window": window, "meta": {"a": 1}});
    let changed = city.platform.patch(&path, patch.clone()).await.expect(200);
    assert_eq!(changed.get("note"), None);
    for key in ["dropoff", "window", "meta"] {
        assert_eq!(changed[key], patch[key], "{key}");
    }
    assert_eq!(changed["version"], 2);
    let before = server.database.contents().await;
    let again = city.platform.patch(&path, patch.clone()).await.expect(200);
    assert_eq!(again, changed);
    city.platform.patch(&path, json!({})).await.expect(200);
    assert_eq!(server.database.contents().await, before);

    let page = city.platform.get(&format!("{path}/events")).await.expect(200);
    let event = &page["events"][1];
    assert_eq!(event["type"], "order.updated");
    let names: Vec<&String> = event["data"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["dropoff", "meta", "note", "window"]);
    assert_eq!(event["data"]["note"], json!(null), "cleared, and said so");

    city.act(&city.platform, id, "accept", json!({})).await;
    let late = json!({"window": {"from": "2031-01-01T10:00:00Z", "to": "2031-01-01T11:00:00Z"}});
    city.platform.patch(&path, late).await.expect_problem(409, "invalid_transition");
    city.assign(id).await;
    city.act(&city.caller("driver", id).await, id, "pickup", json!({})).await;
    door["address"] = json!("Elsewhere 3, Berlin");
    let late = city.platform.patch(&path, json!({"dropoff": door})).await;
    late.expect_problem(409, "already_picked_up");
    let ops = city.caller("ops", id).await;
    assert_eq!(ops.patch(&path, json!({"note": "hurry"})).await.expect(200)["note"], "hurry");
    server.stop().await;
}
