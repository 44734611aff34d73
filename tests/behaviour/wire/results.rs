//! What commands are answered with, and what comes by itself.

use serde_json::json;

use super::{closed, error, members, permit, publications};
use crate::support::dialect::BOTH;
use crate::support::{Caller, City, Server};

#[actix_web::test]
async fn whoever_is_there_is_seen_and_counted() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let channel = format!("order:{order}");
    let token = city.customer_token(&order).await;
    for codec in BOTH {
        let (mut asker, _) = Caller::connect(&server.url, codec, &city.key).await;
        let none = json!({"presence": {}});
        let presence = json!({"id": 4, "presence": {"channel": channel}});
        let stats = json!({"id": 5, "presence_stats": {"channel": channel}});
        assert_eq!(asker.ask(presence.clone()).await, json!({"id": 4, "presence": none}));
        let zeros = json!({"num_clients": 0, "num_users": 0});
        assert_eq!(asker.ask(stats.clone()).await, json!({"id": 5, "presence_stats": zeros}));

        let mut seen = json!({});
        let mut customers = Vec::new();
        for _ in 0..2 {
            let (mut customer, connected) = Caller::connect(&server.url, codec, &token).await;
            customer.ask(json!({"id": 2, "subscribe": {"channel": channel}})).await;
            let client = connected["client"].as_str().unwrap();
            seen[client] = json!({"client": client, "user": "customer-1",
                "conn_info": {"role": "customer"}});
            customers.push(customer);
        }
        let reply = asker.ask(presence).await;
        assert_eq!(reply, json!({"id": 4, "presence": {"presence": seen}}), "{codec:?}");
        let two = json!({"num_clients": 2, "num_users": 1});
        assert_eq!(asker.ask(stats).await, json!({"id": 5, "presence_stats": two}));
        for customer in &mut customers {
            customer.ask(json!({"id": 3, "unsubscribe": {"channel": channel}})).await;
        }
    }
    server.stop().await;
}

#[actix_web::test]
async fn a_feed_of_ones_own_comes_with_the_connect_and_is_recovered_by_it() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    for codec in BOTH {
        let order = city.order_id().await;
        let token = city.customer_token(&order).await;
        let (feed, data) = ("#customer-1", json!({"personal": true}));
        let mut caller = Caller::open(&server.url, codec).await;
        let connect = json!({"id": 1, "connect": {"token": token, "data": data}});
        let reply = caller.ask(connect).await;
        let begun = reply["connect"]["subs"][feed].clone();
        assert_eq!(members(&reply["connect"]["subs"]), [feed], "{reply}");
        assert_eq!(members(&begun), ["epoch", "offset", "positioned", "recoverable"]);
        // It is there already.
        let again = json!({"id": 2, "subscribe": {"channel": feed}});
        assert_eq!(caller.ask(again).await, error(2, 105, "already subscribed"));
        city.act(&city.platform, &order, "accept", json!({})).await;
        let live = publications(&mut caller, 2).await;

        let mut back = Caller::open(&server.url, codec).await;
        let subs = json!({"#42": {"recover": true, "offset": 2, "epoch": "e"},
            feed: {"recover": true, "offset": begun["offset"], "epoch": begun["epoch"]}});
        let connect = json!({"id": 2, "connect": {"token": token, "subs": subs}});
        let reply = back.ask(connect).await;
        let expected = json!({"recoverable": true, "positioned": true, "epoch": begun["epoch"],
            "offset": begun["offset"], "was_recovering": true, "recovered": true,
            "publications": live});
        // What was asked for and is not its own is not granted.
        assert_eq!(reply["connect"]["subs"], json!({feed: expected}), "{codec:?}");
    }
    server.stop().await;
}

#[actix_web::test]
async fn commands_are_answered_with_the_object_of_their_name() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    for codec in BOTH {
        let (kept, gone) = (city.order_id().await, city.order_id().await);
        let both = city.token("customer", "customer-1", &[&kept, &gone]).await;
        let fewer = city.token("customer", "customer-1", &[&kept]).await;
        let (mut caller, connected) = Caller::connect(&server.url, codec, &both).await;
        let channel = format!("order:{gone}");
        caller.ask(json!({"id": 2, "subscribe": {"channel": channel}})).await;
        let renewed = json!({"id": 3, "sub_refresh": {"channel": channel, "token": "x"}});
        assert_eq!(caller.ask(renewed).await, json!({"id": 3, "sub_refresh": {}}));
        caller.ask(json!({"id": 4, "unsubscribe": {"channel": channel}})).await;
        let permit = permit(&city, &channel).await;
        let subscribe = json!({"id": 4, "subscribe": {"channel": channel, "token": permit}});
        caller.ask(subscribe).await;
        let renewed = json!({"id": 4, "sub_refresh": {"channel": channel, "token": permit}});
        let renewed = caller.ask(renewed).await;
        assert_eq!(members(&renewed["sub_refresh"]), ["expires", "ttl"], "{renewed}");
        caller.ask(json!({"id": 4, "unsubscribe": {"channel": channel}})).await;
        caller.ask(json!({"id": 4, "subscribe": {"channel": channel}})).await;
        let never = json!({"id": 4, "sub_refresh": {"channel": "never", "token": "x"}});
        assert_eq!(caller.ask(never).await, error(4, 103, "permission denied"));
        let publish = json!({"id": 5, "publish": {"channel": channel, "data": {"a": 1}}});
        assert_eq!(caller.ask(publish).await, error(5, 103, "permission denied"));
        let past = json!({"id": 6, "history": {"channel": channel, "limit": 1}});
        let past = caller.ask(past).await;
        assert_eq!(members(&past["history"]), ["epoch", "offset", "publications"], "{past}");
        let one = &past["history"]["publications"];
        assert_eq!((one[0]["data"]["type"].as_str(), one.get(1)), (Some("order.placed"), None));
        let since = json!({"offset": 1, "epoch": "other"});
        let other = json!({"id": 7, "history": {"channel": channel, "limit": 1, "since": since}});
        assert_eq!(caller.ask(other).await, error(7, 112, "unrecoverable position"));

        // A newer token that opens less: the reply, and then the end of what it opens no more.
        let reply = caller.ask(json!({"id": 8, "refresh": {"token": fewer}})).await;
        let refreshed = &reply["refresh"];
        assert_eq!(members(refreshed), ["client", "expires", "ttl", "version"], "{reply}");
        assert_eq!(refreshed["client"], connected["client"]);
        let end = json!({"code": 2000, "reason": "server unsubscribe"});
        let push = json!({"push": {"channel": channel, "unsubscribe": end}});
        assert_eq!(caller.hear().await, push, "{codec:?}");

        let (mut platform, _) = Caller::connect(&server.url, codec, &city.key).await;
        let accept = json!({"method": "order.accept", "data": {"order": kept}});
        let reply = platform.ask(json!({"id": 2, "rpc": accept})).await;
        assert_eq!((members(&reply), members(&reply["rpc"])), (vec!["id", "rpc"], vec!["data"]));
        assert_eq!(reply["rpc"]["data"]["status"], "preparing", "{reply}");
        let unready = json!({"method": "order.unready", "data": {"order": kept}});
        let reply = platform.ask(json!({"id": 3, "rpc": unready})).await;
        assert_eq!(reply["error"]["code"], 403, "{reply}");
        // A message is a call without a reply, or it is not offered.
        let ready = json!({"method": "order.ready", "data": {"order": kept}});
        let look = json!({"id": 4, "history": {"channel": format!("order:{kept}"), "limit": -1}});
        platform.say(&[json!({"send": {"data": ready}}), look]).await;
        let last = platform.hear().await;
        let last = last["history"]["publications"].as_array().unwrap().last().unwrap().clone();
        assert_eq!(last["data"]["type"], "order.ready", "{codec:?}");
        platform.say(&[json!({"send": {"data": {"hi": 1}}})]).await;
        assert_eq!(platform.closed().await, closed(3508, "not available"));
    }
    server.stop().await;
}
