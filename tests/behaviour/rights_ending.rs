//! Rights that end while a socket is open: the last that is heard is the event that says so, the
//! end follows in the same moment, and there is no way back.

use serde_json::{Value, json};

use crate::support::{City, Closed, Phone, Process, Scratch, Server, of};

const DENIED: u64 = 103;

/// The next push, which must be the end of the subscription to `channel`.
async fn ends(phone: &mut Phone, channel: &str) {
    let push = phone.push().await;
    let end = json!({"code": 2000, "reason": "server unsubscribe"});
    assert_eq!(push, json!({"channel": channel, "unsubscribe": end}));
}

/// Asserts that the channel is not opened again, with or without a position.
async fn stays_shut(phone: &mut Phone, channel: &str, seen: &Value) {
    for ask in [
        json!({"channel": channel}),
        json!({"channel": channel, "recover": true, "offset": seen["offset"], "epoch": seen["epoch"]}),
    ] {
        let reply = phone.ask(json!({"subscribe": ask})).await;
        assert_eq!(reply["error"]["code"], DENIED, "{channel}: {reply}");
    }
}

#[actix_web::test]
async fn a_courier_hears_an_order_while_it_has_it() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let channel = format!("order:{order}");
    let mut courier = Phone::connect(&server.url, &city.driver_token().await).await;
    let reply = courier.ask(json!({"subscribe": {"channel": channel}})).await;
    assert_eq!(reply["error"]["code"], DENIED, "not before: {reply}");
    city.act(&city.platform, &order, "accept", json!({})).await;
    city.assign(&order).await;
    let seen = courier.subscribe(&channel).await;
    assert_eq!(seen["data"]["order"]["id"], order.as_str());
    city.act(&city.platform, &order, "ready", json!({})).await;
    assert_eq!(courier.event().await["type"], "order.ready");

    // Handed over: the one loses it in the moment the other gets it.
    let next = city.new_driver(json!({})).await;
    let duty = format!("/v1/drivers/{next}/duty");
    city.platform.put(&duty, json!({"duty": "on"})).await.expect(200);
    let own = format!("driver:{}", city.driver);
    courier.subscribe(&own).await;
    city.platform
        .put(&format!("/v1/orders/{order}/driver"), json!({"driver": next}))
        .await
        .expect(200);
    let mut heard = Vec::new();
    for _ in 0..3 {
        let push = courier.push().await;
        let what = push["pub"]["data"]["type"].as_str().unwrap_or("the end");
        heard.push((push["channel"].as_str().unwrap().to_owned(), what.to_owned()));
    }
    let on = |name: &str| -> Vec<&str> {
        heard.iter().filter(|it| it.0 == name).map(|it| it.1.as_str()).collect()
    };
    assert_eq!(on(&channel), ["courier.changed", "the end"]);
    assert_eq!(on(&own), ["courier.changed"]);
    stays_shut(&mut courier, &channel, &seen).await;

    // For the other it is over with the order.
    let token = city.token("driver", &next, &[]).await;
    let mut other = Phone::connect(&server.url, &token).await;
    let seen = other.subscribe(&channel).await;
    city.act(&city.platform, &order, "cancel", json!({"reason": "duplicate"})).await;
    assert_eq!(other.event().await["type"], "order.cancelled");
    ends(&mut other, &channel).await;
    stays_shut(&mut other, &channel, &seen).await;
    server.stop().await;
}

#[actix_web::test]
async fn who_is_deleted_hears_that_and_no_more() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    for (kind, id, path) in [
        ("store", city.new_store(json!({})).await, "stores"),
        ("driver", city.new_driver(json!({})).await, "drivers"),
    ] {
        let token = city.token(kind, &id, &[]).await;
        let channel = format!("{kind}:{id}");
        let mut phone = Phone::connect(&server.url, &token).await;
        let seen = phone.subscribe(&channel).await;
        // The personal feed ends as well.
        let mut own = Phone::open(&server.url).await;
        let connect = json!({"connect": {"token": token, "data": {"personal": true}}});
        let reply = own.ask(connect).await;
        let personal = format!("#{id}");
        assert!(reply["connect"]["subs"][&personal].is_object(), "{reply}");
        city.platform.delete(&format!("/v1/{path}/{id}")).await.expect(204);
        assert_eq!(phone.event().await["type"], format!("{kind}.deleted"));
        ends(&mut phone, &channel).await;
        assert_eq!(own.event().await["type"], format!("{kind}.deleted"));
        ends(&mut own, &personal).await;
        stays_shut(&mut phone, &channel, &seen).await;
        // Nor by connecting again, with the position of before or none.
        for subs in [json!({}), json!({&personal: {"recover": true, "offset": seen["offset"]}})] {
            let mut again = Phone::open(&server.url).await;
            let connect = json!({"token": token, "data": {"personal": true}, "subs": subs});
            let reply = again.ask(json!({"connect": connect})).await;
            assert!(reply["connect"].get("subs").is_none(), "{reply}");
        }
    }
    server.stop().await;
}

#[actix_web::test]
async fn every_socket_of_a_revoked_token_is_closed_for_good_in_every_process() {
    let database = Scratch::create().await;
    let (one, two) = (Process::serve(&database).await, Process::serve(&database).await);
    let city = City::found(&one.url, &database).await;
    let body = json!({"kind": "ops", "subject": "ann"});
    let issue = async || {
        let issued = city.platform.post("/v1/tokens", body.clone()).await.expect(201);
        let text = |name: &str| issued[name].as_str().unwrap().to_owned();
        (text("id"), text("token"))
    };
    let ((id, revoked), (_id, kept)) = (issue().await, issue().await);
    let mut closing = Vec::new();
    let mut staying = Vec::new();
    for url in [&one.url, &two.url] {
        for token in [&revoked, &kept] {
            let mut phone = Phone::connect(url, token).await;
            phone.subscribe("dispatch").await;
            if *token == revoked { closing.push(phone) } else { staying.push(phone) }
        }
        // One that has not subscribed stands on the token as well.
        closing.push(Phone::connect(url, &revoked).await);
    }
    city.platform.delete(&format!("/v1/tokens/{id}")).await.expect(204);
    let invalid = Closed { code: Some(3500), reason: "invalid token".to_owned() };
    for phone in &mut closing {
        assert_eq!(phone.closed().await, invalid);
    }
    for phone in &mut staying {
        assert_eq!(phone.event().await["type"], "token.revoked");
        city.order_id().await;
        assert_eq!(phone.event().await["type"], "order.placed");
    }
    drop((closing, staying));
    assert_eq!(one.terminate(), Some(0));
    assert_eq!(two.terminate(), Some(0));
}

/// A subscription token for `ann`, and its identifier.
async fn permit(city: &City, order: &str, ttl_s: u64) -> (String, String) {
    let channel = format!("order:{order}");
    let body = json!({"kind": "customer", "subject": "ann", "channel": channel, "ttl_s": ttl_s});
    let issued = city.platform.post("/v1/tokens", body).await.expect(201);
    let text = |name: &str| issued[name].as_str().unwrap().to_owned();
    (text("id"), text("token"))
}

#[actix_web::test]
async fn a_subscription_token_opens_one_channel_until_it_ends_or_is_revoked() {
    let server = Server::start_with(|config| config.socket.expiry_grace_s = of(0)).await;
    let city = City::found(&server.url, &server.database).await;
    let (first, second) = (city.order_id().await, city.order_id().await);
    let connection = city.token("customer", "ann", &[&first]).await;
    let mut phone = Phone::connect(&server.url, &connection).await;
    let channel = format!("order:{second}");
    let subscribe = |token: &str| json!({"subscribe": {"channel": channel, "token": token}});
    let reply = phone.ask(subscribe("")).await;
    assert_eq!(reply["error"]["code"], DENIED, "{reply}");
    let reply = phone.ask(subscribe("a.b.c")).await;
    assert_eq!(reply["error"]["code"], DENIED, "{reply}");

    let (id, token) = permit(&city, &second, 600).await;
    let reply = phone.ask(subscribe(&token)).await;
    assert_eq!(reply["subscribe"]["data"]["order"]["id"], second.as_str(), "{reply}");
    let ttl = reply["subscribe"]["ttl"].as_u64().unwrap();
    assert!(reply["subscribe"]["expires"] == true && (1..=600).contains(&ttl), "{reply}");
    // Renewing it, and a newer token of the connection, change nothing of what is heard.
    let renew = |token: &str| json!({"sub_refresh": {"channel": channel, "token": token}});
    let (renewed, newer) = permit(&city, &second, 900).await;
    let reply = phone.ask(renew(&newer)).await;
    assert!(reply["sub_refresh"]["ttl"].as_u64().unwrap() > 600, "{reply}");
    let fresh = city.token("customer", "ann", &[&first]).await;
    let reply = phone.ask(json!({"refresh": {"token": fresh}})).await;
    assert_eq!(reply["refresh"]["expires"], true, "{reply}");
    city.act(&city.platform, &second, "accept", json!({})).await;
    assert_eq!(phone.event().await["type"], "order.accepted");
    assert_eq!(phone.event().await["type"], "order.preparing");

    // Revoked, it ends the one subscription that stands on it; the one before is nothing to it.
    phone.subscribe(&format!("order:{first}")).await;
    for id in [id, renewed] {
        city.platform.delete(&format!("/v1/tokens/{id}")).await.expect(204);
    }
    ends(&mut phone, &channel).await;
    assert_eq!(phone.pushes.len(), 0);
    for token in [token, newer] {
        let reply = phone.ask(subscribe(&token)).await;
        assert_eq!(reply["error"]["code"], DENIED, "{reply}");
    }
    city.act(&city.platform, &first, "accept", json!({})).await;
    assert_eq!(phone.event().await["order"], first.as_str());
    assert_eq!(phone.event().await["type"], "order.preparing");

    // One that is not renewed ends by itself, so that the SDK brings another.
    let (_id, token) = permit(&city, &second, 1).await;
    assert!(phone.ask(subscribe(&token)).await["subscribe"].is_object());
    let push = phone.push().await;
    let expired = json!({"code": 2501, "reason": "subscription expired"});
    assert_eq!(push, json!({"channel": channel, "unsubscribe": expired}));
    let reply = phone.ask(subscribe(&token)).await;
    assert_eq!(reply["error"]["code"], 109, "{reply}");
    let reply = phone.ask(renew(&token)).await;
    assert_eq!(reply["error"]["code"], DENIED, "not subscribed: {reply}");
    server.stop().await;
}

#[actix_web::test]
async fn a_good_subscription_token_in_the_wrong_place_ends_the_connection() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let (first, second) = (city.order_id().await, city.order_id().await);
    let (_id, token) = permit(&city, &first, 600).await;
    let own = format!("order:{first}");
    let other = format!("order:{second}");
    let invalid = Closed { code: Some(3500), reason: "invalid token".to_owned() };
    for (subject, channel, command) in
        [("bob", &own, "subscribe"), ("ann", &other, "subscribe"), ("ann", &other, "sub_refresh")]
    {
        let connection = city.token("customer", subject, &[&second]).await;
        let mut phone = Phone::connect(&server.url, &connection).await;
        if command == "sub_refresh" {
            let (_id, good) = permit(&city, &second, 600).await;
            let subscribe = json!({"channel": channel, "token": good});
            assert!(phone.ask(json!({"subscribe": subscribe})).await["subscribe"].is_object());
        }
        phone.send(json!({command: {"channel": channel, "token": token}})).await;
        assert_eq!(phone.closed().await, invalid, "{subject} {channel} {command}");
    }
    // An ended one closes with a code of its own where a newer one was to come.
    let connection = city.token("customer", "ann", &[&second]).await;
    let mut phone = Phone::connect(&server.url, &connection).await;
    let (_id, good) = permit(&city, &second, 600).await;
    let reply = phone.ask(json!({"subscribe": {"channel": other, "token": good}})).await;
    assert!(reply["subscribe"].is_object(), "{reply}");
    let (_id, ended) = permit(&city, &second, 1).await;
    crate::support::until("the token to end", async || {
        let judged = server.app().api().permit(&ended).await;
        judged.is_err().then_some(())
    })
    .await;
    phone.send(json!({"sub_refresh": {"channel": other, "token": ended}})).await;
    let expired = Closed { code: Some(3006), reason: "subscription expired".to_owned() };
    assert_eq!(phone.closed().await, expired);
    server.stop().await;
}
