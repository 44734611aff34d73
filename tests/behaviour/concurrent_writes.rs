//! Writing at once: many callers, two processes, a full queue, a lost connection, a stop.

use std::cell::Cell;
use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;

use futures::future::{join, join_all};
use ordercast::app::App;
use ordercast::config::Secret;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::Notify;
use tokio_postgres::Client;
use tokio_postgres::config::Host;

use crate::support::{Answer, City, Process, Rest, Scratch, Server, config, until};

/// Checks what must hold of every log: positions without a gap, each order's `n` without a gap
/// and up to its version, the head at the end.
async fn check_log(database: &Scratch) {
    let client = database.connect().await;
    let rows = client.query("select position from events order by position", &[]).await.unwrap();
    let positions: Vec<i64> = rows.iter().map(|row| row.try_get(0).unwrap()).collect();
    let count = i64::try_from(positions.len()).unwrap();
    assert_eq!(positions, (1..=count).collect::<Vec<_>>());
    let head = client.query_one("select last from log_head", &[]).await.unwrap();
    assert_eq!(head.try_get::<_, i64>(0).unwrap(), count);
    let orders = "
        select o.version, array_agg(e.n order by e.position), (array_agg(e.status
               order by e.position desc))[1] = o.status
        from orders o left join events e on e.order_id = o.id
        group by o.id";
    for row in client.query(orders, &[]).await.unwrap() {
        let version: i64 = row.try_get(0).unwrap();
        let steps: Vec<i64> = row.try_get(1).unwrap();
        assert_eq!(steps, (1..=version).collect::<Vec<_>>());
        assert!(row.try_get::<_, bool>(2).unwrap(), "the row stands where its last event says");
    }
}

/// How often each order's meta was set to each number, by the log.
async fn noted(database: &Scratch) -> BTreeMap<String, usize> {
    let client = database.connect().await;
    let query = "select data->'order'->>'note' from events where type = 'order.updated'";
    let mut noted = BTreeMap::new();
    for row in client.query(query, &[]).await.unwrap() {
        *noted.entry(row.try_get(0).unwrap()).or_insert(0) += 1;
    }
    noted
}

/// How many backends of this database wait for a lock.
async fn waiting(client: &Client) -> i64 {
    let query = "select count(*) from pg_stat_activity
                 where datname = current_database() and wait_event_type = 'Lock'";
    client.query_one(query, &[]).await.unwrap().try_get(0).unwrap()
}

/// Holds the row of an order in a transaction of its own, which makes the writer wait.
async fn hold(database: &Scratch, order: &str) -> Client {
    let client = database.connect().await;
    let id: ordercast::domain::OrderId = order.parse().unwrap();
    client.batch_execute("begin").await.unwrap();
    let lock = "select 1 from orders where id = $1 for update";
    assert_eq!(client.query(lock, &[&id.uuid()]).await.unwrap().len(), 1);
    client
}

/// A change of details, which names itself in the log.
async fn note(who: &Rest, order: &str, note: &str) -> Answer {
    who.patch(&format!("/v1/orders/{order}"), json!({"note": note})).await
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

/// Keeps changing orders until `enough` says so; what was answered, by note.
async fn load(who: &Rest, orders: &[String], lane: usize, enough: &Notify) -> Vec<(String, u16)> {
    let mut answers = Vec::new();
    let mut enough = std::pin::pin!(enough.notified());
    enough.as_mut().enable();
    for nth in 0.. {
        let text = format!("lane {lane} number {nth}");
        let order = &orders[(lane + nth) % orders.len()];
        let path = format!("/v1/orders/{order}");
        let answer = who.try_patch(&path, json!({"note": text})).await;
        let status = answer.map_or(0, |answer| answer.status);
        answers.push((text, status));
        if futures::FutureExt::now_or_never(enough.as_mut()).is_some() {
            break;
        }
    }
    answers
}

/// Compares what was answered with what the log holds.
async fn compare(database: &Scratch, answers: &[(String, u16)]) {
    let noted = noted(database).await;
    for (text, status) in answers {
        let times = noted.get(text).copied().unwrap_or(0);
        match status {
            200 => assert_eq!(times, 1, "{text} was answered with 200"),
            // Not answered, or told that it is not known: at most once.
            _ => assert!(times <= 1, "{text} is in the log {times} times"),
        }
    }
    check_log(database).await;
}

#[actix_web::test]
async fn a_lost_connection_of_the_writer_loses_and_doubles_nothing() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let mut orders = Vec::new();
    for _ in 0..8 {
        orders.push(city.order_id().await);
    }
    let enough = Notify::new();
    let killing = async {
        let client = server.database.connect().await;
        // Wherever it happens to be: reading, writing, committing or idle.
        // Chosen first, so that nobody else is killed by the order of the conditions.
        let kill = "
            with writer as materialized (
                select pid from pg_stat_activity
                where datname = current_database() and application_name = 'ordercast writer')
            select pid from writer where pg_terminate_backend(pid)";
        let mut killed = HashSet::new();
        let mut reached = 0;
        while killed.len() < 12 {
            // Between two kills the writer must have come back and written.
            until("another change to commit", async || {
                let written = server.database.count("events").await;
                (written > reached).then(|| reached = written)
            })
            .await;
            for row in client.query(kill, &[]).await.unwrap() {
                killed.insert(row.try_get::<_, i32>(0).unwrap());
            }
        }
        enough.notify_waiters();
    };
    let lanes = join_all((0..8).map(|lane| load(&city.platform, &orders, lane, &enough)));
    let (lanes, ()) = join(lanes, killing).await;
    let answers: Vec<_> = lanes.into_iter().flatten().collect();
    let good = answers.iter().filter(|(_, status)| *status == 200).count();
    assert!(good >= 12, "{good} of {} were written", answers.len());
    assert!(answers.iter().all(|(_, status)| matches!(status, 200 | 503)), "{answers:?}");
    compare(&server.database, &answers).await;
    server.stop().await;
}

/// Stands between a server and its PostgreSQL. Once told to, it lets the next commit through
/// and swallows the answer to it.
struct Wire {
    url: String,
    swallow: Rc<Cell<bool>>,
    /// Commits of which the answer was swallowed.
    swallowed: Rc<Cell<u32>>,
}

impl Wire {
    async fn before(database: &Scratch) -> Self {
        let settings: tokio_postgres::Config = database.url.parse().unwrap();
        let Some(Host::Unix(folder)) = settings.get_hosts().first() else {
            panic!("a private server listens in a folder")
        };
        let port = settings.get_ports().first().copied().unwrap_or(5432);
        let socket = folder.join(format!(".s.PGSQL.{port}"));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!(
            "host=127.0.0.1 port={} user={} dbname={}",
            listener.local_addr().unwrap().port(),
            settings.get_user().unwrap(),
            database.name,
        );
        let (swallow, swallowed) = (Rc::<Cell<bool>>::default(), Rc::<Cell<u32>>::default());
        let (told, count) = (Rc::clone(&swallow), Rc::clone(&swallowed));
        actix_web::rt::spawn(async move {
            while let Ok((near, _address)) = listener.accept().await {
                let far = UnixStream::connect(&socket).await.unwrap();
                actix_web::rt::spawn(carry(near, far, Rc::clone(&told), Rc::clone(&count)));
            }
        });
        Self { url, swallow, swallowed }
    }
}

/// Carries bytes both ways until an end, or a swallowed answer.
async fn carry(
    mut near: TcpStream,
    mut far: UnixStream,
    swallow: Rc<Cell<bool>>,
    swallowed: Rc<Cell<u32>>,
) {
    let (mut asked, mut answered) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        tokio::select! {
            read = near.read(&mut asked) => {
                let bytes = &asked[..read.unwrap_or(0)];
                if bytes.is_empty() || far.write_all(bytes).await.is_err() {
                    return;
                }
                let commits = bytes.windows(7).any(|window| window == b"commit\0");
                if commits && swallow.take() {
                    // The commit is done when PostgreSQL is ready for the next query.
                    let mut tail = Vec::new();
                    while !tail.ends_with(b"Z\0\0\0\x05I") {
                        let read = far.read(&mut answered).await.unwrap();
                        assert!(read > 0, "PostgreSQL hung up");
                        tail.extend_from_slice(&answered[..read]);
                    }
                    swallowed.set(swallowed.get() + 1);
                    return;
                }
            }
            read = far.read(&mut answered) => {
                let bytes = &answered[..read.unwrap_or(0)];
                if bytes.is_empty() || near.write_all(bytes).await.is_err() {
                    return;
                }
            }
        }
    }
}

#[actix_web::test]
async fn a_commit_whose_answer_was_lost_is_found_out_and_not_done_again() {
    let database = Scratch::create().await;
    let wire = Wire::before(&database).await;
    let mut config = config(&database);
    config.database.url = Secret(wire.url.clone());
    let app = App::start(config).await.unwrap();
    let city = City::found(&format!("http://{}", app.address()), &database).await;
    let order = city.order_id().await;
    for round in 0..5 {
        wire.swallow.set(true);
        let answers = join_all((0..4).map(|nth| {
            let (city, order) = (&city, &order);
            async move {
                if nth == 0 {
                    return note(&city.platform, order, &format!("round {round}"))
                        .await
                        .expect(200);
                }
                city.order(json!({"external_id": format!("{round} {nth}")})).await
            }
        }))
        .await;
        assert_eq!(answers[0]["note"], format!("round {round}"));
        assert_eq!(wire.swallowed.get(), round + 1);
    }
    let noted = noted(&database).await;
    assert_eq!(noted.len(), 5);
    assert!(noted.values().all(|times| *times == 1), "{noted:?}");
    assert_eq!(database.count("orders").await, 16);
    check_log(&database).await;
    app.stop().await;
}

#[actix_web::test]
async fn a_connection_lost_while_writing_is_tried_again() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let held = server.database.connect().await;
    // The last lock a batch takes: by then all is written but the events.
    held.batch_execute("begin; select 1 from log_head for update").await.unwrap();
    let changing = note(&city.platform, &order, "once");
    let killing = async {
        let client = server.database.connect().await;
        until("the writer to wait", async || (waiting(&client).await == 1).then_some(())).await;
        let kill = "
            with writer as materialized (
                select pid from pg_stat_activity
                where datname = current_database() and application_name = 'ordercast writer')
            select pg_terminate_backend(pid) from writer";
        assert_eq!(client.query(kill, &[]).await.unwrap().len(), 1);
        held.batch_execute("rollback").await.unwrap();
    };
    let (answer, ()) = join(changing, killing).await;
    assert_eq!(answer.expect(200)["version"], 2);
    assert_eq!(noted(&server.database).await, BTreeMap::from([("once".to_owned(), 1)]));
    check_log(&server.database).await;
    server.stop().await;
}

#[actix_web::test]
async fn a_stop_in_the_middle_of_load_keeps_every_promise() {
    let database = Scratch::create().await;
    let process = Process::serve(&database).await;
    let city = City::found(&process.url, &database).await;
    let mut orders = Vec::new();
    for _ in 0..8 {
        orders.push(city.order_id().await);
    }
    let enough = Notify::new();
    let stopping = async {
        let reached = database.count("events").await + 50;
        until("the load to run", async || (database.count("events").await > reached).then_some(()))
            .await;
        process.ask_to_stop();
        // Asked to stop it takes no new callers.
        until("the process to refuse", async || {
            let fresh = Rest::new(&city.platform.base, Some(&city.key));
            fresh.try_patch("/v1/orders/x", json!({})).await.is_err().then_some(())
        })
        .await;
        enough.notify_waiters();
    };
    let lanes = join_all((0..8).map(|lane| load(&city.platform, &orders, lane, &enough)));
    let (lanes, ()) = join(lanes, stopping).await;
    assert_eq!(process.terminate(), Some(0));
    let answers: Vec<_> = lanes.into_iter().flatten().collect();
    assert!(answers.iter().filter(|(_, status)| *status == 200).count() >= 50);
    compare(&database, &answers).await;
}

#[actix_web::test]
async fn a_kill_in_the_middle_of_load_loses_no_answered_change() {
    let database = Scratch::create().await;
    let process = Process::serve(&database).await;
    let city = City::found(&process.url, &database).await;
    let mut orders = Vec::new();
    for _ in 0..8 {
        orders.push(city.order_id().await);
    }
    let enough = Notify::new();
    let killing = async {
        let reached = database.count("events").await + 50;
        until("the load to run", async || (database.count("events").await > reached).then_some(()))
            .await;
        process.kill();
        enough.notify_waiters();
    };
    let lanes = join_all((0..8).map(|lane| load(&city.platform, &orders, lane, &enough)));
    let (lanes, ()) = join(lanes, killing).await;
    let answers: Vec<_> = lanes.into_iter().flatten().collect();
    assert!(answers.iter().filter(|(_, status)| *status == 200).count() >= 50);
    // A backend may still be committing what the killed process asked for.
    let client = database.connect().await;
    until("the writer's backend to end", async || {
        let query = "select count(*) from pg_stat_activity
                     where datname = current_database() and application_name like 'ordercast %'";
        let left: i64 = client.query_one(query, &[]).await.unwrap().try_get(0).unwrap();
        (left == 0).then_some(())
    })
    .await;
    compare(&database, &answers).await;
    // The next process goes on where the log ends.
    let next = Process::serve(&database).await;
    let who = Rest::new(&next.url, Some(&city.key));
    let answer = note(&who, &orders[0], "after the kill").await.expect(200);
    let page: Value =
        who.get(&format!("/v1/orders/{}/events?types=order.updated", orders[0])).await.expect(200);
    let last = page["events"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["n"], &last["data"]["note"]), (&answer["version"], &answer["note"]));
    check_log(&database).await;
}
