//! The personal feed: what a customer, a courier or a store could hear by itself, under one name,
//! which an app asks for as it connects.

use serde_json::{Value, json};

use crate::support::{City, Phone, Server};

/// Connects with this `data` and these positions; the subscriptions that the server made.
async fn connect(url: &str, token: &str, data: Value, subs: Value) -> (Phone, Value) {
    let mut phone = Phone::open(url).await;
    let connect = json!({"connect": {"token": token, "data": data, "subs": subs}});
    let reply = phone.ask(connect).await;
    assert!(phone.pushes.is_empty(), "a push before the reply: {:?}", phone.pushes);
    assert!(reply["connect"]["client"].is_string(), "{reply}");
    (phone, reply["connect"]["subs"].clone())
}

/// Connects and asks for the feed; what stands behind its name, which is the only one.
async fn ask(url: &str, token: &str, subject: &str) -> (Phone, Value) {
    let (phone, subs) = connect(url, token, json!({"personal": true}), json!({})).await;
    assert_eq!(subs.as_object().unwrap().len(), 1, "{subs}");
    (phone, subs[format!("#{subject}")].clone())
}

/// Comes back with where it stood; what stands behind the name now.
async fn come_back(url: &str, token: &str, name: &str, seen: &Value) -> (Phone, Value) {
    let position = json!({"recover": true, "offset": seen["offset"], "epoch": seen["epoch"]});
    let (phone, subs) = connect(url, token, Value::Null, json!({name: position})).await;
    assert_eq!(subs.as_object().unwrap().len(), 1, "{subs}");
    (phone, subs[name].clone())
}

/// The next publication, which must be on this channel.
async fn heard(phone: &mut Phone, channel: &str) -> Value {
    let push = phone.push().await;
    assert_eq!(push["channel"], channel, "{push}");
    push["pub"].clone()
}

#[actix_web::test]
async fn who_does_not_ask_and_who_has_none_gets_none() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let customer = city.customer_token(&order).await;
    for data in [Value::Null, json!({}), json!({"personal": false}), json!("personal"), json!([1])]
    {
        let (_phone, subs) = connect(&server.url, &customer, data, json!({})).await;
        assert_eq!(subs, Value::Null);
    }
    for token in [city.key.clone(), city.ops_token().await] {
        let asked = json!({"personal": true});
        let (_phone, subs) = connect(&server.url, &token, asked, json!({})).await;
        assert_eq!(subs, Value::Null);
    }
    // A position grants nothing: neither another's feed nor a channel.
    let wished = json!({"recover": true, "offset": 0, "epoch": ""});
    let subs = json!({"#another": wished, "dispatch": wished, format!("order:{order}"): wished});
    let (mut phone, subs) = connect(&server.url, &customer, Value::Null, subs).await;
    assert_eq!(subs, Value::Null);
    for channel in ["#another", "#customer-1"] {
        let reply = phone.ask(json!({"subscribe": {"channel": channel}})).await;
        assert_eq!(reply["error"]["code"], 102, "{channel}: {reply}");
    }
    server.stop().await;
}

#[actix_web::test]
async fn a_customer_with_two_orders_hears_both_in_the_order_of_the_log_under_one_name() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let (one, two, other) = (city.order_id().await, city.order_id().await, city.order_id().await);
    let token = city.token("customer", "ann", &[&one, &two]).await;
    let (mut phone, seen) = ask(&server.url, &token, "ann").await;
    assert_eq!((&seen["recoverable"], &seen["positioned"]), (&json!(true), &json!(true)));
    let mut keys: Vec<_> = seen.as_object().unwrap().keys().collect();
    keys.sort();
    assert_eq!(keys, ["epoch", "offset", "positioned", "recoverable"]);
    let top = city.platform.get("/v1/events").await.expect(200)["next"].clone();
    assert_eq!(seen["offset"], top);
    // Each by itself, to compare with.
    let mut each = Phone::connect(&server.url, &token).await;
    for order in [&one, &two] {
        each.subscribe(&format!("order:{order}")).await;
    }
    for order in [&one, &other, &two] {
        let path = format!("/v1/orders/{order}/accept");
        city.platform.post(&path, json!({})).await.expect(200);
    }
    city.act(&city.platform, &two, "ready", json!({})).await;
    city.act(&city.platform, &one, "ready", json!({})).await;
    let mut positions = Vec::new();
    let mut live = Vec::new();
    for order in [&one, &one, &two, &two, &two, &one] {
        let publication = heard(&mut phone, "#ann").await;
        assert_eq!(publication["data"]["order"], order.as_str());
        assert_eq!(publication, each.push().await["pub"]);
        positions.push(publication["offset"].as_u64().unwrap());
        live.push(publication);
    }
    assert!(positions.is_sorted_by(|a, b| a < b), "{positions:?}");
    phone.drop_connection();

    // Coming back, asked for by its position alone: exactly what was missed, and on it goes.
    let (mut back, again) = come_back(&server.url, &token, "#ann", &seen).await;
    assert_eq!((&again["was_recovering"], &again["recovered"]), (&json!(true), &json!(true)));
    assert_eq!((&again["offset"], &again["epoch"]), (&seen["offset"], &seen["epoch"]));
    assert_eq!(again["publications"], json!(live));
    let ops = city.platform.with_token(&city.ops_token().await);
    city.act(&ops, &two, "unready", json!({})).await;
    assert_eq!(heard(&mut back, "#ann").await["data"]["type"], "order.unready");
    let midway = json!({"offset": positions[3], "epoch": seen["epoch"]});
    let (_phone, again) = come_back(&server.url, &token, "#ann", &midway).await;
    let missed = again["publications"].as_array().unwrap();
    assert_eq!(missed[..2], live[4..]);
    assert_eq!(missed.len(), 3);
    // It is a subscription like another, but for the name.
    let history = back.ask(json!({"history": {"channel": "#ann", "limit": -1}})).await;
    let kinds = history["history"]["publications"].as_array().unwrap().len();
    assert_eq!(kinds, 2 + live.len() + 1, "{history}");
    server.stop().await;
}

#[actix_web::test]
async fn what_cannot_be_recovered_is_not_said_to_be() {
    let server = Server::start_with(|config| config.socket.recovery_limit = 2).await;
    let city = City::found(&server.url, &server.database).await;
    let (one, two) = (city.order_id().await, city.order_id().await);
    let token = city.token("customer", "ann", &[&one, &two]).await;
    let (_phone, seen) = ask(&server.url, &token, "ann").await;
    city.act(&city.platform, &one, "accept", json!({})).await;
    let (_phone, again) = come_back(&server.url, &token, "#ann", &seen).await;
    assert_eq!(again["publications"].as_array().unwrap().len(), 2);
    // Two are as many as there may be, of all orders together.
    city.act(&city.platform, &two, "accept", json!({})).await;
    let another = json!({"offset": seen["offset"], "epoch": "another"});
    for (why, position) in [("too much was missed", &seen), ("another log", &another)] {
        let top = city.platform.get("/v1/events").await.expect(200)["next"].clone();
        let (mut phone, again) = come_back(&server.url, &token, "#ann", position).await;
        let mut keys: Vec<_> = again.as_object().unwrap().keys().collect();
        keys.sort();
        let expected = ["epoch", "offset", "positioned", "recoverable", "was_recovering"];
        assert_eq!(keys, expected, "{why}: {again}");
        assert_eq!((&again["offset"], &again["epoch"]), (&top, &seen["epoch"]), "{why}");
        city.platform.patch(&format!("/v1/orders/{one}"), json!({"note": why})).await.expect(200);
        assert_eq!(heard(&mut phone, "#ann").await["data"]["type"], "order.updated", "{why}");
    }
    server.stop().await;
}

#[actix_web::test]
async fn stores_and_couriers_hear_their_own_as_on_their_channel() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let elsewhere = city.new_store(json!({})).await;
    let order = city.order_id().await;
    let other = city.order(json!({"store": elsewhere})).await["id"].as_str().unwrap().to_owned();
    let mut parties = Vec::new();
    for (kind, subject) in [("store", &city.store), ("driver", &city.driver)] {
        let token = city.token(kind, subject, &[]).await;
        let (personal, seen) = ask(&server.url, &token, subject).await;
        let mut own = Phone::connect(&server.url, &token).await;
        own.subscribe(&format!("{kind}:{subject}")).await;
        parties.push((format!("#{subject}"), token, personal, own, seen));
    }
    for order in [&other, &order] {
        city.act(&city.platform, order, "accept", json!({})).await;
        city.assign(order).await;
    }
    let courier = city.platform.with_token(&city.driver_token().await);
    let reason = json!({"reason": "vehicle"});
    city.act(&courier, &other, "drop", reason.clone()).await;
    city.act(&courier, &order, "drop", reason).await;
    for (name, token, personal, own, seen) in &mut parties {
        let mut live = Vec::new();
        loop {
            let publication = heard(personal, name).await;
            assert_eq!(publication, own.push().await["pub"], "{name}");
            let event = &publication["data"];
            let last = event["order"] == *order && event["type"] == "courier.unassigned";
            live.push(publication);
            if last {
                break;
            }
        }
        let (_phone, again) = come_back(&server.url, token, name, seen).await;
        assert_eq!(again["publications"], json!(live), "{name}");
    }
    server.stop().await;
}

#[actix_web::test]
async fn the_feed_goes_with_the_connection_until_the_token_names_another_order() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let (one, two) = (city.order_id().await, city.order_id().await);
    let token = city.token("customer", "ann", &[&one]).await;
    let (mut phone, _seen) = ask(&server.url, &token, "ann").await;
    let newer = city.token("customer", "ann", &[&one, &two]).await;
    let reply = phone.ask(json!({"refresh": {"token": newer}})).await;
    assert!(reply["refresh"].is_object(), "{reply}");
    city.act(&city.platform, &one, "accept", json!({})).await;
    assert_eq!(heard(&mut phone, "#ann").await["data"]["type"], "order.accepted");
    // The client may end it like any other.
    let reply = phone.ask(json!({"unsubscribe": {"channel": "#ann"}})).await;
    assert!(reply["unsubscribe"].is_object(), "{reply}");
    server.stop().await;
}
