//! Which proofs an order asks for before it moves on.

use serde_json::{Value, json};

use super::{Town, proof, proofs};
use crate::support::Rest;

#[actix_web::test]
async fn what_is_required_is_asked_for_at_its_point_and_counts_however_it_came() {
    let town = Town::found().await;
    let city = &town.city;
    let asked = json!({
        "photo": true, "scan": true, "pickup": ["scan", "photo"], "return": ["signature"],
    });
    let order = town.order(json!({"proof_required": asked}), "ready").await;
    let view = town.ops.get(&format!("/v1/orders/{order}")).await.expect(200);
    assert_eq!(
        view["proof_required"],
        json!({
            "photo": true, "signature": false, "pin": false, "scan": true,
            "pickup": ["photo", "scan"], "return": ["signature"],
        })
    );
    let driver = city.caller("driver", &order).await;
    let missing = async |who: &Rest, action: &str, body: Value, kinds: &str| {
        let path = format!("/v1/orders/{order}/{action}");
        let problem = who.post(&path, body).await.expect_problem(422, "proof_required");
        assert_eq!(problem["detail"], format!("still required: {kinds}"));
        let named: Vec<String> =
            kinds.split(", ").map(|kind| format!("{kind} is required")).collect();
        let fields = problem["fields"].as_array().unwrap();
        let fields: Vec<_> = fields.iter().map(|at| at["detail"].as_str().unwrap()).collect();
        assert_eq!(fields, named);
    };
    missing(&driver, "pickup", json!({}), "photo, scan").await;
    driver.post(&proofs(&order), proof("pickup", "scan", "parcel")).await.expect(201);
    missing(&driver, "pickup", json!({}), "photo").await;
    let photo = json!({"proofs": [{"kind": "photo", "ref": "https://example.org/bag"}]});
    let gone = city.act(&driver, &order, "pickup", photo).await;
    assert_eq!(gone["proofs"], json!({"pickup": ["photo", "scan"]}));
    missing(&driver, "deliver", json!({}), "photo, scan").await;
    let body = proof("dropoff", "photo", "first door");
    driver.post(&proofs(&order), body.clone()).await.expect(201);
    missing(&driver, "deliver", json!({}), "scan").await;

    city.act(&driver, &order, "return", json!({"reason": "refused"})).await;
    let store = city.caller("store", &order).await;
    missing(&store, "returned", json!({}), "signature").await;
    // A second attempt is proved anew, be it by the same picture.
    city.act(&town.ops, &order, "redeliver", json!({})).await;
    missing(&driver, "deliver", json!({}), "photo, scan").await;
    driver.post(&proofs(&order), body).await.expect(201);
    driver.post(&proofs(&order), proof("dropoff", "scan", "parcel")).await.expect(201);
    city.act(&driver, &order, "return", json!({"reason": "refused"})).await;
    store.post(&proofs(&order), proof("return", "signature", "chef")).await.expect(201);
    city.act(&store, &order, "returned", json!({})).await;

    let events = town.ops.get(&format!("/v1/orders/{order}/events")).await.expect(200);
    let events = events["events"].as_array().unwrap().clone();
    let of = |kind: &str| events.iter().rfind(|event| event["type"] == kind).unwrap();
    assert_eq!(of("order.picked_up")["data"]["proofs"], json!(["photo", "scan"]));
    assert_eq!(of("order.returned")["data"]["proofs"], json!(["signature"]));
    let numbers: Vec<i64> = events.iter().filter_map(|event| event["n"].as_i64()).collect();
    assert_eq!(numbers, (1..=i64::try_from(numbers.len()).unwrap()).collect::<Vec<_>>());
    // All are listed, with those that came with actions.
    let listed = town.ops.get(&proofs(&order)).await.expect(200);
    let listed: Vec<String> = listed["proofs"].as_array().unwrap().iter().map(short).collect();
    assert_eq!(
        listed,
        [
            "pickup scan 1",
            "pickup photo 1",
            "dropoff photo 1",
            "dropoff photo 2",
            "dropoff scan 2",
            "return signature 2",
        ]
    );
    town.server.stop().await;
}

fn short(proof: &Value) -> String {
    let word = |key: &str| proof[key].as_str().unwrap();
    format!("{} {} {}", word("point"), word("kind"), proof["attempt"])
}

#[actix_web::test]
async fn a_collection_is_handed_out_with_what_is_required() {
    let town = Town::found().await;
    let more = json!({"fulfilment": "collection", "proof_required": {"signature": true}});
    let order = town.order(more, "ready").await;
    let store = town.city.caller("store", &order).await;
    let customer = town.city.caller("customer", &order).await;
    let path = format!("/v1/orders/{order}");
    let pin = customer.get(&path).await.expect(200)["pin"].clone();
    let collect = format!("{path}/collect");
    let problem = store.post(&collect, json!({})).await.expect_problem(422, "proof_required");
    assert_eq!(problem["detail"], "still required: signature");
    let problem = customer.post(&collect, json!({"pin": pin})).await;
    problem.expect_problem(422, "proof_required");
    store.post(&proofs(&order), proof("dropoff", "signature", "ann")).await.expect(201);
    customer.post(&collect, json!({"pin": pin})).await.expect(200);
    let event = town.ops.get(&format!("{path}/events")).await.expect(200);
    let last = event["events"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(last["data"]["proofs"], json!(["signature", "pin"]));
    town.server.stop().await;
}
