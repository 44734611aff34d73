//! The newest events in memory: what is answered from there is what the log would answer, and
//! after a hole, or of another log, it is not answered from there at all.

use std::sync::Arc;

use actix_web::rt;
use ordercast::app::App;
use ordercast::config::{Config, Millis};
use ordercast::domain::{DriverId, OrderId, StoreId, TenantId};
use ordercast::feed::{Feed, Revoked, Since, Window};
use ordercast::hub::News as _;
use ordercast::hub::{Hubs, Message, Publication, Topic};
use ordercast::locations::Locations;
use ordercast::store::{Database, Scope};
use serde_json::json;

use crate::support::{City, Phone, Scratch, Server, config, of, until};

/// The city's topics, each with the part of the log that it shows.
fn topics(city: &City, orders: &[String]) -> Vec<(Topic, Scope)> {
    let tenant: TenantId = city.tenant.parse().unwrap();
    let store: StoreId = city.store.parse().unwrap();
    let driver: DriverId = city.driver.parse().unwrap();
    let mut topics = vec![
        (Topic::Tenant(tenant), Scope::Tenant),
        (Topic::Dispatch(tenant), Scope::Tenant),
        (Topic::Store(store), Scope::Store(store)),
        (Topic::Driver(driver), Scope::Driver(driver)),
    ];
    for order in orders {
        let order: OrderId = order.parse().unwrap();
        topics.push((Topic::Order(order), Scope::Order(order)));
    }
    topics
}

/// Holds what the window says of each topic against the log, from each position on.
async fn check(app: &App, city: &City, orders: &[String]) {
    let (window, database) = (&app.api().window, &app.api().database);
    let epoch = database.epoch();
    let tenant: TenantId = city.tenant.parse().unwrap();
    for (topic, scope) in topics(city, orders) {
        for after in 0..=window.last() {
            let logged = database.read_missed(tenant, scope, after, 1_000).await.unwrap();
            let logged: Vec<u64> = logged.events.iter().map(|event| event.position).collect();
            match window.since(&epoch, &topic, after, 1_000) {
                Since::Whole { events, last, epoch: of } => {
                    assert!(after + 1 >= window.first() && last == window.last() && of == epoch);
                    assert_eq!(positions(&events), logged, "{topic} after {after}");
                }
                Since::Older => assert!(after + 1 < window.first(), "{topic} after {after}"),
                other @ (Since::Ahead | Since::TooMany | Since::OtherLog) => {
                    panic!("{topic} after {after}: {other:?}")
                }
            }
        }
    }
}

fn positions(events: &[Arc<Publication>]) -> Vec<u64> {
    events.iter().map(|event| event.position()).collect()
}

/// Everything of a topic after a position that the window says, without naming a log.
fn since(window: &Window, topic: Topic, after: u64) -> Since<Publication> {
    window.since("", &topic, after, 1_000)
}

async fn start(database: &Scratch, change: impl FnOnce(&mut Config)) -> App {
    let mut config = config(database);
    change(&mut config);
    App::start(config).await.unwrap()
}

/// Orders that were accepted, assigned and handed over to another courier.
async fn busy(city: &City, count: usize) -> Vec<String> {
    let other = city.new_driver(json!({})).await;
    let mut orders = Vec::new();
    for _ in 0..count {
        let order = city.order_id().await;
        city.act(&city.platform, &order, "accept", json!({})).await;
        city.assign(&order).await;
        let path = format!("/v1/orders/{order}/driver");
        city.platform.put(&path, json!({"driver": other})).await.expect(200);
        orders.push(order);
    }
    orders
}

/// Waits until the window has come to the end of the log; where that is.
async fn caught_up(app: &App) -> u64 {
    let head = app.api().database.read_head().await.unwrap();
    until("the window to be complete", async || (app.api().window.last() == head).then_some(head))
        .await
}

#[actix_web::test]
async fn the_window_says_what_the_log_says_and_so_does_that_of_a_process_that_starts_later() {
    let server = Server::start_with(|config| config.feed.page_len = 3).await;
    let city = City::found(&server.url, &server.database).await;
    let orders = busy(&city, 4).await;
    let head = caught_up(server.app()).await;
    assert_eq!(server.app().api().window.first(), 1);
    check(server.app(), &city, &orders).await;

    // Lengths that are longer than the log, as long, and no multiple of a page.
    for (window_len, page_len) in [(8_192, 1_000), (head, 7), (11, 4), (1, 1)] {
        let app = start(&server.database, |config| {
            config.feed.window_len = usize::try_from(window_len).unwrap();
            config.feed.page_len = page_len;
        })
        .await;
        let window = &app.api().window;
        let first = (head + 1).saturating_sub(window_len).max(1);
        assert_eq!((window.first(), window.last()), (first, head));
        check(&app, &city, &orders).await;
        app.stop().await;
    }
    let app = start(&server.database, |config| config.feed.window_len = 4).await;
    let more = busy(&city, 2).await;
    let head = caught_up(&app).await;
    assert_eq!(app.api().window.first(), head - 3);
    check(&app, &city, &more).await;
    app.stop().await;
    server.stop().await;
}

#[actix_web::test]
async fn a_window_of_no_length_knows_how_far_the_log_is_read_and_nothing_else() {
    let server = Server::start_with(|config| config.feed.window_len = 0).await;
    let city = City::found(&server.url, &server.database).await;
    city.order_id().await;
    let head = caught_up(server.app()).await;
    let window = &server.app().api().window;
    let topic = Topic::Tenant(city.tenant.parse().unwrap());
    assert!(matches!(since(window, topic, head), Since::Older));
    assert!(window.newest(&topic).is_none());
    server.stop().await;
}

#[actix_web::test]
async fn an_event_is_in_the_window_before_any_worker_hears_of_it() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    // Another feed on the same log, with a worker that takes no message until it is asked to.
    let config = config(&server.database);
    let (database, listening) = Database::new(&config.database).unwrap();
    let hubs = Hubs::default();
    let (_hub, mut messages) = hubs.join(1);
    let (feed, mut state) = Feed::new(
        listening,
        hubs,
        (Arc::new(Revoked::new(of::<Millis>(0).get())), Locations::new(config.locations.clone())),
        config.feed,
        of::<Millis>(0).get(),
    );
    let window = Arc::clone(feed.window());
    let feeding = rt::spawn(feed.run());
    state.wait_for(|state| state.up).await.unwrap();
    // The first fills the worker's queue; with the second the feed waits for it.
    for note in ["first", "second"] {
        city.platform
            .patch(&format!("/v1/orders/{order}"), json!({"note": note}))
            .await
            .expect(200);
        let head = database.read_head().await.unwrap();
        until("the window to hold it", async || (window.last() == head).then_some(())).await;
    }
    let mut told = Vec::new();
    while told.last() != Some(&window.last()) {
        let Some(Message::Publish(publications)) = messages.recv().await else { panic!() };
        told.extend(positions(&publications));
    }
    let known = since(&window, Topic::Order(order.parse().unwrap()), told[0] - 1);
    let Since::Whole { events, .. } = known else { panic!("{known:?}") };
    assert_eq!((positions(&events), told.len()), (told, 2));
    feeding.abort();
    database.close();
    server.stop().await;
}

#[actix_web::test]
async fn what_lies_before_a_hole_in_the_log_is_forgotten() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let before = caught_up(server.app()).await;
    let client = server.database.connect().await;
    // One event, a hole, and two events, all in one page.
    let append = "
        begin;
        update log_head set last = last + 4;
        insert into events (position, id, tenant_id, store_id, order_id, driver_id, n, type,
                            actor_role, actor_id, was, status, occurred_at, recorded_at, data)
        select h.last - g, gen_random_uuid(), e.tenant_id, e.store_id, e.order_id, e.driver_id,
               e.n + 4 - g, 'order.preparing', e.actor_role, e.actor_id, e.status, e.status,
               now(), now(), '{}'
        from log_head h, unnest(array[3, 1, 0]) g,
             (select * from events where order_id is not null order by position desc limit 1) e;
        commit";
    let mut phone = Phone::connect(&server.url, &city.key).await;
    phone.subscribe(&format!("order:{order}")).await;
    client.batch_execute(append).await.unwrap();
    assert_eq!(phone.closed().await.code, Some(3010));
    let window = &server.app().api().window;
    let topic = Topic::Order(order.parse().unwrap());
    assert_eq!((window.first(), window.last()), (before + 3, before + 4));
    for after in [0, before, before + 1] {
        assert!(matches!(since(window, topic, after), Since::Older));
    }
    let Since::Whole { events, .. } = since(window, topic, before + 2) else {
        panic!("{window:?}")
    };
    assert_eq!(positions(&events), [before + 3, before + 4]);

    // A process that starts now holds as much.
    let app = start(&server.database, |config| config.feed.page_len = 3).await;
    assert_eq!((app.api().window.first(), app.api().window.last()), (before + 3, before + 4));
    app.stop().await;
    server.stop().await;
}

#[actix_web::test]
async fn of_a_log_that_was_replaced_nothing_is_told_to_those_who_know_the_new_one() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let head = caught_up(server.app()).await;
    let topic = Topic::Order(order.parse().unwrap());
    let api = server.app().api();
    let known = api.database.epoch();
    let mut phone = Phone::connect(&server.url, &city.key).await;
    phone.subscribe(&format!("order:{order}")).await;
    let client = server.database.connect().await;
    let change = "update log_head set seed = 'another';
                  select pg_terminate_backend(pid) from pg_stat_activity
                  where datname = current_database() and application_name = 'ordercast feed'";
    client.batch_execute(change).await.unwrap();
    // Who hears this finds the new log everywhere.
    assert_eq!(phone.closed().await.code, Some(3014));
    let epoch = api.database.epoch();
    assert_ne!(epoch, known);
    assert!(matches!(api.window.since(&known, &topic, head, 9), Since::OtherLog));
    assert!(matches!(api.window.since(&epoch, &topic, 0, 9), Since::Older));
    let Since::Whole { events, last, epoch: of } = api.window.since(&epoch, &topic, head, 9) else {
        panic!("{:?}", api.window)
    };
    assert!(events.is_empty() && last == head && of == epoch);
    // And what is committed from here on is of the new one.
    city.act(&city.platform, &order, "accept", json!({})).await;
    caught_up(server.app()).await;
    assert!(matches!(api.window.since(&known, &topic, head, 9), Since::OtherLog));
    check(server.app(), &city, &[order]).await;
    server.stop().await;
}

#[actix_web::test]
async fn a_log_that_cannot_be_read_again_in_time_delays_a_start_and_does_not_prevent_it() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let head = caught_up(server.app()).await;
    let blocker = server.database.connect().await;
    blocker.batch_execute("begin; lock table events in access exclusive mode").await.unwrap();
    let app = start(&server.database, |config| config.feed.preload_timeout_ms = of(100)).await;
    let window = &app.api().window;
    assert_eq!((window.first(), window.last()), (head + 1, head));
    blocker.batch_execute("commit").await.unwrap();
    // From here on it fills as ever.
    city.act(&city.platform, &order, "accept", json!({})).await;
    let last = caught_up(&app).await;
    assert_eq!((window.first(), last > head), (head + 1, true));
    check(&app, &city, &[order]).await;
    app.stop().await;
    server.stop().await;
}
