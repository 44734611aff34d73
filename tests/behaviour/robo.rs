//! Robo mode: orders of a tenant that tests its integration go their way by themselves, to the end
//! that they were placed with, and nobody else's do.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{City, Fleet, Process, Rest, Scratch, Server, attentive, check_log, until};

/// Somewhat more than a step of [`walking`].
const STEP: &str = "31 seconds";

/// A tenant in robo mode, couriers of its own off duty.
async fn robo_fleet(server: &Server) -> Fleet {
    let fleet = Fleet::found(server, Some("one_by_one")).await;
    let on = fleet.city.platform.patch("/v1/tenant", json!({"robo": true})).await.expect(200);
    assert_eq!(on["robo"], true);
    fleet
}

/// A new order that ends so, with more members.
async fn walking(fleet: &Fleet, end: &str, more: Value) -> String {
    let meta = json!({"meta": {"robo": {"end": end, "step_s": 30}}});
    let order = fleet.city.order(crate::support::merged(meta, more)).await;
    order["id"].as_str().unwrap().to_owned()
}

/// Where it stands.
fn stand(view: &Value) -> String {
    let text = |key: &str| view[key].as_str().unwrap();
    format!("{} {}", text("status"), text("leg"))
}

/// The next step of every order.
async fn step(fleet: &Fleet) {
    fleet.pass(STEP).await;
    fleet.settled().await;
}

/// Where it stands after each of the following steps, until it goes no further.
async fn steps(fleet: &Fleet, order: &str) -> Vec<String> {
    let mut stands = Vec::new();
    loop {
        let before = stand(&fleet.order(order).await);
        step(fleet).await;
        let after = stand(&fleet.order(order).await);
        if before == after {
            return stands;
        }
        stands.push(after);
    }
}

/// What happened to an order, but for what was expected of it.
async fn story(fleet: &Fleet, order: &str) -> Vec<Value> {
    let path = format!("/v1/orders/{order}/events?limit=100");
    let mut events = fleet.city.platform.get(&path).await.expect(200)["events"].take();
    let events = std::mem::take(events.as_array_mut().unwrap());
    let told =
        |event: &Value| !matches!(event["type"].as_str(), Some("order.eta" | "courier.near"));
    events.into_iter().filter(told).collect()
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

const DELIVERY: [&str; 7] = [
    "preparing none",
    "ready none",
    "ready assigned",
    "ready at_store",
    "picked_up en_route",
    "picked_up at_door",
    "delivered closed",
];

#[actix_web::test]
async fn an_order_goes_its_way_with_the_events_of_any_other() {
    let server = Server::start_with(attentive).await;
    let fleet = robo_fleet(&server).await;
    // On duty, and asked for nothing: the mode is the walk.
    let bystander = fleet.courier(Some(10.0)).await;
    let required = json!({"photo": true, "pin": true, "pickup": ["scan"]});
    let order = walking(&fleet, "delivered", json!({"proof_required": required})).await;
    let customer = fleet.city.caller("customer", &order).await;
    assert_eq!(stand(&fleet.order(&order).await), "placed none");
    let mut stands = Vec::new();
    let mut spots = BTreeSet::new();
    for _ in 0..DELIVERY.len() {
        step(&fleet).await;
        let view = fleet.order(&order).await;
        stands.push(stand(&view));
        let spot = "select l.lat::text || ' ' || l.lng::text from driver_locations l
                    join drivers d on d.id = l.driver_id where d.robo";
        let row = fleet.client.query_opt(spot, &[]).await.unwrap();
        spots.extend(row.map(|row| row.try_get::<_, String>(0).unwrap()));
        if view["leg"] == "assigned" {
            assert_eq!(view["driver"]["name"], "Robo Courier", "{view}");
            assert!(view["pickup_eta"].is_string() && view["dropoff_eta"].is_string(), "{view}");
        }
    }
    assert_eq!(stands, DELIVERY);
    // From where it comes, at the store, on the way, at the door.
    assert_eq!(spots.len(), 4, "{spots:?}");
    let events = story(&fleet, &order).await;
    let wanted = [
        "order.placed",
        "order.accepted",
        "order.preparing",
        "order.ready",
        "courier.assigned",
        "courier.at_store",
        "order.picked_up",
        "courier.at_door",
        "order.delivered",
    ];
    assert_eq!(kinds(&events), wanted);
    assert!(events[1..].iter().all(|event| event["by"]["role"] == "system"), "{events:#?}");
    assert_eq!(events[6]["data"]["proofs"], json!(["scan"]));
    assert_eq!(events[8]["data"]["proofs"], json!(["photo", "pin"]));
    let shown = customer.get(&format!("/v1/orders/{order}")).await.expect(200);
    assert_eq!(shown["steps"].as_array().unwrap().last().unwrap()["step"], "delivered");
    let proofs = fleet.ops.get(&format!("/v1/orders/{order}/proofs")).await.expect(200);
    let refs: Vec<_> = proofs["proofs"].as_array().unwrap().iter().map(|it| &it["ref"]).collect();
    assert!(refs.contains(&&json!("robo")), "{proofs}");
    assert_eq!(bystander.asked().await, [] as [Value; 0]);
    // A courier like any other, with the name that the platform finds it by.
    let found = fleet.city.platform.get("/v1/drivers?external_id=robo").await.expect(200);
    let robo = &found["drivers"][0];
    assert_eq!((&robo["duty"], &robo["capacity"]), (&json!("on"), &json!(1)), "{found}");
    assert!(steps(&fleet, &order).await.is_empty());
    check_log(&server.database).await;
    server.stop().await;
}

#[actix_web::test]
async fn each_end_comes_where_it_would() {
    let server = Server::start_with(attentive).await;
    let fleet = robo_fleet(&server).await;
    let up_to = |upto: usize, ends: &[&str]| {
        let stands = DELIVERY[..upto].iter().chain(ends);
        stands.map(|stand| (*stand).to_owned()).collect::<Vec<_>>()
    };
    let back = json!({"proof_required": {"return": ["photo"]}});
    let cases = [
        ("rejected", json!({}), up_to(0, &["rejected closed"]), Some("no_response")),
        ("cancelled", json!({}), up_to(4, &["cancelled closed"]), Some("customer_request")),
        (
            "returned",
            back.clone(),
            up_to(6, &["returning en_route", "returned closed"]),
            Some("refused"),
        ),
        ("failed", json!({}), up_to(6, &["failed closed"]), Some("damaged")),
    ];
    let mut couriers = BTreeSet::new();
    for (end, more, wanted, code) in cases {
        let order = walking(&fleet, end, more).await;
        assert_eq!(steps(&fleet, &order).await, wanted, "{end}");
        let view = fleet.order(&order).await;
        let reason = &view["reason"];
        assert_eq!(reason["code"].as_str(), code, "{end}: {view}");
        assert_eq!((&reason["by"], &reason["note"]), (&json!("system"), &json!("robo")), "{view}");
        couriers.extend(view["driver"]["id"].as_str().map(str::to_owned));
    }
    // One after the other: it was free again each time.
    assert_eq!(couriers.len(), 1, "{couriers:?}");

    // Without a courier.
    for (fulfilment, end, wanted) in [
        (
            "collection",
            "delivered",
            ["preparing none", "ready none", "delivered closed"].as_slice(),
        ),
        ("collection", "cancelled", &["preparing none", "ready none", "cancelled closed"]),
        (
            "store_delivery",
            "delivered",
            &["preparing none", "ready none", "picked_up none", "delivered closed"],
        ),
        (
            "store_delivery",
            "returned",
            &[
                "preparing none",
                "ready none",
                "picked_up none",
                "returning none",
                "returned closed",
            ],
        ),
    ] {
        let order = walking(&fleet, end, json!({"fulfilment": fulfilment})).await;
        assert_eq!(steps(&fleet, &order).await, wanted, "{fulfilment} {end}");
    }
    check_log(&server.database).await;
    server.stop().await;
}

#[actix_web::test]
async fn what_an_order_says_of_its_walk_is_checked_where_there_is_one() {
    let server = Server::start_with(attentive).await;
    let fleet = robo_fleet(&server).await;
    let plain = City::found(&server.url, &server.database).await;
    for (robo, more, field) in [
        (json!("delivered"), json!({}), "meta.robo"),
        (json!({"ends": "delivered"}), json!({}), "meta.robo"),
        (json!({"end": "eaten"}), json!({}), "meta.robo.end"),
        (json!({"end": 5}), json!({}), "meta.robo.end"),
        (json!({"step_s": 0}), json!({}), "meta.robo.step_s"),
        (json!({"step_s": 3601}), json!({}), "meta.robo.step_s"),
        (json!({"step_s": "5"}), json!({}), "meta.robo.step_s"),
        (json!({"end": "returned"}), json!({"undeliverable_action": "leave"}), "meta.robo.end"),
        (json!({"end": "returned"}), json!({"fulfilment": "collection"}), "meta.robo.end"),
        (json!({"end": "failed"}), json!({"fulfilment": "collection"}), "meta.robo.end"),
    ] {
        let more = crate::support::merged(json!({"meta": {"robo": robo}}), more);
        let body = fleet.city.order_body(more.clone());
        let problem = fleet.city.platform.post("/v1/orders", body).await;
        let problem = problem.expect_problem(422, "validation");
        assert_eq!(problem["fields"][0]["field"], field, "{robo}");
        // Data of the platform's own, as any.
        plain.order(more).await;
    }
    // What is said later says nothing, and what has been placed goes on when the mode ends.
    let order = walking(&fleet, "delivered", json!({})).await;
    let other = json!({"meta": {"robo": {"end": "failed"}}});
    fleet.ops.patch(&format!("/v1/orders/{order}"), other).await.expect(200);
    fleet.city.platform.patch("/v1/tenant", json!({"robo": false})).await.expect(200);
    let left = walking(&fleet, "delivered", json!({})).await;
    assert_eq!(steps(&fleet, &order).await, DELIVERY);
    assert_eq!(stand(&fleet.order(&left).await), "placed none");
    // And not one step of the other tenant's.
    let orders = plain.platform.get("/v1/orders?limit=100").await.expect(200);
    let orders = orders["orders"].as_array().unwrap();
    assert_eq!(orders.len(), 10);
    assert!(orders.iter().all(|order| stand(order) == "placed none"), "{orders:#?}");
    let drivers = plain.platform.get("/v1/drivers").await.expect(200);
    assert_eq!(drivers["drivers"].as_array().unwrap().len(), 1);
    check_log(&server.database).await;
    server.stop().await;
}

#[actix_web::test]
async fn people_may_act_and_the_walk_goes_on_from_there() {
    let server = Server::start_with(attentive).await;
    let fleet = robo_fleet(&server).await;
    let own = fleet.courier(Some(10.0)).await;
    // A person cancels, and nothing follows.
    let order = walking(&fleet, "delivered", json!({})).await;
    for _ in 0..4 {
        step(&fleet).await;
    }
    assert_eq!(stand(&fleet.order(&order).await), "ready at_store");
    let reason = json!({"reason": "customer_request"});
    fleet.city.act(&fleet.city.platform, &order, "cancel", reason).await;
    assert!(steps(&fleet, &order).await.is_empty());
    // A store is ahead; an end that its order has passed is not gone back to.
    let order = walking(&fleet, "rejected", json!({})).await;
    let tablet = fleet.city.caller("store", &order).await;
    fleet.city.act(&tablet, &order, "accept", json!({"prep_min": 30})).await;
    fleet.city.act(&tablet, &order, "ready", json!({})).await;
    // A person's courier is walked as well, and a courier who is taken off is replaced.
    fleet.assign(&order, &own).await;
    fleet.ops.delete(&format!("/v1/orders/{order}/driver")).await.expect(200);
    assert_eq!(stand(&fleet.order(&order).await), "ready none");
    step(&fleet).await;
    let view = fleet.order(&order).await;
    assert_eq!(
        (stand(&view).as_str(), &view["driver"]["name"]),
        ("ready assigned", &json!("Robo Courier"))
    );
    fleet.assign(&order, &own).await;
    assert_eq!(steps(&fleet, &order).await, &DELIVERY[3..]);
    assert_eq!(fleet.order(&order).await["driver"]["id"], own.id.as_str());
    // A second attempt succeeds.
    let order = walking(&fleet, "returned", json!({})).await;
    while stand(&fleet.order(&order).await) != "returning en_route" {
        step(&fleet).await;
    }
    fleet.city.act(&fleet.ops, &order, "redeliver", json!({})).await;
    assert_eq!(steps(&fleet, &order).await, &DELIVERY[5..]);
    // A search is not waited for, and whoever was asked is told.
    let order = walking(&fleet, "delivered", json!({})).await;
    step(&fleet).await;
    fleet.search(&order, json!({"offer_s": 120})).await.expect(200);
    assert_eq!(own.asked().await.len(), 1);
    step(&fleet).await;
    step(&fleet).await;
    assert_eq!(stand(&fleet.order(&order).await), "ready assigned");
    let offers = fleet.offers(&order).await;
    assert_eq!((offers.len(), offers[0].1.as_str()), (1, "lost"), "{offers:?}");
    check_log(&server.database).await;
    server.stop().await;
}

#[actix_web::test]
async fn each_order_has_a_courier_of_its_own_and_what_is_scheduled_waits() {
    let server = Server::start_with(attentive).await;
    let fleet = robo_fleet(&server).await;
    let from = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(6);
    let to = from + jiff::SignedDuration::from_mins(30);
    let window = json!({"window": {"from": from.to_string(), "to": to.to_string()}});
    let later = walking(&fleet, "delivered", window).await;
    let mut orders = Vec::new();
    for _ in 0..5 {
        orders.push(walking(&fleet, "delivered", json!({})).await);
    }
    for _ in 0..3 {
        step(&fleet).await;
    }
    let mut couriers = BTreeSet::new();
    for order in &orders {
        let view = fleet.order(order).await;
        assert_eq!(stand(&view), "ready assigned");
        couriers.insert(view["driver"]["id"].as_str().unwrap().to_owned());
    }
    assert_eq!(couriers.len(), 5);
    // One that is deleted is not given anything more.
    assert_eq!(steps(&fleet, &orders[0]).await, &DELIVERY[3..]);
    let gone = couriers.first().unwrap();
    let path = format!("/v1/drivers/{gone}");
    until("its order to be over", async || {
        step(&fleet).await;
        (fleet.city.platform.delete(&path).await.status == 204).then_some(())
    })
    .await;
    assert_eq!(stand(&fleet.order(&later).await), "scheduled none");
    fleet.pass("6 hours").await;
    fleet.settled().await;
    assert_eq!(stand(&fleet.order(&later).await), "placed none");
    let stands = steps(&fleet, &later).await;
    assert_eq!(stands.last().map(String::as_str), Some("delivered closed"), "{stands:?}");
    let courier = fleet.order(&later).await["driver"]["id"].as_str().unwrap().to_owned();
    assert!(courier != *gone && couriers.contains(&courier));
    check_log(&server.database).await;
    server.stop().await;
}

#[actix_web::test]
async fn a_walk_goes_on_when_its_process_dies() {
    const OFTEN: &[(&str, &str)] =
        &[("ORDERCAST_TIMERS__POLL_INTERVAL_MS", "100"), ("ORDERCAST_TIMERS__GAP_MS", "10")];
    let database = Scratch::create().await;
    let first = Process::serve_with(&database, OFTEN).await;
    let city = City::found(&first.url, &database).await;
    city.platform.patch("/v1/tenant", json!({"robo": true})).await.expect(200);
    let order = city.order(json!({"meta": {"robo": {"step_s": 1}}})).await;
    let order = order["id"].as_str().unwrap().to_owned();
    let at = |rest: &Rest| {
        let (rest, path) = (rest.clone(), format!("/v1/orders/{order}"));
        async move { stand(&rest.get(&path).await.expect(200)) }
    };
    until("it to be accepted", async || (at(&city.platform).await != "placed none").then_some(()))
        .await;
    first.kill();
    // Two, so that they meet over it.
    let second = Process::serve_with(&database, OFTEN).await;
    let third = Process::serve_with(&database, OFTEN).await;
    let platform = Rest::new(&second.url, Some(&city.key));
    until("it to be delivered", async || (at(&platform).await == "delivered closed").then_some(()))
        .await;
    let client = database.connect().await;
    let twice = "select count(*) from (select from events where order_id is not null
                 and type not in ('order.eta', 'courier.near') group by type having count(*) > 1) x";
    let twice: i64 = client.query_one(twice, &[]).await.unwrap().try_get(0).unwrap();
    assert_eq!(twice, 0);
    check_log(&database).await;
    assert_eq!((second.terminate(), third.terminate()), (Some(0), Some(0)));
}
