//! Webhooks and several processes: each event is posted by one of them, whoever dies.

use serde_json::{Value, json};

use crate::support::{City, Letter, Process, Receiver, Rest, Scratch, until};
use crate::webhooks::{attempts, hook, log, view};

const DELIVERING: &[(&str, &str)] = &[
    ("ORDERCAST_WEBHOOKS__ALLOW_HTTP", "true"),
    ("ORDERCAST_WEBHOOKS__ALLOW_PRIVATE", "true"),
    ("ORDERCAST_WEBHOOKS__TIMEOUT_MS", "30000"),
    ("ORDERCAST_WEBHOOKS__LEASE_S", "60"),
    ("ORDERCAST_WEBHOOKS__LOOK_INTERVAL_MS", "100"),
];

async fn evening(city: &City, url: &str) {
    let rest = Rest::new(url, Some(&city.key));
    let order = city.order_id().await;
    city.act(&rest, &order, "accept", json!({"prep_min": 10})).await;
    city.act(&city.platform, &order, "ready", json!({})).await;
}

async fn is_up_to(city: &City, hook: &Value, position: &Value) {
    until("the cursor to stand there", async || {
        (view(city, hook).await["position"] == *position).then_some(())
    })
    .await;
}

#[actix_web::test]
async fn of_two_processes_one_posts() {
    let database = Scratch::create().await;
    let one = Process::serve_with(&database, DELIVERING).await;
    let two = Process::serve_with(&database, DELIVERING).await;
    let city = City::found(&one.url, &database).await;
    let mut hooks = Vec::new();
    for _ in 0..3 {
        let receiver = Receiver::start();
        hooks.push((hook(&city, &receiver.url, Value::Null).await, receiver));
    }
    let from = hooks[0].0["position"].as_u64().unwrap();
    for _ in 0..15 {
        evening(&city, &two.url).await;
    }
    let wanted = log(&city, from).await;
    assert_eq!(wanted.len(), 60);
    for (hook, receiver) in &hooks {
        let letters = receiver.received(60).await;
        is_up_to(&city, hook, &wanted[59]["position"]).await;
        assert!(letters.iter().map(Letter::event).eq(wanted.iter().cloned()));
        assert_eq!(receiver.letters().len(), 60);
        assert_eq!(attempts(&city, hook).await.len(), 60);
    }
    assert_eq!(one.terminate(), Some(0));
    assert_eq!(two.terminate(), Some(0));
}

#[actix_web::test]
async fn what_a_killed_process_held_is_taken_over_once_its_lease_ends() {
    let database = Scratch::create().await;
    let client = database.connect().await;
    let one = Process::serve_with(&database, DELIVERING).await;
    let mut city = City::found(&one.url, &database).await;
    let receiver = Receiver::start();
    let hook = hook(&city, &receiver.url, Value::Null).await;
    let from = hook["position"].as_u64().unwrap();
    evening(&city, &one.url).await;
    let last = log(&city, from).await.pop().unwrap();
    is_up_to(&city, &hook, &last["position"]).await;

    // It dies between the event and the answer.
    receiver.fall_silent();
    evening(&city, &one.url).await;
    receiver.received(5).await;
    let two = Process::serve_with(&database, DELIVERING).await;
    one.kill();
    receiver.answer_all();
    city.platform.base.clone_from(&two.url);
    let other = Receiver::start();
    self::hook(&city, &other.url, Value::Null).await;
    evening(&city, &two.url).await;
    other.received(4).await;
    assert_eq!(receiver.letters().len(), 5, "the lease holds still");
    let over = "update webhooks set leased_until = now() where leased_by is not null
                and leased_until > now() + interval '1 second'";
    client.batch_execute(over).await.unwrap();
    let letters = receiver.received(13).await;
    assert_eq!(letters[4].id, letters[5].id, "nobody knows whether it was heard");
    let mut events: Vec<Value> = letters.iter().map(Letter::event).collect();
    events.remove(5);
    assert_eq!(events, log(&city, from).await);
    assert_eq!(two.terminate(), Some(0));
}

#[actix_web::test]
async fn a_process_that_stops_notes_what_is_answered_and_leaves_the_rest() {
    let database = Scratch::create().await;
    let client = database.connect().await;
    let one = Process::serve_with(&database, DELIVERING).await;
    let mut city = City::found(&one.url, &database).await;
    let receiver = Receiver::start();
    let hook = hook(&city, &receiver.url, Value::Null).await;
    let from = hook["position"].as_u64().unwrap();
    receiver.fall_silent();
    evening(&city, &one.url).await;
    receiver.received(1).await;
    one.ask_to_stop();
    until("the process to be stopping", async || {
        let request = awc::Client::default().get(format!("{}/readyz", one.url));
        let answer = request.send().await;
        (!answer.is_ok_and(|answer| answer.status() == 200)).then_some(())
    })
    .await;
    receiver.answer_all();
    assert_eq!(one.terminate(), Some(0));
    let free = "select leased_by is null and tries = 0 from webhooks";
    assert!(client.query_one(free, &[]).await.unwrap().try_get::<_, bool>(0).unwrap());
    assert_eq!(receiver.letters().len(), 1);

    let two = Process::serve_with(&database, DELIVERING).await;
    city.platform.base.clone_from(&two.url);
    let letters = receiver.received(4).await;
    let wanted = log(&city, from).await;
    assert!(letters.iter().map(Letter::event).eq(wanted.iter().cloned()));
    is_up_to(&city, &hook, &wanted[3]["position"]).await;
    assert_eq!(receiver.letters().len(), 4);
    assert_eq!(two.terminate(), Some(0));
}
