//! Following an order: the snapshot, and every change after it.

use serde_json::json;

use crate::support::{City, Phone, Rest, Server};

#[actix_web::test]
async fn everyone_who_may_watch_an_order_hears_each_change_of_it() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;

    let mut customer = Phone::connect(&server.url, &city.customer_token(&order).await).await;
    let seen = customer.subscribe(&format!("order:{order}")).await;
    assert_eq!(seen["data"]["order"]["id"], order.as_str());
    assert_eq!(seen["recoverable"], true);
    let mut store = Phone::connect(&server.url, &city.store_token().await).await;
    let seen = store.subscribe(&format!("store:{}", city.store)).await;
    assert_eq!(seen["data"]["orders"][0]["status"], "placed");
    let mut board = Phone::connect(&server.url, &city.ops_token().await).await;
    board.subscribe("dispatch").await;
    let mut platform = Phone::connect(&server.url, &city.key).await;
    platform.subscribe("tenant").await;
    let mut courier = Phone::connect(&server.url, &city.driver_token().await).await;
    courier.subscribe(&format!("driver:{}", city.driver)).await;

    let tablet = Rest::new(&server.url, Some(&city.store_token().await));
    city.act(&tablet, &order, "accept", json!({"prep_min": 15})).await;
    city.assign(&order).await;
    for method in ["order.at_store", "order.pickup", "order.at_door", "order.deliver"] {
        let reply = courier.rpc(method, json!({"order": order})).await;
        assert!(reply["rpc"]["data"]["id"] == order.as_str(), "{method}: {reply}");
    }

    let all = [
        "order.accepted",
        "order.preparing",
        "courier.assigned",
        "courier.at_store",
        "order.ready",
        "order.picked_up",
        "courier.at_door",
        "order.delivered",
    ];
    for phone in [&mut customer, &mut store, &mut board, &mut platform] {
        let mut last = 0;
        for kind in all {
            let event = phone.event().await;
            assert_eq!(event["type"], kind);
            let position = event["position"].as_u64().unwrap();
            assert!(position > last, "{position} after {last}");
            last = position;
        }
    }
    for kind in &all[2..] {
        assert_eq!(courier.event().await["type"], *kind);
    }
    server.stop().await;
}
