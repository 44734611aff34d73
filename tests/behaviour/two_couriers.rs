//! Who is first has it: couriers who answer at the same moment, each through another process.

use std::time::Duration;

use futures::future::{join, join_all};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{Answer, City, Process, Rest, Scratch, check_log};

/// Orders that two couriers accept at once, as far as the time reaches.
const RACES: usize = 1_000;
/// Of them at the same time.
const AT_ONCE: usize = 25;
/// Then it is enough: machines are busy.
const LONGEST: Duration = Duration::from_secs(20);
/// What a machine manages that is busy with something else.
const LEAST: usize = 100;

/// The word of a problem, or nothing of an answer that is none.
fn word(answer: &Answer) -> (u16, &str) {
    (answer.status, answer.body["code"].as_str().unwrap_or_default())
}

/// An order that its store has accepted by itself.
async fn accepted(city: &City, store: &str) -> String {
    let order = city.order(json!({"store": store})).await;
    assert_eq!(order["leg"], "none", "{order}");
    order["id"].as_str().unwrap().to_owned()
}

/// Asks couriers for an order: the offer of each, in their order.
async fn asked(city: &City, order: &str, drivers: &[&str]) -> Vec<String> {
    let path = format!("/v1/orders/{order}/offers");
    let body = json!({"mode": "broadcast", "drivers": drivers});
    city.platform.post(&path, body).await.expect(200);
    let offers = city.platform.get(&path).await.expect(200);
    let offers = offers["offers"].as_array().unwrap().clone();
    assert_eq!(offers.len(), drivers.len(), "{offers:?}");
    let of = |driver: &&str| {
        let offer = offers.iter().find(|offer| offer["driver"] == **driver).unwrap();
        offer["offer"].as_str().unwrap().to_owned()
    };
    drivers.iter().map(of).collect()
}

async fn accept(who: &Rest, offer: &str) -> Answer {
    who.post(&format!("/v1/offers/{offer}/accept"), json!({})).await
}

/// A courier as it calls through one of the processes.
async fn through(city: &City, process: &Process, driver: &str) -> Rest {
    Rest::new(&process.url, Some(&city.token("driver", driver, &[]).await))
}

#[actix_web::test]
async fn of_two_couriers_who_accept_at_once_one_has_it_and_the_other_is_told() {
    let database = Scratch::create().await;
    let (one, two) = join(Process::serve(&database), Process::serve(&database)).await;
    let city = City::found(&one.url, &database).await;
    let store = city.new_store(json!({"auto_accept": true})).await;
    let began = Instant::now();
    let mut races = 0;
    // How often the first of each pair was faster: both must be able to.
    let mut first_won = 0;
    while races < RACES && began.elapsed() < LONGEST {
        // Each pair has room for all that its round brings.
        let (ann, bob) = (city.new_driver(json!({})).await, city.new_driver(json!({})).await);
        let (by_ann, by_bob) = join(through(&city, &one, &ann), through(&city, &two, &bob)).await;
        let orders = join_all((0..AT_ONCE).map(|_| accepted(&city, &store))).await;
        let both = [ann.as_str(), bob.as_str()];
        let asking = orders.iter().map(|order| asked(&city, order, &both));
        let offers = join_all(asking).await;
        let accepting =
            offers.iter().map(|of| join(accept(&by_ann, &of[0]), accept(&by_bob, &of[1])));
        let answers = join_all(accepting).await;
        for (order, (anns, bobs)) in orders.iter().zip(&answers) {
            let (winner, won, lost) =
                if anns.status == 200 { (&ann, anns, bobs) } else { (&bob, bobs, anns) };
            first_won += usize::from(winner == &ann);
            assert_eq!((word(won), word(lost)), ((200, ""), (409, "offer_closed")), "{order}");
            assert!(lost.body["detail"].as_str().unwrap().contains("lost"), "{:#}", lost.body);
            assert_eq!((&won.body["id"], &won.body["leg"]), (&json!(order), &json!("assigned")));
            let view = city.platform.get(&format!("/v1/orders/{order}")).await.expect(200);
            assert_eq!(view["driver"]["id"], winner.as_str());
        }
        // Said again, it is answered the same, and nothing happens.
        let (again, late) =
            join(accept(&by_ann, &offers[0][0]), accept(&by_bob, &offers[0][1])).await;
        let statuses = [answers[0].0.status, answers[0].1.status];
        assert_eq!([again.status, late.status], statuses);
        races += AT_ONCE;
    }
    println!("{races} orders, {first_won} to the first of two");
    assert!(races >= LEAST, "only {races} in {LONGEST:?}");
    assert!(first_won > 0 && first_won < races, "{first_won} of {races}: that is no race");

    // Each was given once, and each offer ended as it was answered.
    let client = database.connect().await;
    let query = "
        select count(*),
               count(*) filter (where not (
                   (select count(*) from events e
                    where e.order_id = o.id and e.type = 'courier.assigned') = 1
                   and (select array_agg(f.state order by f.state) from offers f
                        where f.order_id = o.id) = '{accepted,lost}'
                   and (select f.driver_id from offers f
                        where f.order_id = o.id and f.state = 'accepted') = o.driver_id))
        from orders o";
    let row = client.query_one(query, &[]).await.unwrap();
    let counts: (i64, i64) = (row.try_get(0).unwrap(), row.try_get(1).unwrap());
    assert_eq!(counts, (i64::try_from(races).unwrap(), 0));
    check_log(&database).await;
    assert_eq!((one.terminate(), two.terminate()), (Some(0), Some(0)));
}

#[actix_web::test]
async fn a_courier_with_room_for_one_who_accepts_two_at_once_gets_one() {
    let database = Scratch::create().await;
    let (one, two) = join(Process::serve(&database), Process::serve(&database)).await;
    let city = City::found(&one.url, &database).await;
    let store = city.new_store(json!({"auto_accept": true})).await;
    let began = Instant::now();
    let rounds = (0..8).map(async |_nth| {
        let driver = city.new_driver(json!({})).await;
        let path = format!("/v1/drivers/{driver}");
        let mine = [through(&city, &one, &driver).await, through(&city, &two, &driver).await];
        let mut done = 0;
        while done < 25 && began.elapsed() < LONGEST {
            // Nobody is asked for more than there is room for: there is less by now.
            city.platform.patch(&path, json!({"capacity": 2})).await.expect(200);
            let orders = [accepted(&city, &store).await, accepted(&city, &store).await];
            let mut offers = Vec::new();
            for order in &orders {
                offers.extend(asked(&city, order, &[&driver]).await);
            }
            city.platform.patch(&path, json!({"capacity": 1})).await.expect(200);
            let (first, second) =
                join(accept(&mine[0], &offers[0]), accept(&mine[1], &offers[1])).await;
            let mut words = [word(&first), word(&second)];
            words.sort_unstable();
            assert_eq!(words, [(200, ""), (409, "driver_at_capacity")]);
            // The other may still be accepted once there is room; until then it waits.
            let waits = usize::from(first.status == 200);
            let pending = mine[0].get("/v1/drivers/me/offers").await.expect(200);
            let pending: Vec<&Value> =
                pending["offers"].as_array().unwrap().iter().map(|it| &it["offer"]).collect();
            assert_eq!(pending, [&json!(offers[waits])]);
            for order in &orders {
                let reason = json!({"reason": "duplicate"});
                city.act(&city.platform, order, "cancel", reason).await;
            }
            done += 1;
        }
        done
    });
    let done: usize = join_all(rounds).await.into_iter().sum();
    println!("{done} pairs of orders");
    assert!(done >= 8, "only {done}");
    let client = database.connect().await;
    let query = "select count(*) from events where type = 'courier.assigned'";
    let assigned: i64 = client.query_one(query, &[]).await.unwrap().try_get(0).unwrap();
    assert_eq!(assigned, i64::try_from(done).unwrap());
    check_log(&database).await;
    assert_eq!((one.terminate(), two.terminate()), (Some(0), Some(0)));
}
