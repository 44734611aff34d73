//! Who comes back to a channel and recovers sees where the courier is at once, as a state would
//! have said; and nobody else does.

use serde_json::{Value, json};

use crate::sightings::{heard, listener, prompt, tell};
use crate::support::{Fleet, Phone, Server};

/// Comes back to a channel by recovery: the points told right after the reply.
async fn back(url: &str, token: &str, ask: Value, from: (u64, &str)) -> Vec<i64> {
    let mut phone = Phone::connect(url, token).await;
    let mut subscribe = ask;
    subscribe["recover"] = true.into();
    subscribe["offset"] = from.0.into();
    subscribe["epoch"] = from.1.into();
    let reply = phone.ask(json!({"subscribe": subscribe})).await;
    assert_eq!(reply["subscribe"]["recovered"], true, "{reply}");
    // What follows the reply at once has come before the answer to anything else.
    phone.catch_up().await;
    for push in &phone.locations {
        assert!(push["pub"].get("offset").is_none(), "{push}");
        assert_eq!(push["channel"], subscribe["channel"], "{push}");
    }
    phone.locations.iter().map(|push| push["pub"]["data"]["data"]["n"].as_i64().unwrap()).collect()
}

#[actix_web::test]
async fn who_recovers_sees_the_newest_point_at_once_if_it_may_see_any() {
    let server = Server::start_with(prompt).await;
    let url = server.url.as_str();
    let fleet = Fleet::found(&server, None).await;
    let city = &fleet.city;
    let courier = fleet.courier(Some(900.0)).await;
    let order = fleet.accepted(10).await;
    let on_order = format!("order:{order}");
    let on_store = format!("store:{}", city.store);
    let (token, store, ops) =
        (city.customer_token(&order).await, city.store_token().await, city.ops_token().await);
    let made = city.platform.post(&format!("/v1/orders/{order}/links"), json!({})).await;
    let link = made.expect(201)["token"].as_str().unwrap().to_owned();
    let mut customer = Phone::connect(url, &token).await;
    let state = customer.subscribe(&on_order).await;
    let epoch = state["epoch"].as_str().unwrap();
    let mut tablet = listener(url, &store, &on_store).await;
    fleet.assign(&order, &courier).await;
    let n = tell(&courier, 52.528, 13.405).await;
    heard(&mut tablet, n).await;

    // On its way to the store, which sees it; the customer does not.
    let to = |channel: &str| json!({"channel": channel});
    let here = (fleet.head().await, epoch);
    assert_eq!(back(url, &store, to(&on_store), here).await, [n]);
    assert_eq!(back(url, &ops, to(&on_order), here).await, [n]);
    for token in [&token, &link] {
        assert!(back(url, token, to(&on_order), here).await.is_empty());
    }

    city.act(&courier.rest, &order, "pickup", json!({})).await;
    heard(&mut customer, n).await;
    let here = (fleet.head().await, epoch);
    for token in [&token, &link, &ops, &city.key] {
        assert_eq!(back(url, token, to(&on_order), here).await, [n]);
    }
    assert_eq!(back(url, &ops, to("dispatch"), here).await, [n]);
    let asks = json!({"channel": "tenant", "data": {"locations": true}});
    assert_eq!(back(url, &city.key, asks, here).await, [n]);
    // Not where it was not asked for, is not, or is no more to be seen.
    assert!(back(url, &city.key, to("tenant"), here).await.is_empty());
    let elsewhere = json!({"channel": "dispatch", "data": {"area": [40.0, 13.0, 41.0, 14.0]}});
    assert!(back(url, &ops, elsewhere, here).await.is_empty());
    assert!(back(url, &store, to(&on_store), here).await.is_empty());
    let own = to(&format!("driver:{}", courier.id));
    assert!(back(url, &courier.token, own, here).await.is_empty());
    // The state says the same.
    let mut late = Phone::connect(url, &token).await;
    assert_eq!(late.subscribe(&on_order).await["data"]["location"]["n"], n);

    // Whoever was away as its window closed hears that, and sees nothing any more.
    city.act(&courier.rest, &order, "deliver", json!({})).await;
    while customer.event().await["type"] != "order.delivered" {}
    for token in [&token, &link, &ops] {
        assert!(back(url, token, to(&on_order), here).await.is_empty());
    }
    assert_eq!(back(url, &ops, to("dispatch"), here).await, [n]);
    server.stop().await;
}

#[actix_web::test]
async fn a_stop_before_is_no_window_also_for_who_recovers() {
    let server = Server::start_with(prompt).await;
    let url = server.url.as_str();
    let fleet = Fleet::found(&server, None).await;
    let courier = fleet.courier(Some(300.0)).await;
    let orders = [fleet.accepted(10).await, fleet.accepted(10).await];
    let mut customers = Vec::new();
    for order in &orders {
        fleet.assign(order, &courier).await;
        let token = fleet.city.customer_token(order).await;
        let phone = listener(url, &token, &format!("order:{order}")).await;
        customers.push((token, phone));
    }
    let path = format!("/v1/drivers/{}/route", courier.id);
    fleet.ops.put(&path, json!({"orders": [orders[1], orders[0]]})).await.expect(200);
    for order in &orders {
        fleet.city.act(&courier.rest, order, "pickup", json!({})).await;
    }
    let n = tell(&courier, 52.521, 13.405).await;
    heard(&mut customers[1].1, n).await;
    let mut late = Phone::connect(url, &customers[0].0).await;
    let state = late.subscribe(&format!("order:{}", orders[0])).await;
    let here = (fleet.head().await, state["epoch"].as_str().unwrap());
    let shown = [vec![], vec![n]];
    for ((order, (token, _)), shown) in orders.iter().zip(&customers).zip(shown) {
        let ask = json!({"channel": format!("order:{order}")});
        assert_eq!(back(url, token, ask, here).await, shown, "{order}");
    }
    server.stop().await;
}
