//! Every type of event there is, brought about as people do it, with what it says.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::support::{Fleet, Phone, Server, attentive, check_log};

/// Type, which of the scenarios below brings it about, and the members that its data must have.
const TYPES: &[(&str, &str, &[&str])] = &[
    ("order.placed", "delivery", &["id", "status", "dropoff", "items", "store", "accept_by"]),
    ("order.scheduled", "later", &["window", "release_at", "order"]),
    ("order.accepted", "delivery", &["prep_min", "ready_eta", "dropoff_eta", "lo", "hi"]),
    ("order.rejected", "refusal", &["code", "by", "was"]),
    ("order.cancelled", "refusal", &["code", "by", "was"]),
    ("order.preparing", "delivery", &["ready_eta"]),
    ("order.ready", "delivery", &["ready_eta"]),
    ("order.unready", "delivery", &["ready_eta"]),
    ("order.prep_changed", "delivery", &["prep_min", "ready_eta", "why"]),
    ("order.picked_up", "delivery", &["dropoff_eta", "lo", "hi"]),
    ("order.delivered", "delivery", &["proofs"]),
    ("order.failed", "trouble", &["code", "by", "attempt"]),
    ("order.returning", "trouble", &["code", "by", "attempt"]),
    ("order.returned", "trouble", &["attempt"]),
    ("order.redelivery", "trouble", &["attempt", "dropoff_eta", "lo", "hi"]),
    ("order.eta", "delivery", &["pickup_eta", "dropoff_eta", "lo", "hi", "stops_before", "source"]),
    ("order.late", "silence", &["kind", "since"]),
    ("order.updated", "delivery", &["note"]),
    ("order.noted", "delivery", &["note"]),
    ("proof.added", "delivery", &["proof", "point", "kind", "attempt"]),
    ("courier.searching", "delivery", &["round"]),
    ("courier.search_failed", "refusal", &[]),
    ("courier.assigned", "delivery", &["driver", "pickup_eta", "dropoff_eta"]),
    ("courier.changed", "trouble", &["driver", "pickup_eta"]),
    ("courier.unassigned", "trouble", &["code", "by"]),
    ("courier.at_store", "delivery", &[]),
    ("courier.at_door", "delivery", &[]),
    ("courier.near", "delivery", &["end"]),
    (
        "offer.sent",
        "delivery",
        &["offer", "expires_at", "pickup", "dropoff", "distance_m", "items"],
    ),
    ("offer.closed", "delivery", &["offer", "state"]),
    ("driver.duty", "delivery", &["duty"]),
    ("driver.deleted", "refusal", &[]),
    ("store.paused", "silence", &["until"]),
    ("store.silent", "silence", &[]),
    ("store.deleted", "refusal", &[]),
    ("token.revoked", "refusal", &["token"]),
];

/// A courier is found, is late, and brings the order: over sockets and REST.
async fn delivery(fleet: &Fleet) {
    let city = &fleet.city;
    let courier = fleet.courier(Some(900.0)).await;
    let order = city.order(json!({"proof_required": {"photo": true}})).await;
    let order = order["id"].as_str().unwrap();
    let path = format!("/v1/orders/{order}");
    let mut tablet = Phone::connect(&city.platform.base, &city.store_token().await).await;
    let mut phone = Phone::connect(&city.platform.base, &courier.token).await;
    let say = async |phone: &mut Phone, method: &str, more: Value| {
        let data = crate::support::merged(json!({"order": order}), more);
        let reply = phone.rpc(&format!("order.{method}"), data).await;
        assert!(reply["rpc"].is_object(), "{method}: {reply}");
    };
    say(&mut tablet, "accept", json!({"prep_min": 15})).await;
    say(&mut tablet, "prep", json!({"prep_min": 25, "why": "busy"})).await;
    say(&mut tablet, "note", json!({"note": "nice people"})).await;
    fleet.ops.patch(&path, json!({"note": "no onions"})).await.expect(200);
    fleet.search(order, json!({})).await.expect(200);
    let offer = courier.offer().await;
    let reply = phone.rpc("offer.accept", json!({"offer": offer})).await;
    assert!(reply["rpc"].is_object(), "{reply}");
    courier.rest.put("/v1/drivers/me/route", json!({"orders": [order]})).await.expect(200);
    courier.stand(20.0).await;
    fleet.happened("courier.near", 0, 1).await;
    for (who, method) in [("courier", "at_store"), ("store", "ready"), ("store", "unready")] {
        let phone = if who == "store" { &mut tablet } else { &mut phone };
        say(phone, method, json!({})).await;
    }
    say(&mut tablet, "ready", json!({})).await;
    let scan = json!({"point": "pickup", "kind": "scan", "ref": "4711"});
    courier.rest.post(&format!("{path}/proofs"), scan).await.expect(201);
    say(&mut phone, "pickup", json!({})).await;
    say(&mut phone, "at_door", json!({})).await;
    let photo = json!([{"kind": "photo", "ref": "https://example.com/1.jpg"}]);
    say(&mut phone, "deliver", json!({"proofs": photo})).await;
}

/// Couriers drop out and change, and what they bring is not taken.
async fn trouble(fleet: &Fleet) {
    let [one, two] = [fleet.courier(Some(50.0)).await, fleet.courier(Some(60.0)).await];
    let order = &fleet.accepted(20).await;
    fleet.assign(order, &one).await;
    fleet.assign(order, &two).await;
    fleet.city.act(&two.rest, order, "drop", json!({"reason": "vehicle"})).await;
    fleet.assign(order, &one).await;
    fleet.city.act(&one.rest, order, "pickup", json!({})).await;
    fleet.city.act(&one.rest, order, "return", json!({"reason": "refused"})).await;
    fleet.city.act(&fleet.ops, order, "redeliver", json!({})).await;
    fleet.city.act(&one.rest, order, "return", json!({"reason": "damaged"})).await;
    fleet.city.act(&one.rest, order, "returned", json!({})).await;
    let order = &fleet.accepted(20).await;
    fleet.assign(order, &one).await;
    fleet.city.act(&one.rest, order, "pickup", json!({})).await;
    fleet.city.act(&one.rest, order, "fail", json!({"reason": "lost"})).await;
}

/// Nobody wants it, and who is not wanted any more goes.
async fn refusal(fleet: &Fleet) {
    let city = &fleet.city;
    let order = &city.order_id().await;
    let store = city.caller("store", order).await;
    city.act(&store, order, "reject", json!({"reason": "closed"})).await;
    let order = &fleet.accepted(20).await;
    fleet.search(order, json!({})).await.expect(200);
    fleet.ops.delete(&format!("/v1/orders/{order}/offers")).await.expect(200);
    city.act(&fleet.ops, order, "cancel", json!({"reason": "no_courier"})).await;
    let issued = json!({"kind": "ops", "subject": "bob"});
    let issued = city.platform.post("/v1/tokens", issued).await.expect(201);
    let token = issued["id"].as_str().unwrap();
    for path in [
        format!("/v1/tokens/{token}"),
        format!("/v1/drivers/{}", city.driver),
        format!("/v1/stores/{}", city.store),
    ] {
        assert_eq!(city.platform.delete(&path).await.status, 204, "{path}");
    }
}

/// It is for later.
async fn later(fleet: &Fleet) {
    let from = Timestamp::now() + SignedDuration::from_hours(24);
    let to = from + SignedDuration::from_mins(30);
    let window = json!({"from": from.to_string(), "to": to.to_string()});
    fleet.city.order(json!({"window": window})).await;
}

/// Nobody at the store looks, and then it closes for a while.
async fn silence(fleet: &Fleet) {
    fleet.city.order_id().await;
    fleet.pass("241 seconds").await;
    fleet.happened("store.silent", 0, 1).await;
    fleet.happened("order.late", 0, 1).await;
    let path = format!("/v1/stores/{}/pause", fleet.city.store);
    let until = json!({"until": "2099-01-01T00:00:00Z"});
    fleet.ops.put(&path, until).await.expect(200);
}

#[actix_web::test]
async fn each_type_of_event_comes_of_what_people_do_and_has_its_members() {
    let server = Server::start_with(attentive).await;
    let mut logs = BTreeMap::new();
    for scenario in ["delivery", "trouble", "refusal", "later", "silence"] {
        let fleet = Fleet::found(&server, None).await;
        match scenario {
            "delivery" => delivery(&fleet).await,
            "trouble" => trouble(&fleet).await,
            "refusal" => refusal(&fleet).await,
            "later" => later(&fleet).await,
            _ => silence(&fleet).await,
        }
        logs.insert(scenario, fleet.log(0).await);
    }
    for (kind, scenario, members) in TYPES {
        let events: Vec<_> = logs[scenario].iter().filter(|it| it["type"] == *kind).collect();
        assert!(!events.is_empty(), "no {kind} in {scenario}");
        for event in events {
            for member in *members {
                assert!(event["data"].get(member).is_some(), "no {member} in {event:#}");
            }
            assert!(!members.is_empty() || event["data"] == json!({}), "{event:#}");
            // What is of an order's own has its version, and nothing else has one.
            let versioned =
                ["order.", "courier.", "proof."].iter().any(|noun| kind.starts_with(noun));
            assert_eq!(event["n"].is_i64(), versioned, "{event:#}");
            assert_eq!(event["v"], 1);
            for envelope in ["id", "position", "tenant", "at", "by"] {
                assert!(event.get(envelope).is_some(), "no {envelope} in {event:#}");
            }
        }
    }
    // And none that is not in the list.
    for event in logs.values().flatten() {
        let kind = event["type"].as_str().unwrap();
        assert!(TYPES.iter().any(|(listed, ..)| *listed == kind), "what is {kind}?");
    }
    check_log(&server.database).await;
    server.stop().await;
}
