//! Who is there: asked and told, in one process and over two.

use serde_json::{Value, json};

use tokio::time::timeout;

use crate::support::{City, PATIENCE, Phone, Process, Scratch, Server, until};

/// The subjects and roles of those on a channel, sorted.
async fn there(phone: &mut Phone, channel: &str) -> Vec<(String, String)> {
    let reply = phone.ask(json!({"presence": {"channel": channel}})).await;
    let members = reply["presence"]["presence"].as_object();
    let mut found: Vec<_> = members
        .unwrap_or_else(|| panic!("{reply}"))
        .iter()
        .map(|(client, info)| {
            assert_eq!(info["client"], client.as_str());
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (text(&info["user"]), text(&info["conn_info"]["role"]))
        })
        .collect();
    found.sort();
    found
}

fn pair(user: &str, role: &str) -> (String, String) {
    (user.to_owned(), role.to_owned())
}

#[actix_web::test]
async fn dispatchers_see_who_looks_at_an_order_and_whether_its_courier_is_connected() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let channel = format!("order:{order}");
    let mut ops = Phone::connect(&server.url, &city.ops_token().await).await;
    assert_eq!(there(&mut ops, &channel).await, []);

    let token = city.token("customer", "ann", &[&order]).await;
    let mut ann = Phone::connect(&server.url, &token).await;
    ann.subscribe(&channel).await;
    let mut again = Phone::connect(&server.url, &token).await;
    again.subscribe(&channel).await;
    let mut courier = Phone::connect(&server.url, &city.driver_token().await).await;
    courier.subscribe(&format!("driver:{}", city.driver)).await;
    let ann_twice = [pair("ann", "customer"), pair("ann", "customer")];
    assert_eq!(there(&mut ops, &channel).await, ann_twice);
    let stats = ops.ask(json!({"presence_stats": {"channel": channel}})).await;
    assert_eq!(stats["presence_stats"], json!({"num_clients": 2, "num_users": 1}));

    // The courier is seen on the order once it has it, and not once that is over.
    city.act(&city.platform, &order, "accept", json!({})).await;
    city.assign(&order).await;
    let mut all = ann_twice.to_vec();
    all.push(pair(&city.driver, "driver"));
    assert_eq!(there(&mut ops, &channel).await, all);
    city.act(&city.platform, &order, "cancel", json!({"reason": "duplicate"})).await;
    assert_eq!(there(&mut ops, &channel).await, ann_twice);

    // Whoever leaves is not there, in whichever way it leaves.
    ann.ask(json!({"unsubscribe": {"channel": channel}})).await;
    assert_eq!(there(&mut ops, &channel).await.len(), 1);
    again.drop_connection();
    until("the members", async || (there(&mut ops, &channel).await.is_empty()).then_some(())).await;
    let stats = ops.ask(json!({"presence_stats": {"channel": channel}})).await;
    assert_eq!(stats["presence_stats"], json!({"num_clients": 0, "num_users": 0}));
    server.stop().await;
}

#[actix_web::test]
async fn who_is_there_is_told_to_nobody_else() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let other = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let (orders, stores) = (format!("order:{order}"), format!("store:{}", city.store));
    let denied = json!({"code": 103, "message": "permission denied"});
    let mut store = Phone::connect(&server.url, &city.store_token().await).await;
    store.subscribe(&stores).await;
    assert_eq!(there(&mut store, &stores).await, [pair(&city.store, "store")]);
    for (token, channel) in [
        (city.customer_token(&order).await, &orders),
        (city.driver_token().await, &format!("driver:{}", city.driver)),
        (city.store_token().await, &orders),
        (other.ops_token().await, &orders),
        (other.key.clone(), &orders),
        (other.store_token().await, &stores),
    ] {
        let mut phone = Phone::connect(&server.url, &token).await;
        for command in ["presence", "presence_stats"] {
            let reply = phone.ask(json!({command: {"channel": channel}})).await;
            assert_eq!(reply["error"], denied, "{command} {channel}");
        }
    }
    let mut ops = Phone::connect(&server.url, &city.ops_token().await).await;
    assert_eq!(there(&mut ops, &stores).await, [pair(&city.store, "store")]);
    let reply = ops.ask(json!({"presence": {"channel": "dispatch"}})).await;
    assert_eq!(reply["error"]["code"], 108, "{reply}");
    // A foreign dispatcher learns nothing of a store either.
    let mut stranger = Phone::connect(&server.url, &other.ops_token().await).await;
    let reply = stranger.ask(json!({"presence": {"channel": stores}})).await;
    assert_eq!(reply["error"], denied, "{reply}");
    server.stop().await;
}

/// Waits for a push of somebody coming or going: who.
async fn moved(phone: &mut Phone, channel: &str, kind: &str) -> String {
    loop {
        let push = phone.push().await;
        assert_eq!(push["channel"], channel, "{push}");
        if let Some(user) = push[kind]["info"]["user"].as_str() {
            return user.to_owned();
        }
    }
}

#[actix_web::test]
async fn who_asks_to_is_told_who_comes_and_goes_in_any_process() {
    let database = Scratch::create().await;
    let (one, two) = (Process::serve(&database).await, Process::serve(&database).await);
    let city = City::found(&one.url, &database).await;
    let channel = format!("store:{}", city.store);
    let token = city.store_token().await;
    let mut tablet = Phone::connect(&one.url, &token).await;
    let subscribe = json!({"subscribe": {"channel": channel, "join_leave": true}});
    tablet.ask(subscribe).await;
    assert_eq!(moved(&mut tablet, &channel, "join").await, city.store, "itself");
    let mut quiet = Phone::connect(&one.url, &token).await;
    quiet.subscribe(&channel).await;
    assert_eq!(moved(&mut tablet, &channel, "join").await, city.store);
    assert!(quiet.pushes.is_empty());
    quiet.drop_connection();
    assert_eq!(moved(&mut tablet, &channel, "leave").await, city.store);

    // The processes know of each other within a sign of life or two; whoever is on the one is
    // then found from the other.
    let mut ops = Phone::connect(&two.url, &city.ops_token().await).await;
    until("the members", async || (there(&mut ops, &channel).await.len() == 1).then_some(())).await;
    let mut near = Phone::connect(&one.url, &city.ops_token().await).await;
    until("the dispatcher's process to know", async || {
        let mut other = Phone::connect(&two.url, &token).await;
        other.subscribe(&channel).await;
        until("the other", async || (there(&mut near, &channel).await.len() == 2).then_some(()))
            .await;
        // What processes tell each other may be lost; what they answer is not.
        let told = timeout(PATIENCE / 10, moved(&mut tablet, &channel, "join")).await.ok();
        other.drop_connection();
        until("one", async || (there(&mut near, &channel).await.len() == 1).then_some(())).await;
        let left = timeout(PATIENCE / 10, moved(&mut tablet, &channel, "leave")).await.ok();
        (told.zip(left) == Some((city.store.clone(), city.store.clone()))).then_some(())
    })
    .await;

    // A process that stops takes its members along.
    let mut third = Phone::connect(&two.url, &token).await;
    third.subscribe(&channel).await;
    until("the members", async || (there(&mut near, &channel).await.len() == 2).then_some(()))
        .await;
    assert_eq!(two.terminate(), Some(0));
    until("the members", async || (there(&mut near, &channel).await.len() == 1).then_some(()))
        .await;
    drop((tablet, near));
    assert_eq!(one.terminate(), Some(0));
}
