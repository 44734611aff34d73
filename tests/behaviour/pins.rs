//! The PIN: only the customer sees it, it is tried five times whatever the number of processes,
//! and then only a dispatcher goes on.

use serde_json::{Value, json};

use crate::support::{City, Process, Receiver, Rest, Scratch, Server, delivering};
use crate::webhooks::{hook, log};

/// An order that asks for a PIN, and the PIN.
async fn guarded(city: &City, more: Value) -> (String, String) {
    let body = crate::support::merged(json!({"proof_required": {"pin": true}}), more);
    let order = city.order(body).await["id"].as_str().unwrap().to_owned();
    let customer = city.caller("customer", &order).await;
    let view = customer.get(&format!("/v1/orders/{order}")).await.expect(200);
    (order, view["pin"].as_str().unwrap().to_owned())
}

/// The same, carried by this city's courier.
async fn carried(city: &City) -> (String, String) {
    let (order, pin) = guarded(city, json!({})).await;
    city.act(&city.platform, &order, "accept", json!({})).await;
    city.assign(&order).await;
    city.act(&city.caller("driver", &order).await, &order, "pickup", json!({})).await;
    (order, pin)
}

/// So many PINs, none of them right.
fn wrong(pin: &str, count: usize) -> Vec<String> {
    let all = (0..10_000).map(|number| format!("{number:04}"));
    all.filter(|guess| guess != pin).take(count).collect()
}

#[actix_web::test]
async fn nothing_that_rest_or_a_webhook_says_to_others_has_the_pin_in_it() {
    let server = Server::start_with(delivering).await;
    let city = City::found(&server.url, &server.database).await;
    let receiver = Receiver::start();
    let hook = hook(&city, &receiver.url, Value::Null).await;
    let (order, pin) = guarded(&city, json!({})).await;
    let roles = ["platform", "ops", "store", "driver", "customer"];
    let mut said: Vec<(&str, String)> = Vec::new();
    let path = format!("/v1/orders/{order}");
    let guess = wrong(&pin, 1).remove(0);
    for (role, action, body) in [
        ("store", "accept", json!({})),
        ("platform", "update", json!({"note": "no onions"})),
        ("platform", "assign", json!({"driver": city.driver})),
        ("driver", "at_store", json!({})),
        // What leaves the store, and what comes back to it, asks for no PIN.
        ("driver", "pickup", json!({})),
        ("driver", "at_door", json!({})),
        ("driver", "deliver", json!({})),
        ("driver", "deliver", json!({"pin": guess})),
        ("driver", "return", json!({"reason": "refused"})),
        ("ops", "redeliver", json!({})),
        ("driver", "return", json!({"reason": "refused"})),
        ("store", "returned", json!({})),
    ] {
        let who = city.caller(role, &order).await;
        let answer = match action {
            "update" => who.patch(&path, body).await,
            "assign" => who.put(&format!("{path}/driver"), body).await,
            _ => who.post(&format!("{path}/{action}"), body).await,
        };
        let refused = action == "deliver";
        assert_eq!(answer.status, if refused { 422 } else { 200 }, "{role} {action}: {answer:?}");
        said.push((role, answer.body.to_string()));
        for role in roles {
            let who = city.caller(role, &order).await;
            for path in [
                path.clone(),
                format!("{path}/events"),
                format!("{path}/proofs"),
                "/v1/orders".to_owned(),
                "/v1/events?after=0".to_owned(),
            ] {
                let answer = who.get(&path).await;
                said.push((role, answer.body.to_string()));
            }
        }
    }
    let quoted = format!("\"{pin}\"");
    for (role, text) in &said {
        assert!(*role == "customer" || !text.contains(&quoted), "{role} reads {quoted}: {text}");
    }
    let read = said.iter().any(|(role, text)| *role == "customer" && text.contains(&quoted));
    assert!(read, "the customer reads it");
    let events = log(&city, hook["position"].as_u64().unwrap()).await;
    assert!(events.len() > 10, "{}", events.len());
    for letter in receiver.received(events.len()).await {
        assert!(!letter.body.contains(&quoted), "{}", letter.body);
    }
    // It is taken by the hand-over to the customer and by nothing else.
    let (order, pin) = guarded(&city, json!({})).await;
    let ops = city.caller("ops", &order).await;
    for action in ["pickup", "returned", "return", "ready"] {
        let path = format!("/v1/orders/{order}/{action}");
        let problem = ops.post(&path, json!({"pin": pin})).await.expect_problem(422, "validation");
        assert_eq!(problem["fields"][0]["field"], "pin", "{action}");
    }
    server.stop().await;
}

#[actix_web::test]
async fn tries_are_counted_across_processes_attempts_and_couriers() {
    let database = Scratch::create().await;
    let (one, two) = (Process::serve(&database).await, Process::serve(&database).await);
    let city = City::found(&one.url, &database).await;
    let (order, pin) = carried(&city).await;
    let ops = city.caller("ops", &order).await;
    let path = format!("/v1/orders/{order}");
    let mut token = city.driver_token().await;
    for (tried, guess) in wrong(&pin, 5).iter().enumerate() {
        let url = [&one.url, &two.url][tried % 2];
        let driver = Rest::new(url, Some(&token));
        let problem = driver.post(&format!("{path}/deliver"), json!({"pin": guess})).await;
        let problem = problem.expect_problem(422, "pin_wrong");
        assert_eq!(problem["detail"], format!("the PIN is wrong; tries left: {}", 4 - tried));
        if tried == 1 {
            // A second attempt has no more tries,
            city.act(&driver, &order, "return", json!({"reason": "refused"})).await;
            city.act(&ops, &order, "redeliver", json!({})).await;
        }
        if tried == 3 {
            // and neither has another courier.
            let second = city.new_driver(json!({})).await;
            let body = json!({"driver": second});
            ops.put(&format!("{path}/driver"), body).await.expect(200);
            token = city.token("driver", &second, &[]).await;
        }
    }
    for url in [&one.url, &two.url] {
        let driver = Rest::new(url, Some(&token));
        let locked = driver.post(&format!("{path}/deliver"), json!({"pin": pin})).await;
        locked.expect_problem(422, "pin_locked");
    }
    // Whoever runs it all goes on without, and the guesses have left no trace in the log.
    let ops = Rest::new(&two.url, ops.token.as_deref());
    assert_eq!(city.act(&ops, &order, "deliver", json!({})).await["status"], "delivered");
    let events = ops.get(&format!("{path}/events")).await.expect(200);
    let events = events["events"].as_array().unwrap().clone();
    assert_eq!(events.last().unwrap()["data"].get("proofs"), None);
    let numbers: Vec<i64> = events.iter().filter_map(|event| event["n"].as_i64()).collect();
    assert_eq!(numbers, (1..=i64::try_from(numbers.len()).unwrap()).collect::<Vec<_>>());
    assert_eq!(one.terminate(), Some(0));
    assert_eq!(two.terminate(), Some(0));
}

#[actix_web::test]
async fn of_many_who_guess_at_once_through_two_processes_five_are_heard() {
    let database = Scratch::create().await;
    let (one, two) = (Process::serve(&database).await, Process::serve(&database).await);
    let city = City::found(&one.url, &database).await;
    let (order, pin) = carried(&city).await;
    let token = city.driver_token().await;
    let path = format!("/v1/orders/{order}/deliver");
    let guesses = wrong(&pin, 24).into_iter().enumerate().map(|(nth, guess)| {
        let driver = Rest::new([&one.url, &two.url][nth % 2], Some(&token));
        let path = path.clone();
        async move { driver.post(&path, json!({"pin": guess})).await.body["code"].clone() }
    });
    let answers = futures::future::join_all(guesses).await;
    let count = |code: &str| answers.iter().filter(|answer| **answer == code).count();
    assert_eq!((count("pin_wrong"), count("pin_locked")), (5, 19), "{answers:?}");
    let driver = Rest::new(&one.url, Some(&token));
    driver.post(&path, json!({"pin": pin})).await.expect_problem(422, "pin_locked");
    assert_eq!(one.terminate(), Some(0));
    assert_eq!(two.terminate(), Some(0));
}

#[actix_web::test]
async fn a_collections_code_is_tried_five_times_by_customer_and_store_together() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let (order, pin) = guarded(&city, json!({"fulfilment": "collection"})).await;
    city.act(&city.platform, &order, "accept", json!({})).await;
    city.act(&city.platform, &order, "ready", json!({})).await;
    let (customer, store) =
        (city.caller("customer", &order).await, city.caller("store", &order).await);
    let collect = format!("/v1/orders/{order}/collect");
    // Where it is asked for, a store has to give it too.
    let problem = store.post(&collect, json!({})).await.expect_problem(422, "proof_required");
    assert_eq!(problem["detail"], "still required: pin");
    for (nth, guess) in wrong(&pin, 5).into_iter().enumerate() {
        let who = [&customer, &store][nth % 2];
        who.post(&collect, json!({"pin": guess})).await.expect_problem(422, "pin_wrong");
    }
    for who in [&customer, &store] {
        who.post(&collect, json!({"pin": pin})).await.expect_problem(422, "pin_locked");
    }
    let ops = city.caller("ops", &order).await;
    ops.post(&collect, json!({})).await.expect(200);
    server.stop().await;
}
