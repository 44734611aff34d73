//! An offer: who may answer it and how often, who hears of it, and what of the order it shows.

use serde_json::{Value, json};

use crate::support::{City, Fleet, Phone, Process, Scratch, Server, Stream, attentive, check_log};

/// A server, and a fleet that asks whom it is told to.
async fn fleet() -> (Server, Fleet) {
    let server = Server::start_with(attentive).await;
    let fleet = Fleet::found(&server, None).await;
    (server, fleet)
}

/// What a problem says to one who may not know how the order stands.
const REFUSED: [&str; 6] = ["code", "detail", "request_id", "status", "title", "type"];

/// The members of a view.
fn told(view: &Value) -> Vec<&str> {
    view.as_object().unwrap().keys().map(String::as_str).collect()
}

#[actix_web::test]
async fn a_yes_is_a_yes_however_often_it_is_said_and_a_no_a_no() {
    let (server, fleet) = fleet().await;
    let courier = fleet.courier(Some(50.0)).await;
    let order = fleet.accepted(30).await;
    fleet.search(&order, json!({})).await.expect(200);
    let offer = courier.offer().await;
    // Nothing belongs in the body but what a device always may say.
    let path = format!("/v1/offers/{offer}");
    for body in [json!({"reason": "too_far"}), json!({"pin": "1234"}), json!({"x": 1})] {
        let answer = courier.rest.post(&format!("{path}/accept"), body).await;
        answer.expect_problem(422, "validation");
    }
    for verb in ["take", "expire", "ACCEPT"] {
        courier.answer(&offer, verb).await.expect_problem(404, "not_found");
    }
    let first = courier.answer(&offer, "accept").await.expect(200);
    assert_eq!((&first["leg"], &first["status"]), (&json!("assigned"), &json!("preparing")));
    let before = server.database.contents().await;
    assert_eq!(courier.answer(&offer, "accept").await.expect(200), first);
    let problem = courier.answer(&offer, "decline").await.expect_problem(409, "offer_closed");
    assert_eq!(problem["detail"], "the offer is accepted");
    assert_eq!(server.database.contents().await, before);

    // Also by key, and over the socket.
    let order = fleet.accepted(30).await;
    fleet.search(&order, json!({})).await.expect(200);
    let offer = courier.offer().await;
    let mut phone = Phone::connect(&server.url, &courier.token).await;
    let no = phone.rpc("offer.decline", json!({"offer": offer})).await;
    assert_eq!(no["rpc"]["data"], json!({"offer": offer, "state": "declined"}));
    // The next round begins with it, and has nobody to ask.
    fleet.happened("courier.searching", 0, 3).await;
    fleet.settled().await;
    let before = server.database.contents().await;
    assert_eq!(
        courier.answer(&offer, "decline").await.expect(200),
        json!({"offer": offer, "state": "declined"})
    );
    let late = phone.rpc("offer.accept", json!({"offer": offer})).await;
    assert_eq!(late["error"]["code"], 1416, "{late}");
    assert_eq!(late["error"]["message"], "offer_closed: the offer is declined");
    assert_eq!(server.database.contents().await, before);
    check_log(&server.database).await;
    server.stop().await;
}

#[actix_web::test]
async fn an_answer_that_comes_late_is_told_so_before_and_after_the_offer_is_closed() {
    // Nobody looks: the offer is over, and not closed yet.
    let server = Server::start_with(|config| {
        config.timers.poll_interval_ms = crate::support::of(3_600_000);
    })
    .await;
    let fleet = Fleet::found(&server, None).await;
    let courier = fleet.courier(Some(50.0)).await;
    let order = fleet.accepted(30).await;
    fleet.search(&order, json!({"offer_s": 120})).await.expect(200);
    let offer = courier.offer().await;
    fleet.pass("121 seconds").await;
    assert_eq!(courier.asked().await, [] as [Value; 0]);
    for answer in ["accept", "decline"] {
        let problem = courier.answer(&offer, answer).await.expect_problem(409, "offer_closed");
        assert_eq!(problem["detail"], "the offer is expired");
    }
    let offers = fleet.offers(&order).await;
    assert!(offers.len() == 1 && offers[0].1 == "pending", "{offers:?}");
    server.stop().await;
}

#[actix_web::test]
async fn duty_and_room_are_looked_at_again_when_the_courier_says_yes() {
    let (server, fleet) = fleet().await;
    let courier = fleet.courier_with(json!({"capacity": 1}), Some(50.0)).await;
    let order = fleet.accepted(30).await;
    fleet.search(&order, json!({"offer_s": 120})).await.expect(200);
    let offer = courier.offer().await;
    for duty in ["paused", "off"] {
        courier.duty(duty).await;
        let problem = courier.answer(&offer, "accept").await;
        let problem = problem.expect_problem(409, "driver_off_duty");
        assert_eq!(told(&problem), REFUSED, "{problem}");
    }
    courier.duty("on").await;
    let other = fleet.city.order_id().await;
    fleet.assign(&other, &courier).await;
    courier.answer(&offer, "accept").await.expect_problem(409, "driver_at_capacity");
    fleet.city.act(&fleet.ops, &other, "cancel", json!({"reason": "duplicate"})).await;
    courier.answer(&offer, "accept").await.expect(200);
    check_log(&server.database).await;
    server.stop().await;
}

#[actix_web::test]
async fn an_offer_is_its_couriers_and_nobody_elses() {
    let (server, fleet) = fleet().await;
    let other = Fleet::found(&server, None).await;
    let [courier, rival] = [fleet.courier(Some(50.0)).await, fleet.courier(Some(5_900.0)).await];
    let stranger = other.courier(Some(50.0)).await;
    let order = fleet.accepted(30).await;
    fleet.search(&order, json!({"drivers": [courier.id]})).await.expect(200);
    let offer = courier.offer().await;
    let before = server.database.contents().await;
    for answer in ["accept", "decline"] {
        for who in [&rival, &stranger] {
            who.answer(&offer, answer).await.expect_problem(404, "not_found");
        }
        for role in ["ops", "platform", "store", "customer"] {
            let who = fleet.city.caller(role, &order).await;
            let path = format!("/v1/offers/{offer}/{answer}");
            who.post(&path, json!({})).await.expect_problem(403, "role_not_allowed");
        }
        for id in ["of_00000000000000000000000000", "x", &order] {
            courier.answer(id, answer).await.expect_problem(404, "not_found");
        }
    }
    // Another's order is not there, whoever asks for what.
    let path = format!("/v1/orders/{order}/offers");
    for who in [&other.ops, &other.city.platform] {
        who.post(&path, json!({})).await.expect_problem(404, "not_found");
        who.get(&path).await.expect_problem(404, "not_found");
        let drivers = format!("/v1/drivers/{}/offers", courier.id);
        who.get(&drivers).await.expect_problem(404, "not_found");
    }
    other.ops.delete(&path).await.expect_problem(404, "not_found");
    // Nor can another's courier be asked.
    let mine = other.accepted(30).await;
    let problem = other.search(&mine, json!({"drivers": [courier.id]})).await;
    problem.expect_problem(422, "validation");
    // Dispatchers and the platform see what a courier is asked, couriers their own only.
    let path = format!("/v1/drivers/{}/offers", courier.id);
    for who in [&fleet.ops, &fleet.city.platform, &courier.rest] {
        let body = who.get(&path).await.expect(200);
        assert_eq!(body, json!({"offers": courier.asked().await}));
    }
    rival.rest.get(&path).await.expect_problem(404, "not_found");
    for role in ["store", "customer"] {
        let who = fleet.city.caller(role, &order).await;
        who.get(&path).await.expect_problem(403, "role_not_allowed");
    }
    // And of an order, who was asked for it.
    let body = fleet.ops.get(&format!("/v1/orders/{order}/offers")).await.expect(200);
    let listed = &body["offers"][0];
    assert_eq!(
        told(listed),
        ["driver", "expires_at", "offer", "order", "round", "sent_at", "state"]
    );
    assert_eq!(
        (&listed["offer"], &listed["order"], &listed["driver"], &listed["state"]),
        (&json!(offer), &json!(order), &json!(courier.id), &json!("pending"))
    );
    // For the courier it is no order of its own: not to read, and not to do anything with.
    let path = format!("/v1/orders/{order}");
    for path in [path.clone(), format!("{path}/events")] {
        courier.rest.get(&path).await.expect_problem(404, "not_found");
    }
    for action in ["at_store", "pickup", "drop", "note"] {
        let body =
            if action == "note" { json!({"note": "x"}) } else { json!({"reason": "too_far"}) };
        let answer = courier.rest.post(&format!("{path}/{action}"), body).await;
        assert!(matches!(answer.status, 404 | 422), "{action}: {:#}", answer.body);
    }
    assert_eq!(courier.rest.get("/v1/orders").await.expect(200)["orders"], json!([]));
    let after = server.database.contents().await;
    // But for the order and the offer made meanwhile at the other tenant.
    assert_eq!(before.len(), after.len());
    assert_eq!(courier.asked().await.len(), 1);
    server.stop().await;
}

/// What an offer may show: nothing of the customer but the area, nothing of the items but how
/// many. Whatever else is in the text of the order must not be there.
fn check_shown(shown: &Value, order: &str) {
    let text = shown.to_string();
    for secret in
        ["Ann", "Lee", "9988", "Hauptstr", "ring", "Pizza", "Water", "52.53,", "13.41}", order]
    {
        assert!(!text.contains(secret), "{secret} is in {shown:#}");
    }
}

const SHOWN: [&str; 9] = [
    "distance_m",
    "dropoff",
    "expires_at",
    "items",
    "offer",
    "pickup",
    "round",
    "sent_at",
    "state",
];

#[actix_web::test]
async fn the_courier_who_is_asked_sees_enough_to_decide_and_no_more_wherever_it_looks() {
    let (server, fleet) = fleet().await;
    let courier = fleet.courier(Some(500.0)).await;
    let phone = &mut Phone::connect(&server.url, &courier.token).await;
    let channel = format!("driver:{}", courier.id);
    let start = phone.subscribe(&channel).await;
    assert_eq!(start["data"]["offers"], json!([]));
    let order = fleet.accepted(30).await;
    fleet.search(&order, json!({"offer_s": 60})).await.expect(200);
    // By its channel.
    let sent = phone.event().await;
    assert_eq!(sent["type"], "offer.sent");
    assert!(sent.get("order").is_none() && sent.get("n").is_none(), "{sent:#}");
    check_shown(&sent, &order);
    let data = &sent["data"];
    assert_eq!(told(data), SHOWN);
    assert_eq!((&data["items"], &data["state"]), (&json!(3), &json!("pending")));
    let metres = data["distance_m"].as_i64().unwrap();
    assert!((495..=505).contains(&metres), "{metres}");
    assert_eq!(data["pickup"]["name"], "Trattoria");
    assert_eq!(told(&data["pickup"]), ["lat", "lng", "name", "ready_eta"]);
    let way = data["dropoff"]["distance_m"].as_i64().unwrap();
    assert!((1_100..1_200).contains(&way), "{way}");
    assert_eq!(data["dropoff"]["area"], "Mitte, Berlin");
    assert_eq!(data["dropoff"].as_object().unwrap().len(), 2);
    // By asking, and in the snapshot of its channel.
    let listed = courier.asked().await;
    assert_eq!(json!(listed), json!([data]));
    let mut again = Phone::connect(&server.url, &courier.token).await;
    let snapshot = again.subscribe(&channel).await;
    assert_eq!(snapshot["data"]["offers"], json!(listed));
    assert_eq!(snapshot["data"]["orders"], json!([]));
    check_shown(&snapshot["data"], &order);
    // By what it has missed, by looking back, as a plain stream, and in its personal feed.
    let mut back = Phone::connect(&server.url, &courier.token).await;
    let (offset, epoch) = (start["offset"].as_u64().unwrap(), start["epoch"].as_str().unwrap());
    let missed = back.recover(&channel, offset, epoch).await;
    assert_eq!(missed["publications"][0]["data"], sent, "{missed:#}");
    let past = again.ask(json!({"history": {"channel": channel, "limit": -1}})).await;
    let past = past["history"]["publications"].as_array().unwrap().clone();
    let past: Vec<_> = past.iter().filter(|it| it["data"]["type"] == "offer.sent").collect();
    assert!(past.len() == 1 && past[0]["data"] == sent, "{past:#?}");
    let query = format!("channel={channel}");
    let mut stream = Stream::follow(&server.url, &courier.token, &query, "").await;
    let first = stream.next().await.unwrap();
    check_shown(&first.json(), &order);
    let mut personal = Phone::open(&server.url).await;
    let connect = json!({"connect": {"token": courier.token, "data": {"personal": true}}});
    assert!(personal.ask(connect).await["connect"]["client"].is_string());
    // By what refuses it.
    courier.duty("paused").await;
    assert_eq!(phone.event().await["type"], "driver.duty");
    let offer = sent["data"]["offer"].as_str().unwrap().to_owned();
    let refused = courier.answer(&offer, "accept").await.expect_problem(409, "driver_off_duty");
    assert_eq!(told(&refused), REFUSED);
    // What is lost says only that.
    let other = fleet.courier(None).await;
    fleet.assign(&order, &other).await;
    let closed = phone.event().await;
    assert_eq!((&closed["type"], closed.get("order")), (&json!("offer.closed"), None));
    assert_eq!(closed["data"], json!({"offer": offer, "state": "lost"}));
    let late = courier.answer(&offer, "accept").await.expect_problem(409, "offer_closed");
    assert_eq!(told(&late), REFUSED);
    for kind in ["driver.duty", "offer.closed"] {
        assert_eq!(stream.envelope().await["type"], kind);
        assert_eq!(personal.event().await["type"], kind);
    }
    server.stop().await;
}

/// Takes pushes until the event at this position, and gives what came of `offer.` before.
async fn offers_until(phone: &mut Phone, position: u64) -> Vec<Value> {
    let mut offers = Vec::new();
    loop {
        let event = phone.event().await;
        if event["type"].as_str().unwrap().starts_with("offer.") {
            offers.push(event.clone());
        }
        if event["position"] == position {
            return offers;
        }
    }
}

#[actix_web::test]
async fn only_who_is_asked_and_dispatchers_and_the_platform_hear_of_offers() {
    let database = Scratch::create().await;
    let often = [("ORDERCAST_TIMERS__POLL_INTERVAL_MS", "100")];
    let one = Process::serve_with(&database, &often).await;
    let two = Process::serve_with(&database, &often).await;
    let fleet = Fleet::at(&one.url, &database, None).await;
    let stranger = City::found(&one.url, &database).await;
    let [asked, bringing, idle] = [
        fleet.courier(Some(10.0)).await,
        fleet.courier(Some(20.0)).await,
        fleet.courier(Some(30.0)).await,
    ];
    let order = fleet.accepted(30).await;
    let on_order = format!("order:{order}");
    let store = format!("store:{}", fleet.city.store);
    let driver = |id: &str| format!("driver:{id}");
    // At the other process, as all that they hear comes by the log.
    let mut deaf = Vec::new();
    for (channel, token) in [
        (on_order.clone(), fleet.city.customer_token(&order).await),
        (store, fleet.city.store_token().await),
        (driver(&idle.id), idle.token.clone()),
        ("tenant".to_owned(), stranger.key.clone()),
    ] {
        let mut phone = Phone::connect(&two.url, &token).await;
        phone.subscribe(&channel).await;
        deaf.push((channel, phone));
    }
    let mut hearing = Vec::new();
    for (channel, token) in [
        ("dispatch".to_owned(), fleet.city.ops_token().await),
        ("tenant".to_owned(), fleet.city.key.clone()),
        (on_order.clone(), fleet.city.key.clone()),
    ] {
        let mut phone = Phone::connect(&two.url, &token).await;
        phone.subscribe(&channel).await;
        hearing.push(phone);
    }
    let mut own = Phone::connect(&two.url, &asked.token).await;
    own.subscribe(&driver(&asked.id)).await;
    let mut carrier = Phone::connect(&two.url, &bringing.token).await;
    carrier.subscribe(&driver(&bringing.id)).await;

    let both = json!({"drivers": [asked.id, bringing.id], "mode": "broadcast"});
    fleet.search(&order, both).await.expect(200);
    let offer = bringing.offer().await;
    bringing.answer(&offer, "accept").await.expect(200);
    // The one who has it now listens to the order itself.
    let mut seat = Phone::connect(&two.url, &bringing.token).await;
    seat.subscribe(&on_order).await;
    fleet.city.act(&fleet.ops, &order, "ready", json!({})).await;
    let last = fleet.head().await;
    // Each of the others must hear something at last, to know that nothing came before.
    idle.duty("paused").await;
    stranger.order_id().await;
    let end = fleet.head().await;
    for (channel, mut phone) in deaf {
        let end = match channel.as_str() {
            "tenant" => end,
            channel if channel.starts_with("driver:") => end - 1,
            _ => last,
        };
        assert_eq!(offers_until(&mut phone, end).await, [] as [Value; 0], "{channel}");
    }
    assert_eq!(offers_until(&mut seat, last).await, [] as [Value; 0]);
    for mut phone in hearing {
        let offers = offers_until(&mut phone, last).await;
        let kinds: Vec<_> = offers.iter().map(|event| event["type"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["offer.sent", "offer.sent", "offer.closed", "offer.closed"]);
        for event in &offers {
            assert_eq!(event["order"], order.as_str());
            assert!(event["driver"].is_string() && event.get("n").is_none(), "{event:#}");
        }
    }
    for (phone, state) in [(&mut own, "lost"), (&mut carrier, "accepted")] {
        let sent = phone.event().await;
        assert_eq!(sent["type"], "offer.sent");
        let mut closed = phone.event().await;
        if closed["type"] == "courier.assigned" {
            closed = phone.event().await;
        }
        assert_eq!(closed["data"], json!({"offer": sent["data"]["offer"], "state": state}));
    }
    assert_eq!((one.terminate(), two.terminate()), (Some(0), Some(0)));
}

#[actix_web::test]
async fn a_hand_over_on_the_way_asks_nobody_and_tells_both() {
    let (server, fleet) = fleet().await;
    let [one, two] = [fleet.courier(Some(10.0)).await, fleet.courier(Some(20.0)).await];
    let order = fleet.accepted(30).await;
    fleet.assign(&order, &one).await;
    fleet.city.act(&one.rest, &order, "pickup", json!({})).await;
    fleet.search(&order, json!({})).await.expect_problem(409, "invalid_transition");
    let mut first = Phone::connect(&server.url, &one.token).await;
    first.subscribe(&format!("driver:{}", one.id)).await;
    let mut second = Phone::connect(&server.url, &two.token).await;
    second.subscribe(&format!("driver:{}", two.id)).await;
    let body = json!({"driver": two.id});
    let path = format!("/v1/orders/{order}/driver");
    fleet.city.platform.put(&path, body).await.expect_problem(409, "invalid_transition");
    let view = fleet.assign(&order, &two).await;
    assert_eq!((&view["leg"], &view["driver"]["id"]), (&json!("en_route"), &json!(two.id)));
    let (lost, got) = (first.event().await, second.event().await);
    assert_eq!((&lost["type"], &lost["data"]), (&json!("courier.changed"), &json!({})));
    assert_eq!((&got["type"], &got["data"]["order"]["id"]), (&lost["type"], &json!(order)));
    assert_eq!(fleet.of_type("offer.sent", 0).await, [] as [Value; 0]);
    check_log(&server.database).await;
    server.stop().await;
}
