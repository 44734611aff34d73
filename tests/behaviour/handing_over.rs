//! Handing over: from courier to courier, and to the customer by PIN, code and proof.

use awc::http::Method;
use serde_json::json;

use crate::support::{City, Server};

#[actix_web::test]
async fn an_order_is_handed_from_courier_to_courier() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let second = city.new_driver(json!({"name": "Dana Berg"})).await;
    let order = city.order_id().await;
    let path = format!("/v1/orders/{order}/driver");
    let first = city.caller("driver", &order).await;
    let other = city.platform.with_token(&city.token("driver", &second, &[]).await);
    city.act(&city.platform, &order, "accept", json!({})).await;
    city.assign(&order).await;
    first.get(&format!("/v1/orders/{order}")).await.expect(200);
    // Before pick-up the platform may; the first has it no longer.
    let changed = city.platform.put(&path, json!({"driver": second})).await.expect(200);
    assert_eq!((&changed["driver"]["id"], &changed["leg"]), (&json!(second), &json!("assigned")));
    first.get(&format!("/v1/orders/{order}")).await.expect_problem(404, "not_found");
    first
        .post(&format!("/v1/orders/{order}/pickup"), json!({}))
        .await
        .expect_problem(404, "not_found");
    city.act(&other, &order, "pickup", json!({})).await;
    // After it only a dispatcher may.
    let back = json!({"driver": city.driver});
    let refused = city.platform.put(&path, back.clone()).await;
    refused.expect_problem(409, "invalid_transition");
    let ops = city.caller("ops", &order).await;
    let handed = ops.put(&path, back).await.expect(200);
    assert_eq!(
        (&handed["driver"]["id"], &handed["leg"]),
        (&json!(city.driver), &json!("en_route"))
    );
    let delete = ops.send(Method::DELETE, &path, &[], Vec::new()).await;
    delete.expect_problem(409, "invalid_transition");
    city.act(&first, &order, "deliver", json!({})).await;
    server.stop().await;
}

#[actix_web::test]
async fn a_courier_off_duty_or_without_room_gets_no_order() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let driver = city.new_driver(json!({"capacity": 1})).await;
    let itself = city.platform.with_token(&city.token("driver", &driver, &[]).await);
    let orders = [city.order_id().await, city.order_id().await];
    let assign = async |order: &str| {
        let body = json!({"driver": driver});
        city.platform.put(&format!("/v1/orders/{order}/driver"), body).await
    };
    for duty in ["off", "paused"] {
        let view = itself.put("/v1/drivers/me/duty", json!({"duty": duty})).await.expect(200);
        assert_eq!(view["duty"], duty);
        let before = server.database.contents().await;
        let problem = assign(&orders[0]).await.expect_problem(409, "driver_off_duty");
        assert_eq!((&problem["status"], &problem["leg"]), (&json!("placed"), &json!("none")));
        assert_eq!(server.database.contents().await, before);
    }
    itself.put("/v1/drivers/me/duty", json!({"duty": "on"})).await.expect(200);
    assign(&orders[0]).await.expect(200);
    let before = server.database.contents().await;
    assign(&orders[1]).await.expect_problem(409, "driver_at_capacity");
    // The same courier for the same order again is a repeat.
    assign(&orders[0]).await.expect(200);
    assert_eq!(server.database.contents().await, before);
    let path = format!("/v1/orders/{}/driver", orders[0]);
    let reason = json!({"reason": "too_far"}).to_string().into_bytes();
    city.platform.send(Method::DELETE, &path, &[], reason).await.expect(200);
    assign(&orders[1]).await.expect(200);
    server.stop().await;
}

#[actix_web::test]
async fn five_wrong_pins_lock_the_hand_over_for_all_but_dispatchers() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let id = city.order(json!({"proof_required": {"pin": true, "photo": true}})).await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let customer = city.caller("customer", &id).await;
    let path = format!("/v1/orders/{id}");
    let pin = customer.get(&path).await.expect(200)["pin"].as_str().unwrap().to_owned();
    assert!(pin.len() == 4 && pin.bytes().all(|byte| byte.is_ascii_digit()), "{pin}");
    let wrong = if pin == "0000" { "1111" } else { "0000" };
    city.act(&city.platform, &id, "accept", json!({})).await;
    city.assign(&id).await;
    let driver = city.caller("driver", &id).await;
    city.act(&driver, &id, "pickup", json!({})).await;
    let deliver = format!("{path}/deliver");
    let photo = json!([{"kind": "photo", "ref": "https://example.com/1.jpg"}]);

    // What is missing costs no try.
    let before = server.database.contents().await;
    let missing = driver.post(&deliver, json!({"pin": wrong})).await;
    let missing = missing.expect_problem(422, "proof_required");
    assert_eq!(missing["detail"], "still required: photo");
    let missing = driver.post(&deliver, json!({"proofs": photo})).await;
    assert_eq!(missing.expect_problem(422, "proof_required")["detail"], "still required: pin");
    assert_eq!(server.database.contents().await, before);

    for left in (0..5).rev() {
        let body = json!({"pin": wrong, "proofs": photo});
        let problem = driver.post(&deliver, body).await.expect_problem(422, "pin_wrong");
        assert_eq!(problem["detail"], format!("the PIN is wrong; tries left: {left}"));
    }
    let right = json!({"pin": pin, "proofs": photo});
    let locked = driver.post(&deliver, right).await.expect_problem(422, "pin_locked");
    assert_eq!(locked["status"], "picked_up");
    // Nothing but the count was written.
    assert_eq!(server.database.count("events").await, 7);
    let ops = city.caller("ops", &id).await;
    assert_eq!(city.act(&ops, &id, "deliver", json!({})).await["status"], "delivered");
    server.stop().await;
}

#[actix_web::test]
async fn the_right_pin_hands_over_and_stays_the_customers_secret() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let id = city.order(json!({"proof_required": {"pin": true}})).await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/v1/orders/{id}");
    let customer = city.caller("customer", &id).await;
    let pin = customer.get(&path).await.expect(200)["pin"].clone();
    city.act(&city.platform, &id, "accept", json!({})).await;
    city.assign(&id).await;
    let driver = city.caller("driver", &id).await;
    city.act(&driver, &id, "pickup", json!({})).await;
    city.act(&driver, &id, "deliver", json!({"pin": pin})).await;
    let page = city.platform.get(&format!("{path}/events")).await.expect(200);
    let last = page["events"].as_array().unwrap().last().unwrap();
    assert_eq!(last["data"]["proofs"], json!(["pin"]));
    for role in ["platform", "ops", "store", "driver"] {
        let who = city.caller(role, &id).await;
        assert_eq!(who.get(&path).await.expect(200).get("pin"), None, "{role}");
    }
    server.stop().await;
}

#[actix_web::test]
async fn a_customer_fetches_with_the_code_and_a_store_may_check_it() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let more = json!({"fulfilment": "collection", "dropoff": null});
    for role in ["customer", "store"] {
        let id = city.order(more.clone()).await["id"].as_str().unwrap().to_owned();
        let collect = format!("/v1/orders/{id}/collect");
        let customer = city.caller("customer", &id).await;
        let order = customer.get(&format!("/v1/orders/{id}")).await.expect(200);
        let pin = order["pin"].as_str().unwrap();
        let wrong = if pin == "0000" { "1111" } else { "0000" };
        let who = city.caller(role, &id).await;
        city.act(&city.platform, &id, "accept", json!({})).await;
        who.post(&collect, json!({"pin": pin})).await.expect_problem(409, "invalid_transition");
        city.act(&city.platform, &id, "ready", json!({})).await;
        if role == "customer" {
            who.post(&collect, json!({})).await.expect_problem(422, "proof_required");
        }
        who.post(&collect, json!({"pin": wrong})).await.expect_problem(422, "pin_wrong");
        who.post(&collect, json!({"pin": pin})).await.expect(200);
    }
    server.stop().await;
}
