//! Tours: in which order a courier goes to its stops, and who is told how many come before.

use ordercast::domain::BatchId;
use serde_json::{Value, json};

use crate::support::{Courier, Fleet, Phone, Server, attentive, check_log};

/// A courier with three orders on the way, and their ids.
async fn loaded(fleet: &Fleet) -> (Courier, [String; 3]) {
    let courier = fleet.courier(Some(0.0)).await;
    let mut orders = Vec::new();
    for _ in 0..3 {
        let order = fleet.accepted(10).await;
        fleet.assign(&order, &courier).await;
        fleet.city.act(&courier.rest, &order, "pickup", json!({})).await;
        orders.push(order);
    }
    (courier, orders.try_into().unwrap())
}

/// Where the order comes in the tour, as it is seen with this view.
fn place(view: &Value) -> (Option<i64>, Option<i64>) {
    (view["stop_seq"].as_i64(), view["stops_before"].as_i64())
}

#[actix_web::test]
async fn a_tour_is_set_by_its_courier_dispatchers_and_the_platform_and_told_where_it_changes() {
    let server = Server::start_with(attentive).await;
    let fleet = Fleet::found(&server, None).await;
    let (courier, [a, b, c]) = loaded(&fleet).await;
    let own = format!("/v1/drivers/{}/route", courier.id);
    let mut batches = Vec::new();
    for (who, path, orders, told) in [
        (&courier.rest, "/v1/drivers/me/route", [&a, &b, &c], vec![&a, &b, &c]),
        (&courier.rest, own.as_str(), [&a, &b, &c], vec![]),
        (&fleet.ops, own.as_str(), [&b, &a, &c], vec![&b, &a]),
        (&fleet.city.platform, own.as_str(), [&c, &a, &b], vec![&c, &b]),
    ] {
        let head = fleet.head().await;
        let body = who.put(path, json!({"orders": orders})).await.expect(200);
        let views = body["orders"].as_array().unwrap();
        assert_eq!(views.len(), 3);
        for (nth, (view, order)) in (0..).zip(views.iter().zip(orders)) {
            assert_eq!((&view["id"], place(view)), (&json!(order), (Some(nth + 1), Some(nth))));
            assert_eq!(place(&fleet.order(order).await), (Some(nth + 1), Some(nth)));
        }
        let batch = body["batch"].as_str().unwrap();
        batches.push(batch.to_owned());
        assert_eq!(fleet.order(&a).await["batch"], batch);
        let events = fleet.log(head).await;
        let heard: Vec<_> = events.iter().map(|event| event["order"].as_str().unwrap()).collect();
        assert_eq!(heard, told, "{orders:?}");
        for event in &events {
            assert_eq!(event["type"], "order.eta");
            let (nth, _) =
                (0..).zip(orders).find(|(_, order)| event["order"] == order.as_str()).unwrap();
            let data = &event["data"];
            assert_eq!(place(data), (Some(nth + 1), Some(nth)));
            for key in ["dropoff_eta", "lo", "hi", "source", "batch"] {
                assert!(data[key].is_string(), "{key}: {event:#}");
            }
        }
    }
    // It is one tour, whatever its order.
    batches.dedup();
    assert_eq!(batches.len(), 1, "{batches:?}");
    // Its stops are listed by it, the newest order first; not for the store, which is told no tours.
    let alone = fleet.accepted(10).await;
    fleet.assign(&alone, &fleet.courier(None).await).await;
    let listed = format!("/v1/orders?batch={}", batches[0]);
    for who in [&fleet.ops, &fleet.city.platform, &courier.rest] {
        let page = who.get(&listed).await.expect(200);
        let stops: Vec<_> = page["orders"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["id"].as_str().unwrap())
            .collect();
        assert_eq!(stops, [&c, &b, &a]);
    }
    let none = format!("/v1/orders?batch={}", BatchId::new());
    assert_eq!(fleet.ops.get(&none).await.expect(200)["orders"], json!([]));
    let tablet = fleet.city.caller("store", "").await;
    let refused = tablet.get(&listed).await.expect_problem(422, "validation");
    assert_eq!(refused["fields"][0]["field"], "batch");
    // Three minutes for each stop before, to the same door.
    let mut etas = Vec::new();
    for order in [&c, &a, &b] {
        let view = fleet.order(order).await;
        etas.push(view["dropoff_eta"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap());
    }
    for pair in etas.windows(2) {
        let apart = pair[1].duration_since(pair[0]).as_secs();
        assert!((170..200).contains(&apart), "{etas:?}");
    }
    // Over the socket, too.
    let mut phone = Phone::connect(&server.url, &courier.token).await;
    for driver in ["me", courier.id.as_str()] {
        let data = json!({"driver": driver, "orders": [a, b, c]});
        let reply = phone.rpc("driver.route", data).await;
        assert_eq!(place(&reply["rpc"]["data"]["orders"][2]), (Some(3), Some(2)), "{reply}");
    }
    check_log(&server.database).await;
    server.stop().await;
}

#[actix_web::test]
async fn a_tour_that_is_not_the_couriers_open_orders_each_once_is_refused_by_its_field() {
    let server = Server::start_with(attentive).await;
    let fleet = Fleet::found(&server, None).await;
    let stranger = Fleet::found(&server, None).await;
    let (courier, [a, b, c]) = loaded(&fleet).await;
    let delivered = fleet.accepted(10).await;
    fleet.assign(&delivered, &courier).await;
    fleet.city.act(&courier.rest, &delivered, "pickup", json!({})).await;
    fleet.city.act(&courier.rest, &delivered, "deliver", json!({})).await;
    let anothers = fleet.accepted(10).await;
    let foreign = stranger.accepted(10).await;
    let before = server.database.contents().await;
    let many: Vec<String> = (0..51).map(|_| a.clone()).collect();
    for (orders, field) in [
        (json!([a, b]), "orders"),
        (json!([]), "orders"),
        (json!([a, b, a]), "orders[2]"),
        (json!([a, b, "x"]), "orders[2]"),
        (json!([a, b, courier.id]), "orders[2]"),
        (json!([a, b, delivered]), "orders"),
        (json!([a, b, anothers]), "orders"),
        (json!([a, b, foreign]), "orders"),
        (json!([a, b, c, delivered]), "orders"),
        (json!(many), "orders"),
    ] {
        let body = json!({"orders": orders});
        let answer = courier.rest.put("/v1/drivers/me/route", body.clone()).await;
        let problem = answer.expect_problem(422, "validation");
        assert_eq!(problem["fields"][0]["field"], field, "{body}: {problem}");
    }
    for body in
        [json!({}), json!({"orders": "x"}), json!({"orders": [1]}), json!({"orders": [], "x": 1})]
    {
        let answer = courier.rest.put("/v1/drivers/me/route", body.clone()).await;
        assert!(matches!(answer.status, 400 | 422), "{body}: {:#}", answer.body);
    }
    let path = format!("/v1/drivers/{}/route", courier.id);
    let whole = json!({"orders": [a, b, c]});
    for role in ["store", "customer"] {
        let who = fleet.city.caller(role, &a).await;
        who.put(&path, whole.clone()).await.expect_problem(403, "role_not_allowed");
    }
    let other = fleet.courier(None).await;
    for who in [&other.rest, &stranger.ops, &stranger.city.platform] {
        who.put(&path, whole.clone()).await.expect_problem(404, "not_found");
    }
    fleet.ops.put("/v1/drivers/me/route", whole).await.expect_problem(404, "not_found");
    // But for the courier that was made meanwhile.
    let after = server.database.contents().await;
    let changed: Vec<_> = before.iter().zip(&after).filter(|(was, is)| was != is).collect();
    assert!(
        changed.iter().all(|(was, _)| ["drivers", "events", "log_head"].contains(&was.0.as_str()))
    );
    assert_eq!(fleet.of_type("order.eta", 0).await, [] as [Value; 0]);
    server.stop().await;
}

#[actix_web::test]
async fn when_a_stop_is_over_those_behind_it_move_up_and_are_told() {
    let server = Server::start_with(attentive).await;
    let fleet = Fleet::found(&server, None).await;
    let (courier, [a, b, c]) = loaded(&fleet).await;
    let tour = json!({"orders": [a, b, c]});
    courier.rest.put("/v1/drivers/me/route", tour).await.expect(200);
    let token = fleet.city.customer_token(&c).await;
    let mut customer = Phone::connect(&server.url, &token).await;
    let seen = customer.subscribe(&format!("order:{c}")).await;
    assert_eq!(place(&seen["data"]["order"]), (None, Some(2)));
    let mut tablet = Phone::connect(&server.url, &fleet.city.store_token().await).await;
    tablet.subscribe(&format!("store:{}", fleet.city.store)).await;
    let mut driver = Phone::connect(&server.url, &courier.token).await;
    driver.subscribe(&format!("driver:{}", courier.id)).await;
    let mut last_eta = seen["data"]["order"]["dropoff_eta"].as_str().unwrap().to_owned();
    for (done, action, left) in [(&a, "deliver", 1), (&b, "fail", 0)] {
        let head = fleet.head().await;
        let body = if action == "fail" { json!({"reason": "lost"}) } else { json!({}) };
        fleet.city.act(&courier.rest, done, action, body).await;
        let event = customer.event().await;
        assert_eq!(
            (&event["type"], place(&event["data"])),
            (&json!("order.eta"), (None, Some(left)))
        );
        assert!(event["data"].get("batch").is_none(), "{event:#}");
        let eta = event["data"]["dropoff_eta"].as_str().unwrap().to_owned();
        assert!(eta < last_eta, "{eta} is not before {last_eta}");
        last_eta = eta;
        let told = fleet.happened("order.eta", head, 1 + usize::try_from(left).unwrap()).await;
        assert!(told.iter().all(|event| event["by"]["role"] == "system"), "{told:#?}");
        assert_eq!(place(&fleet.order(&c).await).1, Some(left));
    }
    // The courier hears its whole tour, its store no more of it than when.
    let last = fleet.head().await;
    for (phone, shown) in [(&mut driver, true), (&mut tablet, false)] {
        let mut heard = 0;
        loop {
            let event = phone.event().await;
            if event["type"] == "order.eta" {
                heard += 1;
                for key in ["stop_seq", "stops_before", "batch"] {
                    assert_eq!(event["data"].get(key).is_some(), shown, "{event:#}");
                }
            }
            if event["position"] == last {
                break;
            }
        }
        assert_eq!(heard, 3);
    }
    // And in what they can read: the customer how many are before, its store nothing.
    let store = fleet.city.caller("store", &c).await;
    let path = format!("/v1/orders/{c}");
    let view = store.get(&path).await.expect(200);
    for key in ["batch", "stop_seq", "stops_before"] {
        assert!(view.get(key).is_none(), "{key}");
    }
    let view = fleet.city.caller("customer", &c).await.get(&path).await.expect(200);
    assert_eq!(place(&view), (None, Some(0)));
    assert!(view.get("batch").is_none());
    check_log(&server.database).await;
    server.stop().await;
}

#[actix_web::test]
async fn who_leaves_the_courier_leaves_the_tour_and_the_others_move_up() {
    let server = Server::start_with(attentive).await;
    let fleet = Fleet::found(&server, None).await;
    let (courier, [a, b, c]) = loaded(&fleet).await;
    let other = fleet.courier(Some(0.0)).await;
    courier.rest.put("/v1/drivers/me/route", json!({"orders": [a, b, c]})).await.expect(200);
    let head = fleet.head().await;
    let view = fleet.assign(&a, &other).await;
    assert_eq!((place(&view), view.get("batch")), ((None, None), None));
    fleet.happened("order.eta", head, 2).await;
    assert_eq!(place(&fleet.order(&b).await).1, Some(0));
    assert_eq!(place(&fleet.order(&c).await).1, Some(1));
    // The tour is what the courier has: the one it has lost has no place in it.
    let gone = json!({"orders": [a, b, c]});
    let problem = courier.rest.put("/v1/drivers/me/route", gone).await;
    problem.expect_problem(422, "validation");
    let swapped = courier.rest.put("/v1/drivers/me/route", json!({"orders": [c, b]})).await;
    assert_eq!(place(&swapped.expect(200)["orders"][1]), (Some(2), Some(1)));
    check_log(&server.database).await;
    server.stop().await;
}
