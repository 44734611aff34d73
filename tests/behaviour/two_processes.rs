//! Two processes on one database: they share nothing else, and either may go at any moment.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use actix_web::rt;
use serde_json::{Value, json};

use crate::support::{City, Follower, Phone, Process, Rest, Scratch, until};

#[actix_web::test]
async fn what_is_changed_through_one_process_is_heard_on_the_other() {
    let database = Scratch::create().await;
    let (one, two) = (Process::serve(&database).await, Process::serve(&database).await);
    let city = City::found(&one.url, &database).await;
    let order = city.order_id().await;
    let mut followers = Vec::new();
    for url in [&one.url, &two.url] {
        for (channel, token) in [
            (format!("order:{order}"), city.customer_token(&order).await),
            (format!("store:{}", city.store), city.store_token().await),
            ("dispatch".to_owned(), city.ops_token().await),
            ("tenant".to_owned(), city.key.clone()),
        ] {
            let mut follower = Follower::new(&channel, &token);
            let phone = follower.join(url).await;
            followers.push((follower, phone));
        }
    }
    let epoch = followers[0].0.epoch.clone();
    let mut last = followers[0].0.from;
    let ops = city.ops_token().await;
    let mut dispatcher = Phone::connect(&two.url, &ops).await;
    for (action, events) in [("accept", 2), ("ready", 1), ("unready", 1), ("ready", 1)] {
        // Once over REST on one, once over a socket on the other.
        if action == "ready" {
            let rest = Rest::new(&one.url, Some(&ops));
            city.act(&rest, &order, action, json!({})).await;
        } else {
            let reply = dispatcher.rpc(&format!("order.{action}"), json!({"order": order})).await;
            assert_eq!(reply["rpc"]["data"]["id"], order.as_str(), "{reply}");
        }
        last += events;
        for (follower, phone) in &mut followers {
            follower.follow(phone, last).await;
        }
    }
    for (follower, _phone) in &followers {
        assert_eq!(follower.epoch, epoch);
        assert_eq!(follower.heard.len(), 5, "{}", follower.channel);
        assert_eq!(follower.orders[&order].version, 6);
    }
    drop(followers);
    drop(dispatcher);
    assert_eq!(one.terminate(), Some(0));
    assert_eq!(two.terminate(), Some(0));
}

/// Sends changes of one order until one fails; notes the newest version that was acknowledged.
async fn write(url: String, key: String, order: String, acked: Rc<RefCell<HashMap<String, i64>>>) {
    let client = awc::Client::default();
    for nth in 0_u64.. {
        let request = client
            .patch(format!("{url}/v1/orders/{order}"))
            .insert_header(("authorization", format!("Bearer {key}")));
        let answer = request.send_body(json!({"note": nth.to_string()}).to_string()).await;
        let Ok(mut answer) = answer else { return };
        let Ok(body) = answer.body().await else { return };
        if answer.status() != 200 {
            return;
        }
        let view: Value = serde_json::from_slice(&body).unwrap();
        acked.borrow_mut().insert(order.clone(), view["version"].as_i64().unwrap());
    }
}

#[actix_web::test]
async fn either_process_may_be_killed_and_nothing_acknowledged_is_lost() {
    let database = Scratch::create().await;
    let mut staying = Process::serve(&database).await;
    let city = City::found(&staying.url, &database).await;
    let client = database.connect().await;
    let mut orders = Vec::new();
    for _ in 0..5 {
        orders.push(city.order_id().await);
    }
    let mut followers: Vec<_> = (0..6).map(|_| Follower::new("tenant", &city.key)).collect();
    // First one of them is killed, then the one that was left.
    for _ in 0..2 {
        let going = std::mem::replace(&mut staying, Process::serve(&database).await);
        let mut phones = Vec::new();
        for (nth, follower) in followers.iter_mut().enumerate() {
            let url = if nth % 2 == 0 { &going.url } else { &staying.url };
            phones.push(follower.join(url).await);
        }
        let acked = Rc::new(RefCell::new(HashMap::new()));
        let ended = Rc::new(Cell::new(0));
        for order in &orders {
            let write =
                write(going.url.clone(), city.key.clone(), order.clone(), Rc::clone(&acked));
            let ended = Rc::clone(&ended);
            rt::spawn(async move {
                write.await;
                ended.set(ended.get() + 1);
            });
        }
        let before: i64 = client.query_one("select last from log_head", &[]).await.unwrap().get(0);
        until("changes to be under way", async || {
            let last: i64 =
                client.query_one("select last from log_head", &[]).await.unwrap().get(0);
            (last > before + 40).then_some(())
        })
        .await;
        going.kill();
        until("the writers to notice", async || (ended.get() == orders.len()).then_some(())).await;
        // A commit under way may still end, or not.
        until("the killed one's connections to be gone", async || {
            let others = "select count(*) from pg_stat_activity where datname = current_database()
                          and application_name = 'ordercast writer'";
            let count: i64 = client.query_one(others, &[]).await.unwrap().get(0);
            (count <= 1).then_some(())
        })
        .await;

        let acked = acked.take();
        for (order, version) in &acked {
            let rest = Rest::new(&staying.url, Some(&city.key));
            let view = rest.get(&format!("/v1/orders/{order}")).await.expect(200);
            assert!(view["version"].as_i64().unwrap() >= *version, "{order}: lost {version}");
        }
        let last: i64 = client.query_one("select last from log_head", &[]).await.unwrap().get(0);
        for (nth, (follower, mut phone)) in followers.iter_mut().zip(phones).enumerate() {
            if nth % 2 == 0 {
                assert_eq!(phone.closed().await.code, None);
                phone = follower.join(&staying.url).await;
            }
            follower.follow(&mut phone, last.cast_unsigned()).await;
            assert!(follower.lost.is_empty());
            assert!(follower.heard.iter().copied().eq(follower.from + 1..=last.cast_unsigned()));
        }
    }
    assert_eq!(staying.terminate(), Some(0));
}
