//! Couriers are searched for: when, whom, and what ends it.

use serde_json::{Value, json};

use crate::support::{Courier, Fleet, Process, Scratch, Server, attentive, check_log};

/// Who was asked, as these are called here, with what became of it.
async fn asked(fleet: &Fleet, order: &str, couriers: &[(&str, &Courier)]) -> Vec<String> {
    let name = |id: &str| couriers.iter().find(|(_, courier)| courier.id == id).map(|it| it.0);
    let offers = fleet.offers(order).await;
    offers.iter().map(|(id, state, _round)| format!("{} {state}", name(id).unwrap())).collect()
}

#[actix_web::test]
async fn a_search_begins_by_itself_so_long_before_the_order_is_ready() {
    let server = Server::start_with(attentive).await;
    let fleet = Fleet::found(&server, Some("one_by_one")).await;
    let courier = fleet.courier(Some(500.0)).await;
    // Ten minutes before.
    let order = fleet.accepted(25).await;
    assert_eq!(fleet.order(&order).await["leg"], "none");
    fleet.pass("14 minutes").await;
    fleet.settled().await;
    assert_eq!(
        (&fleet.order(&order).await["leg"], courier.asked().await.len()),
        (&json!("none"), 0)
    );
    let head = fleet.head().await;
    fleet.pass("61 seconds").await;
    let view = fleet.leg(&order, "offering").await;
    assert_eq!(view["search"]["round"], 1);
    let events = fleet.log(head).await;
    let kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["courier.searching", "offer.sent"]);
    assert_eq!(events[0]["by"], json!({"role": "system", "id": events[0]["by"]["id"]}));
    assert_eq!(events[0]["data"], json!({"round": 1}));
    assert!(events[0]["n"] == view["version"] && events[1].get("n").is_none(), "{events:#?}");
    assert_eq!(events[1]["driver"], courier.id.as_str());
    // What is ready soon is searched for at once, and so is what was called ready early.
    let soon = fleet.accepted(5).await;
    fleet.leg(&soon, "offering").await;
    let early = fleet.accepted(200).await;
    fleet.city.act(&fleet.ops, &early, "ready", json!({})).await;
    fleet.leg(&early, "offering").await;
    check_log(&server.database).await;
    server.stop().await;
}

#[actix_web::test]
async fn dispatchers_and_the_platform_begin_and_dispatchers_end_a_search() {
    let server = Server::start_with(attentive).await;
    let fleet = Fleet::found(&server, None).await;
    let courier = fleet.courier(Some(100.0)).await;
    let order = fleet.city.order_id().await;
    let path = format!("/v1/orders/{order}/offers");
    // Not before the store has said yes.
    let problem = fleet.search(&order, json!({})).await.expect_problem(409, "invalid_transition");
    assert_eq!((&problem["status"], &problem["leg"]), (&json!("placed"), &json!("none")));
    fleet.city.act(&fleet.ops, &order, "accept", json!({"prep_min": 60})).await;
    for role in ["store", "driver", "customer"] {
        let who = fleet.city.caller(role, &order).await;
        who.post(&path, json!({})).await.expect_problem(403, "role_not_allowed");
        who.get(&path).await.expect_problem(403, "role_not_allowed");
    }
    for (body, field) in [
        (json!({"mode": "lottery"}), "mode"),
        (json!({"offer_s": 14}), "offer_s"),
        (json!({"offer_s": 121}), "offer_s"),
        (json!({"drivers": []}), "drivers"),
        (json!({"drivers": ["x"]}), "drivers[0]"),
        (json!({"drivers": [fleet.city.driver]}), "drivers"),
    ] {
        let problem = fleet.search(&order, body).await.expect_problem(422, "validation");
        assert_eq!(problem["fields"][0]["field"], field, "{problem}");
    }
    assert_eq!(fleet.order(&order).await["leg"], "none");

    for (who, mode) in [(&fleet.ops, "one_by_one"), (&fleet.city.platform, "broadcast")] {
        let head = fleet.head().await;
        let view = who.post(&path, json!({"mode": mode, "offer_s": 40})).await.expect(200);
        assert_eq!((&view["leg"], &view["search"]["round"]), (&json!("offering"), &json!(1)));
        let sent = fleet.happened("offer.sent", head, 1).await.remove(0);
        assert_eq!(sent["driver"], courier.id.as_str(), "{mode}");
        let (from, to) = (&sent["data"]["sent_at"], &sent["data"]["expires_at"]);
        let moment = |it: &Value| it.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        assert_eq!(moment(to).duration_since(moment(from)).as_secs(), 40);
        // One search at a time.
        who.post(&path, json!({})).await.expect_problem(409, "invalid_transition");
        let end = fleet.city.platform.delete(&path).await;
        end.expect_problem(403, "role_not_allowed");
        let head = fleet.head().await;
        let view = fleet.ops.delete(&path).await.expect(200);
        assert_eq!((&view["leg"], view.get("search")), (&json!("none"), None));
        let events = fleet.log(head).await;
        let kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
        assert!(kinds == ["courier.search_failed", "offer.closed"], "{kinds:?}");
        assert_eq!(events[1]["data"]["state"], "withdrawn");
        fleet.ops.delete(&path).await.expect_problem(409, "invalid_transition");
        assert_eq!(courier.asked().await, [] as [Value; 0]);
    }
    // Whoever is named is asked, wherever it is, and nobody else.
    let far = fleet.courier(None).await;
    fleet.search(&order, json!({"drivers": [far.id], "mode": "broadcast"})).await.expect(200);
    assert_eq!((far.asked().await.len(), courier.asked().await.len()), (1, 0));
    check_log(&server.database).await;
    server.stop().await;
}

#[actix_web::test]
async fn the_nearest_with_room_are_asked_one_after_the_other_and_none_twice() {
    let server = Server::start_with(attentive).await;
    let fleet = Fleet::found(&server, Some("one_by_one")).await;
    let third = fleet.courier(Some(900.0)).await;
    let first = fleet.courier(Some(-100.0)).await;
    let second = fleet.courier(Some(400.0)).await;
    // Nearer all of them, but paused, full, out of reach by an old word, or another tenant's.
    let paused = fleet.courier(Some(20.0)).await;
    paused.duty("paused").await;
    let full = fleet.courier_with(json!({"capacity": 1}), Some(30.0)).await;
    fleet.assign(&fleet.city.order_id().await, &full).await;
    let other = Fleet::found(&server, Some("one_by_one")).await;
    let foreign = other.courier(Some(10.0)).await;
    let far = fleet.courier(Some(6_000.0)).await;
    let nowhere = fleet.courier(None).await;
    let names = [
        ("first", &first),
        ("second", &second),
        ("third", &third),
        ("paused", &paused),
        ("full", &full),
        ("foreign", &foreign),
        ("far", &far),
        ("nowhere", &nowhere),
    ];
    let order = fleet.accepted(5).await;
    let offer = first.offer().await;
    let seen = fleet.order(&order).await;
    assert_eq!(seen["search"]["round"], 1);
    // A no is followed by the next at once; long before the round would have been over.
    assert_eq!(
        first.answer(&offer, "decline").await.expect(200),
        json!({"offer": offer, "state": "declined"})
    );
    let offer = second.offer().await;
    assert_eq!(asked(&fleet, &order, &names).await, ["first declined", "second pending"]);
    second.answer(&offer, "decline").await.expect(200);
    // No answer is followed by the next, too.
    third.offer().await;
    fleet.pass("31 seconds").await;
    // Those of whom nobody knows where they are, when nobody is left who is near.
    let offer = nowhere.offer().await;
    assert_eq!(
        asked(&fleet, &order, &names).await,
        ["first declined", "second declined", "third expired", "nowhere pending"]
    );
    assert_eq!(fleet.order(&order).await["search"]["round"], 4);
    // The courier that was asked in vain is told; and who says yes has it.
    nowhere.answer(&offer, "accept").await.expect(200);
    let view = fleet.order(&order).await;
    assert_eq!((&view["leg"], &view["driver"]["id"]), (&json!("assigned"), &json!(nowhere.id)));
    let searching = fleet.of_type("courier.searching", 0).await;
    let rounds: Vec<_> = searching.iter().map(|event| &event["data"]["round"]).collect();
    assert_eq!(rounds, [1, 2, 3, 4]);
    check_log(&server.database).await;
    server.stop().await;
}

#[actix_web::test]
async fn a_broadcast_asks_all_at_once_and_the_first_yes_has_it() {
    let server = Server::start_with(attentive).await;
    let fleet = Fleet::found(&server, Some("broadcast")).await;
    let mut couriers = Vec::new();
    for nth in 0..4 {
        couriers.push(fleet.courier(Some(f64::from(nth) * 100.0)).await);
    }
    let order = fleet.accepted(5).await;
    let mut offers = Vec::new();
    for courier in &couriers {
        offers.push(courier.offer().await);
    }
    assert!(
        fleet
            .offers(&order)
            .await
            .iter()
            .all(|(_, state, round)| state == "pending" && *round == 1)
    );
    // One no does not end the round while others think.
    couriers[0].answer(&offers[0], "decline").await.expect(200);
    assert_eq!(fleet.order(&order).await["search"]["round"], 1);
    let head = fleet.head().await;
    let view = couriers[2].answer(&offers[2], "accept").await.expect(200);
    assert_eq!((&view["id"], &view["leg"]), (&json!(order), &json!("assigned")));
    let closed = fleet.happened("offer.closed", head, 3).await;
    let became: Vec<_> = couriers[1..]
        .iter()
        .map(|courier| {
            let event = closed.iter().find(|event| event["driver"] == courier.id.as_str()).unwrap();
            (event["data"]["state"].as_str().unwrap(), event["by"]["role"].as_str().unwrap())
        })
        .collect();
    assert_eq!(became, [("lost", "system"), ("accepted", "driver"), ("lost", "system")]);
    for (nth, state) in [(0, "declined"), (1, "lost"), (3, "lost")] {
        for answer in ["accept", "decline"] {
            if (nth, answer) == (0, "decline") {
                continue;
            }
            let late = couriers[nth].answer(&offers[nth], answer).await;
            let problem = late.expect_problem(409, "offer_closed");
            assert_eq!(problem["detail"], format!("the offer is {state}"));
        }
    }
    check_log(&server.database).await;
    server.stop().await;
}

#[actix_web::test]
async fn when_the_rounds_are_used_up_the_search_has_failed_and_can_begin_anew() {
    let server = Server::start_with(attentive).await;
    let fleet = Fleet::found(&server, Some("one_by_one")).await;
    fleet.rule("offer_rounds", 2).await;
    let courier = fleet.courier(Some(50.0)).await;
    let order = fleet.accepted(5).await;
    courier.offer().await;
    fleet.pass("31 seconds").await;
    // Nobody is left to be asked; the round goes on, as somebody may come.
    fleet.happened("courier.searching", 0, 2).await;
    let view = fleet.order(&order).await;
    assert_eq!((&view["leg"], &view["search"]["round"]), (&json!("offering"), &json!(2)));
    fleet.pass("31 seconds").await;
    let failed = fleet.happened("courier.search_failed", 0, 1).await.remove(0);
    assert_eq!((&failed["by"]["role"], &failed["data"]), (&json!("system"), &json!({})));
    let view = fleet.order(&order).await;
    assert_eq!((&view["leg"], view.get("search")), (&json!("none"), None));
    // It is a matter for people now.
    fleet.pass("10 minutes").await;
    fleet.settled().await;
    assert_eq!(fleet.order(&order).await["leg"], "none");
    // In a new search everybody can be asked again, from its first round on.
    courier.stand(60.0).await;
    fleet.search(&order, json!({})).await.expect(200);
    let offer = courier.offer().await;
    courier.answer(&offer, "accept").await.expect(200);
    let states: Vec<_> = fleet.offers(&order).await.into_iter().map(|it| (it.1, it.2)).collect();
    assert_eq!(states, [("expired".to_owned(), 1), ("accepted".to_owned(), 1)]);
    check_log(&server.database).await;
    server.stop().await;
}

#[actix_web::test]
async fn of_two_processes_one_closes_what_has_expired_once() {
    let database = Scratch::create().await;
    let often = [("ORDERCAST_TIMERS__POLL_INTERVAL_MS", "100"), ("ORDERCAST_TIMERS__GAP_MS", "5")];
    let one = Process::serve_with(&database, &often).await;
    let two = Process::serve_with(&database, &often).await;
    let fleet = Fleet::at(&one.url, &database, Some("broadcast")).await;
    fleet.rule("offer_rounds", 1).await;
    let mut couriers = Vec::new();
    for nth in 0..5 {
        couriers.push(fleet.courier(Some(f64::from(nth) * 10.0)).await);
    }
    let mut orders = Vec::new();
    for _ in 0..12 {
        orders.push(fleet.accepted(5).await);
    }
    fleet.happened("offer.sent", 0, 60).await;
    fleet.pass("31 seconds").await;
    fleet.happened("courier.search_failed", 0, 12).await;
    let closed = fleet.happened("offer.closed", 0, 60).await;
    assert!(closed.iter().all(|event| event["data"]["state"] == "expired"));
    let mut offers: Vec<_> =
        closed.iter().map(|event| event["data"]["offer"].to_string()).collect();
    offers.sort();
    offers.dedup();
    assert_eq!(offers.len(), 60);
    check_log(&database).await;
    assert_eq!((one.terminate(), two.terminate()), (Some(0), Some(0)));
}

#[actix_web::test]
async fn a_courier_with_room_for_one_is_not_asked_for_two_at_once() {
    let server = Server::start_with(attentive).await;
    let fleet = Fleet::found(&server, Some("one_by_one")).await;
    let courier = fleet.courier_with(json!({"capacity": 1}), Some(50.0)).await;
    let orders = [fleet.accepted(5).await, fleet.accepted(5).await, fleet.accepted(5).await];
    for order in &orders {
        fleet.leg(order, "offering").await;
    }
    fleet.settled().await;
    let asked = courier.asked().await;
    assert_eq!(asked.len(), 1, "{asked:#?}");
    // Once it has said yes, it has no room; nor is it asked.
    let offer = asked[0]["offer"].as_str().unwrap();
    let order = courier.answer(offer, "accept").await.expect(200)["id"].clone();
    let head = fleet.head().await;
    fleet.pass("31 seconds").await;
    fleet.happened("courier.searching", head, 2).await;
    assert_eq!(fleet.of_type("offer.sent", 0).await.len(), 1);
    // Not even by name.
    let other = orders.iter().find(|id| order != id.as_str()).unwrap();
    fleet.ops.delete(&format!("/v1/orders/{other}/offers")).await.expect(200);
    let problem = fleet.search(other, json!({"drivers": [courier.id]})).await;
    problem.expect_problem(422, "validation");
    // When it is free again, it is asked again.
    let order = order.as_str().unwrap();
    fleet.city.act(&courier.rest, order, "pickup", json!({})).await;
    fleet.city.act(&courier.rest, order, "deliver", json!({})).await;
    fleet.search(other, json!({})).await.expect(200);
    courier.offer().await;
    check_log(&server.database).await;
    server.stop().await;
}

#[actix_web::test]
async fn who_drops_an_order_is_not_asked_for_it_again_and_others_are_at_once() {
    let server = Server::start_with(attentive).await;
    let fleet = Fleet::found(&server, Some("one_by_one")).await;
    let [one, two] = [fleet.courier(Some(50.0)).await, fleet.courier(Some(300.0)).await];
    let order = fleet.accepted(5).await;
    // The second says no at first, and then the first gives up: a new search, a new question.
    let offer = one.offer().await;
    one.answer(&offer, "decline").await.expect(200);
    let offer = two.offer().await;
    two.answer(&offer, "accept").await.expect(200);
    let head = fleet.head().await;
    let path = format!("/v1/orders/{order}");
    two.rest.post(&format!("{path}/drop"), json!({"reason": "vehicle"})).await.expect(200);
    let lost = fleet.happened("courier.unassigned", head, 1).await.remove(0);
    assert_eq!((&lost["data"]["code"], &lost["by"]["role"]), (&json!("vehicle"), &json!("driver")));
    let sent = fleet.happened("offer.sent", head, 1).await.remove(0);
    assert_eq!((&sent["driver"], &sent["data"]["round"]), (&json!(one.id), &json!(1)));
    two.rest.get(&path).await.expect_problem(404, "not_found");
    fleet.pass("31 seconds").await;
    fleet.happened("courier.searching", head, 2).await;
    fleet.settled().await;
    assert_eq!(two.asked().await.len(), 0);
    check_log(&server.database).await;
    server.stop().await;
}

#[actix_web::test]
async fn whom_a_dispatcher_takes_off_is_followed_by_nobody_unless_asked_for() {
    let server = Server::start_with(attentive).await;
    let fleet = Fleet::found(&server, Some("one_by_one")).await;
    let [one, two] = [fleet.courier(Some(50.0)).await, fleet.courier(Some(300.0)).await];
    let order = fleet.accepted(5).await;
    let offer = one.offer().await;
    one.answer(&offer, "accept").await.expect(200);
    let path = format!("/v1/orders/{order}/driver");
    let reason = json!({"reason": "courier_incident"}).to_string().into_bytes();
    let method = awc::http::Method::DELETE;
    let head = fleet.head().await;
    fleet.ops.send(method, &path, &[], reason).await.expect(200);
    fleet.pass("5 minutes").await;
    fleet.settled().await;
    assert_eq!(fleet.order(&order).await["leg"], "none");
    assert_eq!(fleet.of_type("courier.searching", head).await, [] as [Value; 0]);
    fleet.pass("-5 minutes").await;
    two.stand(310.0).await;
    fleet.search(&order, json!({})).await.expect(200);
    two.offer().await;
    assert_eq!(one.asked().await.len(), 0);
    // Direct assignment while others are asked: they have lost it.
    let head = fleet.head().await;
    let three = fleet.courier(None).await;
    let view = fleet.assign(&order, &three).await;
    assert_eq!((&view["leg"], view.get("search")), (&json!("assigned"), None));
    let closed = fleet.happened("offer.closed", head, 1).await.remove(0);
    assert_eq!((&closed["data"]["state"], &closed["driver"]), (&json!("lost"), &json!(two.id)));
    check_log(&server.database).await;
    server.stop().await;
}

#[actix_web::test]
async fn a_cancelled_order_takes_its_offers_back() {
    let server = Server::start_with(attentive).await;
    let fleet = Fleet::found(&server, Some("broadcast")).await;
    let couriers = [fleet.courier(Some(50.0)).await, fleet.courier(Some(300.0)).await];
    let order = fleet.accepted(5).await;
    let offers = [couriers[0].offer().await, couriers[1].offer().await];
    let head = fleet.head().await;
    fleet.city.act(&fleet.ops, &order, "cancel", json!({"reason": "duplicate"})).await;
    for closed in fleet.happened("offer.closed", head, 2).await {
        assert_eq!(closed["data"]["state"], "withdrawn");
    }
    for (courier, offer) in couriers.iter().zip(&offers) {
        let problem = courier.answer(offer, "accept").await.expect_problem(409, "offer_closed");
        assert_eq!(problem["detail"], "the offer is withdrawn");
        assert_eq!(courier.asked().await.len(), 0);
    }
    assert_eq!(server.database.count("timers").await, 0);
    check_log(&server.database).await;
    server.stop().await;
}

#[actix_web::test]
async fn a_search_that_was_planned_does_not_begin_once_the_tenant_names_its_couriers() {
    let server = Server::start_with(attentive).await;
    let fleet = Fleet::found(&server, Some("one_by_one")).await;
    let courier = fleet.courier(Some(50.0)).await;
    let order = fleet.accepted(30).await;
    fleet.city.platform.patch("/v1/tenant", json!({"offer_mode": "off"})).await.expect(200);
    fleet.pass("25 minutes").await;
    courier.stand(40.0).await;
    fleet.settled().await;
    assert_eq!(fleet.of_type("courier.searching", 0).await, [] as [Value; 0]);
    // By whoever runs it all it still can be.
    fleet.search(&order, json!({"drivers": [courier.id]})).await.expect(200);
    let offer = courier.offer().await;
    courier.answer(&offer, "accept").await.expect(200);
    check_log(&server.database).await;
    server.stop().await;
}
