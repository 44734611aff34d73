//! Webhooks while something is away or short: the database, places to deliver from, a connection
//! that was kept.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use serde_json::{Value, json};

use crate::support::{City, Letter, Receiver, Says, Scratch, Server, delivering, of, until};
use crate::webhooks::{attempts, hook, log, path, view};

#[actix_web::test]
async fn what_is_answered_while_the_database_is_away_is_noted_and_not_posted_again() {
    let server = Server::start_with(delivering).await;
    let city = City::found(&server.url, &server.database).await;
    let receiver = Receiver::start();
    let hook = hook(&city, &receiver.url, Value::Null).await;
    let from = hook["position"].as_u64().unwrap();
    receiver.fall_silent();
    city.order_id().await;
    city.order_id().await;
    receiver.received(1).await;

    let name = &server.database.name;
    let (base, _name) = server.database.url.rsplit_once('/').unwrap();
    let elsewhere = Scratch { name: "postgres".to_owned(), url: format!("{base}/postgres") };
    let admin = elsewhere.connect().await;
    let allow = async |allow: bool| {
        let alter = format!("alter database {name} with allow_connections = {allow}");
        admin.batch_execute(&alter).await.unwrap();
    };
    allow(false).await;
    let cut_off = "
        with own as materialized (select pid from pg_stat_activity where datname = $1)
        select pg_terminate_backend(pid) from own";
    admin.query(cut_off, &[name]).await.unwrap();
    receiver.answer_all();
    // It is answered, and whoever would note it finds no database.
    until("the process to notice", async || {
        let ready = crate::support::Rest::new(&server.url, None).get("/readyz").await;
        (ready.status != 200).then_some(())
    })
    .await;
    allow(true).await;
    let letters = receiver.received(2).await;
    let wanted = until("the process to be back", async || {
        let page = city.platform.get(&format!("/v1/events?after={from}")).await;
        (page.status == 200).then(|| page.body["events"].as_array().unwrap().clone())
    })
    .await;
    assert!(letters.iter().map(Letter::event).eq(wanted.iter().cloned()));
    until("the last to be noted", async || {
        (view(&city, &hook).await["position"] == wanted[1]["position"]).then_some(())
    })
    .await;
    assert_eq!(attempts(&city, &hook).await.len(), 2);
    assert_eq!(receiver.letters().len(), 2);
    server.stop().await;
}

#[actix_web::test]
async fn with_one_place_to_deliver_from_everybody_has_a_turn() {
    let server = Server::start_with(|config| {
        delivering(config);
        config.webhooks.deliveries_max = 1;
        config.webhooks.timeout_ms = of(500);
        config.webhooks.page_len = 2;
        // Renewed before each letter.
        config.webhooks.lease_s = of(1);
    })
    .await;
    let city = City::found(&server.url, &server.database).await;
    let receivers = [(); 4].map(|()| Receiver::start());
    let mut hooks = Vec::new();
    for receiver in &receivers {
        hooks.push(hook(&city, &receiver.url, Value::Null).await);
    }
    receivers[0].fall_silent();
    let from = hooks[3]["position"].as_u64().unwrap();
    for _ in 0..7 {
        city.order_id().await;
    }
    let wanted = log(&city, from).await;
    assert_eq!(wanted.len(), 7);
    for receiver in &receivers[1..] {
        let letters = receiver.received(7).await;
        assert!(letters.iter().map(Letter::event).eq(wanted.iter().cloned()));
    }
    server.stop().await;
}

/// Answers two requests on each connection, well, and closes it without a word.
fn curt() -> (String, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            for _ in 0..2 {
                let (mut request, mut part) = (String::new(), [0; 4_096]);
                // The body is JSON on one line; its end is the end of the object.
                while !request.ends_with("}}") {
                    match stream.read(&mut part) {
                        Ok(0) | Err(_) => break,
                        Ok(read) => request += std::str::from_utf8(&part[..read]).unwrap(),
                    }
                }
                let Some((_head, body)) = request.split_once("\r\n\r\n") else { break };
                drop(tell.send(body.to_owned()));
                drop(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"));
            }
        }
    });
    (url, told)
}

#[actix_web::test]
async fn a_connection_that_the_receiver_closed_is_no_failure() {
    let server = Server::start_with(delivering).await;
    let city = City::found(&server.url, &server.database).await;
    let (url, told) = curt();
    let hook = hook(&city, &url, json!(["order.updated"])).await;
    let order = city.order_id().await;
    for nth in 0..9 {
        let body = json!({"note": nth.to_string()});
        city.platform.patch(&format!("/v1/orders/{order}"), body).await.expect(200);
    }
    let tried = until("all to be posted", async || {
        let tried = attempts(&city, &hook).await;
        (tried.len() >= 9).then_some(tried)
    })
    .await;
    assert!(tried.iter().all(|attempt| attempt["outcome"] == "delivered"), "{tried:#?}");
    let notes: Vec<Value> = told
        .try_iter()
        .map(|body| serde_json::from_str::<Value>(&body).unwrap()["data"]["note"].clone())
        .collect();
    let wanted: Vec<String> = (0..9).map(|nth: u32| nth.to_string()).collect();
    assert_eq!(notes, wanted);
    server.stop().await;
}

#[actix_web::test]
async fn what_is_asked_for_while_a_letter_is_under_way_holds() {
    let server = Server::start_with(delivering).await;
    let city = City::found(&server.url, &server.database).await;
    for _ in 0..3 {
        city.order_id().await;
    }
    let (receiver, other) = (Receiver::start(), Receiver::start());
    let hook = hook(&city, &receiver.url, Value::Null).await;
    receiver.fall_silent();
    city.order_id().await;
    receiver.received(1).await;
    let replay = path(&hook, "/replay?after=0");
    city.platform.post(&replay, json!({})).await.expect(200);
    receiver.answer_all();
    let wanted = log(&city, 0).await;
    let letters = receiver.received(1 + wanted.len()).await;
    assert!(letters[1..].iter().map(Letter::event).eq(wanted.iter().cloned()));

    // Another address as well, whatever the old one says in the end.
    receiver.fall_silent();
    receiver.say(Says::status(500));
    city.order_id().await;
    let under_way = receiver.received(2 + wanted.len()).await.pop().unwrap();
    let patch = json!({"url": other.url});
    city.platform.patch(&path(&hook, ""), patch).await.expect(200);
    receiver.answer_all();
    until("the failure to be noted", async || {
        (attempts(&city, &hook).await.last()?["outcome"] == "status").then_some(())
    })
    .await;
    crate::webhooks::hurry(&server.database.connect().await).await;
    let letters = other.received(1).await;
    assert_eq!(letters[0].id, under_way.id);
    server.stop().await;
}
