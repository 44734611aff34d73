//! Coming back: exactly what was missed, or a snapshot that says that something was.

use std::cell::Cell;
use std::rc::Rc;

use actix_web::rt;
use serde_json::{Value, json};

use crate::support::{City, Follower, Phone, Rest, Server, forget, until};

fn members(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

async fn subscribe(phone: &mut Phone, subscribe: Value) -> Value {
    phone.ask(json!({"subscribe": subscribe})).await
}

#[actix_web::test]
async fn who_comes_back_is_given_what_it_missed_as_others_heard_it() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let channel = format!("order:{order}");
    let token = city.customer_token(&order).await;
    let mut staying = Phone::connect(&server.url, &token).await;
    let mut leaving = Phone::connect(&server.url, &token).await;
    staying.subscribe(&channel).await;
    let seen = leaving.subscribe(&channel).await;
    assert_eq!(members(&seen), ["data", "epoch", "offset", "positioned", "recoverable"]);
    leaving.drop_connection();

    // Others' events in between: offsets of a channel grow, and skip.
    let other = city.order_id().await;
    city.act(&city.platform, &order, "accept", json!({})).await;
    city.act(&city.platform, &other, "accept", json!({})).await;
    city.act(&city.platform, &order, "ready", json!({})).await;
    let mut live = Vec::new();
    for _ in 0..3 {
        live.push(staying.push().await["pub"].clone());
    }

    let mut back = Phone::connect(&server.url, &token).await;
    let ask = json!({
        "channel": channel, "flag": 1, "recover": true,
        "offset": seen["offset"], "epoch": seen["epoch"],
    });
    let reply = subscribe(&mut back, ask.clone()).await;
    let expected = json!({
        "recoverable": true, "positioned": true, "epoch": seen["epoch"], "offset": seen["offset"],
        "was_recovering": true, "recovered": true, "publications": live,
    });
    assert_eq!(reply["subscribe"], expected);
    // And goes on from there, as whoever stayed.
    city.assign(&order).await;
    assert_eq!(back.push().await, staying.push().await);

    // Nothing missed is recovered as well, and there is no list then.
    let mut up_to_date = Phone::connect(&server.url, &token).await;
    let top = json!(city.platform.get("/v1/events").await.expect(200)["next"]);
    let mut ask = ask;
    ask["offset"] = top.clone();
    let reply = subscribe(&mut up_to_date, ask).await;
    let expected = json!({
        "recoverable": true, "positioned": true, "epoch": seen["epoch"], "offset": top,
        "was_recovering": true, "recovered": true,
    });
    assert_eq!(reply["subscribe"], expected);
    server.stop().await;
}

#[actix_web::test]
async fn who_cannot_recover_is_given_a_snapshot_and_told_so_or_refused_if_it_rather_would() {
    let server = Server::start_with(|config| config.socket.recovery_limit = 3).await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let channel = format!("order:{order}");
    let mut phone = Phone::connect(&server.url, &city.key).await;
    let seen = phone.subscribe(&channel).await;
    let offset = seen["offset"].as_u64().unwrap();
    city.act(&city.platform, &order, "accept", json!({})).await;
    city.act(&city.platform, &order, "ready", json!({})).await;
    let epoch = &seen["epoch"];
    // Three is as many as there may be.
    let mut back = Phone::connect(&server.url, &city.key).await;
    let reply = back.recover(&channel, offset, epoch.as_str().unwrap()).await;
    assert_eq!(reply["publications"].as_array().unwrap().len(), 3, "{reply}");
    // An empty epoch is one that is not known.
    let mut back = Phone::connect(&server.url, &city.key).await;
    assert_eq!(back.recover(&channel, offset, "").await["recovered"], true);

    city.assign(&order).await;
    let ops = city.platform.with_token(&city.ops_token().await);
    let mut top = city.platform.get("/v1/events").await.expect(200)["next"].as_u64().unwrap();
    let another = json!("another");
    for (why, behind, epoch) in [
        ("another log", Some(0), &another),
        ("ahead of the log", Some(-1), epoch),
        ("too much was missed", None, epoch),
        ("too much was missed", None, &json!("")),
    ] {
        let mut back = Phone::connect(&server.url, &city.key).await;
        let offset = behind.map_or(offset, |behind| top.checked_add_signed(-behind).unwrap());
        let mut ask =
            json!({"channel": channel, "recover": true, "offset": offset, "epoch": epoch});
        ask["flag"] = json!(3);
        let reply = subscribe(&mut back, ask.clone()).await;
        let error = json!({"code": 112, "message": "unrecoverable position"});
        assert_eq!(reply["error"], error, "{why}");
        // Nothing stands after the refusal.
        ask["flag"] = json!(1);
        let reply = subscribe(&mut back, ask).await;
        let result = &reply["subscribe"];
        let expected = ["data", "epoch", "offset", "positioned", "recoverable", "was_recovering"];
        assert_eq!(members(result), expected, "{why}: {reply}");
        assert_eq!((&result["offset"], &result["epoch"]), (&json!(top), &seen["epoch"]), "{why}");
        assert_eq!(result["data"]["order"]["leg"], "assigned", "{why}");
        // It is live from there on.
        city.act(&ops, &order, "unready", json!({})).await;
        assert_eq!(back.event().await["type"], "order.unready", "{why}");
        city.act(&city.platform, &order, "ready", json!({})).await;
        let event = back.event().await;
        assert_eq!(event["type"], "order.ready", "{why}");
        top = event["position"].as_u64().unwrap();
    }
    server.stop().await;
}

#[actix_web::test]
async fn what_the_log_holds_no_more_is_not_recovered() {
    // Or memory would still hold it.
    let server = Server::start_with(|config| config.feed.window_len = 0).await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    city.act(&city.platform, &order, "accept", json!({})).await;
    let channel = format!("order:{order}");
    let mut phone = Phone::connect(&server.url, &city.key).await;
    let seen = phone.subscribe(&channel).await;
    let (top, epoch) = (seen["offset"].as_u64().unwrap(), seen["epoch"].as_str().unwrap());
    let client = server.database.connect().await;
    let recovered = async |offset: u64| {
        let mut back = Phone::connect(&server.url, &city.key).await;
        back.recover(&channel, offset, epoch).await["recovered"] == true
    };
    let cut = i64::try_from(top - 1).unwrap();
    forget(&client, cut).await;
    assert!(!recovered(top - 2).await);
    assert!(recovered(top - 1).await);
    // All of it may be gone, as after a quiet week.
    forget(&client, cut + 1).await;
    assert!(!recovered(top - 1).await);
    assert!(recovered(top).await);
    server.stop().await;
}

#[actix_web::test]
async fn who_subscribes_in_the_middle_of_changes_hears_exactly_what_follows_its_reply() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let stop = Rc::new(Cell::new(false));
    let writers: Vec<_> = (0..3)
        .map(|writer| {
            let (city, order, stop) = (city.clone(), order.clone(), Rc::clone(&stop));
            rt::spawn(async move {
                let mut nth = 0_u64;
                while !stop.get() {
                    nth += 1;
                    let note = json!({"note": format!("{writer} {nth}")});
                    city.platform.patch(&format!("/v1/orders/{order}"), note).await.expect(200);
                }
            })
        })
        .collect();
    let channels = [
        (format!("order:{order}"), city.customer_token(&order).await),
        (format!("store:{}", city.store), city.store_token().await),
        ("dispatch".to_owned(), city.ops_token().await),
        ("tenant".to_owned(), city.key.clone()),
    ];
    // That versions follow one another without a hole, from the snapshot on and over every
    // coming back, and that no push comes before its reply, each of them checks.
    let mut followers: Vec<_> =
        channels.iter().map(|(channel, token)| Follower::new(channel, token)).collect();
    for _ in 0..12 {
        for follower in &mut followers {
            let mut phone = follower.join(&server.url).await;
            let at = follower.offset.unwrap();
            follower.follow(&mut phone, at + 3).await;
        }
    }
    stop.set(true);
    for writer in writers {
        writer.await.unwrap();
    }
    let view = city.platform.get(&format!("/v1/orders/{order}")).await.expect(200);
    let top = city.platform.get("/v1/events?limit=1000").await.expect(200)["next"].as_u64();
    for follower in &mut followers {
        let mut phone = follower.join(&server.url).await;
        follower.follow(&mut phone, top.unwrap()).await;
        assert!(follower.lost.is_empty(), "{}: {:?}", follower.channel, follower.lost);
        let known = &follower.orders[&order];
        assert_eq!((&json!(known.version), &known.note), (&view["version"], &view["note"]));
    }
    server.stop().await;
}

#[actix_web::test]
async fn a_herd_that_missed_the_same_shares_one_read() {
    const HERD: usize = 24;
    // Nothing is in memory, so that the log is asked.
    let server = Server::start_with(|config| config.feed.window_len = 0).await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let channel = format!("order:{order}");
    let mut first = Phone::connect(&server.url, &city.key).await;
    let seen = first.subscribe(&channel).await;
    city.act(&city.platform, &order, "accept", json!({})).await;
    first.event().await;
    let mut herd = Vec::new();
    for _ in 0..HERD {
        herd.push(Phone::connect(&server.url, &city.key).await);
    }

    let client = server.database.connect().await;
    client.batch_execute("begin; lock table events in access exclusive mode").await.unwrap();
    let mut ids = Vec::new();
    for phone in &mut herd {
        let subscribe = json!({"channel": channel, "recover": true, "offset": seen["offset"],
            "epoch": seen["epoch"]});
        ids.push(phone.send(json!({"subscribe": subscribe})).await);
    }
    let watcher = server.database.connect().await;
    let reading = async || {
        // Not what a backend says it waits for: that is nothing while it looks for deadlocks.
        let count = "select count(*) from pg_locks l join pg_stat_activity a using (pid)
                     where l.relation = 'events'::regclass and not l.granted
                         and a.application_name = 'ordercast reads'";
        watcher.query_one(count, &[]).await.unwrap().try_get::<_, i64>(0).unwrap()
    };
    until("the read to be held up", async || (reading().await > 0).then_some(())).await;
    // Requests on each thread pass behind the subscribes.
    for _ in 0..HERD {
        let health = Rest::new(&server.url, None).get("/healthz").await;
        assert_eq!((health.status, reading().await), (200, 1));
    }
    client.batch_execute("commit").await.unwrap();
    let mut replies = Vec::new();
    for (phone, id) in herd.iter_mut().zip(ids) {
        let mut reply = phone.reply(id).await;
        assert_eq!(reply["subscribe"]["recovered"], true, "{reply}");
        reply["id"] = json!(0);
        replies.push(reply);
    }
    replies.dedup();
    assert_eq!(replies.len(), 1, "all are told the same");
    // And all are live.
    city.act(&city.platform, &order, "ready", json!({})).await;
    for phone in &mut herd {
        assert_eq!(phone.event().await["type"], "order.ready");
    }
    server.stop().await;
}
