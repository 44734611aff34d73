//! Connections lost, processes stopped and killed, in the middle of load: what was answered is
//! in the log once, and nothing is in it twice.

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
use tokio_postgres::config::Host;

use crate::support::{
    City, Process, Rest, Scratch, Server, check_log, config, note, noted, until, waiting,
};

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
        // As many as are asserted below, and those that are under way at each of the eight.
        let reached = database.count("events").await + 60;
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
