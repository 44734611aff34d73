//! Where couriers are: what a device may say, what is believed, and what follows from it.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::support::{Courier, Fleet, Phone, STORE, Server, attentive, check_log, until};

const PATH: &str = "/v1/drivers/me/locations";

/// What is known of where a courier is: the point's number and its latitude.
async fn known(fleet: &Fleet, courier: &Courier) -> Option<(i64, f64)> {
    let id = courier.id.parse::<ordercast::domain::DriverId>().unwrap().uuid();
    let query = "select n, lat from driver_locations where driver_id = $1";
    let row = fleet.client.query_opt(query, &[&id]).await.unwrap()?;
    Some((row.try_get(0).unwrap(), row.try_get(1).unwrap()))
}

fn ago(seconds: i64) -> String {
    (Timestamp::now() - SignedDuration::from_secs(seconds)).to_string()
}

#[actix_web::test]
async fn what_makes_no_sense_is_counted_and_the_newest_of_the_rest_is_where_the_courier_is() {
    let server = Server::start_with(|config| {
        attentive(config);
        config.locations.speed_max = 60;
    })
    .await;
    let fleet = Fleet::found(&server, None).await;
    let courier = fleet.courier(None).await;
    let head = fleet.head().await;
    let mut phone = Phone::connect(&server.url, &courier.token).await;
    for (points, answer, again, is) in [
        // The newest first, as DOMAIN has it, or not; with all members, or the four that must be.
        (
            json!([[7, ago(100), 52.1, 13.4, 5, 90, 6.2, 0.5], [6, ago(110), 52.1, 13.4]]),
            (7, 0),
            (7, 2),
            Some((7, 52.1)),
        ),
        (
            json!([[8, ago(90), 52.101, 13.4, null, null], [9, ago(80), 52.102, 13.4]]),
            (9, 0),
            (9, 2),
            Some((9, 52.102)),
        ),
        // Older ones never win, whatever their number.
        (json!([[10, ago(120), 52.1, 13.4]]), (10, 0), (10, 1), Some((9, 52.102))),
        // Ahead of time, nowhere, and vague.
        (json!([[11, ago(-180), 52.102, 13.4]]), (0, 1), (0, 1), Some((9, 52.102))),
        (json!([[12, ago(1), 0, 0]]), (0, 1), (0, 1), Some((9, 52.102))),
        (json!([[13, ago(1), 52.102, 13.4, 200.5]]), (0, 1), (0, 1), Some((9, 52.102))),
        // One of them spoils no other.
        (
            json!([
                [15, ago(-180), 52.102, 13.4],
                [14, ago(70), 52.103, 13.4, 200],
                [13, ago(71), 0, 0]
            ]),
            (14, 2),
            (14, 3),
            Some((14, 52.103)),
        ),
        // Nobody flies: 1.1 km in 10 seconds.
        (json!([[16, ago(60), 52.113, 13.4]]), (0, 1), (0, 1), Some((14, 52.103))),
        // Unless the next point says the same: then the one before was wrong.
        (json!([[17, ago(58), 52.1131, 13.4]]), (17, 0), (17, 1), Some((17, 52.1131))),
        // A device's clock may be a little ahead; milliseconds do, too.
        (
            json!([[18, Timestamp::now().as_millisecond() + 60_000, 52.114, 13.4]]),
            (18, 0),
            (18, 1),
            Some((18, 52.114)),
        ),
    ] {
        let body = json!({"p": points});
        let said =
            |(n, refused): (i64, i64)| json!({"n": Some(n).filter(|n| *n > 0), "refused": refused});
        let answered = courier.rest.post(PATH, body.clone()).await.expect(200);
        assert_eq!(answered, said(answer), "{body}");
        until("it to be written", async || (known(&fleet, &courier).await == is).then_some(()))
            .await;
        // Over the socket the same, said again, changes nothing.
        for method in ["locations", "driver.locations"] {
            let reply = phone.rpc(method, body.clone()).await;
            assert_eq!(reply["rpc"]["data"], said(again), "{reply}");
        }
    }
    // Of all this nothing is in the log.
    assert_eq!(fleet.head().await, head);
    // Once more: what came after these was written after them.
    fleet.courier(Some(10.0)).await;
    assert_eq!(known(&fleet, &courier).await, Some((18, 52.114)));
    server.stop().await;
}

#[actix_web::test]
async fn what_is_no_message_of_points_is_refused_by_its_field() {
    let server = Server::start().await;
    let fleet = Fleet::found(&server, None).await;
    let courier = fleet.courier(None).await;
    let point = json!([1, ago(1), 52.5, 13.4]);
    let many: Vec<Value> = (0..21).map(|_| point.clone()).collect();
    for (points, field) in [
        (json!([]), "p"),
        (json!(many), "p"),
        (json!([point, [1, ago(1), 52.5]]), "p[1]"),
        (json!([[1, ago(1), 52.5, 13.4, 1, 1, 1, 1, 1]]), "p[0]"),
        (json!([[-1, ago(1), 52.5, 13.4]]), "p[0][0]"),
        (json!([[1.5, ago(1), 52.5, 13.4]]), "p[0][0]"),
        (json!([["1", ago(1), 52.5, 13.4]]), "p[0][0]"),
        (json!([[1, "today", 52.5, 13.4]]), "p[0][1]"),
        (json!([[1, null, 52.5, 13.4]]), "p[0][1]"),
        (json!([[1, 1e300, 52.5, 13.4]]), "p[0][1]"),
        (json!([[1, ago(1), 90.1, 13.4]]), "p[0][2]"),
        (json!([[1, ago(1), "52", 13.4]]), "p[0][2]"),
        (json!([[1, ago(1), 52.5, -180.1]]), "p[0][3]"),
        (json!([[1, ago(1), 52.5, 13.4, -1]]), "p[0][4]"),
        (json!([[1, ago(1), 52.5, 13.4, null, 361]]), "p[0][5]"),
        (json!([[1, ago(1), 52.5, 13.4, null, null, -0.1]]), "p[0][6]"),
        (json!([[1, ago(1), 52.5, 13.4, null, null, null, 1.1]]), "p[0][7]"),
    ] {
        let body = json!({"p": points});
        let problem = courier.rest.post(PATH, body.clone()).await.expect_problem(422, "validation");
        assert_eq!(problem["fields"][0]["field"], field, "{body}");
    }
    for body in [json!({}), json!({"p": 1}), json!({"p": [point], "x": 1}), json!([])] {
        let answer = courier.rest.post(PATH, body.clone()).await;
        assert!(matches!(answer.status, 400 | 422), "{body}: {:#}", answer.body);
    }
    assert_eq!(known(&fleet, &courier).await, None);
    let order = fleet.city.order_id().await;
    for role in ["platform", "ops", "store", "customer"] {
        let who = fleet.city.caller(role, &order).await;
        let answer = who.post(PATH, json!({"p": [point]})).await;
        answer.expect_problem(403, "role_not_allowed");
    }
    let nobody = crate::support::Rest::new(&server.url, None);
    nobody.post(PATH, json!({"p": [point]})).await.expect_problem(401, "unauthenticated");
    server.stop().await;
}

#[actix_web::test]
async fn a_courier_who_is_about_to_arrive_is_announced_once_at_each_end() {
    let server = Server::start_with(attentive).await;
    let fleet = Fleet::found(&server, None).await;
    // On foot, so that a minute is about as far as 80 metres, and less with the detour.
    let foot = json!({"vehicle": {"type": "foot"}});
    let courier = fleet.courier_with(foot.clone(), Some(400.0)).await;
    let order = fleet.accepted(10).await;
    let mut customer = Phone::connect(&server.url, &fleet.city.customer_token(&order).await).await;
    customer.subscribe(&format!("order:{order}")).await;
    let mut tablet = Phone::connect(&server.url, &fleet.city.store_token().await).await;
    tablet.subscribe(&format!("store:{}", fleet.city.store)).await;
    fleet.assign(&order, &courier).await;
    fleet.settled().await;
    courier.stand(90.0).await;
    fleet.settled().await;
    assert_eq!(fleet.of_type("courier.near", 0).await, [] as [Value; 0]);
    courier.stand(75.0).await;
    let near = fleet.happened("courier.near", 0, 1).await.remove(0);
    assert_eq!(near["data"], json!({"end": "store"}));
    assert_eq!((&near["by"]["role"], &near["n"]), (&json!("system"), &json!(5)));
    // Once, however near and however often.
    for metres in [300.0, 10.0, 0.0] {
        courier.stand(metres).await;
    }
    fleet.city.act(&courier.rest, &order, "at_store", json!({})).await;
    fleet.city.act(&courier.rest, &order, "pickup", json!({})).await;
    // At the store it is not near the door: 1.1 km north, 340 m east.
    let north = |metres: f64| 52.53 - metres / 111_195.0;
    courier.stand_at(north(90.0), 13.41).await;
    fleet.settled().await;
    fleet.happened("courier.near", 0, 1).await;
    courier.stand_at(north(75.0), 13.41).await;
    let near = fleet.happened("courier.near", 0, 2).await.remove(1);
    assert_eq!(near["data"], json!({"end": "door"}));
    courier.stand_at(north(20.0), 13.41).await;
    fleet.city.act(&courier.rest, &order, "at_door", json!({})).await;
    fleet.city.act(&courier.rest, &order, "deliver", json!({})).await;
    fleet.happened("courier.near", 0, 2).await;
    // Each hears of its own end, and nobody of where the courier is.
    let last = fleet.head().await;
    for (phone, end) in [(&mut customer, "door"), (&mut tablet, "store")] {
        let mut ends = Vec::new();
        loop {
            let event = phone.event().await;
            assert!(!event.to_string().contains("52.52"), "{event:#}");
            if event["type"] == "courier.near" {
                ends.push(event["data"]["end"].clone());
            }
            if event["position"] == last {
                break;
            }
        }
        assert_eq!(ends, [end]);
    }
    // The courier that comes instead is announced anew.
    let order = fleet.accepted(10).await;
    let head = fleet.head().await;
    for nth in 1..3 {
        let courier = fleet.courier_with(foot.clone(), Some(1_000.0)).await;
        fleet.assign(&order, &courier).await;
        courier.stand_at(STORE.0, STORE.1).await;
        fleet.happened("courier.near", head, nth).await;
    }
    check_log(&server.database).await;
    server.stop().await;
}

#[actix_web::test]
async fn a_courier_who_was_not_heard_of_lately_is_nowhere_when_couriers_are_looked_for() {
    let server = Server::start_with(attentive).await;
    let fleet = Fleet::found(&server, None).await;
    let [old, fresh] = [fleet.courier(Some(10.0)).await, fleet.courier(Some(800.0)).await];
    fleet.pass("6 minutes").await;
    fresh.stand(810.0).await;
    let order = fleet.accepted(30).await;
    fleet.search(&order, json!({"mode": "broadcast"})).await.expect(200);
    assert_eq!((fresh.asked().await.len(), old.asked().await.len()), (1, 0));
    server.stop().await;
}
