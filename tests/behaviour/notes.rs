//! Remarks: between those who run it all and whoever made them.

use serde_json::{Value, json};

use crate::support::{Fleet, Phone, Server, check_log};

#[actix_web::test]
async fn a_remark_is_heard_by_dispatchers_the_platform_and_whoever_made_it_also_after_the_end() {
    let server = Server::start().await;
    let fleet = Fleet::found(&server, None).await;
    let city = &fleet.city;
    let courier = fleet.courier(None).await;
    let order = fleet.accepted(10).await;
    fleet.assign(&order, &courier).await;
    let path = format!("/v1/orders/{order}");
    let store = city.caller("store", &order).await;
    let mut phones = Vec::new();
    for (who, channel, token) in [
        ("platform", "tenant".to_owned(), city.key.clone()),
        ("ops", "dispatch".to_owned(), city.ops_token().await),
        ("store", format!("store:{}", city.store), city.store_token().await),
        ("driver", format!("driver:{}", courier.id), courier.token.clone()),
        ("customer", format!("order:{order}"), city.customer_token(&order).await),
    ] {
        let mut phone = Phone::connect(&server.url, &token).await;
        phone.subscribe(&channel).await;
        phones.push((who, phone));
    }
    let speakers = [
        ("platform", &city.platform),
        ("ops", &fleet.ops),
        ("store", &store),
        ("driver", &courier.rest),
    ];
    let say = async |who: &str, note: &str| {
        let rest = speakers.iter().find(|(name, _)| *name == who).unwrap().1;
        let version = fleet.order(&order).await["version"].as_i64().unwrap();
        let view = rest.post(&format!("{path}/note"), json!({"note": note})).await.expect(200);
        // It is the log's alone: the order says what it said, one version later.
        assert_eq!(view["version"], version + 1);
        assert!(!view.to_string().contains(note), "{view:#}");
    };
    for who in ["platform", "ops", "store", "driver"] {
        say(who, &format!("{who} says a")).await;
    }
    city.act(&courier.rest, &order, "pickup", json!({})).await;
    city.act(&courier.rest, &order, "deliver", json!({})).await;
    for who in ["platform", "ops", "store", "driver"] {
        say(who, &format!("{who} says b")).await;
    }
    // The same words again are said again.
    say("ops", "ops says b").await;
    let other = city.order_id().await;
    let last = fleet.head().await;
    city.act(&fleet.ops, &other, "accept", json!({})).await;
    let said = |who: &str| [format!("{who} says a"), format!("{who} says b")];
    for (who, mut phone) in phones {
        let mut notes: Vec<String> = Vec::new();
        // What is heard by all of them comes last: the end of the order, but for remarks.
        let end = if matches!(who, "customer" | "driver") {
            courier.duty(if who == "driver" { "paused" } else { "on" }).await;
            fleet.of_type(if who == "driver" { "driver.duty" } else { "order.delivered" }, 0).await
        } else {
            fleet.log(last).await
        };
        let end = end.last().unwrap()["position"].clone();
        loop {
            let event = phone.event().await;
            if event["type"] == "order.noted" {
                assert_eq!(event["data"].as_object().unwrap().len(), 1, "{event:#}");
                notes.push(event["data"]["note"].as_str().unwrap().to_owned());
            }
            if event["position"] == end {
                break;
            }
        }
        match who {
            "platform" | "ops" => assert_eq!(notes.len(), 9, "{who}: {notes:?}"),
            "customer" => assert_eq!(notes, [] as [&str; 0]),
            _ => assert_eq!(notes, said(who)),
        }
    }
    // And in what each can look up.
    for (who, rest, count) in [
        ("ops", fleet.ops.clone(), 9),
        ("store", store.clone(), 2),
        ("customer", city.caller("customer", &order).await, 0),
    ] {
        let page = rest.get(&format!("{path}/events?limit=100")).await.expect(200);
        let noted = page["events"].as_array().unwrap().iter();
        let noted = noted.filter(|event| event["type"] == "order.noted").count();
        assert_eq!(noted, count, "{who}");
    }
    // Who may not, and what is no remark.
    let customer = city.caller("customer", &order).await;
    let answer = customer.post(&format!("{path}/note"), json!({"note": "hello"})).await;
    answer.expect_problem(403, "role_not_allowed");
    let long = "x".repeat(1_001);
    for body in [json!({}), json!({"note": ""}), json!({"note": long}), json!({"reason": "other"})]
    {
        let answer = fleet.ops.post(&format!("{path}/note"), body.clone()).await;
        let problem: Value = answer.expect_problem(422, "validation");
        assert!(problem["fields"][0]["field"].is_string(), "{body}");
    }
    check_log(&server.database).await;
    server.stop().await;
}
