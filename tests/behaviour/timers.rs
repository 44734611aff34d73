//! What happens by itself: when its time comes, once, whichever process does it, and whatever
//! became of the one that was about to.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use ordercast::app::App;
use ordercast::config::Config;
use ordercast::domain::OrderId;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::support::{
    City, Follower, Phone, Process, Rest, Scratch, Server, check_log, config, of, until,
};

/// Looks often, as what a test changes in the database rings no bell.
fn attentive(config: &mut Config) {
    config.timers.poll_interval_ms = of(100);
    config.timers.gap_ms = of(10);
}

const ATTENTIVE: &[(&str, &str)] =
    &[("ORDERCAST_TIMERS__POLL_INTERVAL_MS", "100"), ("ORDERCAST_TIMERS__GAP_MS", "10")];

fn uuid(order: &str) -> Uuid {
    order.parse::<OrderId>().unwrap().uuid()
}

/// Makes everything that these orders wait for due: in effect a step of the database's clock.
async fn come_due(client: &Client, orders: &[String]) {
    let ids: Vec<Uuid> = orders.iter().map(|order| uuid(order)).collect();
    // In one transaction, as an order and its timer always agree.
    let sql = "
        with moved as (
            update orders set accept_by = now() - interval '1 s',
                release_at = release_at - (release_at - now()) - interval '1 s',
                ready_eta = now() + make_interval(mins => prep_min) - interval '1 s'
            where id = any ($1) returning id)
        update timers t set due_at = now() - interval '1 s' from moved where t.subject_id = id";
    client.execute(sql, &[&ids]).await.unwrap();
}

async fn timers(database: &Scratch) -> i64 {
    database.count("timers").await
}

/// How often each thing happened to each order.
async fn happened(client: &Client, kind: &str) -> BTreeMap<Uuid, i64> {
    let query = "select order_id, count(*) from events where type = $1 group by order_id";
    let rows = client.query(query, &[&kind]).await.unwrap();
    rows.iter().map(|row| (row.try_get(0).unwrap(), row.try_get(1).unwrap())).collect()
}

/// Waits until this has happened to so many orders, and to each of them once.
async fn all_once(client: &Client, kind: &str, orders: usize) {
    let mut least = 0;
    // As long as it goes on.
    while least < orders {
        least = until(&format!("more than {least} of {orders} to be {kind}"), async || {
            let count = happened(client, kind).await.len();
            (count > least).then_some(count)
        })
        .await;
    }
    assert!(happened(client, kind).await.values().all(|count| *count == 1));
}

#[actix_web::test]
async fn an_order_that_nobody_answers_is_rejected_and_everybody_hears_why() {
    let server = Server::start_with(attentive).await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let mut followers = Vec::new();
    for (channel, token) in [
        (format!("order:{order}"), city.customer_token(&order).await),
        (format!("store:{}", city.store), city.store_token().await),
        ("dispatch".to_owned(), city.ops_token().await),
        ("tenant".to_owned(), city.key.clone()),
    ] {
        let mut follower = Follower::new(&channel, &token);
        let phone = follower.join(&server.url).await;
        followers.push((follower, phone));
    }
    let client = server.database.connect().await;
    come_due(&client, std::slice::from_ref(&order)).await;
    all_once(&client, "order.rejected", 1).await;
    let last = server.database.count("events").await.cast_unsigned();
    for (follower, phone) in &mut followers {
        follower.follow(phone, last).await;
        // A customer is shown steps and no status.
        let is_customer = follower.channel.starts_with("order:");
        let status = follower.orders[&order].status.as_deref();
        assert_eq!(status, (!is_customer).then_some("rejected"), "{}", follower.channel);
        assert_eq!(follower.orders[&order].version, 2);
    }
    let path = format!("/v1/orders/{order}");
    let view = city.platform.get(&path).await.expect(200);
    assert_eq!((&view["status"], &view["version"]), (&json!("rejected"), &json!(2)));
    let reason = json!({"code": "no_response", "by": "system"});
    assert_eq!(view["reason"], reason);
    let events = city.platform.get(&format!("{path}/events")).await.expect(200);
    let last = &events["events"][1];
    assert_eq!((&last["type"], &last["by"]["role"]), (&json!("order.rejected"), &json!("system")));
    assert_eq!(last["data"]["code"], "no_response");
    assert_eq!(timers(&server.database).await, 0);
    let store = city.caller("store", &order).await;
    let late = store.post(&format!("{path}/accept"), json!({})).await;
    assert_eq!(late.expect_problem(409, "invalid_transition")["status"], "rejected");
    check_log(&server.database).await;
    server.stop().await;
}

/// The next event's type, and how long after `due` it happened by the database's clock.
async fn heard(phone: &mut Phone, due: &Value) -> (String, f64) {
    let event = phone.event().await;
    let at = |text: &Value| text.as_str().unwrap().parse::<Timestamp>().unwrap();
    let late = at(&event["at"]).duration_since(at(due)).as_secs_f64();
    (event["type"].as_str().unwrap().to_owned(), late)
}

#[actix_web::test]
async fn a_scheduled_order_is_placed_and_prepared_in_time_without_looking_for_it() {
    // Only what this process sets itself can wake it.
    let server = Server::start_with(|config| config.timers.poll_interval_ms = of(60_000)).await;
    let city = City::found(&server.url, &server.database).await;
    let store = city.new_store(json!({"auto_accept": true, "default_prep_min": 0})).await;
    let token = city.key.clone();
    let mut phone = Phone::connect(&server.url, &token).await;
    phone.subscribe("tenant").await;
    let window = |from: Timestamp| {
        let to = from + jiff::SignedDuration::from_mins(30);
        json!({"from": from.to_string(), "to": to.to_string()})
    };
    let collect = |store: &str, window: Value| json!({"store": store, "fulfilment": "collection", "window": window, "dropoff": null});
    // One is due late, so that the other one has to bring the alarm forward.
    let minutes = |count| jiff::SignedDuration::from_mins(count);
    let far = window(Timestamp::now() + minutes(40));
    city.order(collect(&store, far)).await;
    assert_eq!(phone.event().await["type"], "order.scheduled");
    // Ten minutes before preparing has to begin, which takes no time here.
    let soon = window(Timestamp::now() + minutes(10) + jiff::SignedDuration::from_millis(1_500));
    let placed = city.order(collect(&store, soon.clone())).await;
    assert_eq!(placed["status"], "scheduled");
    assert_eq!(phone.event().await["type"], "order.scheduled");
    for kind in ["order.placed", "order.accepted"] {
        let (heard, late) = heard(&mut phone, &placed["release_at"]).await;
        assert_eq!(heard, kind);
        assert!((0.0..20.0).contains(&late), "{kind} was {late} s late");
    }
    // That of the one accepted, which may be late, and that of the one far away.
    assert_eq!(timers(&server.database).await, 2);

    // Accepted early, it waits until it has to be prepared.
    let from = Timestamp::now() + minutes(2) + jiff::SignedDuration::from_millis(1_500);
    let order = city.order(collect(&city.store, window(from))).await;
    assert_eq!(
        (&order["status"], phone.event().await["type"].as_str()),
        (&json!("placed"), Some("order.placed"))
    );
    let id = order["id"].as_str().unwrap();
    let ops = city.caller("ops", id).await;
    let accepted = city.act(&ops, id, "accept", json!({"prep_min": 2})).await;
    assert_eq!(accepted["status"], "accepted");
    assert_eq!(phone.event().await["type"], "order.accepted");
    let start_at = from - minutes(2);
    let (kind, late) = heard(&mut phone, &json!(start_at.to_string())).await;
    assert_eq!(kind, "order.preparing");
    assert!((-0.001..20.0).contains(&late), "{late} s late");
    // It is being prepared now, and may be late with that.
    assert_eq!(timers(&server.database).await, 3);
    check_log(&server.database).await;
    server.stop().await;
}

#[actix_web::test]
async fn of_two_processes_one_does_each_thing_once() {
    let database = Scratch::create().await;
    let one = Process::serve_with(&database, ATTENTIVE).await;
    let two = Process::serve_with(&database, ATTENTIVE).await;
    let city = City::found(&one.url, &database).await;
    let orders: Vec<String> = join_all((0..300).map(|_| city.order_id())).await;
    assert_eq!(timers(&database).await, 300);
    let client = database.connect().await;
    for some in orders.chunks(50) {
        come_due(&client, some).await;
    }
    all_once(&client, "order.rejected", 300).await;
    assert_eq!(timers(&database).await, 0);
    check_log(&database).await;
    assert_eq!((one.terminate(), two.terminate()), (Some(0), Some(0)));
}

#[actix_web::test]
async fn what_a_killed_process_was_about_to_do_another_does_after_the_lease() {
    let database = Scratch::create().await;
    let lease = [ATTENTIVE, &[("ORDERCAST_TIMERS__LEASE_MS", "2000")]].concat();
    let doomed = Process::serve_with(&database, &lease).await;
    let city = City::found(&doomed.url, &database).await;
    let order = city.order_id().await;
    let client = database.connect().await;
    // Whoever has claimed it waits for the order.
    let holder = database.connect().await;
    let id = uuid(&order);
    come_due(&client, std::slice::from_ref(&order)).await;
    // It may be quicker than we are: then we begin again with another order.
    holder.batch_execute("begin").await.unwrap();
    let lock = "select status from orders where id = $1 for update";
    let status: String = holder.query_one(lock, &[&id]).await.unwrap().try_get(0).unwrap();
    let (order, id) = if status == "placed" {
        (order, id)
    } else {
        holder.batch_execute("commit; begin").await.unwrap();
        let order = city.order_id().await;
        let id = uuid(&order);
        holder.query_one(lock, &[&id]).await.unwrap();
        // The timer alone: the order is ours, and due once we let it go.
        let due = "update timers set due_at = now() - interval '1 s' where subject_id = $1";
        holder.execute("update orders set accept_by = now() where id = $1", &[&id]).await.unwrap();
        client.execute(due, &[&id]).await.unwrap();
        (order, id)
    };
    let claimed = "select due_at::text from timers where subject_id = $1 and due_at > now()";
    let lease_end: String = until("the timer to be claimed", async || {
        let row = client.query_opt(claimed, &[&id]).await.unwrap();
        row.map(|row| row.try_get(0).unwrap())
    })
    .await;
    doomed.kill();
    holder.batch_execute("commit").await.unwrap();

    // Whoever comes next finds the claim of the dead.
    let next = Process::serve_with(&database, ATTENTIVE).await;
    all_once(&client, "order.rejected", happened(&client, "order.placed").await.len()).await;
    let waited = "select recorded_at >= $1::text::timestamptz - interval '1 ms' from events
                  where order_id = $2 and type = 'order.rejected'";
    let row = client.query_one(waited, &[&lease_end, &id]).await.unwrap();
    assert!(row.try_get::<_, bool>(0).unwrap(), "{order} was rejected while another had it");
    assert_eq!(timers(&database).await, 0);
    check_log(&database).await;
    assert_eq!(next.terminate(), Some(0));
}

#[actix_web::test]
async fn what_came_due_while_nobody_was_there_happens_at_the_start() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let orders = join_all((0..20).map(|_| city.order_id())).await;
    let database = server.database.clone();
    server.stop().await;
    let client = database.connect().await;
    come_due(&client, &orders).await;
    assert_eq!(timers(&database).await, 20);
    // It looks at the start: the next time would be much later.
    let mut config = config(&database);
    config.timers.poll_interval_ms = of(60_000);
    let app = App::start(config).await.unwrap();
    all_once(&client, "order.rejected", 20).await;
    assert_eq!(timers(&database).await, 0);
    app.stop().await;
}

/// A clock that was wrong has set the timers off too early: each is put right and nothing happens.
#[actix_web::test]
async fn a_timer_that_goes_off_too_early_does_nothing_and_is_put_right() {
    let server = Server::start_with(attentive).await;
    let city = City::found(&server.url, &server.database).await;
    join_all((0..10).map(|_| city.order_id())).await;
    let client = server.database.connect().await;
    let head = server.database.count("events").await;
    client.execute("update timers set due_at = now() - interval '1 hour'", &[]).await.unwrap();
    let right = "select count(*) from timers t join orders o on o.id = t.subject_id
                 where t.due_at = o.placed_at + interval '1 minute'";
    until("the timers to be right again", async || {
        let right: i64 = client.query_one(right, &[]).await.unwrap().try_get(0).unwrap();
        (right == 10).then_some(())
    })
    .await;
    assert_eq!(server.database.count("events").await, head);
    server.stop().await;
}

#[actix_web::test]
async fn of_an_answer_and_the_end_of_the_time_for_it_one_wins_and_the_other_is_told() {
    let server = Server::start_with(attentive).await;
    let city = City::found(&server.url, &server.database).await;
    let client = server.database.connect().await;
    let mut won = BTreeMap::new();
    for round in 0..60 {
        let order = city.order_id().await;
        // A dispatcher may answer late, so both may come first; a store in time only.
        let role = if round % 2 == 0 { "ops" } else { "store" };
        let caller = city.caller(role, &order).await;
        let in_a_moment = format!("now() + interval '{} ms'", round % 12);
        let sql = format!(
            "with moved as (update orders set accept_by = {in_a_moment} where id = $1 returning id)
             update timers t set due_at = {in_a_moment} from moved where t.subject_id = id"
        );
        client.execute(&sql, &[&uuid(&order)]).await.unwrap();
        let answer = caller.post(&format!("/v1/orders/{order}/accept"), json!({})).await;
        let accepted = answer.status == 200;
        let rejected = until("the order to be answered", async || {
            let view = city.platform.get(&format!("/v1/orders/{order}")).await.expect(200);
            match view["status"].as_str().unwrap() {
                "preparing" => Some(false),
                "rejected" => Some(true),
                _ => None,
            }
        })
        .await;
        assert_eq!(accepted, !rejected, "{order}: {:#}", answer.body);
        if !accepted {
            let code = answer.body["code"].as_str().unwrap();
            let expected = ["invalid_transition", "outside_window"];
            assert!(expected.contains(&code), "{:#}", answer.body);
        }
        *won.entry((role, accepted)).or_insert(0) += 1;
    }
    println!("{won:?}");
    for kind in ["order.accepted", "order.rejected"] {
        assert!(happened(&client, kind).await.values().all(|count| *count == 1));
    }
    let either = happened(&client, "order.accepted").await.len()
        + happened(&client, "order.rejected").await.len();
    assert_eq!(either, 60);
    check_log(&server.database).await;
    server.stop().await;
}

/// Makes so many orders like the one that is there, with their events and timers.
async fn multiply(client: &Client, order: &str, count: i32) {
    let sql = "
        create temp table copies as
            select o.*, gen_random_uuid() as new_id, n
            from orders o, generate_series(1, $count) n where o.id = '$order';
        update copies set id = new_id, external_id = 'copy ' || n;
        alter table copies drop column new_id, drop column n;
        insert into orders select * from copies;
        insert into events select h.last + row_number() over (), gen_random_uuid(), e.tenant_id,
                e.store_id, c.id, e.driver_id, e.prior_driver_id, e.n, e.type, e.actor_role,
                e.actor_id, e.was, e.status, e.occurred_at, e.recorded_at, e.data
            from copies c, log_head h, events e where e.order_id = '$order';
        update log_head set last = last + $count;
        insert into timers select 'order', c.id, c.tenant_id, c.accept_by from copies c;";
    let sql = sql.replace("$count", &count.to_string()).replace("$order", &uuid(order).to_string());
    client.batch_execute(&format!("begin; {sql} commit")).await.unwrap();
}

#[actix_web::test]
async fn ten_thousand_at_once_are_worked_off_while_callers_are_served() {
    let server = Server::start_with(attentive).await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let busy = city.order_id().await;
    let client = server.database.connect().await;
    multiply(&client, &order, 9_999).await;
    let busy_id = uuid(&busy);
    let due = "with moved as (update orders set accept_by = now() where id <> $1 returning id)
               update timers t set due_at = now() from moved where t.subject_id = id";
    client.execute(due, &[&busy_id]).await.unwrap();
    let mut slowest = Duration::ZERO;
    let mut served = 0;
    let mut last = 0;
    let left = "select count(*) from timers where subject_id <> $1";
    while let left =
        client.query_one(left, &[&busy_id]).await.unwrap().try_get::<_, i64>(0).unwrap()
        && left > 0
    {
        let began = Instant::now();
        let note = json!({"note": format!("number {served}")});
        city.platform.patch(&format!("/v1/orders/{busy}"), note).await.expect(200);
        slowest = slowest.max(began.elapsed());
        if left != last {
            (last, served) = (left, served + 1);
        }
    }
    println!("{served} changes meanwhile, the slowest took {slowest:?}");
    assert!(served > 20 && slowest < Duration::from_secs(5), "{served}, {slowest:?}");
    all_once(&client, "order.rejected", 10_000).await;
    assert_eq!(timers(&server.database).await, 1);
    check_log(&server.database).await;
    server.stop().await;
}

#[actix_web::test]
async fn what_finds_no_room_in_the_queue_comes_later() {
    let server = Server::start_with(|config| {
        attentive(config);
        config.timers.batch_max = 40;
        config.writer.queue_len = 15;
    })
    .await;
    let city = City::found(&server.url, &server.database).await;
    let mut orders = Vec::new();
    for _ in 0..60 {
        orders.push(city.order_id().await);
    }
    let client = server.database.connect().await;
    come_due(&client, &orders).await;
    all_once(&client, "order.rejected", 60).await;
    assert_eq!(timers(&server.database).await, 0);
    check_log(&server.database).await;
    server.stop().await;
}

#[actix_web::test]
async fn a_released_order_of_a_store_that_accepts_by_itself_never_rings() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let store = city.new_store(json!({"auto_accept": true})).await;
    let window = json!({"from": "2099-02-02T18:00:00Z", "to": "2099-02-02T18:30:00Z"});
    let order = city.order(json!({"store": store, "window": window})).await;
    let id = order["id"].as_str().unwrap();
    let rest: &Rest = &city.platform;
    let released = city.act(rest, id, "release", json!({})).await;
    assert_eq!((&released["status"], &released["version"]), (&json!("accepted"), &json!(3)));
    let page = rest.get(&format!("/v1/orders/{id}/events")).await.expect(200);
    // Each event shows the order as it was then.
    assert_eq!(page["events"][1]["type"], "order.placed");
    assert_eq!(page["events"][1]["data"]["status"], "placed");
    assert_eq!(page["events"][2]["by"]["role"], "system");
    server.stop().await;
}
