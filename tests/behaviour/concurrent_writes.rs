//! Writing at once: many callers, two processes, a full queue, a poisoned change.

use std::collections::HashSet;

use futures::future::{join, join_all};
use serde_json::json;
use tokio_postgres::Client;

use crate::support::{
    City, Process, Rest, Scratch, Server, check_log, note, noted, until, waiting,
};

/// Holds the row of an order in a transaction of its own, which makes the writer wait.
async fn hold(database: &Scratch, order: &str) -> Client {
    let client = database.connect().await;
    let id: ordercast::domain::OrderId = order.parse().unwrap();
    client.batch_execute("begin").await.unwrap();
    let lock = "select 1 from orders where id = $1 for update";
    assert_eq!(client.query(lock, &[&id.uuid()]).await.unwrap().len(), 1);
    client
}

#[actix_web::test]
async fn two_processes_write_one_log_without_a_gap() {
    let database = Scratch::create().await;
    let (one, two) = join(Process::serve(&database), Process::serve(&database)).await;
    let city = City::found(&one.url, &database).await;
    let callers = [&one, &two].map(|process| Rest::new(&process.url, Some(&city.key)));
    let mut orders = Vec::new();
    for _ in 0..20 {
        orders.push(city.order_id().await);
    }
    // 200 changes, ten of each order, from both sides at once.
    let changes = (0..200).map(|nth: usize| {
        let (who, order) = (&callers[nth % 2], &orders[(nth / 2) % orders.len()]);
        async move { note(who, order, &format!("note {nth}")).await.expect(200) }
    });
    let answers = join_all(changes).await;
    check_log(&database).await;
    let noted = noted(&database).await;
    assert_eq!(noted.len(), 200);
    assert!(noted.values().all(|times| *times == 1), "{noted:?}");
    // Each was answered with its own outcome: its note, and a version no other change has.
    let mut versions = HashSet::new();
    for (nth, answer) in answers.iter().enumerate() {
        assert_eq!(answer["note"], format!("note {nth}"));
        assert!(versions.insert((answer["id"].clone(), answer["version"].clone())));
    }
    // Both processes read the same log.
    for who in &callers {
        let page = who.get("/v1/events?limit=1000").await.expect(200);
        let positions: Vec<u64> = page["events"]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| event["position"].as_u64().unwrap())
            .collect();
        assert_eq!(positions, (1..=221).collect::<Vec<u64>>());
    }
    assert_eq!((one.terminate(), two.terminate()), (Some(0), Some(0)));
}

#[actix_web::test]
async fn two_processes_make_an_order_once_and_honour_a_key_once() {
    let database = Scratch::create().await;
    let (one, two) = join(Process::serve(&database), Process::serve(&database)).await;
    let city = City::found(&one.url, &database).await;
    let callers = [&one, &two].map(|process| Rest::new(&process.url, Some(&city.key)));
    for round in 0..15 {
        let body = city.order_body(json!({}));
        let asking = (0..4).map(|nth| callers[nth % 2].post("/v1/orders", body.clone()));
        let answers = join_all(asking).await;
        let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 200, 200, 201], "round {round}");
        assert!(answers.iter().all(|answer| answer.body == answers[0].body));

        let order = answers[0].body["id"].as_str().unwrap();
        let path = format!("/v1/orders/{order}");
        let key = format!("key {round}");
        let body = json!({"note": key}).to_string().into_bytes();
        let patching = (0..4).map(|nth| {
            let headers = [("idempotency-key", key.as_str())];
            let (who, path, body) = (&callers[nth % 2], path.as_str(), body.clone());
            async move { who.send(awc::http::Method::PATCH, path, &headers, body).await }
        });
        for answer in join_all(patching).await {
            assert_eq!(answer.expect(200)["version"], 2, "round {round}");
        }
    }
    assert_eq!(database.count("orders").await, 15);
    assert_eq!(database.count("idempotency_keys").await, 15);
    check_log(&database).await;
}

#[actix_web::test]
async fn the_last_place_of_a_courier_is_given_away_once() {
    let database = Scratch::create().await;
    let (one, two) = join(Process::serve(&database), Process::serve(&database)).await;
    let city = City::found(&one.url, &database).await;
    let callers = [&one, &two].map(|process| Rest::new(&process.url, Some(&city.key)));
    let driver = city.new_driver(json!({"capacity": 1})).await;
    let body = json!({"driver": driver});
    for round in 0..20 {
        let (first, second) = (city.order_id().await, city.order_id().await);
        let paths = [first, second].map(|order| format!("/v1/orders/{order}/driver"));
        let (one, two) = join(
            callers[0].put(&paths[0], body.clone()),
            // Now and then both by the same process, in one batch or in two.
            callers[usize::from(round % 4 != 0)].put(&paths[1], body.clone()),
        )
        .await;
        let (won, lost, path) =
            if one.status == 200 { (one, two, &paths[0]) } else { (two, one, &paths[1]) };
        assert_eq!(won.expect(200)["driver"]["id"], driver.as_str(), "round {round}");
        lost.expect_problem(409, "driver_at_capacity");
        let delete = callers[0].send(awc::http::Method::DELETE, path, &[], Vec::new()).await;
        delete.expect(200);
    }
    check_log(&database).await;
}

#[actix_web::test]
async fn two_who_ask_for_the_same_step_at_once_get_one_step_and_one_no() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let (ops, store) = (city.caller("ops", "").await, city.caller("store", "").await);
    for _ in 0..10 {
        let order = city.order_id().await;
        let path = format!("/v1/orders/{order}/accept");
        let (one, two) = join(ops.post(&path, json!({})), store.post(&path, json!({}))).await;
        let mut statuses = [one.status, two.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409]);
        let loser = if one.status == 409 { one } else { two };
        let problem = loser.expect_problem(409, "invalid_transition");
        // Judged on what the first left.
        assert_eq!((&problem["version"], &problem["status"]), (&json!(3), &json!("preparing")));
    }
    check_log(&server.database).await;
    server.stop().await;
}

#[actix_web::test]
async fn a_full_queue_says_come_back_and_loses_nothing_it_took() {
    let server = Server::start_with(|config| config.writer.queue_len = 1).await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let held = hold(&server.database, &order).await;
    let look = server.database.connect().await;
    let writer = &server.app().api().writer;
    let first = note(&city.platform, &order, "first");
    let others = async {
        until("the writer to wait", async || (waiting(&look).await == 1).then_some(())).await;
        let second = city.order_body(json!({"external_id": "second"}));
        let second = city.platform.post("/v1/orders", second);
        let refused = async {
            // The second has the only place.
            until("the queue to be full", async || (writer.queued() == 1).then_some(())).await;
            let third = city.order_body(json!({"external_id": "never"}));
            let refused = city.platform.post("/v1/orders", third).await;
            held.batch_execute("rollback").await.unwrap();
            refused
        };
        join(second, refused).await
    };
    let (first, (second, refused)) = join(first, others).await;
    assert_eq!(refused.header("retry-after"), Some("1"));
    refused.expect_problem(503, "overloaded");
    first.expect(200);
    let second = second.expect(201);
    assert_eq!(second["external_id"], "second");
    check_log(&server.database).await;
    let list = city.platform.get("/v1/orders?external_id=never").await.expect(200);
    assert_eq!(list["orders"], json!([]));
    // And afterwards there is room again.
    city.order(json!({"external_id": "never"})).await;
    server.stop().await;
}

#[actix_web::test]
async fn a_poisoned_change_fails_alone() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let mut orders = Vec::new();
    for _ in 0..9 {
        orders.push(city.order_id().await);
    }
    let client = server.database.connect().await;
    let poison = "
        create function refuse() returns trigger language plpgsql as $$
        begin raise exception 'poisoned'; end $$;
        create trigger poison before update on orders for each row
        when (new.note = 'poison') execute function refuse();";
    client.batch_execute(poison).await.unwrap();
    let held = hold(&server.database, &orders[0]).await;
    let writer = &server.app().api().writer;
    let first = note(&city.platform, &orders[0], "first");
    let rest = async {
        until("the writer to wait", async || (waiting(&client).await == 1).then_some(())).await;
        // These queue behind it and share a batch.
        let notes = (1..9).map(|nth: usize| {
            let text = if nth == 4 { "poison".to_owned() } else { format!("note {nth}") };
            let (who, order) = (&city.platform, &orders[nth]);
            async move { note(who, order, &text).await }
        });
        let releasing = async {
            until("the changes to queue", async || (writer.queued() == 8).then_some(())).await;
            held.batch_execute("rollback").await.unwrap();
        };
        join(join_all(notes), releasing).await.0
    };
    let (first, answers) = join(first, rest).await;
    first.expect(200);
    for (nth, answer) in (1..9).zip(answers) {
        if nth == 4 {
            answer.expect_problem(503, "overloaded");
        } else {
            assert_eq!(answer.expect(200)["note"], format!("note {nth}"));
        }
    }
    check_log(&server.database).await;
    assert_eq!(noted(&server.database).await.len(), 8);
    server.stop().await;
}
