//! The log in partitions: it is cut while everybody goes on, by whoever comes first, and what is
//! old is dropped from it.

use std::cell::Cell;
use std::rc::Rc;

use actix_web::rt;
use futures::future::{join, join_all};
use ordercast::config::Retention;
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::support::{
    City, Follower, Letter, Phone, Process, Receiver, Rest, Scratch, Server, check_log, delivering,
    note, noted, of, until, waiting,
};
use crate::webhooks::{hook, log, path};

/// Has everything in the log happen so many days earlier.
async fn age(client: &Client, days: u32) {
    let age = format!("update events set recorded_at = recorded_at - interval '{days} days'");
    client.batch_execute(&age).await.unwrap();
}

/// The partitions of the log: where each begins.
async fn parts(client: &Client) -> Vec<i64> {
    let query = "select coalesce(substring(pg_get_expr(c.relpartbound, c.oid)
                                           from 'FROM \\(''([0-9]+)')::int8, 1) as begins
                 from pg_inherits i join pg_class c on c.oid = i.inhrelid
                 where i.inhparent = 'events'::regclass order by 1";
    let rows = client.query(query, &[]).await.unwrap();
    rows.iter().map(|row| row.try_get(0).unwrap()).collect()
}

/// Whether the newest partition has a border.
async fn has_border(client: &Client) -> bool {
    let query = "select exists (select from pg_constraint where conname = 'events_border')";
    client.query_one(query, &[]).await.unwrap().try_get(0).unwrap()
}

async fn head(client: &Client) -> i64 {
    client.query_one("select last from log_head", &[]).await.unwrap().try_get(0).unwrap()
}

impl Server {
    /// Looks after the log as each process does, now and then.
    async fn keep_log(&self) {
        let api = self.app().api();
        api.database.keep_log(&api.config.retention).await.unwrap();
    }

    /// The first day of the log is over: it goes on behind a border, which is filled up to.
    async fn begin_day(&self, client: &Client, city: &City, order: &str) -> i64 {
        age(client, 1).await;
        self.keep_log().await;
        let border = *parts(client).await.last().unwrap();
        assert!(border > head(client).await, "drawn ahead");
        while head(client).await < border {
            let notes = (0..20).map(|nth| format!("{border} {nth}"));
            join_all(notes.map(async |text| note(&city.platform, order, &text).await.expect(200)))
                .await;
        }
        border
    }
}

#[actix_web::test]
async fn the_log_is_cut_again_and_again_while_two_processes_write_and_nothing_is_lost() {
    let server = Server::start().await;
    let other = Process::serve(&server.database).await;
    let city = City::found(&server.url, &server.database).await;
    let client = server.database.connect().await;
    let order = city.order_id().await;
    let channel = format!("order:{order}");
    let mut follower = Follower::new(&channel, &city.key);
    let mut phone = follower.join(&other.url).await;
    let stop = Rc::new(Cell::new(false));
    let writers: Vec<_> = (0..6)
        .map(|writer| {
            let url = if writer % 2 == 0 { &server.url } else { &other.url };
            let (who, order) = (Rest::new(url, Some(&city.key)), order.clone());
            let stop = Rc::clone(&stop);
            rt::spawn(async move {
                let mut written = 0;
                while !stop.get() {
                    note(&who, &order, &format!("{writer} {written}")).await.expect(200);
                    written += 1;
                }
                written
            })
        })
        .collect();
    for pieces in 2..=8 {
        age(&client, 1).await;
        let border = until("the log to be cut", async || {
            server.keep_log().await;
            let parts = parts(&client).await;
            (parts.len() == pieces).then(|| *parts.last().unwrap())
        })
        .await;
        until("the border to be passed", async || (head(&client).await > border).then_some(()))
            .await;
    }
    stop.set(true);
    let mut written = 0;
    for writer in writers {
        written += writer.await.unwrap();
    }
    check_log(&server.database).await;
    let noted = noted(&server.database).await;
    assert_eq!(noted.len(), written);
    assert!(noted.values().all(|times| *times == 1));
    assert!(!has_border(&client).await);
    // Whoever listened heard all of it; the feed of the other process read it by its partitions.
    let last = u64::try_from(head(&client).await).unwrap();
    follower.follow(&mut phone, last).await;
    assert_eq!(follower.heard.len(), written);
    // What each partition holds is its own.
    let stray = "select count(*) from events e join pg_class c on c.oid = e.tableoid
                 where e.position < coalesce(substring(c.relname from '[0-9]+$')::int8, 1)";
    assert_eq!(client.query_one(stray, &[]).await.unwrap().try_get::<_, i64>(0).unwrap(), 0);
    server.stop().await;
}

#[actix_web::test]
async fn whoever_comes_to_a_border_before_it_is_one_takes_it_away_and_nothing_is_lost() {
    let database = Scratch::create().await;
    let (one, two) = join(Process::serve(&database), Process::serve(&database)).await;
    let city = City::found(&one.url, &database).await;
    let client = database.connect().await;
    let order = city.order_id().await;
    for round in 0..3 {
        age(&client, 1).await;
        // Whoever drew it has died.
        client.batch_execute("select begin_cut(1, 1000)").await.unwrap();
        assert!(has_border(&client).await, "round {round}");
        let writing = (0..160).map(async |nth| {
            let who = Rest::new(if nth % 2 == 0 { &one.url } else { &two.url }, Some(&city.key));
            note(&who, &order, &format!("{round} {nth}")).await.expect(200)
        });
        join_all(writing).await;
        assert!(!has_border(&client).await, "round {round}");
    }
    check_log(&database).await;
    assert_eq!(noted(&database).await.len(), 480);
    assert_eq!(parts(&client).await, [1]);
}

#[actix_web::test]
async fn a_cut_is_gone_on_with_wherever_whoever_began_it_has_died() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let client = server.database.connect().await;
    let steps =
        ["", "select begin_cut(1, 1000)", "select check_cut()", "begin; select finish_cut(1000)"];
    for died_after in 0..steps.len() {
        age(&client, 1).await;
        let before = parts(&client).await;
        let dying = server.database.connect().await;
        for step in &steps[..=died_after] {
            dying.batch_execute(step).await.unwrap();
        }
        let pid: i32 =
            dying.query_one("select pg_backend_pid()", &[]).await.unwrap().try_get(0).unwrap();
        drop(dying);
        until("it to be gone", async || {
            let query = "select exists (select from pg_stat_activity where pid = $1)";
            let there: bool = client.query_one(query, &[&pid]).await.unwrap().try_get(0).unwrap();
            (!there).then_some(())
        })
        .await;
        assert_eq!(parts(&client).await, before, "{died_after}");
        // Two others at once.
        join(server.keep_log(), server.keep_log()).await;
        let now = parts(&client).await;
        assert_eq!(now.len(), before.len() + 1, "{died_after}");
        assert!(!has_border(&client).await);
        // Once a day, and not before the next has begun.
        server.keep_log().await;
        assert_eq!(parts(&client).await, now);
        let border = *now.last().unwrap();
        while head(&client).await < border {
            note(&city.platform, &order, &format!("{border} {}", head(&client).await))
                .await
                .expect(200);
        }
    }
    server.stop().await;
}

#[actix_web::test]
async fn who_holds_on_to_the_log_keeps_it_from_being_cut_and_nobody_from_writing() {
    let server = Server::start_with(|config| config.retention.lock_ms = of(20)).await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let client = server.database.connect().await;
    age(&client, 1).await;
    let holder = server.database.connect().await;
    holder.batch_execute("begin; select from events limit 1").await.unwrap();
    let keeping = server.keep_log();
    let writing = async {
        until("it to be tried", async || (waiting(&client).await > 0).then_some(())).await;
        for nth in 0..30 {
            note(&city.platform, &order, &format!("note {nth}")).await.expect(200);
        }
        assert_eq!(parts(&client).await, [1]);
        holder.batch_execute("commit").await.unwrap();
    };
    join(keeping, writing).await;
    assert_eq!(parts(&client).await.len(), 2);
    check_log(&server.database).await;
    server.stop().await;
}

#[actix_web::test]
async fn sockets_and_webhooks_recover_across_borders() {
    let server = Server::start_with(|config| {
        delivering(config);
        // Or memory would answer.
        config.feed.window_len = 0;
        config.socket.recovery_limit = 10_000;
    })
    .await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let client = server.database.connect().await;
    let receiver = Receiver::start();
    let hook = hook(&city, &receiver.url, Value::Null).await;
    let from = hook["position"].as_u64().unwrap();
    let switch = async |state: &str| {
        let state = json!({"state": state});
        city.platform.patch(&path(&hook, ""), state).await.expect(200)
    };
    switch("disabled").await;
    let mut followers = Vec::new();
    for (channel, token) in [
        (format!("order:{order}"), city.customer_token(&order).await),
        (format!("store:{}", city.store), city.store_token().await),
        ("tenant".to_owned(), city.key.clone()),
    ] {
        let mut follower = Follower::new(&channel, &token);
        drop(follower.join(&server.url).await);
        followers.push(follower);
    }
    for _ in 0..2 {
        server.begin_day(&client, &city, &order).await;
    }
    assert_eq!(parts(&client).await.len(), 3);
    let last = u64::try_from(head(&client).await).unwrap();
    for follower in &mut followers {
        let mut phone = follower.join(&server.url).await;
        follower.follow(&mut phone, last).await;
        assert!(follower.lost.is_empty(), "{}", follower.channel);
        assert_eq!(
            u64::try_from(follower.heard.len()).unwrap(),
            last - from,
            "{}",
            follower.channel
        );
    }
    switch("enabled").await;
    let wanted = log(&city, from).await;
    let letters = receiver.received(wanted.len()).await;
    assert!(letters.iter().map(Letter::event).eq(wanted));
    server.stop().await;
}

#[actix_web::test]
async fn what_is_older_than_it_is_kept_is_dropped_and_said_so() {
    let server = Server::start_with(|config| {
        config.feed.window_len = 0;
        config.retention.events_days = 3;
    })
    .await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let client = server.database.connect().await;
    let mut old = Phone::connect(&server.url, &city.key).await;
    let seen = old.subscribe("tenant").await;
    let (offset, epoch) = (seen["offset"].as_u64().unwrap(), seen["epoch"].as_str().unwrap());
    let first = server.begin_day(&client, &city, &order).await;
    let second = server.begin_day(&client, &city, &order).await;
    assert_eq!(parts(&client).await, [1, first, second]);
    // What they end with is two days old, and one.
    age(&client, 1).await;
    server.keep_log().await;
    assert_eq!(parts(&client).await.len(), 4, "nothing is older than three days");
    let age = "update events set recorded_at = recorded_at - interval '25 hours'";
    client.batch_execute(age).await.unwrap();
    server.keep_log().await;
    assert_eq!(parts(&client).await[..2], [first, second]);
    let begins = first;
    for path in ["/v1/events".to_owned(), format!("/v1/orders/{order}/events")] {
        for after in [0, begins - 2] {
            let gone = city.platform.get(&format!("{path}?after={after}")).await;
            gone.expect_problem(410, "cursor_too_old");
        }
        let page = city.platform.get(&format!("{path}?after={}", begins - 1)).await.expect(200);
        assert_eq!(page["events"][0]["position"], begins, "{path}");
    }
    // What the order is does not hang on the log.
    let view = city.platform.get(&format!("/v1/orders/{order}")).await.expect(200);
    assert!(view["version"].as_i64().unwrap() > 200);
    let mut back = Phone::connect(&server.url, &city.key).await;
    let recovered = back.recover("tenant", offset, epoch).await;
    assert_ne!(recovered["recovered"], true, "by a snapshot instead: {recovered}");
    assert!(recovered["data"]["orders"].is_array());
    server.stop().await;
}

#[actix_web::test]
async fn what_is_kept_for_ever_is_neither_cut_nor_dropped() {
    let server = Server::start_with(|config| config.retention.events_days = 0).await;
    let city = City::found(&server.url, &server.database).await;
    city.order_id().await;
    let client = server.database.connect().await;
    age(&client, 10_000).await;
    server.keep_log().await;
    assert_eq!(parts(&client).await, [1]);
    // Kept for long, it is cut seldom: each read that goes far back looks at each piece.
    let long: Retention = Retention { events_days: 3_650, lock_ms: of(200) };
    client
        .batch_execute("update events set recorded_at = now() - interval '36 days'")
        .await
        .unwrap();
    let database = &server.app().api().database;
    database.keep_log(&long).await.unwrap();
    assert_eq!(parts(&client).await, [1]);
    age(&client, 1).await;
    database.keep_log(&long).await.unwrap();
    assert_eq!(parts(&client).await.len(), 2);
    server.stop().await;
}
