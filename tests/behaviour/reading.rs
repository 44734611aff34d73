//! Reading: lists and their pages, an order's events, the log as a cursor feed and its long
//! poll.

use std::collections::HashSet;
use std::time::Duration;

use futures::future::{FutureExt as _, join};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{City, Rest, Server, forget, until};

fn texts(list: &Value, key: &str) -> Vec<String> {
    list.as_array().unwrap().iter().map(|one| one[key].as_str().unwrap().to_owned()).collect()
}

/// The ids that a query of orders gives on one page, in order.
async fn ids(who: &Rest, query: &str) -> Vec<String> {
    let page = who.get(&format!("/v1/orders?{query}")).await.expect(200);
    texts(&page["orders"], "id")
}

#[actix_web::test]
async fn a_list_holds_what_its_filters_say() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let second_store = city.new_store(json!({})).await;
    let second_driver = city.new_driver(json!({})).await;
    let placed = city.order(json!({"external_id": "number 1"})).await;
    let placed_id = placed["id"].as_str().unwrap().to_owned();
    let elsewhere = city.order(json!({"store": second_store})).await;
    let elsewhere = elsewhere["id"].as_str().unwrap().to_owned();
    let window = json!({"from": "2099-01-02T18:00:00Z", "to": "2099-01-02T18:30:00Z"});
    let scheduled = city.order(json!({"window": window})).await["id"].as_str().unwrap().to_owned();
    let assigned = city.order_id().await;
    city.act(&city.platform, &assigned, "accept", json!({})).await;
    city.assign(&assigned).await;
    let carried = city.order_id().await;
    city.act(&city.platform, &carried, "accept", json!({})).await;
    let body = json!({"driver": second_driver});
    city.platform.put(&format!("/v1/orders/{carried}/driver"), body).await.expect(200);
    let ops = city.caller("ops", &carried).await;
    city.act(&ops, &carried, "pickup", json!({})).await;
    let cancelled = city.order_id().await;
    let reason = json!({"reason": "duplicate"});
    city.act(&city.platform, &cancelled, "cancel", reason).await;

    let view = city.platform.get(&format!("/v1/orders/{carried}")).await.expect(200);
    let carried_placed = view["stamps"]["placed"].as_str().unwrap().to_owned();
    // Newest first.
    let all = [&cancelled, &carried, &assigned, &scheduled, &elsewhere, &placed_id];
    let store = &city.store;
    let driver = &city.driver;
    for (query, expected) in [
        (String::new(), all.to_vec()),
        ("status=placed".to_owned(), vec![&elsewhere, &placed_id]),
        ("status=placed,scheduled".to_owned(), vec![&scheduled, &elsewhere, &placed_id]),
        ("status=cancelled&status=picked_up".to_owned(), vec![&cancelled, &carried]),
        ("leg=assigned".to_owned(), vec![&assigned]),
        ("leg=en_route,assigned".to_owned(), vec![&carried, &assigned]),
        ("leg=closed".to_owned(), vec![&cancelled]),
        (format!("store={second_store}"), vec![&elsewhere]),
        (format!("store={store}&status=placed"), vec![&placed_id]),
        (format!("driver={driver}"), vec![&assigned]),
        (format!("driver={second_driver}&status=placed"), vec![]),
        ("external_id=number%201".to_owned(), vec![&placed_id]),
        ("external_id=number".to_owned(), vec![]),
        (format!("placed_from={carried_placed}&leg=en_route"), vec![&carried]),
        (format!("placed_to={carried_placed}&leg=en_route"), vec![]),
        (format!("placed_to={carried_placed}&leg=assigned"), vec![&assigned]),
        ("placed_from=2099-01-01T00:00:00Z".to_owned(), vec![]),
        ("updated_since=2000-01-01T00:00:00Z&leg=none".to_owned(), {
            vec![&scheduled, &elsewhere, &placed_id]
        }),
        ("updated_since=2099-01-01T00:00:00Z".to_owned(), vec![]),
    ] {
        let expected: Vec<String> = expected.into_iter().cloned().collect();
        assert_eq!(ids(&city.platform, &query).await, expected, "{query}");
    }
    // What changed since: the time of the newest change, told by the order itself.
    let view = city.platform.get(&format!("/v1/orders/{cancelled}")).await.expect(200);
    let since = view["stamps"]["cancelled"].as_str().unwrap();
    let changed = ids(&city.platform, &format!("updated_since={since}")).await;
    assert!(changed.contains(&cancelled) && !changed.contains(&placed_id), "{changed:?}");
    // A store and a courier list their own.
    let tablet = city.caller("store", "").await;
    let expected: Vec<String> =
        all.iter().filter(|id| **id != &elsewhere).map(|id| (*id).clone()).collect();
    assert_eq!(ids(&tablet, "").await, expected);
    let courier = city.caller("driver", "").await;
    assert_eq!(ids(&courier, "").await, [assigned]);
    server.stop().await;
}

#[actix_web::test]
async fn pages_show_every_order_once_while_orders_are_added_and_changed() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let bodies: Vec<Value> = (0..23).map(|_| city.order_body(json!({}))).collect();
    // At once, so that many have the same moment.
    let made = bodies.into_iter().map(|body| city.platform.post("/v1/orders", body));
    let made = futures::future::join_all(made).await;
    let there: HashSet<String> = made
        .into_iter()
        .map(|answer| answer.expect(201)["id"].as_str().unwrap().to_owned())
        .collect();
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = city.platform.get(&format!("/v1/orders?limit=5{cursor}")).await.expect(200);
        let new = texts(&page["orders"], "id");
        assert!(new.len() == 5 || page["next"].is_null());
        seen.extend(new);
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
        // Meanwhile one is added, and one already seen and one not yet seen change.
        city.order(json!({})).await;
        let unseen = there.iter().find(|id| !seen.contains(id));
        for id in seen.first().into_iter().chain(unseen) {
            city.platform.post(&format!("/v1/orders/{id}/accept"), json!({})).await.expect(200);
        }
    }
    assert_eq!(seen.len(), there.len());
    assert_eq!(seen.into_iter().collect::<HashSet<_>>(), there);
    // Twenty-five when nobody says, a hundred at most.
    let page = city.platform.get("/v1/orders").await.expect(200);
    assert_eq!(page["orders"].as_array().unwrap().len(), 25);
    assert!(page["next"].is_string());
    let page = city.platform.get("/v1/orders?limit=100").await.expect(200);
    assert_eq!((page["orders"].as_array().unwrap().len(), &page["next"]), (27, &Value::Null));
    server.stop().await;
}

#[actix_web::test]
async fn pages_end_where_they_end_exactly() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let page = city.platform.get("/v1/orders?limit=2").await.expect(200);
    assert_eq!(page, json!({"orders": [], "next": null}));
    let (first, second) = (city.order_id().await, city.order_id().await);
    let page = city.platform.get("/v1/orders?limit=2").await.expect(200);
    assert_eq!(texts(&page["orders"], "id"), [second.clone(), first.clone()]);
    assert_eq!(page["next"], Value::Null);
    let page = city.platform.get("/v1/orders?limit=1").await.expect(200);
    let next = page["next"].as_str().unwrap();
    // A cursor goes with the filters it is used with.
    let path = format!("/v1/orders?limit=1&status=placed&cursor={next}");
    let page = city.platform.get(&path).await.expect(200);
    assert_eq!(texts(&page["orders"], "id"), [first]);
    assert_eq!(page["next"], Value::Null);
    server.stop().await;
}

#[actix_web::test]
async fn stores_and_couriers_come_in_pages_too() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let mut stores = HashSet::from([city.store.clone()]);
    let mut drivers = HashSet::from([city.driver.clone()]);
    for nth in 0..4 {
        stores.insert(city.new_store(json!({"external_id": format!("s{nth}")})).await);
        drivers.insert(city.new_driver(json!({"external_id": format!("d{nth}")})).await);
    }
    for (list, all) in [("stores", stores), ("drivers", drivers)] {
        let mut seen = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = city.platform.get(&format!("/v1/{list}?limit=2{cursor}")).await.expect(200);
            seen.extend(texts(&page[list], "id"));
            let Some(next) = page["next"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(seen.len(), 5);
        assert_eq!(seen.into_iter().collect::<HashSet<_>>(), all);
        let name = if list == "stores" { "s2" } else { "d2" };
        let page = city.platform.get(&format!("/v1/{list}?external_id={name}")).await.expect(200);
        assert_eq!(texts(&page[list], "external_id"), [name]);
    }
    server.stop().await;
}

#[actix_web::test]
async fn the_log_is_read_page_by_page_and_by_type() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    for action in ["accept", "ready", "unready", "ready"] {
        city.act(&city.caller("ops", "").await, &order, action, json!({})).await;
    }
    let whole = city.platform.get("/v1/events").await.expect(200);
    let types = texts(&whole["events"], "type");
    assert_eq!(
        types,
        [
            "driver.duty",
            "order.placed",
            "order.accepted",
            "order.preparing",
            "order.ready",
            "order.unready",
            "order.ready",
        ]
    );
    assert!(whole["epoch"].as_str().is_some_and(|epoch| !epoch.is_empty()));
    assert_eq!(whole["next"], 7);
    let mut paged = Vec::new();
    let mut after = json!(0);
    loop {
        let page =
            city.platform.get(&format!("/v1/events?limit=2&after={after}")).await.expect(200);
        let events = page["events"].as_array().unwrap();
        after = page["next"].clone();
        if events.is_empty() {
            break;
        }
        paged.extend(events.clone());
    }
    assert_eq!(json!(paged), whole["events"]);
    assert_eq!(after, 7);
    let page = city.platform.get("/v1/events?types=order.ready,order.placed").await.expect(200);
    assert_eq!(texts(&page["events"], "type"), ["order.placed", "order.ready", "order.ready"]);
    let page = city.platform.get("/v1/events?types=order.eaten").await.expect(200);
    assert_eq!((&page["events"], &page["next"]), (&json!([]), &json!(7)));
    // An order's own.
    let path = format!("/v1/orders/{order}/events");
    let page = city.platform.get(&format!("{path}?after=3&limit=2")).await.expect(200);
    assert_eq!(texts(&page["events"], "type"), ["order.preparing", "order.ready"]);
    let page = city.platform.get(&format!("{path}?types=order.unready")).await.expect(200);
    assert_eq!(texts(&page["events"], "type"), ["order.unready"]);
    // Ahead of the log is another log.
    for path in ["/v1/events".to_owned(), path] {
        for after in ["8", "18446744073709551615"] {
            let ahead = city.platform.get(&format!("{path}?after={after}")).await;
            ahead.expect_problem(410, "cursor_too_old");
        }
        city.platform.get(&format!("{path}?after=7")).await.expect(200);
    }
    server.stop().await;
}

#[actix_web::test]
async fn a_log_that_has_lost_its_beginning_says_so() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    city.act(&city.platform, &order, "accept", json!({})).await;
    let client = server.database.connect().await;
    forget(&client, 2).await;
    for path in ["/v1/events".to_owned(), format!("/v1/orders/{order}/events")] {
        for after in [0, 1] {
            let gone = city.platform.get(&format!("{path}?after={after}")).await;
            gone.expect_problem(410, "cursor_too_old");
        }
        let page = city.platform.get(&format!("{path}?after=2")).await.expect(200);
        assert_eq!(page["events"].as_array().unwrap().len(), 2);
    }
    server.stop().await;
}

#[actix_web::test]
async fn a_long_poll_returns_at_once_when_there_is_something() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    city.order_id().await;
    let began = Instant::now();
    let page = city.platform.get("/v1/events?wait=20&after=1").await.expect(200);
    assert_eq!(texts(&page["events"], "type"), ["order.placed"]);
    // What is there, is there behind any number of pages of other types.
    let path = "/v1/events?wait=20&limit=1&types=order.placed";
    let page = city.platform.get(path).await.expect(200);
    assert_eq!(texts(&page["events"], "type"), ["order.placed"]);
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    server.stop().await;
}

#[actix_web::test]
async fn a_long_poll_waits_and_is_woken_by_the_commit_it_waits_for() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let elsewhere = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let page = city.platform.get("/v1/events").await.expect(200);
    let path = format!("/v1/events?wait=20&types=order.ready&after={}", page["next"]);
    // A client of its own: its connection must not be taken for the other requests.
    let waiting = async {
        let began = Instant::now();
        let waiting = Rest::new(&server.url, Some(&city.key));
        (waiting.get(&path).await.expect(200), began.elapsed())
    };
    let polls = &server.app().api().long_polls;
    let all = polls.available_permits();
    let doing = async {
        until("the poll to wait", async || (polls.available_permits() < all).then_some(())).await;
        // Neither another tenant's nor another type's.
        elsewhere.order_id().await;
        city.act(&city.platform, &order, "accept", json!({})).await;
        assert_eq!(polls.available_permits(), all - 1, "still waiting");
        city.act(&city.platform, &order, "ready", json!({})).await;
    };
    let ((page, took), ()) = join(waiting, doing).await;
    assert_eq!(texts(&page["events"], "type"), ["order.ready"]);
    assert!(took < Duration::from_secs(15), "woken, not timed out: {took:?}");
    let next = page["next"].as_u64().unwrap();
    assert!(next >= page["events"][0]["position"].as_u64().unwrap());
    server.stop().await;
}

#[actix_web::test]
async fn a_long_poll_ends_empty_when_its_time_is_over() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    city.order_id().await;
    let began = Instant::now();
    let page = city.platform.get("/v1/events?wait=1&after=2").await.expect(200);
    assert!(began.elapsed() >= Duration::from_secs(1));
    assert_eq!((&page["events"], &page["next"]), (&json!([]), &json!(2)));
    server.stop().await;
}

#[actix_web::test]
async fn a_wait_is_no_longer_than_the_longest() {
    let server = Server::start_with(|config| {
        config.api.long_poll_max_s = serde_json::from_value(json!(1)).unwrap();
    })
    .await;
    let city = City::found(&server.url, &server.database).await;
    let began = Instant::now();
    let page = city.platform.get("/v1/events?wait=3600&after=1").await.expect(200);
    assert_eq!(page["events"], json!([]));
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    server.stop().await;
}

#[actix_web::test]
async fn only_so_many_may_wait_at_once() {
    let server = Server::start_with(|config| config.api.long_polls_max = 1).await;
    let city = City::found(&server.url, &server.database).await;
    let polls = &server.app().api().long_polls;
    let waiting = Rest::new(&server.url, Some(&city.key));
    let waiting = async { waiting.get("/v1/events?wait=20&after=1").await.expect(200) };
    let other = async {
        until("the poll to wait", async || (polls.available_permits() == 0).then_some(())).await;
        let refused = city.platform.get("/v1/events?wait=20&after=1").await;
        assert_eq!(refused.header("retry-after"), Some("1"));
        refused.expect_problem(503, "overloaded");
        // Who does not wait is not counted.
        city.platform.get("/v1/events?after=1").await.expect(200);
        city.order_id().await
    };
    let (page, order) = join(waiting, other).await;
    assert_eq!(page["events"][0]["order"], order.as_str());
    until("the place to be free", async || (polls.available_permits() == 1).then_some(())).await;
    server.stop().await;
}

#[actix_web::test]
async fn a_caller_who_hangs_up_leaves_no_poll_behind() {
    let server = Server::start_with(|config| config.api.long_polls_max = 1).await;
    let city = City::found(&server.url, &server.database).await;
    let polls = &server.app().api().long_polls;
    {
        let waiting = Rest::new(&server.url, Some(&city.key));
        let mut waiting = Box::pin(async move { waiting.get("/v1/events?wait=20&after=1").await });
        until("the poll to wait", async || {
            assert!((&mut waiting).now_or_never().is_none());
            (polls.available_permits() == 0).then_some(())
        })
        .await;
    }
    until("the place to be free", async || (polls.available_permits() == 1).then_some(())).await;
    server.stop().await;
}

#[actix_web::test]
async fn once_an_order_is_over_its_courier_and_store_look_back_without_address_and_phone() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let ops = Rest::new(&server.url, Some(&city.ops_token().await));
    city.act(&city.platform, &order, "accept", json!({})).await;
    city.assign(&order).await;
    let courier = Rest::new(&server.url, Some(&city.driver_token().await));
    let store = Rest::new(&server.url, Some(&city.store_token().await));
    let path = format!("/v1/orders/{order}/events");
    let shows = |page: &Value, secret: &str| page.to_string().contains(secret);
    let page = courier.get(&path).await.expect(200);
    assert!(shows(&page, "Hauptstr") && shows(&page, "7766"), "needed on the way: {page:#}");
    for action in ["pickup", "deliver"] {
        city.act(&ops, &order, action, json!({})).await;
    }
    for (who, secrets) in [(&courier, ["Hauptstr", "7766"]), (&store, ["7766", "4321"])] {
        let page = who.get(&path).await.expect(200);
        assert!(!page["events"].as_array().unwrap().is_empty());
        for secret in secrets {
            assert!(!shows(&page, secret), "{secret} in {page:#}");
        }
    }
    let page = city.platform.get(&path).await.expect(200);
    assert!(shows(&page, "Hauptstr") && shows(&page, "99887766"), "the platform keeps all");
}
