//! Who sees where a courier is, when, and how often.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};
use ordercast::config::Config;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{
    Courier, Fleet, Phone, Process, STORE, Scratch, Server, attentive, of, until,
};

const PATH: &str = "/v1/drivers/me/locations";

/// Looks often, and lets every point through at once.
pub(crate) fn prompt(config: &mut Config) {
    attentive(config);
    config.locations.customer_pace_ms = of(0);
    config.locations.board_pace_ms = of(0);
}

/// Says where a courier is; the point's number.
pub(crate) async fn tell(courier: &Courier, lat: f64, lng: f64) -> i64 {
    static LAST: AtomicI64 = AtomicI64::new(0);
    let now = Timestamp::now().as_millisecond();
    // Never the same, however fast it goes.
    let n = LAST.fetch_max(now, Ordering::Relaxed).max(now - 1) + 1;
    LAST.fetch_max(n, Ordering::Relaxed);
    let point = json!([n, n, lat, lng, 12, 90, 6.2, 0.5]);
    let answer = courier.rest.post(PATH, json!({"p": [point]})).await.expect(200);
    assert_eq!(answer, json!({"n": n, "refused": 0}));
    n
}

/// Waits until a listener has heard of the point; all that it heard up to there.
pub(crate) async fn heard(phone: &mut Phone, n: i64) -> Vec<(String, Value)> {
    let mut heard = Vec::new();
    loop {
        let (channel, data) = phone.location().await;
        heard.push((channel, data));
        if heard.last().unwrap().1["data"]["n"] == n {
            return heard;
        }
    }
}

/// One who listens to an order, its store, or all.
pub(crate) async fn listener(url: &str, token: &str, channel: &str) -> Phone {
    let mut phone = Phone::connect(url, token).await;
    phone.subscribe(channel).await;
    phone
}

async fn put_route(fleet: &Fleet, courier: &Courier, orders: &[&String]) {
    let path = format!("/v1/drivers/{}/route", courier.id);
    fleet.ops.put(&path, json!({"orders": orders})).await.expect(200);
}

#[actix_web::test]
async fn each_sees_the_courier_in_its_window_and_only_what_is_its_to_see() {
    let server = Server::start_with(prompt).await;
    let fleet = Fleet::found(&server, None).await;
    let courier = fleet.courier(Some(900.0)).await;
    let order = fleet.accepted(10).await;
    let on_order = format!("order:{order}");
    let city = &fleet.city;
    let mut customer = listener(&server.url, &city.customer_token(&order).await, &on_order).await;
    let store_channel = format!("store:{}", city.store);
    let mut tablet = listener(&server.url, &city.store_token().await, &store_channel).await;
    let ops = city.ops_token().await;
    let mut board = listener(&server.url, &ops, "dispatch").await;
    let mut desk = listener(&server.url, &ops, &on_order).await;
    let mut platform = Phone::connect(&server.url, &city.key).await;
    let asks = json!({"subscribe": {"channel": "tenant", "data": {"locations": true}}});
    let reply = platform.ask(asks).await;
    assert!(reply["subscribe"]["data"]["locations"].is_array(), "{reply}");
    let mut deaf = listener(&server.url, &city.key, "tenant").await;
    let mut own = listener(&server.url, &courier.token, &format!("driver:{}", courier.id)).await;

    let bare = |n: i64, lat: f64| {
        let at = format!("{:.3}", Timestamp::from_millisecond(n).unwrap());
        json!({"n": n, "at": at, "lat": lat, "lng": 13.405, "acc": 12.0, "hdg": 90.0, "spd": 6.2})
    };
    let with = |mut data: Value, bat: bool| {
        data["driver"] = courier.id.as_str().into();
        if bat {
            data["bat"] = 0.5.into();
        }
        data
    };
    // Nobody's courier yet: boards alone.
    let n = tell(&courier, 52.529, 13.405).await;
    for phone in [&mut board, &mut platform] {
        let heard = heard(phone, n).await;
        assert_eq!(heard.last().unwrap().1["data"], with(bare(n, 52.529), true));
        assert!(heard.last().unwrap().1.get("order").is_none());
    }
    fleet.assign(&order, &courier).await;
    // On its way to the store: the store sees it, the customer does not.
    let n = tell(&courier, 52.528, 13.405).await;
    let all = heard(&mut tablet, n).await;
    assert!(all.iter().all(|(channel, _)| *channel == store_channel));
    assert_eq!(all.last().unwrap().1["data"], with(bare(n, 52.528), false));
    let (_, data) = heard(&mut desk, n).await.pop().unwrap();
    assert_eq!((&data["order"], &data["data"]["bat"]), (&json!(order), &json!(0.5)));
    let state = |phone: Value| phone["data"].clone();
    let mut late = Phone::connect(&server.url, &city.store_token().await).await;
    let seen = state(late.subscribe(&store_channel).await);
    assert_eq!(
        (&seen["locations"][0]["n"], seen["locations"].as_array().unwrap().len()),
        (&json!(n), 1)
    );
    assert!(
        seen["locations"][0]["heard_at"].is_string() && seen["locations"][0].get("bat").is_none()
    );
    let mut late = Phone::connect(&server.url, &city.customer_token(&order).await).await;
    assert!(state(late.subscribe(&on_order).await).get("location").is_none());

    city.act(&courier.rest, &order, "pickup", json!({})).await;
    // As the window opens its customer is shown the newest that is known.
    let shown = heard(&mut customer, n).await;
    assert_eq!(shown.len(), 1, "nothing before it left the store: {shown:#?}");
    assert_eq!(shown[0].1["data"], bare(n, 52.528));
    let n = tell(&courier, 52.527, 13.405).await;
    let (channel, data) = heard(&mut customer, n).await.pop().unwrap();
    assert_eq!((channel, &data["data"]), (on_order.clone(), &bare(n, 52.527)));
    assert_eq!((&data["order"], &data["type"]), (&json!(order), &json!("driver.location")));
    let mut late = Phone::connect(&server.url, &city.customer_token(&order).await).await;
    let seen = state(late.subscribe(&on_order).await)["location"].clone();
    assert_eq!(seen["n"], n);
    assert!(seen.get("driver").is_none() && seen.get("bat").is_none(), "{seen}");
    let link =
        city.platform.post(&format!("/v1/orders/{order}/links"), json!({})).await.expect(201);
    let mut public = listener(&server.url, link["token"].as_str().unwrap(), &on_order).await;

    city.act(&courier.rest, &order, "deliver", json!({})).await;
    let last = tell(&courier, 52.526, 13.405).await;
    // Boards go on seeing it; once they have, nobody else will.
    heard(&mut board, last).await;
    heard(&mut platform, last).await;
    let head = fleet.head().await;
    for (phone, until_n) in [(&mut customer, n), (&mut public, n), (&mut desk, n)] {
        while phone.event().await["position"] != head {}
        let left: Vec<i64> = phone
            .locations
            .iter()
            .map(|push| push["pub"]["data"]["data"]["n"].as_i64().unwrap())
            .collect();
        assert!(left.iter().all(|heard| *heard <= until_n), "{left:?} after {until_n}");
    }
    for phone in [&mut deaf, &mut own] {
        while phone.event().await["position"] != head {}
        assert!(phone.locations.is_empty(), "{:?}", phone.locations);
    }
    while tablet.event().await["position"] != head {}
    let seen_by_store =
        tablet.locations.iter().map(|push| push["pub"]["data"]["data"]["lat"].clone());
    assert!(seen_by_store.into_iter().all(|lat| lat == 52.528), "{:?}", tablet.locations);
    let mut late = Phone::connect(&server.url, &city.customer_token(&order).await).await;
    assert!(state(late.subscribe(&on_order).await).get("location").is_none());
    let mut late = Phone::connect(&server.url, &courier.token).await;
    let seen = state(late.subscribe(&format!("driver:{}", courier.id)).await)["location"].clone();
    assert_eq!((&seen["n"], &seen["bat"]), (&json!(last), &json!(0.5)));
    let mut late = Phone::connect(&server.url, &ops).await;
    let seen = state(late.subscribe("dispatch").await)["locations"].clone();
    assert_eq!((seen.as_array().unwrap().len(), &seen[0]["n"]), (1, &json!(last)));
    server.stop().await;
}

#[actix_web::test]
async fn of_a_tour_only_the_customer_who_is_next_sees_the_courier_and_after_a_handover_the_new_one()
{
    let server = Server::start_with(prompt).await;
    let fleet = Fleet::found(&server, None).await;
    let [one, other] = [fleet.courier(Some(300.0)).await, fleet.courier(Some(500.0)).await];
    let orders = [fleet.accepted(10).await, fleet.accepted(10).await];
    let mut customers = Vec::new();
    for order in &orders {
        fleet.assign(order, &one).await;
        let token = fleet.city.customer_token(order).await;
        customers.push(listener(&server.url, &token, &format!("order:{order}")).await);
    }
    put_route(&fleet, &one, &[&orders[1], &orders[0]]).await;
    for order in &orders {
        fleet.city.act(&one.rest, order, "pickup", json!({})).await;
    }
    let n = tell(&one, 52.521, 13.405).await;
    heard(&mut customers[1], n).await;
    // The other way round: now the first is next, and the second is no more.
    put_route(&fleet, &one, &[&orders[0], &orders[1]]).await;
    let turned = tell(&one, 52.522, 13.405).await;
    heard(&mut customers[0], turned).await;
    fleet.city.act(&one.rest, &orders[0], "deliver", json!({})).await;
    // The second moves up, and is shown what is known at once.
    fleet.happened("order.delivered", 0, 1).await;
    heard(&mut customers[1], turned).await;
    // Another courier takes it over on the way: its place is shown, the first one's no more.
    let before = tell(&other, 52.524, 13.405).await;
    fleet.assign(&orders[1], &other).await;
    let (_, data) = heard(&mut customers[1], before).await.pop().unwrap();
    assert_eq!(data["data"]["lat"], 52.524);
    tell(&one, 52.529, 13.405).await;
    let n = tell(&other, 52.525, 13.405).await;
    let all = heard(&mut customers[1], n).await;
    assert!(all.iter().all(|(_, data)| data["data"]["lat"] != 52.529), "{all:#?}");
    assert!(customers[0].locations.is_empty(), "{:?}", customers[0].locations);
    server.stop().await;
}

#[actix_web::test]
async fn a_customer_is_told_at_its_pace_and_the_newest_is_what_stays() {
    let server = Server::start_with(|config| {
        attentive(config);
        config.locations.customer_pace_ms = of(600);
        config.locations.board_pace_ms = of(900);
        config.locations.messages_per_s = 1_000;
        config.locations.points_per_s = 1_000;
    })
    .await;
    let fleet = Fleet::found(&server, None).await;
    let courier = fleet.courier(None).await;
    let order = fleet.accepted(10).await;
    fleet.assign(&order, &courier).await;
    fleet.city.act(&courier.rest, &order, "pickup", json!({})).await;
    let token = fleet.city.customer_token(&order).await;
    let channel = format!("order:{order}");
    let mut phones = [
        listener(&server.url, &token, &channel).await,
        listener(&server.url, &fleet.city.ops_token().await, "dispatch").await,
    ];
    let began = Instant::now();
    let mut last = 0;
    let mut told = 0;
    while began.elapsed().as_millis() < 2_000 {
        last = tell(&courier, 52.52 + f64::from(told) * 1e-5, 13.405).await;
        told += 1;
    }
    for (phone, pace_ms) in phones.iter_mut().zip([600, 900]) {
        let heard = heard(phone, last).await;
        let most = began.elapsed().as_millis() / pace_ms + 2;
        assert!(heard.len() > 1 && (heard.len() as u128) <= most, "{} of {told}", heard.len());
        let ns: Vec<i64> =
            heard.iter().map(|(_, data)| data["data"]["n"].as_i64().unwrap()).collect();
        assert!(ns.is_sorted(), "{ns:?}");
    }
    server.stop().await;
}

#[actix_web::test]
async fn a_backlog_of_ten_minutes_never_moves_the_courier_back() {
    let server = Server::start_with(prompt).await;
    let fleet = Fleet::found(&server, None).await;
    fleet.rule("location_retention_h", 24).await;
    let courier = fleet.courier(None).await;
    let order = fleet.accepted(10).await;
    fleet.assign(&order, &courier).await;
    fleet.city.act(&courier.rest, &order, "pickup", json!({})).await;
    let token = fleet.city.customer_token(&order).await;
    let mut customer = listener(&server.url, &token, &format!("order:{order}")).await;
    // A point each 5 s, the newest first; 20 in a message.
    let now = Timestamp::now();
    let point = |nth: i32| {
        let at = now - SignedDuration::from_secs((119 - i64::from(nth)) * 5);
        json!([nth + 1, at.to_string(), 52.52 + f64::from(nth) * 1e-4, 13.405])
    };
    let all: Vec<Value> = (0..120).rev().map(point).collect();
    for (nth, message) in all.chunks(20).enumerate() {
        let answer = courier.rest.post(PATH, json!({"p": message})).await.expect(200);
        assert_eq!(answer, json!({"n": 120 - 20 * nth, "refused": 0}));
    }
    heard(&mut customer, 120).await;
    let n = tell(&courier, 52.5321, 13.405).await;
    let more = heard(&mut customer, n).await;
    assert_eq!(more.len(), 1, "{more:#?}");
    server.stop().await;
}

#[actix_web::test]
async fn who_tells_too_much_is_heard_in_part_and_told_so() {
    let server = Server::start_with(|config| {
        attentive(config);
        config.locations.burst_s = of(3);
        config.locations.points_per_s = 5;
        config.locations.messages_per_s = 1;
    })
    .await;
    let fleet = Fleet::found(&server, None).await;
    let courier = fleet.courier(None).await;
    let now = Timestamp::now().as_millisecond();
    let message = |first: i64| {
        let points = (0..10).rev().map(|nth| json!([first + nth, now + first + nth, 52.5, 13.4]));
        json!({"p": points.collect::<Vec<_>>()})
    };
    let say = async |first: i64| courier.rest.post(PATH, message(first)).await.expect(200);
    assert_eq!(say(10).await, json!({"n": 19, "refused": 0}));
    // The newest of the rest.
    let second = say(20).await;
    assert_eq!((&second["n"], &second["refused"]), (&json!(29), &json!(0)));
    assert!((1..=5).contains(&second["dropped"].as_i64().unwrap()), "{second}");
    let mut last = second;
    for first in [30, 40, 50] {
        last = say(first).await;
    }
    // A message too many is as if it had not been.
    assert_eq!(last, json!({"n": null, "refused": 0, "dropped": 10}));
    server.stop().await;
}

#[actix_web::test]
async fn couriers_are_found_by_where_they_are_and_boards_see_a_part_of_the_map() {
    let server = Server::start_with(prompt).await;
    let fleet = Fleet::found(&server, None).await;
    let [near, far] = [fleet.courier(Some(100.0)).await, fleet.courier(Some(4_000.0)).await];
    let path = |radius: u32| format!("/v1/drivers?near={},{}&radius={radius}", STORE.0, STORE.1);
    for who in [&fleet.ops, &fleet.city.platform] {
        let found = who.get(&path(5_000)).await.expect(200);
        let ids: Vec<&str> = found["drivers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["id"].as_str().unwrap())
            .collect();
        assert_eq!(ids, [&near.id, &far.id]);
        let first = &found["drivers"][0];
        assert!((99..=101).contains(&first["distance_m"].as_i64().unwrap()), "{first}");
        assert_eq!((&first["stale"], &first["location"]["lng"]), (&json!(false), &json!(STORE.1)));
        let found = who.get(&path(500)).await.expect(200);
        assert_eq!(found["drivers"].as_array().unwrap().len(), 1);
    }
    fleet.pass("2 minutes").await;
    let found = fleet.ops.get(&path(500)).await.expect(200);
    assert_eq!(found["drivers"][0]["stale"], true);
    assert!(found["drivers"][0]["age_s"].as_i64().unwrap() >= 120, "{found}");
    for (query, field) in [
        ("near=52.5", "near"),
        ("near=91,13", "near"),
        ("near=52.5,13.4&radius=0", "radius"),
        ("near=52.5,13.4&radius=50001", "radius"),
        ("near=52.5,13.4&external_id=a", "external_id"),
        ("near=52.5,13.4&limit=0", "limit"),
    ] {
        let problem = fleet.ops.get(&format!("/v1/drivers?{query}")).await;
        let problem = problem.expect_problem(422, "validation");
        assert_eq!(problem["fields"][0]["field"], field, "{query}");
    }
    let answer = near.rest.get(&path(500)).await;
    answer.expect_problem(403, "role_not_allowed");

    // A board of the part with the second store: its orders, and the couriers who are there.
    let elsewhere = fleet.city.new_store(json!({"lat": 48.137, "lng": 11.575})).await;
    let area = json!([48.0, 11.4, 48.3, 11.8]);
    let mut board = Phone::connect(&server.url, &fleet.city.ops_token().await).await;
    let ask = |area: &Value| json!({"subscribe": {"channel": "dispatch", "data": {"area": area}}});
    let reply = board.ask(ask(&area)).await;
    assert_eq!(reply["subscribe"]["data"]["locations"], json!([]), "{reply}");
    fleet.city.order_id().await;
    let there = fleet.city.order(json!({"store": elsewhere})).await;
    assert_eq!(board.event().await["order"], there["id"]);
    tell(&near, 52.521, 13.405).await;
    let n = tell(&far, 48.14, 11.58).await;
    assert_eq!(heard(&mut board, n).await.len(), 1);
    let mut again = Phone::connect(&server.url, &fleet.city.ops_token().await).await;
    let reply = again.ask(ask(&area)).await;
    let state = &reply["subscribe"]["data"];
    assert_eq!((&state["locations"][0]["n"], &state["orders"][0]["id"]), (&json!(n), &there["id"]));
    assert_eq!(
        (state["locations"].as_array().unwrap().len(), state["orders"].as_array().unwrap().len()),
        (1, 1)
    );
    for area in
        [json!([48.3, 11.4, 48.0, 11.8]), json!([0, 0, 0]), json!("here"), json!([0, 0, 91, 0])]
    {
        let mut phone = Phone::connect(&server.url, &fleet.city.ops_token().await).await;
        let reply = phone.ask(ask(&area)).await;
        assert_eq!(reply["error"]["code"], 107, "{reply}");
    }
    server.stop().await;
}

#[actix_web::test]
async fn a_point_reaches_listeners_on_other_processes_and_outlives_the_one_it_came_to() {
    let database = Scratch::create().await;
    let environment: &[(&str, &str)] = &[
        ("ORDERCAST_LOCATIONS__FLUSH_MS", "100"),
        ("ORDERCAST_LOCATIONS__CUSTOMER_PACE_MS", "0"),
        ("ORDERCAST_LOCATIONS__BOARD_PACE_MS", "0"),
        ("ORDERCAST_LOCATIONS__SPEED_MAX", "1000000"),
    ];
    let first = Process::serve_with(&database, environment).await;
    let second = Process::serve_with(&database, environment).await;
    let third = Process::serve_with(&database, environment).await;
    let fleet = Fleet::at(&second.url, &database, None).await;
    let courier = fleet.courier(Some(100.0)).await;
    let order = fleet.accepted(10).await;
    fleet.assign(&order, &courier).await;
    fleet.city.act(&courier.rest, &order, "pickup", json!({})).await;
    let token = fleet.city.customer_token(&order).await;
    let mut customer = listener(&second.url, &token, &format!("order:{order}")).await;
    let mut board = listener(&third.url, &fleet.city.ops_token().await, "dispatch").await;
    // The courier's own socket is on the first.
    let mut device = Phone::connect(&first.url, &courier.token).await;
    let say =
        |n: i64, lat: f64| json!({"p": [[n, Timestamp::now().as_millisecond(), lat, 13.405]]});
    let reply = device.rpc("locations", say(1, 52.5213)).await;
    assert_eq!(reply["rpc"]["data"], json!({"n": 1, "refused": 0}));
    for phone in [&mut customer, &mut board] {
        let (_, data) = heard(phone, 1).await.pop().unwrap();
        assert_eq!(data["data"]["lat"], 52.5213);
    }
    // Killed: the next point goes to another, and on.
    drop(first);
    device.closed().await;
    let mut device = Phone::connect(&third.url, &courier.token).await;
    let reply = device.rpc("locations", say(2, 52.5214)).await;
    assert_eq!(reply["rpc"]["data"], json!({"n": 2, "refused": 0}));
    for phone in [&mut customer, &mut board] {
        let (_, data) = heard(phone, 2).await.pop().unwrap();
        assert_eq!(data["data"]["lat"], 52.5214);
    }
    // Whoever comes now, wherever, starts from the newest.
    for process in [&second, &third] {
        let mut late = Phone::connect(&process.url, &token).await;
        let state = late.subscribe(&format!("order:{order}")).await;
        assert_eq!(state["data"]["location"]["n"], 2, "{state}");
    }
    // The right ends where it is heard, whichever process the news comes from.
    fleet.city.act(&courier.rest, &order, "deliver", json!({})).await;
    while customer.event().await["type"] != "order.delivered" {}
    device.rpc("locations", say(3, 52.5215)).await;
    heard(&mut board, 3).await;
    assert!(customer.locations.is_empty(), "{:?}", customer.locations);
    drop((second, third));
}

#[actix_web::test]
async fn the_way_of_a_courier_is_kept_where_its_tenant_wants_it() {
    let server = Server::start_with(|config| {
        prompt(config);
        config.locations.trail_look_ms = of(100);
    })
    .await;
    let fleet = Fleet::found(&server, None).await;
    let courier = fleet.courier(Some(10.0)).await;
    let kept = async || -> i64 {
        let sql = "select count(*) from location_trail";
        fleet.client.query_one(sql, &[]).await.unwrap().try_get(0).unwrap()
    };
    assert_eq!(kept().await, 0);
    fleet.rule("location_retention_h", 2).await;
    until("the way to be kept", async || {
        tell(&courier, 52.52, 13.405).await;
        (kept().await > 0).then_some(())
    })
    .await;
    server.stop().await;
}
