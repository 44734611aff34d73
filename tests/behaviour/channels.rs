//! Channels: what there is, what is whose, and what a subscription is refused for.

use ordercast::domain::{DriverId, OrderId, StoreId};
use serde_json::{Value, json};

use crate::support::{City, Phone, Server, of};

async fn refusal(phone: &mut Phone, subscribe: Value) -> Value {
    let reply = phone.ask(json!({"subscribe": subscribe})).await;
    assert!(reply.get("subscribe").is_none(), "{reply}");
    reply["error"].clone()
}

fn denied() -> Value {
    json!({"code": 103, "message": "permission denied"})
}

#[actix_web::test]
async fn what_is_not_the_callers_is_denied_just_as_what_is_not_there() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let foreign = City::found(&server.url, &server.database).await;
    let (own, other) = (city.order_id().await, city.order_id().await);
    let foreign_order = foreign.order_id().await;
    let other_store = city.new_store(json!({})).await;
    let other_driver = city.new_driver(json!({})).await;
    let nowhere = OrderId::new();
    let channels = [
        format!("order:{own}"),
        format!("order:{other}"),
        format!("order:{foreign_order}"),
        format!("order:{nowhere}"),
        "order:nonsense".to_owned(),
        "order:".to_owned(),
        format!("store:{}", city.store),
        format!("store:{other_store}"),
        format!("store:{}", foreign.store),
        format!("store:{}", StoreId::new()),
        format!("driver:{}", city.driver),
        format!("driver:{other_driver}"),
        format!("driver:{}", DriverId::new()),
        "dispatch".to_owned(),
        "tenant".to_owned(),
    ];
    for (who, token, opens) in [
        ("customer", city.customer_token(&own).await, vec![0]),
        ("store", city.store_token().await, vec![6]),
        ("driver", city.driver_token().await, vec![10]),
        ("ops", city.ops_token().await, vec![0, 1, 13]),
        ("platform", city.key.clone(), vec![0, 1, 14]),
    ] {
        let mut phone = Phone::connect(&server.url, &token).await;
        for (nth, channel) in channels.iter().enumerate() {
            if opens.contains(&nth) {
                phone.subscribe(channel).await;
            } else {
                let error = refusal(&mut phone, json!({"channel": channel})).await;
                assert_eq!(error, denied(), "{who}: {channel}");
            }
        }
    }
    server.stop().await;
}

#[actix_web::test]
async fn asking_to_recover_opens_no_channel_that_is_closed_otherwise() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let foreign = City::found(&server.url, &server.database).await;
    let order = foreign.order_id().await;
    for token in [city.key.clone(), city.ops_token().await] {
        let mut phone = Phone::connect(&server.url, &token).await;
        let own = format!("order:{}", city.order_id().await);
        let seen = phone.subscribe(&own).await;
        for target in [order.clone(), OrderId::new().to_string()] {
            let channel = format!("order:{target}");
            for (offset, epoch) in [
                (&seen["offset"], &seen["epoch"]),
                (&json!(0), &json!("")),
                (&json!(0), &seen["epoch"]),
            ] {
                let subscribe = json!({
                    "channel": channel, "recover": true, "offset": offset, "epoch": epoch,
                });
                assert_eq!(refusal(&mut phone, subscribe).await, denied(), "{channel}");
            }
        }
        // And nothing of it is heard: the next is our own.
        phone.subscribe(if token == city.key { "tenant" } else { "dispatch" }).await;
        let note = json!({"note": token});
        foreign.platform.patch(&format!("/v1/orders/{order}"), note).await.expect(200);
        let next = city.order_id().await;
        assert_eq!(phone.event().await["order"], next.as_str());
    }
    server.stop().await;
}

#[actix_web::test]
async fn a_subscription_is_refused_with_what_is_wrong_about_it() {
    let server = Server::start_with(|config| config.socket.max_subscriptions = 2).await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let mut phone = Phone::connect(&server.url, &city.ops_token().await).await;
    let long = format!("order:{}", "x".repeat(250));
    for (subscribe, code, message) in [
        (json!({"channel": "chat:1"}), 102, "unknown channel"),
        (json!({"channel": "dispatch:1"}), 102, "unknown channel"),
        (json!({"channel": long}), 107, "bad request"),
        (json!({"channel": "dispatch", "tf": {"op": "and"}}), 107, "bad request"),
        (json!({"channel": "dispatch", "type": 1}), 108, "not available"),
    ] {
        let expected = json!({"code": code, "message": message});
        assert_eq!(refusal(&mut phone, subscribe.clone()).await, expected, "{subscribe}");
    }
    for (data, word) in [
        (json!({"store": "nonsense"}), "store"),
        (json!({"status": "cooked"}), "status"),
        (json!({"status": ["placed", "cooked"]}), "status"),
        (json!({"area": [3, 2, 1, 4]}), "area"),
        (json!({"locations": true}), "data"),
        (json!({"store": 7}), "data"),
        (json!([]), "data"),
    ] {
        let error = refusal(&mut phone, json!({"channel": "dispatch", "data": data})).await;
        assert_eq!(error["code"], 107, "{error}");
        assert!(error["message"].as_str().unwrap().contains(word), "{error}");
    }

    phone.subscribe("dispatch").await;
    let error = refusal(&mut phone, json!({"channel": "dispatch"})).await;
    assert_eq!(error, json!({"code": 105, "message": "already subscribed"}));
    phone.subscribe(&format!("order:{order}")).await;
    let third = json!({"channel": format!("order:{}", city.order_id().await)});
    let error = refusal(&mut phone, third.clone()).await;
    assert_eq!(error, json!({"code": 106, "message": "limit exceeded"}));
    phone.ask(json!({"unsubscribe": {"channel": "dispatch"}})).await;
    let reply = phone.ask(json!({"subscribe": third})).await;
    assert!(reply["subscribe"].is_object(), "{reply}");
    server.stop().await;
}

#[actix_web::test]
async fn what_the_protocol_offers_and_we_do_not_is_answered_so() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let mut phone = Phone::connect(&server.url, &city.key).await;
    phone.subscribe("tenant").await;
    for (command, code) in [
        (json!({"presence": {"channel": "tenant"}}), 108),
        (json!({"presence_stats": {"channel": "tenant"}}), 108),
        (json!({"ping": {}}), 108),
        (json!({"publish": {"channel": "tenant", "data": {}}}), 103),
        (json!({"publish": {"channel": "nowhere", "data": {}}}), 103),
        (json!({"sub_refresh": {"channel": "dispatch", "token": "x"}}), 103),
    ] {
        assert_eq!(phone.ask(command.clone()).await["error"]["code"], code, "{command}");
    }
    let reply = phone.ask(json!({"sub_refresh": {"channel": "tenant", "token": "x"}})).await;
    assert_eq!(reply["sub_refresh"], json!({}), "{reply}");
    // There is no reply that could say it.
    phone.send_text(r#"{"send":{"data":{"hi":1}}}"#).await;
    let closed = phone.closed().await;
    assert_eq!((closed.code, closed.reason.as_str()), (Some(3508), "not available"));
    server.stop().await;
}

#[actix_web::test]
async fn nothing_is_heard_after_an_unsubscribe_until_one_subscribes_again() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let channel = format!("order:{order}");
    let unsubscribe = json!({"unsubscribe": {"channel": channel}});
    let mut phone = Phone::connect(&server.url, &city.key).await;
    // Even if there is nothing to end.
    for _ in 0..2 {
        let reply = phone.ask(unsubscribe.clone()).await;
        assert_eq!(reply["unsubscribe"], json!({}), "{reply}");
    }
    let seen = phone.subscribe(&channel).await;
    phone.subscribe("tenant").await;
    let reply = phone.ask(unsubscribe.clone()).await;
    assert_eq!(reply["unsubscribe"], json!({}), "{reply}");
    city.act(&city.platform, &order, "accept", json!({})).await;
    for kind in ["order.accepted", "order.preparing"] {
        let push = phone.push().await;
        assert_eq!(
            (&push["channel"], &push["pub"]["data"]["type"]),
            (&json!("tenant"), &kind.into())
        );
    }
    // An SDK keeps its position over an unsubscribe.
    let offset = seen["offset"].as_u64().unwrap();
    let again = phone.recover(&channel, offset, seen["epoch"].as_str().unwrap()).await;
    assert_eq!(again["publications"].as_array().unwrap().len(), 2, "{again}");
    city.act(&city.platform, &order, "ready", json!({})).await;
    let mut channels = [phone.push().await, phone.push().await].map(|push| push["channel"].clone());
    channels.sort_by_key(ToString::to_string);
    assert_eq!(channels, [json!(channel), json!("tenant")]);
    server.stop().await;
}

#[actix_web::test]
async fn a_dispatcher_hears_only_what_passes_the_filter() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let other_store = city.new_store(json!({})).await;
    let mine = city.order_id().await;
    let theirs = city.order(json!({"store": other_store})).await["id"].as_str().unwrap().to_owned();
    let token = city.ops_token().await;

    let mut by_store = Phone::connect(&server.url, &token).await;
    let data = json!({"store": city.store});
    let reply = by_store.ask(json!({"subscribe": {"channel": "dispatch", "data": data}})).await;
    let orders = reply["subscribe"]["data"]["orders"].as_array().unwrap();
    assert!(orders.len() == 1 && orders[0]["id"] == mine.as_str(), "{reply}");
    let mut by_status = Phone::connect(&server.url, &token).await;
    let filter = json!({"store": [city.store, other_store], "status": ["ready"]});
    let subscribe = json!({"channel": "dispatch", "data": filter});
    let reply = by_status.ask(json!({"subscribe": subscribe})).await;
    assert_eq!(reply["subscribe"]["data"]["orders"], json!([]), "{reply}");
    let position = reply["subscribe"]["offset"].as_u64().unwrap();
    let epoch = reply["subscribe"]["epoch"].as_str().unwrap().to_owned();

    for order in [&theirs, &mine] {
        city.act(&city.platform, order, "accept", json!({})).await;
        city.act(&city.platform, order, "ready", json!({})).await;
    }
    let ops = city.platform.with_token(&token);
    city.act(&ops, &theirs, "unready", json!({})).await;
    city.platform.put(&format!("/v1/stores/{other_store}/pause"), json!({"until": null})).await;
    city.act(&city.platform, &mine, "cancel", json!({"reason": "duplicate"})).await;

    for kind in ["order.accepted", "order.preparing", "order.ready", "order.cancelled"] {
        let event = by_store.event().await;
        assert_eq!((&event["type"], &event["order"]), (&json!(kind), &json!(mine)));
    }
    // What comes to the status, and what leaves it.
    let expected = [
        ("order.ready", &theirs),
        ("order.ready", &mine),
        ("order.unready", &theirs),
        ("order.cancelled", &mine),
    ];
    let mut live = Vec::new();
    for (kind, order) in expected {
        let push = by_status.push().await;
        let event = &push["pub"]["data"];
        assert_eq!((&event["type"], &event["order"]), (&json!(kind), &json!(order)), "{push}");
        live.push(push["pub"].clone());
    }
    // What is recovered passes the same filter.
    let mut late = Phone::connect(&server.url, &token).await;
    let subscribe = json!({
        "channel": "dispatch", "data": filter, "recover": true, "offset": position, "epoch": epoch,
    });
    let reply = late.ask(json!({"subscribe": subscribe})).await;
    assert_eq!(reply["subscribe"]["publications"], json!(live), "{reply}");
    server.stop().await;
}

#[actix_web::test]
async fn a_courier_that_loses_an_order_hears_that_and_nothing_more_of_it() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let second = city.new_driver(json!({"name": "Dana Bell"})).await;
    let order = city.order_id().await;
    let mut first_phone = Phone::connect(&server.url, &city.driver_token().await).await;
    first_phone.subscribe(&format!("driver:{}", city.driver)).await;
    let token = city.token("driver", &second, &[]).await;
    let mut second_phone = Phone::connect(&server.url, &token).await;
    second_phone.subscribe(&format!("driver:{second}")).await;

    city.act(&city.platform, &order, "accept", json!({})).await;
    city.assign(&order).await;
    let event = first_phone.event().await;
    assert_eq!(event["type"], "courier.assigned");
    let whole = &event["data"]["order"];
    assert_eq!((&whole["id"], &whole["dropoff"]["notes"]), (&json!(order), &json!("ring twice")));

    let path = format!("/v1/orders/{order}/driver");
    city.platform.put(&path, json!({"driver": second})).await.expect(200);
    let event = first_phone.event().await;
    assert_eq!((&event["type"], &event["data"]), (&json!("courier.changed"), &json!({})));
    let event = second_phone.event().await;
    assert_eq!(event["type"], "courier.changed");
    assert_eq!(event["data"]["order"]["id"], order.as_str());
    assert_eq!(event["data"]["order"]["dropoff"]["address"], "Hauptstr. 1, Mitte, Berlin");

    city.act(&city.platform, &order, "ready", json!({})).await;
    assert_eq!(second_phone.event().await["type"], "order.ready");
    city.platform.send(awc::http::Method::DELETE, &path, &[], Vec::new()).await.expect(200);
    let event = second_phone.event().await;
    assert_eq!(event["type"], "courier.unassigned");
    let told = event["data"].as_object().unwrap();
    assert!(told.keys().all(|key| ["code", "by"].contains(&key.as_str())), "{event}");
    city.act(&city.platform, &order, "cancel", json!({"reason": "duplicate"})).await;

    // The next that each of them hears is about itself.
    for (driver, phone) in [(&city.driver, &mut first_phone), (&second, &mut second_phone)] {
        let duty = json!({"duty": "off"});
        city.platform.put(&format!("/v1/drivers/{driver}/duty"), duty).await.expect(200);
        assert_eq!(phone.event().await["type"], "driver.duty");
    }
    // Nor does it hear more when it asks for what it missed.
    let mut late = Phone::connect(&server.url, &city.driver_token().await).await;
    let channel = format!("driver:{}", city.driver);
    let recovered = late.recover(&channel, 0, "").await;
    let publications = recovered["publications"].as_array().unwrap();
    let kinds: Vec<_> =
        publications.iter().map(|one| one["data"]["type"].as_str().unwrap()).collect();
    let expected = ["driver.duty", "courier.assigned", "courier.changed", "driver.duty"];
    assert_eq!(kinds, expected);
    server.stop().await;
}

#[actix_web::test]
async fn the_past_of_a_channel_can_be_read_from_either_end() {
    let server = Server::start_with(|config| config.socket.history_limit = 5).await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let channel = format!("order:{order}");
    let mut phone = Phone::connect(&server.url, &city.key).await;
    let seen = phone.subscribe(&channel).await;
    let first = seen["offset"].as_u64().unwrap();
    city.act(&city.platform, &order, "accept", json!({})).await;
    city.act(&city.platform, &order, "ready", json!({})).await;
    for nth in 0..3 {
        let note = json!({"note": format!("note {nth}")});
        city.platform.patch(&format!("/v1/orders/{order}"), note).await.expect(200);
    }
    let mut live = Vec::new();
    for _ in 0..6 {
        live.push(phone.push().await["pub"].clone());
    }
    let top = live[5]["offset"].as_u64().unwrap();
    let mut history = async |ask: Value| {
        let mut ask = ask;
        ask["channel"] = channel.as_str().into();
        phone.ask(json!({"history": ask})).await
    };

    let epoch = &seen["epoch"];
    let reply = history(json!({})).await;
    assert_eq!(reply["history"], json!({"epoch": epoch, "offset": top, "publications": []}));
    let since = json!({"offset": first, "epoch": epoch});
    for (ask, expected) in [
        (json!({"limit": 2, "since": since}), &live[..2]),
        (json!({"limit": -1, "since": since}), &live[..5]),
        (json!({"limit": 100, "since": since}), &live[..5]),
        (json!({"limit": 3, "since": {"offset": live[2]["offset"]}}), &live[3..]),
        (json!({"limit": 3, "since": {"offset": top, "epoch": epoch}}), &[][..]),
    ] {
        let reply = history(ask.clone()).await;
        let read = &reply["history"];
        assert_eq!(read["publications"], json!(expected), "{ask}");
        assert_eq!((&read["epoch"], &read["offset"]), (epoch, &json!(top)), "{ask}");
    }
    let newest_first: Vec<Value> = live.iter().rev().cloned().collect();
    let reply = history(json!({"limit": 2, "reverse": true})).await;
    assert_eq!(reply["history"]["publications"], json!(newest_first[..2]));
    let below = json!({"limit": 2, "reverse": true, "since": {"offset": live[2]["offset"]}});
    let reply = history(below).await;
    assert_eq!(reply["history"]["publications"], json!(newest_first[4..]));
    let reply = history(json!({"limit": 1})).await;
    assert_eq!(reply["history"]["publications"][0]["data"]["type"], "order.placed");
    let wrong = history(json!({"limit": 2, "since": {"offset": 1, "epoch": "wrong"}})).await;
    assert_eq!(wrong["error"], json!({"code": 112, "message": "unrecoverable position"}));
    server.stop().await;
}

#[actix_web::test]
async fn the_past_of_a_channel_is_for_those_who_may_hear_it() {
    let server = Server::start_with(|config| config.socket.reply_timeout_ms = of(4_000)).await;
    let city = City::found(&server.url, &server.database).await;
    let foreign = City::found(&server.url, &server.database).await;
    let order = foreign.order_id().await;
    let mut phone = Phone::connect(&server.url, &city.key).await;
    for (channel, code) in [
        (format!("order:{order}"), 103),
        (format!("order:{}", OrderId::new()), 103),
        (format!("store:{}", city.store), 103),
        ("dispatch".to_owned(), 103),
        ("chat".to_owned(), 102),
    ] {
        let reply = phone.ask(json!({"history": {"channel": channel, "limit": 1}})).await;
        assert_eq!(reply["error"]["code"], code, "{channel}: {reply}");
    }
    phone.send(json!({"history": {"channel": ""}})).await;
    assert_eq!(phone.closed().await.code, Some(3501));
    server.stop().await;
}
