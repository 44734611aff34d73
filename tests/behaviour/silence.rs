//! Silence: of stores where nobody sees the orders, and of couriers who are gone.

use serde_json::{Value, json};

use crate::support::{Fleet, Phone, Process, Scratch, Server, attentive, check_log, until};

#[actix_web::test]
async fn orders_that_nobody_at_the_store_can_see_are_told_of_once_in_ten_minutes() {
    let server = Server::start_with(attentive).await;
    let fleet = Fleet::found(&server, None).await;
    // Its time to answer is not what this is about.
    fleet.rule("accept_s", 3_600).await;
    let mut ops = Phone::connect(&server.url, &fleet.city.ops_token().await).await;
    ops.subscribe("dispatch").await;
    let order = fleet.city.order_id().await;
    fleet.pass("50 seconds").await;
    fleet.settled().await;
    assert_eq!(fleet.of_type("store.silent", 0).await, [] as [Value; 0]);
    fleet.pass("11 seconds").await;
    let silent = fleet.happened("store.silent", 0, 1).await.remove(0);
    assert_eq!(
        (&silent["store"], &silent["by"]["role"], &silent["data"]),
        (&json!(fleet.city.store), &json!("system"), &json!({}))
    );
    assert!(silent.get("order").is_none() && silent.get("n").is_none(), "{silent:#}");
    // Of the order it is no news.
    assert_eq!(fleet.order(&order).await["version"], 1);
    assert_eq!(ops.event().await["type"], "order.placed");
    assert_eq!(ops.event().await, silent);
    // Another order there, soon after: that is known.
    fleet.city.order_id().await;
    fleet.pass("61 seconds").await;
    fleet.settled().await;
    fleet.happened("store.silent", 0, 1).await;
    // And one later: it is told again.
    fleet.pass("9 minutes").await;
    fleet.city.order_id().await;
    fleet.pass("61 seconds").await;
    fleet.happened("store.silent", 0, 2).await;
    // Another store is another matter.
    let other = fleet.city.new_store(json!({})).await;
    fleet.city.order(json!({"store": other})).await;
    fleet.pass("61 seconds").await;
    let all = fleet.happened("store.silent", 0, 3).await;
    assert_eq!(all[2]["store"], other.as_str());
    // What is answered in time is not waited for.
    let head = fleet.head().await;
    let third = fleet.city.new_store(json!({})).await;
    let order = fleet.city.order(json!({"store": third})).await;
    fleet.city.act(&fleet.ops, order["id"].as_str().unwrap(), "accept", json!({})).await;
    fleet.pass("5 minutes").await;
    fleet.settled().await;
    let told = fleet.of_type("store.silent", head).await;
    assert!(told.iter().all(|event| event["store"] != third.as_str()), "{told:#?}");
    check_log(&server.database).await;
    server.stop().await;
}

#[actix_web::test]
async fn a_tablet_that_goes_while_an_order_waits_is_missed() {
    let server = Server::start_with(attentive).await;
    let fleet = Fleet::found(&server, None).await;
    fleet.rule("accept_s", 3_600).await;
    let channel = format!("store:{}", fleet.city.store);
    let mut tablet = Phone::connect(&server.url, &fleet.city.store_token().await).await;
    tablet.subscribe(&channel).await;
    fleet.city.order_id().await;
    for _ in 0..3 {
        fleet.pass("61 seconds").await;
        fleet.settled().await;
    }
    assert_eq!(fleet.of_type("store.silent", 0).await, [] as [Value; 0]);
    tablet.drop_connection();
    let mut ops = Phone::connect(&server.url, &fleet.city.ops_token().await).await;
    until("the tablet to be gone", async || {
        let reply = ops.ask(json!({"presence_stats": {"channel": channel}})).await;
        (reply["presence_stats"]["num_clients"].as_u64().unwrap_or(0) == 0).then_some(())
    })
    .await;
    fleet.pass("61 seconds").await;
    let told = fleet.happened("store.silent", 0, 1).await;
    assert_eq!(told[0]["store"], fleet.city.store.as_str());
    check_log(&server.database).await;
    server.stop().await;
}

#[actix_web::test]
async fn a_tablet_at_any_process_sees_the_orders_of_its_store() {
    let database = Scratch::create().await;
    // Only one of them looks at what is due.
    let often = [("ORDERCAST_TIMERS__POLL_INTERVAL_MS", "100"), ("ORDERCAST_TIMERS__GAP_MS", "5")];
    let one = Process::serve_with(&database, &often).await;
    let two = Process::serve_with(&database, &often).await;
    let fleet = Fleet::at(&one.url, &database, None).await;
    fleet.rule("accept_s", 3_600).await;
    let stores = [
        fleet.city.store.clone(),
        fleet.city.new_store(json!({})).await,
        fleet.city.new_store(json!({})).await,
    ];
    // One at each process, and one nowhere.
    let mut tablets = Vec::new();
    for (store, process) in stores.iter().zip([&one, &two]) {
        let token = fleet.city.token("store", store, &[]).await;
        let mut tablet = Phone::connect(&process.url, &token).await;
        tablet.subscribe(&format!("store:{store}")).await;
        tablets.push(tablet);
    }
    let ops = fleet.city.ops_token().await;
    for (store, process) in stores.iter().zip([&two, &one]) {
        // Until either process knows of the tablet of the other one.
        until("the tablet to be known elsewhere", async || {
            let mut phone = Phone::connect(&process.url, &ops).await;
            let asked = json!({"presence_stats": {"channel": format!("store:{store}")}});
            let reply = phone.ask(asked).await;
            (reply["presence_stats"]["num_clients"] == 1).then_some(())
        })
        .await;
    }
    for store in &stores {
        fleet.city.order(json!({"store": store})).await;
    }
    fleet.pass("61 seconds").await;
    fleet.happened("store.silent", 0, 1).await;
    fleet.settled().await;
    let told = fleet.happened("store.silent", 0, 1).await;
    assert_eq!(told[0]["store"], stores[2].as_str());
    // Whoever has gone sees nothing any more.
    tablets.pop().unwrap().drop_connection();
    until("the tablet to be gone everywhere", async || {
        let mut phone = Phone::connect(&one.url, &ops).await;
        let asked = json!({"presence_stats": {"channel": format!("store:{}", stores[1])}});
        let reply = phone.ask(asked).await;
        let count = reply["presence_stats"]["num_clients"].as_u64().unwrap_or(0);
        (count == 0).then_some(())
    })
    .await;
    fleet.city.order(json!({"store": stores[1]})).await;
    fleet.pass("61 seconds").await;
    let told = fleet.happened("store.silent", 0, 2).await;
    assert_eq!(told[1]["store"], stores[1].as_str());
    assert_eq!((one.terminate(), two.terminate()), (Some(0), Some(0)));
}

#[actix_web::test]
async fn a_courier_off_duty_of_whom_nothing_is_heard_loses_what_it_was_to_fetch() {
    let server = Server::start_with(attentive).await;
    let fleet = Fleet::found(&server, Some("one_by_one")).await;
    let gone = fleet.courier(Some(50.0)).await;
    let order = fleet.accepted(30).await;
    fleet.assign(&order, &gone).await;
    let carried = fleet.accepted(30).await;
    fleet.assign(&carried, &gone).await;
    fleet.city.act(&gone.rest, &carried, "pickup", json!({})).await;
    let mut phone = Phone::connect(&server.url, &gone.token).await;
    phone.subscribe(&format!("order:{order}")).await;
    // On duty and silent, it may be in a lift.
    fleet.pass("10 minutes").await;
    fleet.settled().await;
    assert_eq!(fleet.order(&order).await["leg"], "assigned");
    // Heard of a moment ago, it is going home by way of the store.
    gone.stand(40.0).await;
    gone.duty("off").await;
    fleet.pass("4 minutes").await;
    fleet.settled().await;
    assert_eq!(fleet.order(&order).await["leg"], "assigned");
    let head = fleet.head().await;
    // Wherever it is: what its device says would be old when it is asked.
    let next = fleet.courier(None).await;
    fleet.pass("61 seconds").await;
    let lost = fleet.happened("courier.unassigned", head, 1).await.remove(0);
    assert_eq!(lost["order"], order.as_str());
    assert_eq!(
        (&lost["by"]["role"], &lost["data"]["code"], &lost["data"]["by"]),
        (&json!("system"), &json!("no_response"), &json!("system"))
    );
    // What it carries it keeps, as nobody else can have it.
    assert_eq!(fleet.order(&carried).await["driver"]["id"], gone.id.as_str());
    // It hears that, and then nothing of the order; the next is asked when it is time.
    let mut ended = Vec::new();
    loop {
        let push = phone.push().await;
        if push.get("unsubscribe").is_some() {
            assert_eq!(push["unsubscribe"]["code"], 2000, "{push}");
            break;
        }
        ended.push(push["pub"]["data"]["type"].clone());
    }
    assert_eq!(ended.last().unwrap(), "courier.unassigned");
    let view = fleet.order(&order).await;
    assert!(view.get("driver").is_none() && view.get("pickup_eta").is_none(), "{view:#}");
    fleet.pass("5 minutes").await;
    let offer = next.offer().await;
    next.answer(&offer, "accept").await.expect(200);
    assert_eq!(fleet.order(&order).await["driver"]["id"], next.id.as_str());
    check_log(&server.database).await;
    server.stop().await;
}
