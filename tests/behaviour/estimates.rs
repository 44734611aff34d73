//! When an order is picked up and delivered: computed, given, told when it moved, and late.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::support::{Fleet, Phone, STORE, Server, attentive, check_log, until};

fn moment(value: &Value) -> Timestamp {
    value.as_str().unwrap_or_else(|| panic!("no time: {value}")).parse().unwrap()
}

/// Seconds from the moment of an event, or now, to one of its times.
fn seconds(from: Timestamp, to: &Value) -> i64 {
    moment(to).duration_since(from).as_secs()
}

fn close(seconds: i64, expected: i64) {
    assert!((expected - 4..=expected + 4).contains(&seconds), "{seconds} instead of {expected}");
}

/// From the store to the door by scooter, with the hand-over.
const WAY: i64 = 227 + 120;

#[actix_web::test]
async fn each_step_says_when_it_will_be_there_in_its_event_and_in_the_order() {
    let server = Server::start_with(attentive).await;
    let fleet = Fleet::found(&server, None).await;
    let order = fleet.city.order_id().await;
    assert!(fleet.order(&order).await.get("dropoff_eta").is_none());
    let walk = fleet.courier_with(json!({"vehicle": {"type": "foot"}}), None).await;
    let scooter = fleet.courier(Some(2_044.0)).await;
    let path = format!("/v1/orders/{order}");
    let last = async |kind: &str| {
        let event = fleet.of_type(kind, 0).await.pop().unwrap();
        let view = fleet.order(&order).await;
        for (data, member) in [
            ("dropoff_eta", "dropoff_eta"),
            ("lo", "dropoff_eta_lo"),
            ("hi", "dropoff_eta_hi"),
            ("pickup_eta", "pickup_eta"),
            ("source", "eta_source"),
        ] {
            assert_eq!(event["data"].get(data), view.get(member), "{kind} {member}: {event:#}");
        }
        assert_eq!(view["eta_source"], "computed");
        let at = moment(&event["at"]);
        let eta = seconds(at, &view["dropoff_eta"]);
        assert_eq!(eta - seconds(at, &view["dropoff_eta_hi"]), -300);
        // Nothing arrives before now.
        close(seconds(at, &view["dropoff_eta_lo"]), (eta - 300).max(0));
        (eta, view.get("pickup_eta").map(|eta| seconds(at, eta)))
    };
    fleet.city.act(&fleet.ops, &order, "accept", json!({"prep_min": 20})).await;
    let (eta, pickup) = last("order.accepted").await;
    close(eta, 20 * 60 + WAY);
    assert_eq!(pickup, None);
    fleet.ops.put(&format!("{path}/prep"), json!({"prep_min": 40})).await.expect(200);
    close(last("order.prep_changed").await.0, 40 * 60 + WAY);
    // Whoever comes is there before it is ready; on foot it takes five times as long.
    fleet.assign(&order, &walk).await;
    let (eta, pickup) = last("courier.assigned").await;
    close(pickup.unwrap(), 40 * 60);
    assert!((40 * 60 + 120 + 1_190..40 * 60 + 120 + 1_220).contains(&eta), "{eta}");
    // Ready at once, it waits for nobody of whom nobody knows where he is.
    fleet.city.act(&fleet.ops, &order, "ready", json!({})).await;
    close(last("order.ready").await.1.unwrap(), 0);
    // Two kilometres away by scooter: 400 seconds.
    fleet.assign(&order, &scooter).await;
    let (eta, pickup) = last("courier.changed").await;
    close(pickup.unwrap(), 400);
    close(eta, 400 + WAY);
    fleet.city.act(&fleet.ops, &order, "unready", json!({})).await;
    let (eta, pickup) = last("order.unready").await;
    assert!(pickup.unwrap() > 1_000 && eta > 1_000);
    fleet.city.act(&scooter.rest, &order, "pickup", json!({})).await;
    let event = fleet.of_type("order.picked_up", 0).await.remove(0);
    close(seconds(moment(&event["at"]), &event["data"]["dropoff_eta"]), WAY);
    let view = fleet.order(&order).await;
    assert_eq!(view["dropoff_eta"], event["data"]["dropoff_eta"]);
    assert_eq!(
        (&view["dropoff_eta_lo"], &view["dropoff_eta_hi"]),
        (&event["data"]["lo"], &event["data"]["hi"])
    );
    // Nothing of this was news of its own.
    assert_eq!(fleet.of_type("order.eta", 0).await, [] as [Value; 0]);
    check_log(&server.database).await;
    server.stop().await;
}

#[actix_web::test]
async fn another_door_has_another_time_and_who_listens_hears_it() {
    let server = Server::start_with(attentive).await;
    let fleet = Fleet::found(&server, None).await;
    let order = fleet.accepted(20).await;
    let token = fleet.city.customer_token(&order).await;
    let mut customer = Phone::connect(&server.url, &token).await;
    customer.subscribe(&format!("order:{order}")).await;
    let mut door = fleet.order(&order).await["dropoff"].clone();
    door["lat"] = json!(52.56);
    let path = format!("/v1/orders/{order}");
    fleet.ops.patch(&path, json!({"dropoff": door})).await.expect(200);
    let view = fleet.city.caller("customer", &order).await.get(&path).await.expect(200);
    let event = customer.event().await;
    for key in ["dropoff_eta", "dropoff_eta_lo", "dropoff_eta_hi", "dropoff"] {
        assert_eq!(event["data"][key], view[key], "{key}: {event:#}");
    }
    assert!(event["data"].get("pickup_eta").is_none());
    let far = seconds(moment(&event["at"]), &event["data"]["dropoff_eta"]);
    assert!(far > 20 * 60 + WAY + 500, "{far}");
    server.stop().await;
}

#[actix_web::test]
async fn what_the_platform_or_the_courier_says_holds_for_five_minutes() {
    let server = Server::start_with(attentive).await;
    let fleet = Fleet::found(&server, None).await;
    let courier = fleet.courier(Some(0.0)).await;
    let order = fleet.accepted(30).await;
    let path = format!("/v1/orders/{order}/eta");
    let in_min = |minutes: i64| (Timestamp::now() + SignedDuration::from_mins(minutes)).to_string();
    // Who may, and what.
    fleet.assign(&order, &courier).await;
    for role in ["ops", "store", "customer"] {
        let who = fleet.city.caller(role, &order).await;
        let answer = who.put(&path, json!({"dropoff_eta": in_min(9)})).await;
        answer.expect_problem(403, "role_not_allowed");
    }
    let other = fleet.courier(None).await;
    let said = json!({"dropoff_eta": in_min(9)});
    other.rest.put(&path, said).await.expect_problem(404, "not_found");
    for (body, field) in [
        (json!({}), "dropoff_eta"),
        (json!({"pickup_eta": in_min(5), "lo": in_min(5)}), "dropoff_eta"),
        (json!({"dropoff_eta": "soon"}), "dropoff_eta"),
        (json!({"dropoff_eta": in_min(9), "lo": in_min(10)}), "lo"),
        (json!({"dropoff_eta": in_min(9), "hi": in_min(8)}), "hi"),
    ] {
        let problem = fleet.city.platform.put(&path, body.clone()).await;
        let problem = problem.expect_problem(422, "validation");
        assert_eq!(problem["fields"][0]["field"], field, "{body}");
    }
    assert_eq!(fleet.of_type("order.eta", 0).await, [] as [Value; 0]);

    let head = fleet.head().await;
    let platform = &fleet.city.platform;
    let said = json!({
        "pickup_eta": in_min(50), "dropoff_eta": in_min(70), "lo": in_min(68), "hi": in_min(80),
    });
    let view = platform.put(&path, said.clone()).await.expect(200);
    let told = fleet.of_type("order.eta", head).await;
    assert_eq!(told.len(), 1);
    for (key, member) in [
        ("pickup_eta", "pickup_eta"),
        ("dropoff_eta", "dropoff_eta"),
        ("lo", "dropoff_eta_lo"),
        ("hi", "dropoff_eta_hi"),
    ] {
        let off = moment(&said[key]).duration_since(moment(&view[member])).as_millis().abs();
        assert!(off <= 1, "{key}: {view:#}");
        assert_eq!(told[0]["data"][key], view[member]);
    }
    assert_eq!(
        (&told[0]["data"]["source"], &view["eta_source"]),
        (&json!("platform"), &json!("platform"))
    );
    // Said again, or almost, it is said once.
    platform.put(&path, said).await.expect(200);
    let almost = json!({"dropoff_eta": in_min(71)});
    platform.put(&path, almost).await.expect(200);
    assert_eq!(fleet.of_type("order.eta", head).await.len(), 1);
    // The courier knows better, with a window as usual.
    let view = courier.rest.put(&path, json!({"dropoff_eta": in_min(60)})).await.expect(200);
    assert_eq!(view["eta_source"], "driver");
    let eta = moment(&view["dropoff_eta"]);
    close(seconds(eta, &view["dropoff_eta_lo"]), -300);
    close(seconds(eta, &view["dropoff_eta_hi"]), 300);
    // It holds whatever happens, for five minutes; then it is computed.
    fleet.city.act(&fleet.ops, &order, "ready", json!({})).await;
    let ready = fleet.of_type("order.ready", 0).await.remove(0);
    assert_eq!(ready["data"]["source"], "driver");
    fleet.pass("4 minutes").await;
    fleet.settled().await;
    assert_eq!(fleet.of_type("order.eta", head).await.len(), 2);
    fleet.pass("65 seconds").await;
    let last = fleet.happened("order.eta", head, 3).await.remove(2);
    assert_eq!(
        (&last["data"]["source"], &last["by"]["role"]),
        (&json!("computed"), &json!("system"))
    );
    // It waits for the courier, who can be there any moment.
    close(seconds(moment(&last["at"]), &last["data"]["dropoff_eta"]), WAY);
    // When it has left, only the door is ahead.
    fleet.city.act(&courier.rest, &order, "pickup", json!({})).await;
    let late = courier.rest.put(&path, json!({"pickup_eta": in_min(5)})).await;
    late.expect_problem(409, "already_picked_up");
    courier.rest.put(&path, json!({"dropoff_eta": in_min(25)})).await.expect(200);
    fleet.city.act(&courier.rest, &order, "deliver", json!({})).await;
    let late = courier.rest.put(&path, json!({"dropoff_eta": in_min(5)})).await;
    late.expect_problem(409, "invalid_transition");
    check_log(&server.database).await;
    server.stop().await;
}

#[actix_web::test]
async fn what_is_computed_is_told_when_it_has_moved_by_two_minutes_and_not_before() {
    let server = Server::start_with(attentive).await;
    let fleet = Fleet::found(&server, None).await;
    let courier = fleet.courier(Some(0.0)).await;
    let order = fleet.accepted(1).await;
    fleet.assign(&order, &courier).await;
    fleet.city.act(&courier.rest, &order, "pickup", json!({})).await;
    let head = fleet.head().await;
    // After a minute it is a minute on its way: as expected.
    let on_the_way = async |part: f64| {
        let (lat, lng) = (STORE.0 + part * 0.01, STORE.1 + part * 0.005);
        courier.stand_at(lat, lng).await;
    };
    fleet.pass("61 seconds").await;
    on_the_way(0.27).await;
    fleet.pass("30 seconds").await;
    fleet.settled().await;
    assert_eq!(fleet.of_type("order.eta", head).await, [] as [Value; 0]);
    // Then it stands in traffic, and after two minutes more that is told.
    let mut stood = 0;
    let told = loop {
        stood += 1;
        on_the_way(0.27).await;
        fleet.pass("61 seconds").await;
        fleet.settled().await;
        if let Some(told) = fleet.of_type("order.eta", head).await.pop() {
            break told;
        }
        assert!(stood < 4, "it stands for {stood} minutes");
    };
    assert!(stood > 1, "told after {stood}");
    let data = &told["data"];
    assert_eq!((&data["source"], &told["by"]["role"]), (&json!("computed"), &json!("system")));
    let (at, eta) = (moment(&told["at"]), moment(&data["dropoff_eta"]));
    let lo = (eta - SignedDuration::from_mins(5)).max(at);
    close(seconds(lo, &data["lo"]), 0);
    close(seconds(eta, &data["hi"]), 300);
    assert_eq!(fleet.order(&order).await["dropoff_eta"], data["dropoff_eta"]);
    check_log(&server.database).await;
    server.stop().await;
}

/// What an order was late with so far, as it was told and as the order says.
async fn late(fleet: &Fleet, order: &str) -> Vec<String> {
    // The two are read one after the other.
    until("the order to say what was told", async || both(fleet, order).await).await
}

/// The same, unless the two differ.
async fn both(fleet: &Fleet, order: &str) -> Option<Vec<String>> {
    let mut told = Vec::new();
    for event in fleet.of_type("order.late", 0).await {
        if event["order"] == order {
            assert_eq!(event["by"]["role"], "system");
            assert!(moment(&event["data"]["since"]) <= moment(&event["at"]), "{event:#}");
            told.push(event["data"]["kind"].as_str().unwrap().to_owned());
        }
    }
    let view = fleet.order(order).await;
    let mut listed: Vec<String> =
        serde_json::from_value(view.get("late").cloned().unwrap_or(json!([]))).unwrap();
    listed.sort();
    let mut sorted = told.clone();
    sorted.sort();
    (listed == sorted).then_some(told)
}

#[actix_web::test]
async fn an_order_is_called_late_once_for_each_thing_it_is_late_with() {
    let server = Server::start_with(attentive).await;
    let fleet = Fleet::found(&server, None).await;
    let courier = fleet.courier(None).await;
    let order = fleet.city.order_id().await;
    let mut customer = Phone::connect(&server.url, &fleet.city.customer_token(&order).await).await;
    customer.subscribe(&format!("order:{order}")).await;
    let mut tablet = Phone::connect(&server.url, &fleet.city.store_token().await).await;
    tablet.subscribe(&format!("store:{}", fleet.city.store)).await;
    // Half of eight minutes to answer.
    fleet.pass("235 seconds").await;
    fleet.settled().await;
    assert_eq!(late(&fleet, &order).await, [] as [&str; 0]);
    fleet.pass("6 seconds").await;
    fleet.happened("order.late", 0, 1).await;
    assert_eq!(late(&fleet, &order).await, ["accept"]);
    // It is listed with what is late, and what is not without it.
    let other = fleet.city.order_id().await;
    for (query, listed) in
        [("late=true", vec![&order]), ("late=false", vec![&other]), ("", vec![&other, &order])]
    {
        let page = fleet.ops.get(&format!("/v1/orders?{query}")).await.expect(200);
        let ids: Vec<_> = page["orders"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["id"].as_str().unwrap())
            .collect();
        assert_eq!(ids, listed, "{query}");
    }
    let cancel = json!({"reason": "duplicate"});
    fleet.city.act(&fleet.ops, &other, "cancel", cancel).await;
    fleet.city.act(&fleet.ops, &order, "accept", json!({"prep_min": 10})).await;
    fleet.assign(&order, &courier).await;
    // Two minutes over its time, and so is its pick-up.
    fleet.pass("11 minutes").await;
    fleet.settled().await;
    assert_eq!(late(&fleet, &order).await, ["accept"]);
    fleet.pass("62 seconds").await;
    fleet.settled().await;
    let so_far = late(&fleet, &order).await;
    assert!(so_far.contains(&"prep".to_owned()), "{so_far:?}");
    for _ in 0..3 {
        fleet.pass("3 minutes").await;
        fleet.settled().await;
    }
    fleet.city.act(&courier.rest, &order, "pickup", json!({})).await;
    fleet.pass("12 minutes").await;
    let told = async || {
        let kinds = late(&fleet, &order).await;
        kinds.contains(&"delivery".to_owned()).then_some(kinds)
    };
    let mut kinds = until("delivery to be late", told).await;
    kinds.sort();
    kinds.dedup();
    let all = late(&fleet, &order).await;
    assert_eq!(kinds.len(), all.len(), "once each: {all:?}");
    assert!(all.len() >= 3, "{all:?}");
    fleet.pass("30 minutes").await;
    fleet.settled().await;
    assert_eq!(late(&fleet, &order).await, all);
    // Its customer hears of the delivery alone, its store of all.
    let last = fleet.head().await;
    for (phone, heard) in [(&mut customer, vec!["delivery".to_owned()]), (&mut tablet, all.clone())]
    {
        let mut kinds = Vec::new();
        loop {
            let event = phone.event().await;
            if event["type"] == "order.late" {
                kinds.push(event["data"]["kind"].as_str().unwrap().to_owned());
            }
            if event["position"] == last {
                break;
            }
        }
        assert_eq!(kinds, heard);
    }
    check_log(&server.database).await;
    server.stop().await;
}

#[actix_web::test]
async fn who_comes_to_the_store_late_makes_the_pick_up_late() {
    let server = Server::start_with(attentive).await;
    let fleet = Fleet::found(&server, None).await;
    let courier = fleet.courier(None).await;
    let order = fleet.accepted(5).await;
    fleet.city.act(&fleet.ops, &order, "ready", json!({})).await;
    fleet.assign(&order, &courier).await;
    let in_min = (Timestamp::now() + SignedDuration::from_mins(3)).to_string();
    let path = format!("/v1/orders/{order}/eta");
    courier.rest.put(&path, json!({"pickup_eta": in_min})).await.expect(200);
    fleet.pass("4 minutes").await;
    fleet.settled().await;
    assert_eq!(late(&fleet, &order).await, [] as [&str; 0]);
    fleet.pass("65 seconds").await;
    fleet.happened("order.late", 0, 1).await;
    assert_eq!(late(&fleet, &order).await, ["pickup"]);
    server.stop().await;
}

#[actix_web::test]
async fn what_is_turned_back_is_expected_at_its_store() {
    let server = Server::start_with(attentive).await;
    let fleet = Fleet::found(&server, None).await;
    let courier = fleet.courier(None).await;
    let order = fleet.accepted(0).await;
    fleet.assign(&order, &courier).await;
    fleet.city.act(&courier.rest, &order, "pickup", json!({})).await;
    // At the door by its own word: the way back begins there.
    fleet.city.act(&courier.rest, &order, "at_door", json!({})).await;
    let head = fleet.head().await;
    let reason = json!({"reason": "refused"});
    fleet.city.act(&courier.rest, &order, "return", reason.clone()).await;
    let told = fleet.happened("order.returning", head, 1).await.remove(0);
    let view = fleet.order(&order).await;
    assert_eq!(told["data"]["return_eta"], view["return_eta"]);
    let at = moment(&told["at"]);
    close(seconds(at, &view["return_eta"]), WAY - 120);
    // The store and the courier are told, the customer is not.
    let path = format!("/v1/orders/{order}");
    let tablet = fleet.city.caller("store", &order).await;
    for who in [&tablet, &courier.rest] {
        assert_eq!(who.get(&path).await.expect(200)["return_eta"], view["return_eta"]);
    }
    let customer = fleet.city.caller("customer", &order).await;
    assert_eq!(customer.get(&path).await.expect(200).get("return_eta"), None);
    let past = customer.get(&format!("{path}/events?types=order.returning")).await.expect(200);
    assert_eq!(past["events"][0]["data"].get("return_eta"), None, "{past:#}");
    // Another courier who is nearer brings it sooner.
    let nearer = fleet.courier(Some(100.0)).await;
    let changed = fleet.assign(&order, &nearer).await;
    assert!(moment(&changed["return_eta"]) < moment(&view["return_eta"]), "{changed:#}");
    // Another attempt brings it to the door, and from there anew.
    fleet.city.act(&fleet.ops, &order, "redeliver", json!({})).await;
    assert_eq!(fleet.order(&order).await.get("return_eta"), None);
    fleet.city.act(&nearer.rest, &order, "return", reason).await;
    let back = fleet.city.act(&tablet, &order, "returned", json!({})).await;
    assert!(back["return_eta"].is_string(), "{back:#}");
    check_log(&server.database).await;
    server.stop().await;
}
