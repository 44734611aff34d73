//! Every write by its name over a socket: the same bodies, answers and refusals as over REST.

use serde_json::{Value, json};

use crate::support::{City, Phone, Server, merged, until};

/// A socket of each who may act.
struct Phones {
    platform: Phone,
    ops: Phone,
    store: Phone,
    driver: Phone,
}

impl Phones {
    async fn connect(url: &str, city: &City) -> Self {
        Self {
            platform: Phone::connect(url, &city.key).await,
            ops: Phone::connect(url, &city.ops_token().await).await,
            store: Phone::connect(url, &city.store_token().await).await,
            driver: Phone::connect(url, &city.driver_token().await).await,
        }
    }

    fn of(&mut self, who: &str) -> &mut Phone {
        match who {
            "platform" => &mut self.platform,
            "ops" => &mut self.ops,
            "store" => &mut self.store,
            "driver" => &mut self.driver,
            who => panic!("who is {who}?"),
        }
    }

    /// Does these steps to `order`, each of which must be answered with the order as it then is.
    async fn walk(&mut self, city: &City, order: &str, steps: &[(&str, &str, Value, &str)]) {
        for (who, action, body, leads_to) in steps {
            let data = merged(json!({"order": order}), body.clone());
            let reply = self.of(who).rpc(&format!("order.{action}"), data).await;
            let answer = &reply["rpc"]["data"];
            assert_eq!(answer["id"], order, "{action}: {reply}");
            let view = city.platform.get(&format!("/v1/orders/{order}")).await.expect(200);
            assert_eq!(answer["version"], view["version"], "{action}");
            let stands =
                format!("{} {}", view["status"].as_str().unwrap(), view["leg"].as_str().unwrap());
            assert_eq!(stands, *leads_to, "after {action}");
            if *who == "platform" {
                assert_eq!(*answer, view, "{action}");
            }
        }
    }

    async fn place(&mut self, city: &City, more: Value) -> String {
        let reply = self.platform.rpc("order.create", city.order_body(more)).await;
        reply["rpc"]["data"]["id"].as_str().unwrap_or_else(|| panic!("{reply}")).to_owned()
    }
}

#[actix_web::test]
async fn every_change_of_an_order_can_be_asked_for_over_a_socket() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let mut phones = Phones::connect(&server.url, &city).await;
    let none = json!({});
    let driver = json!({"driver": city.driver});

    let order = phones.place(&city, json!({})).await;
    phones
        .walk(
            &city,
            &order,
            &[
                ("store", "accept", json!({"prep_min": 20}), "preparing none"),
                ("store", "prep", json!({"prep_min": 45, "why": "busy"}), "preparing none"),
                ("platform", "update", json!({"note": "no onions"}), "preparing none"),
                ("platform", "assign", driver.clone(), "preparing assigned"),
                ("driver", "drop", json!({"reason": "too_far"}), "preparing none"),
                ("ops", "assign", driver.clone(), "preparing assigned"),
                ("platform", "unassign", none.clone(), "preparing none"),
                ("ops", "assign", driver.clone(), "preparing assigned"),
                ("driver", "at_store", none.clone(), "preparing at_store"),
                ("store", "ready", none.clone(), "ready at_store"),
                ("store", "unready", none.clone(), "preparing at_store"),
                ("driver", "pickup", none.clone(), "picked_up en_route"),
                ("driver", "at_door", none.clone(), "picked_up at_door"),
                ("driver", "return", json!({"reason": "refused"}), "returning en_route"),
                ("platform", "redeliver", none.clone(), "picked_up en_route"),
                ("driver", "at_door", none.clone(), "picked_up at_door"),
                ("driver", "deliver", none.clone(), "delivered closed"),
            ],
        )
        .await;

    let order = phones.place(&city, json!({})).await;
    phones
        .walk(
            &city,
            &order,
            &[
                ("store", "accept", none.clone(), "preparing none"),
                ("ops", "assign", driver.clone(), "preparing assigned"),
                ("ops", "pickup", none.clone(), "picked_up en_route"),
                ("driver", "return", json!({"reason": "wrong_address"}), "returning en_route"),
                ("store", "returned", none.clone(), "returned closed"),
            ],
        )
        .await;
    let order = phones.place(&city, json!({})).await;
    phones
        .walk(
            &city,
            &order,
            &[
                ("store", "accept", none.clone(), "preparing none"),
                ("ops", "assign", driver.clone(), "preparing assigned"),
                ("ops", "pickup", none.clone(), "picked_up en_route"),
                ("driver", "fail", json!({"reason": "lost"}), "failed closed"),
            ],
        )
        .await;
    let order = phones.place(&city, json!({})).await;
    let reject = json!({"reason": "too_busy"});
    phones.walk(&city, &order, &[("store", "reject", reject, "rejected closed")]).await;

    // One for later: released early, accepted, and started by hand.
    let window = json!({"from": "2099-01-01T18:00:00Z", "to": "2099-01-01T19:00:00Z"});
    let order = phones.place(&city, json!({"window": window})).await;
    phones
        .walk(
            &city,
            &order,
            &[
                ("platform", "release", none.clone(), "placed none"),
                ("store", "accept", none.clone(), "accepted none"),
                ("store", "start", none.clone(), "preparing none"),
                ("ops", "cancel", json!({"reason": "duplicate"}), "cancelled closed"),
            ],
        )
        .await;

    let collection = json!({"fulfilment": "collection", "dropoff": null});
    let order = phones.place(&city, collection).await;
    let mut customer = Phone::connect(&server.url, &city.customer_token(&order).await).await;
    let seen = customer.subscribe(&format!("order:{order}")).await;
    let pin = seen["data"]["order"]["pin"].clone();
    phones
        .walk(
            &city,
            &order,
            &[
                ("store", "accept", none.clone(), "preparing none"),
                ("store", "ready", none.clone(), "ready none"),
            ],
        )
        .await;
    let reply = customer.rpc("order.collect", json!({"order": order, "pin": pin})).await;
    assert_eq!(reply["rpc"]["data"]["steps"][3]["step"], "collected", "{reply}");

    // And of those who have a part in it.
    let until = "2099-01-01T00:00:00.000Z";
    let reply = phones.store.rpc("store.pause", json!({"until": until})).await;
    assert_eq!(reply["rpc"]["data"]["paused_until"], until, "{reply}");
    let reply = phones.ops.rpc("store.pause", json!({"store": city.store, "until": null})).await;
    assert!(reply["rpc"]["data"].get("paused_until").is_none(), "{reply}");
    let reply = phones.driver.rpc("driver.duty", json!({"duty": "paused"})).await;
    assert_eq!(reply["rpc"]["data"]["duty"], "paused", "{reply}");
    let on = json!({"driver": city.driver, "duty": "on"});
    let reply = phones.ops.rpc("driver.duty", on).await;
    assert_eq!(reply["rpc"]["data"]["duty"], "on", "{reply}");
    server.stop().await;
}

#[actix_web::test]
async fn a_refusal_has_the_code_of_its_problem_and_changes_nothing() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let foreign = City::found(&server.url, &server.database).await;
    let mut phones = Phones::connect(&server.url, &city).await;
    let placed = phones.place(&city, json!({})).await;
    let taken = city.order(json!({"external_id": "taken"})).await["external_id"].clone();
    let carried = phones.place(&city, json!({"proof_required": {"pin": true}})).await;
    city.act(&city.platform, &carried, "accept", json!({})).await;
    city.assign(&carried).await;
    let reply = phones.driver.rpc("order.pickup", json!({"order": carried})).await;
    assert!(reply["rpc"].is_object(), "{reply}");
    let mut customer = Phone::connect(&server.url, &city.customer_token(&carried).await).await;
    let seen = customer.subscribe(&format!("order:{carried}")).await;
    let pin = seen["data"]["order"]["pin"].as_str().unwrap();
    let wrong = if pin == "0000" { "1111" } else { "0000" };
    let idle = city.new_driver(json!({})).await;
    city.platform
        .put(&format!("/v1/drivers/{idle}/duty"), json!({"duty": "off"}))
        .await
        .expect(200);
    let full = city.new_driver(json!({"capacity": 1})).await;
    let other = phones.place(&city, json!({})).await;
    city.platform
        .put(&format!("/v1/orders/{other}/driver"), json!({"driver": full}))
        .await
        .expect(200);
    let secret = foreign.order_id().await;
    let first_use = json!({"order": other, "note": "first", "idempotency_key": "k1"});
    phones.platform.rpc("order.update", first_use).await;

    let before = server.database.count("events").await;
    let cases = [
        ("store", "order.ready", json!({"order": placed}), 1409, "invalid_transition"),
        (
            "ops",
            "order.cancel",
            json!({"order": carried, "reason": "duplicate"}),
            1410,
            "already_picked_up",
        ),
        (
            "store",
            "order.accept",
            json!({"order": placed, "if_match": 9}),
            1411,
            "version_mismatch",
        ),
        (
            "ops",
            "order.assign",
            json!({"order": placed, "driver": full}),
            1412,
            "driver_at_capacity",
        ),
        ("ops", "order.assign", json!({"order": placed, "driver": idle}), 1413, "driver_off_duty"),
        (
            "platform",
            "order.create",
            city.order_body(json!({"external_id": taken, "note": "another"})),
            1414,
            "external_id_conflict",
        ),
        (
            "platform",
            "order.update",
            json!({"order": other, "note": "second", "idempotency_key": "k1"}),
            1415,
            "idempotency_key_reused",
        ),
        ("driver", "order.deliver", json!({"order": carried}), 1422, "proof_required"),
        (
            "store",
            "order.cancel",
            json!({"order": placed, "reason": "too_busy"}),
            1409,
            "invalid_transition",
        ),
        (
            "store",
            "order.assign",
            json!({"order": placed, "driver": city.driver}),
            403,
            "role_not_allowed",
        ),
        ("driver", "order.at_store", json!({"order": placed}), 404, "not_found"),
        ("platform", "order.accept", json!({"order": secret}), 404, "not_found"),
        ("platform", "order.accept", json!({"order": "nonsense"}), 404, "not_found"),
        ("platform", "order.accept", json!({}), 422, "validation"),
        ("platform", "order.accept", json!({"order": 7}), 422, "validation"),
        ("platform", "order.accept", json!([placed]), 422, "validation"),
        ("store", "order.accept", json!({"order": placed, "prep_min": 500}), 422, "validation"),
        ("store", "order.accept", json!({"order": placed, "surprise": 1}), 422, "validation"),
        ("store", "order.accept", json!({"order": placed, "if_match": "x"}), 422, "validation"),
        ("driver", "store.pause", json!({"store": city.store}), 403, "role_not_allowed"),
        ("driver", "driver.duty", json!({"driver": idle, "duty": "on"}), 404, "not_found"),
        ("driver", "driver.duty", json!({"duty": "asleep"}), 422, "validation"),
    ];
    for (who, method, data, code, word) in cases {
        let reply = phones.of(who).rpc(method, data.clone()).await;
        let error = &reply["error"];
        assert_eq!(error["code"], code, "{method} {data}: {reply}");
        let message = error["message"].as_str().unwrap();
        assert!(message.starts_with(&format!("{word}: ")), "{reply}");
        assert!(error.get("temporary").is_none(), "{reply}");
    }
    // Five tries for a PIN, and then only a dispatcher can go on.
    for turn in 0..7 {
        let data = json!({"order": carried, "pin": if turn < 6 { wrong } else { pin }});
        let reply = phones.driver.rpc("order.deliver", data).await;
        let code = if turn < 5 { 1423 } else { 1424 };
        assert_eq!(reply["error"]["code"], code, "try {turn}: {reply}");
    }
    assert_eq!(server.database.count("events").await, before);
    server.stop().await;
}

#[actix_web::test]
async fn a_method_that_is_none_is_told_so_and_the_socket_stays() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let mut phone = Phone::connect(&server.url, &city.key).await;
    for method in
        ["", "order", "order.", "order.eat", "order.watch", "order.search_failed", "chat.say"]
    {
        let reply = phone.rpc(method, json!({"order": order})).await;
        let error = json!({"code": 104, "message": "method not found"});
        assert_eq!(reply["error"], error, "{method}");
    }
    let reply = phone.ask(json!({"rpc": {"method": "order.eat"}})).await;
    assert_eq!(reply["error"]["code"], 104, "{reply}");
    server.stop().await;
}

#[actix_web::test]
async fn a_write_repeated_with_its_key_is_answered_alike_and_done_once() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let token = city.store_token().await;
    let accept = json!({"order": order, "prep_min": 25, "idempotency_key": "tap-1"});
    let mut first = Phone::connect(&server.url, &token).await;
    let reply = first.rpc("order.accept", accept.clone()).await;
    assert_eq!(reply["rpc"]["data"]["version"], 3, "{reply}");
    city.act(&city.platform, &order, "ready", json!({})).await;
    // From another socket, after the first was lost; and once more over REST.
    first.drop_connection();
    let mut second = Phone::connect(&server.url, &token).await;
    let again = second.rpc("order.accept", accept).await;
    assert_eq!(again["rpc"], reply["rpc"]);
    let events = city.platform.get(&format!("/v1/orders/{order}/events")).await.expect(200);
    assert_eq!(events["events"].as_array().unwrap().len(), 4, "{events}");
    server.stop().await;
}

#[actix_web::test]
async fn a_call_waits_for_those_about_its_own_order_and_not_for_others() {
    let server = Server::start_with(|config| {
        // Another batch may be written while one waits.
        config.writer.overlap_min = 1;
    })
    .await;
    let city = City::found(&server.url, &server.database).await;
    let (held, free) = (city.order_id().await, city.order_id().await);
    let mut client = server.database.connect().await;
    let lock = client.transaction().await.unwrap();
    let id: ordercast::domain::OrderId = held.parse().unwrap();
    let rows = lock.query("select from orders where id = $1 for update", &[&id.uuid()]).await;
    assert_eq!(rows.unwrap().len(), 1);

    let mut phone = Phone::connect(&server.url, &city.key).await;
    let call = |method: &str, order: &str, more: Value| json!({"rpc": {"method": method, "data": merged(json!({"order": order}), more)}});
    let accepting = phone.send(call("order.accept", &held, json!({}))).await;
    let meanwhile = phone.send(call("order.accept", &free, json!({}))).await;
    // These wait for the first, and the last, which is about all, for both.
    let readying = phone.send(call("order.ready", &held, json!({}))).await;
    let channel = format!("order:{held}");
    let subscribing = phone.send(json!({"subscribe": {"channel": channel}})).await;
    until("the other order is accepted", async || {
        let view = city.platform.get(&format!("/v1/orders/{free}")).await.expect(200);
        (view["status"] == "preparing").then_some(())
    })
    .await;
    lock.commit().await.unwrap();
    let state = phone.reply(subscribing).await;
    assert_eq!(state["subscribe"]["data"]["order"]["status"], "ready", "{state}");
    // Answers keep the order of what was asked.
    let answered: Vec<_> = phone.unread().iter().map(|reply| reply["id"].as_u64()).collect();
    assert_eq!(answered, [accepting, meanwhile, readying].map(|id| Some(u64::from(id))));
    for (id, status) in [(accepting, "preparing"), (meanwhile, "preparing"), (readying, "ready")] {
        let reply = phone.reply(id).await;
        assert_eq!(reply["rpc"]["data"]["status"], status, "{reply}");
    }
    server.stop().await;
}

#[actix_web::test]
async fn what_is_called_without_waiting_for_answers_is_done_in_order() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let mut phone = Phone::connect(&server.url, &city.ops_token().await).await;
    let call = |method: &str, data: Value| json!({"rpc": {"method": method, "data": data}});
    let mut asked = Vec::new();
    let mut orders = Vec::new();
    for _ in 0..8 {
        orders.push(city.order_id().await);
    }
    // A courier with room for one: only the first of two can be given to it, and the second after
    // the first has ended. All of it is said at once.
    let one = city.new_driver(json!({"capacity": 1})).await;
    let duty = json!({"driver": one, "duty": "on"});
    asked.push((phone.send(call("driver.duty", duty)).await, None));
    for order in &orders {
        let about = |more: Value| merged(json!({"order": order}), more);
        for (method, data) in [
            ("order.accept", json!({"prep_min": 5})),
            ("order.assign", json!({"driver": one})),
            ("order.ready", json!({})),
            ("order.pickup", json!({})),
            ("order.deliver", json!({})),
        ] {
            let id = phone.send(call(method, about(data))).await;
            asked.push((id, Some((order.clone(), method))));
        }
    }
    for (id, about) in asked {
        let reply = phone.reply(id).await;
        assert!(reply["rpc"]["data"].is_object(), "{about:?}: {reply}");
    }
    for order in &orders {
        let view = city.platform.get(&format!("/v1/orders/{order}")).await.expect(200);
        assert_eq!(view["status"], "delivered");
    }
    server.stop().await;
}
