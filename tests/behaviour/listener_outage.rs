//! The listening connection goes, freezes or hears nothing, and the log is cut or replaced:
//! everything committed is heard once and in order, or the subscriber is told to start again.

use std::cell::Cell;
use std::rc::Rc;

use actix_web::rt;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tokio_postgres::Client;

use crate::support::{City, Closed, Follower, Phone, Rest, Server, connect, of, until};

/// Ends the feed's connection; how many there were.
async fn cut(client: &Client) -> i64 {
    let terminate = "select count(pg_terminate_backend(pid)) from pg_stat_activity
                     where datname = current_database() and application_name = 'ordercast feed'";
    client.query_one(terminate, &[]).await.unwrap().get(0)
}

fn closed(code: u16, reason: &str) -> Closed {
    Closed { code: Some(code), reason: reason.to_owned() }
}

#[actix_web::test]
async fn a_listening_connection_cut_again_and_again_under_load_costs_nobody_an_event() {
    // Nobody reads before the end: that must not make them slow.
    let server = Server::start_with(|config| config.socket.mailbox_bytes = 64 << 20).await;
    let city = City::found(&server.url, &server.database).await;
    let client = server.database.connect().await;
    let mut orders = Vec::new();
    for _ in 0..4 {
        orders.push(city.order_id().await);
    }
    let mut followers = Vec::new();
    for order in &orders {
        let token = city.customer_token(order).await;
        followers.push(Follower::new(&format!("order:{order}"), &token));
    }
    followers.push(Follower::new("tenant", &city.key));
    let mut phones = Vec::new();
    for follower in &mut followers {
        phones.push(follower.join(&server.url).await);
    }

    let stop = Rc::new(Cell::new(false));
    let writers: Vec<_> = orders
        .iter()
        .map(|order| {
            let (city, order, stop) = (city.clone(), order.clone(), Rc::clone(&stop));
            rt::spawn(async move {
                let mut nth = 0_u64;
                while !stop.get() {
                    nth += 1;
                    let note = json!({"note": nth.to_string()});
                    city.platform.patch(&format!("/v1/orders/{order}"), note).await.expect(200);
                }
                nth
            })
        })
        .collect();
    // Each time a new connection must be there to be cut.
    for _ in 0..6 {
        until("the feed to be back", async || (cut(&client).await > 0).then_some(())).await;
        let head = "select last from log_head";
        let before: i64 = client.query_one(head, &[]).await.unwrap().get(0);
        until("changes to go on", async || {
            let last: i64 = client.query_one(head, &[]).await.unwrap().get(0);
            (last > before + 10).then_some(())
        })
        .await;
    }
    stop.set(true);
    let mut changes = 0;
    for writer in writers {
        changes += writer.await.unwrap();
    }
    let last: i64 = client.query_one("select last from log_head", &[]).await.unwrap().get(0);
    let last = last.cast_unsigned();
    let first = followers[4].from;
    assert_eq!(last - first, changes);
    // All of them on the sockets they have had from the start.
    followers[4].follow(&mut phones[4], last).await;
    assert!(followers[4].heard.iter().copied().eq(first + 1..=last));
    for ((follower, phone), order) in followers.iter_mut().zip(&mut phones).zip(&orders) {
        let view = city.platform.get(&format!("/v1/orders/{order}")).await.expect(200);
        // That no version is missing on the way there, the follower checks.
        while json!(follower.orders[order].version) != view["version"] {
            let push = phone.push().await;
            follower.take_push(&push);
        }
    }
    server.stop().await;
}

#[actix_web::test]
async fn a_change_whose_notification_never_comes_is_heard_by_the_poll() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let mut phone = Phone::connect(&server.url, &city.customer_token(&order).await).await;
    let seen = phone.subscribe(&format!("order:{order}")).await;
    let client = server.database.connect().await;
    append(&client, 1, 1).await;
    let event = phone.event().await;
    let next = seen["offset"].as_u64().unwrap() + 1;
    assert_eq!((&event["type"], &event["position"]), (&json!("order.preparing"), &json!(next)));
    // A bell that rings for nothing does nothing.
    client.batch_execute("notify ordercast, 'nonsense'; notify ordercast").await.unwrap();
    append(&client, 1, 1).await;
    assert_eq!(phone.event().await["position"], next + 1);
    server.stop().await;
}

/// Appends to the log as the writer does, but tells nobody: takes `taken` positions, and fills
/// the last `filled` of them with events that look like the newest one's order getting on.
async fn append(client: &Client, taken: i64, filled: i64) {
    let sql = format!(
        "begin;
         update log_head set last = last + {taken};
         insert into events (position, id, tenant_id, store_id, order_id, driver_id, n, type,
                             actor_role, actor_id, was, status, occurred_at, recorded_at, data)
         select h.last - {filled} + g, gen_random_uuid(), e.tenant_id, e.store_id, e.order_id,
                e.driver_id, e.n + g, 'order.preparing', e.actor_role, e.actor_id, e.status,
                e.status, now(), now(), '{{\"ready_eta\":\"2030-01-01T12:00:00.000Z\"}}'
         from log_head h, generate_series(1, {filled}) g,
              (select * from events where order_id is not null order by position desc limit 1) e;
         commit"
    );
    client.batch_execute(&sql).await.unwrap();
}

#[actix_web::test]
async fn a_log_with_a_hole_closes_every_socket_so_that_all_start_from_what_is_there() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let mut phone = Phone::connect(&server.url, &city.key).await;
    phone.subscribe(&format!("order:{order}")).await;
    let client = server.database.connect().await;
    append(&client, 2, 1).await;
    assert_eq!(phone.closed().await, closed(3010, "insufficient state"));
    server.stop().await;
}

#[actix_web::test]
async fn a_log_that_was_replaced_or_rewound_invalidates_what_every_subscriber_knows() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let client = server.database.connect().await;
    let replaced = "update log_head set seed = 'another'";
    let rewound = "begin;
        delete from events where position = (select max(position) from events);
        update log_head set last = last - 1; commit";
    for (change, other_epoch) in [(replaced, true), (rewound, false)] {
        let mut follower = Follower::new(&format!("order:{order}"), &city.key);
        let mut phone = follower.join(&server.url).await;
        let (epoch, offset) = (follower.epoch.clone(), follower.offset);
        client.batch_execute(change).await.unwrap();
        assert_eq!(cut(&client).await, 1);
        assert_eq!(phone.closed().await, closed(3014, "state invalidated"));
        let _phone = follower.join(&server.url).await;
        assert_eq!(follower.lost.len(), 1, "{change}");
        assert_eq!(follower.epoch != epoch, other_epoch, "{change}");
        assert_eq!(follower.offset < offset, !other_epoch, "{change}");
    }
    server.stop().await;
}

/// A process that is stopped; it goes on when this is dropped.
struct Frozen(Pid);

impl Frozen {
    fn freeze(pid: i32) -> Self {
        let pid = Pid::from_raw(pid);
        kill(pid, Signal::SIGSTOP).unwrap();
        Self(pid)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        // It has ended if it noticed that its client had gone.
        _ = kill(self.0, Signal::SIGCONT);
    }
}

#[actix_web::test]
async fn a_listening_connection_that_freezes_is_replaced() {
    let server = Server::start_with(|config| config.feed.probe_interval_ms = of(300)).await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let mut phone = Phone::connect(&server.url, &city.key).await;
    phone.subscribe(&format!("order:{order}")).await;
    let client = server.database.connect().await;
    let find = "select pid from pg_stat_activity
                where datname = current_database() and application_name = 'ordercast feed'";
    // Twice: at rest, and while changes keep it reading.
    for busy in [false, true] {
        let pid: i32 = client.query_one(find, &[]).await.unwrap().get(0);
        let frozen = Frozen::freeze(pid);
        if !busy {
            until("another connection", async || {
                let rows = client.query(find, &[]).await.unwrap();
                rows.iter().any(|row| row.get::<_, i32>(0) != pid).then_some(())
            })
            .await;
        }
        let note = json!({"note": format!("busy: {busy}")});
        city.platform.patch(&format!("/v1/orders/{order}"), note.clone()).await.expect(200);
        assert_eq!(phone.event().await["data"]["note"], note["note"]);
        drop(frozen);
        until("the frozen one to be gone", async || {
            let rows = client.query(find, &[]).await.unwrap();
            (rows.len() == 1 && rows[0].get::<_, i32>(0) != pid).then_some(())
        })
        .await;
    }
    server.stop().await;
}

#[actix_web::test]
async fn as_long_as_the_log_cannot_be_heard_it_is_not_ready_yet_serves_and_loses_nothing() {
    // One connection for reads, which is there before the database takes no more.
    let server = Server::start_with(|config| config.database.pool_size = 1).await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let rest = Rest::new(&server.url, None);
    rest.get("/readyz").await.expect(200);
    let mut follower = Follower::new("tenant", &city.key);
    let mut phone = follower.join(&server.url).await;
    let name = &server.database.name;
    let admin = connect(&server.database.url.replace(name, "postgres")).await;
    let allow = async |allow: bool| {
        let alter = format!("alter database {name} allow_connections {allow}");
        admin.batch_execute(&alter).await.unwrap();
    };
    let client = server.database.connect().await;
    allow(false).await;
    assert_eq!(cut(&client).await, 1);
    until("the outage to be noticed", async || {
        (rest.get("/readyz").await.status == 503).then_some(())
    })
    .await;
    rest.get("/readyz").await.expect_problem(503, "overloaded");
    rest.get("/healthz").await.expect(200);
    for nth in 0..5 {
        let note = json!({"note": nth.to_string()});
        city.platform.patch(&format!("/v1/orders/{order}"), note).await.expect(200);
    }
    // The socket stays, and one that comes now is told how things stand.
    assert_eq!(phone.ask(json!({"ping": {}})).await["error"]["code"], 108);
    let mut late = Follower::new(&format!("order:{order}"), &city.key);
    let mut late_phone = late.join(&server.url).await;
    assert_eq!(late.orders[&order].note, "4");
    assert!(follower.heard.is_empty() && phone.pushes.is_empty());

    allow(true).await;
    until("it to be ready again", async || (rest.get("/readyz").await.status == 200).then_some(()))
        .await;
    let note = json!({"note": "after"});
    city.platform.patch(&format!("/v1/orders/{order}"), note).await.expect(200);
    let last = follower.from + 6;
    follower.follow(&mut phone, last).await;
    late.follow(&mut late_phone, last).await;
    assert_eq!((follower.heard.len(), late.heard.as_slice()), (6, &[last][..]));
    assert_eq!(late.orders, follower.orders);
    server.stop().await;
}
