//! The steps of an evening: lawful ones and others, by whoever comes, often several at once.

use futures::future::{join, join_all};
use ordercast::domain::{DriverId, Location, OfferId, OrderId, Place};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::call::{Call, Way};
use crate::town::{Home, Person, Seen, Town};
use crate::wishes::{command, of_driver, wild};

const MOST_ORDERS: usize = 12;

/// Plays the evening to its end, and until nothing is due any more.
pub async fn play(town: &mut Town<'_>) {
    let first = 3 + town.chance.below(4);
    for _ in 0..first {
        place(town).await;
    }
    // Those next door try to find one of its orders while it lives.
    if let [order, other, ..] = town.orders.as_slice() {
        let home =
            Home { order: order.clone(), other: other.clone(), platform: town.platform.clone() };
        *town.world.strange.borrow_mut() = Some(home);
    }
    let steps = 50 + town.chance.below(250);
    let mut done = 0;
    while done < steps {
        done += step(town).await;
        if town.chance.one_in(25) {
            crate::checks::check_snapshot(town).await;
        }
    }
    town.run_dry().await;
    if town.chance.one_in(4) {
        town.world.clock.leap(1800.0).await;
        town.run_dry().await;
    }
}

/// Does one thing, or several at once; how many.
async fn step(town: &mut Town<'_>) -> usize {
    let seen = town.look().await;
    match town.chance.below(100) {
        0..=3 if town.orders.len() < MOST_ORDERS => {
            place(town).await;
            1
        }
        0..=17 => due(town, &seen).await,
        18..=33 => offers(town).await,
        34..=35 => {
            let seconds = *town.chance.pick(&[1, 5, 16, 16, 31, 61, 61, 301]);
            town.world.clock.leap(f64::from(seconds)).await;
            town.count("a leap of the clock");
            1
        }
        36..=39 => {
            if town.keyed.is_empty() {
                return 1;
            }
            let nth = town.chance.below(town.keyed.len());
            let call = town.keyed[nth].call.clone();
            let way = town.way();
            let answered = call.go(town, way).await;
            town.note_key(call, &answered).await;
            1
        }
        40..=41 => strange(town, &seen).await,
        42..=48 => party(town, &seen).await,
        49..=51 => route(town, &seen).await,
        52..=56 => location(town, &seen).await,
        57..=65 => {
            let count = 2 + town.chance.below(3);
            let mut calls = Vec::new();
            // Of one order, or of any: from both apps at the same time.
            let one = one_of(town, &seen);
            let same = town.chance.one_in(2);
            for _ in 0..count {
                let order = if same { one.clone() } else { one_of(town, &seen) };
                calls.push(command(town, &order).await);
            }
            at_once(town, calls).await
        }
        66..=69 => {
            let order = one_of(town, &seen);
            let call = wild(town, &order).await;
            at_once(town, vec![call]).await
        }
        70..=73 => {
            // A phone that repeats itself before it was answered.
            let order = one_of(town, &seen);
            let mut call = command(town, &order).await;
            // Without a key a remark said twice is two remarks.
            let must = call.method == "order.note";
            if call.key.is_none() && (must || town.chance.one_in(2)) {
                call.key = Some(format!("key {}", town.number()));
            }
            at_once(town, vec![call.clone(), call]).await
        }
        _ => {
            let order = one_of(town, &seen);
            let call = command(town, &order).await;
            at_once(town, vec![call]).await
        }
    }
}

/// An order, most often one that is not over.
fn one_of(town: &mut Town<'_>, seen: &[Seen]) -> Seen {
    let open: Vec<&Seen> = seen.iter().filter(|it| it.leg != "closed").collect();
    if open.is_empty() || town.chance.one_in(8) {
        return town.chance.pick(seen).clone();
    }
    (*town.chance.pick(&open)).clone()
}

/// Makes these calls at once, by both apps.
async fn at_once(town: &mut Town<'_>, calls: Vec<Call>) -> usize {
    let first = town.chance.below(2);
    let alone = calls.len() == 1;
    let ways: Vec<Way> = (0..calls.len())
        .map(|nth| if alone { town.way() } else { Way::App((first + nth) % 2) })
        .collect();
    let lasting = &*town;
    let going = calls.iter().zip(ways).map(|(call, way)| call.go(lasting, way));
    let answers = join_all(going).await;
    let count = calls.len();
    for (call, answered) in calls.into_iter().zip(answers) {
        town.note_key(call, &answered).await;
    }
    count
}

fn text_number(town: &mut Town<'_>, what: &str) -> String {
    format!("{what} {}", town.number())
}

async fn place(town: &mut Town<'_>) {
    let number = town.number();
    let chance = &mut town.chance;
    let store = chance.pick(&town.stores).id.clone();
    let fulfilment =
        *chance.pick(&["delivery", "delivery", "delivery", "collection", "store_delivery"]);
    let undeliverable = *chance.pick(&["return", "return", "dispose", "leave"]);
    let proofs = json!({
        "photo": chance.one_in(4), "signature": chance.one_in(6), "pin": chance.one_in(3),
    });
    let window = if chance.one_in(4) {
        let minutes = i64::try_from(chance.below(120)).unwrap();
        let now = town.world.clock.now().await;
        let from = now + jiff::SignedDuration::from_mins(minutes + 20);
        let to = from + jiff::SignedDuration::from_mins(30);
        json!({"from": from.to_string(), "to": to.to_string()})
    } else {
        Value::Null
    };
    let mut body = town.city.order_body(json!({
        "external_id": format!("evening {number}"), "store": store, "fulfilment": fulfilment,
        "undeliverable_action": undeliverable, "proof_required": proofs,
        "note": if town.chance.one_in(3) { json!("no onions") } else { Value::Null },
    }));
    if !window.is_null() {
        body["window"] = window;
    }
    let mut call = Call::new(&town.platform, "order.create", body);
    if town.chance.one_in(3) {
        call.key = Some(format!("key {number}"));
    }
    let way = town.way();
    let twice = town.chance.one_in(4);
    let lasting = &*town;
    let (first, second) = join(call.go(lasting, way), async {
        if twice { Some(call.go(lasting, Way::App(1)).await) } else { None }
    })
    .await;
    if let (Ok(first), Some(Ok(second))) = (&first, &second)
        && first["id"] != second["id"]
    {
        town.find(format!("one external id, two orders: {first} {second}"));
    }
    // One of two may have come after the clock's leap, too late for the window, and have been judged
    // before the other one's commit.
    if let Some(order) = first.ok().or_else(|| second?.ok()) {
        town.orders.push(order["id"].as_str().unwrap().to_owned());
    }
}

/// Whatever is due of one order or of all, at any moment.
async fn due(town: &mut Town<'_>, seen: &[Seen]) -> usize {
    let nth = town.chance.below(seen.len());
    let order = OrderId::from_uuid(seen[nth].uuid);
    let app = town.chance.below(2);
    match town.chance.below(6) {
        // By two processes at once.
        0 => {
            join(town.do_due(0, order), town.do_due(1, order)).await;
            2
        }
        // On nothing that was looked up, as when a courier moves.
        1 => {
            town.elapse(app, order, None, None).await;
            1
        }
        // Looked up now, and done later.
        2 => {
            let candidates = town.candidates(app, order).await;
            town.held.push((order, candidates));
            1
        }
        3 if !town.held.is_empty() => {
            let nth = town.chance.below(town.held.len());
            let (order, candidates) = town.held.swap_remove(nth);
            town.elapse(app, order, candidates, None).await;
            1
        }
        4 => {
            let looking = seen.iter().map(|it| town.do_due(app, OrderId::from_uuid(it.uuid)));
            join_all(looking).await;
            1
        }
        _ => {
            town.do_due(app, order).await;
            1
        }
    }
}

/// Couriers answer what they are asked, or were.
async fn offers(town: &mut Town<'_>) -> usize {
    let pending = !town.chance.one_in(5);
    let query = "select id, driver_id, order_id from offers
                 where tenant_id = $1 and (state = 'pending' or not $2) order by id desc limit 12";
    let rows = town.client.query(query, &[&town.tenant().uuid(), &pending]).await.unwrap();
    if rows.is_empty() {
        return 0;
    }
    let all: Vec<(String, Person, Uuid)> = rows
        .iter()
        .map(|row| {
            let offer = OfferId::from_uuid(row.try_get(0).unwrap()).to_string();
            let driver = of_driver(row.try_get(1).unwrap());
            let person = town.drivers.iter().find(|it| it.id == driver).unwrap().clone();
            (offer, person, row.try_get(2).unwrap())
        })
        .collect();
    let one = town.chance.pick(&all).clone();
    let chosen: Vec<&(String, Person, Uuid)> = match town.chance.below(4) {
        // All who are asked for this order.
        0 => all.iter().filter(|it| it.2 == one.2).collect(),
        // All that this courier is asked for.
        1 => all.iter().filter(|it| it.1.id == one.1.id).collect(),
        2 => all.iter().take(4).collect(),
        _ => vec![&one],
    };
    let mut calls = Vec::new();
    for (offer, person, _order) in chosen {
        let verb = if town.chance.one_in(3) { "offer.decline" } else { "offer.accept" };
        // Now and then somebody else says it.
        let other = town.chance.pick(&town.drivers).clone();
        let person = if town.chance.one_in(12) { &other } else { person };
        let mut call = Call::new(person, verb, json!({"offer": offer}));
        if town.chance.one_in(3) {
            call.key = Some(text_number(town, "key"));
        }
        calls.push(call);
    }
    if town.chance.one_in(4) {
        calls.push(calls[0].clone());
    }
    if town.chance.one_in(3) {
        // While the search goes on, or ends.
        let app = town.chance.below(2);
        let order = OrderId::from_uuid(one.2);
        let lasting = &*town;
        let going = calls.iter().zip(0..).map(|(call, nth)| call.go(lasting, Way::App(nth % 2)));
        let (answers, ()) = join(join_all(going), lasting.do_due(app, order)).await;
        let count = calls.len() + 1;
        for (call, answered) in calls.into_iter().zip(answers) {
            town.note_key(call, &answered).await;
        }
        return count;
    }
    at_once(town, calls).await
}

/// Somebody asks for what is another tenant's.
async fn strange(town: &mut Town<'_>, seen: &[Seen]) -> usize {
    let Some(home) = town.world.strange.borrow().clone() else { return 0 };
    if home.platform.principal.tenant == town.tenant() {
        return 0;
    }
    let mut like = one_of(town, seen);
    let mine = like.id.clone();
    like.id = home.order;
    let mut call = wild(town, &like).await;
    call.key = None;
    let api = town.api();
    let found = api.get_order(&call.who.principal, &like.id).await;
    if let Ok(found) = found {
        town.find(format!("another tenant's order is shown: {}", found.body));
    }
    // While the first is written the others queue, and go into one batch: that knows both tenants.
    let refused = |who: &Person, order: &str| Call {
        if_match: Some(-1),
        ..Call::new(who, "order.note", json!({"order": order, "note": "never"}))
    };
    let (mine, theirs) = (refused(&town.platform, &mine), refused(&home.platform, &home.other));
    let way = Way::App(town.chance.below(2));
    let lasting = &*town;
    let going = [mine, theirs, call.clone()].map(async |call| call.go(lasting, way).await);
    let [mine, theirs, strangers]: [_; 3] = join_all(going).await.try_into().unwrap();
    for answered in [mine, theirs] {
        if !matches!(&answered, Err((word, _)) if word == "version_mismatch") {
            town.find(format!("a remark on version -1: {answered:?}"));
        }
    }
    match strangers {
        Ok(answer) => town.find(format!("{} of another tenant's order: {answer}", call.method)),
        Err((word, _))
            if matches!(word.as_str(), "not_found" | "role_not_allowed" | "validation") => {}
        Err(problem) => town.find(format!("{} of another tenant's: {problem:?}", call.method)),
    }
    3
}

/// Duty, pauses, and couriers who leave for good.
async fn party(town: &mut Town<'_>, seen: &[Seen]) -> usize {
    let driver = town.chance.pick(&town.drivers).clone();
    let by_itself = town.chance.one_in(2);
    let duty = *town.chance.pick(&["on", "on", "on", "paused", "off"]);
    let set = |duty: &str| json!({"driver": driver.id, "duty": duty});
    let mut calls = match town.chance.below(12) {
        0 => vec![Call::new(&town.platform, "driver.delete", json!({"driver": driver.id}))],
        1 => {
            let store = town.chance.pick(&town.stores).clone();
            let until = town.world.clock.now().await + jiff::SignedDuration::from_mins(5);
            let until = if town.chance.one_in(2) { json!(until.to_string()) } else { Value::Null };
            vec![Call::new(&store, "store.pause", json!({"store": store.id, "until": until}))]
        }
        _ => vec![Call::new(if by_itself { &driver } else { &town.ops }, "driver.duty", set(duty))],
    };
    if town.chance.one_in(3) {
        let order = one_of(town, seen);
        let assign = json!({"order": order.id, "driver": driver.id});
        calls.push(Call::new(&town.ops, "order.assign", assign));
    }
    at_once(town, calls).await
}

/// A tour of what a courier has, or almost.
async fn route(town: &mut Town<'_>, seen: &[Seen]) -> usize {
    let driver = town.chance.pick(&town.drivers).clone();
    let mut stops: Vec<String> = seen
        .iter()
        .filter(|it| it.driver.is_some_and(|id| of_driver(id) == driver.id) && it.leg != "closed")
        .map(|it| it.id.clone())
        .collect();
    if stops.len() > 1 {
        let nth = town.chance.below(stops.len());
        stops.rotate_left(nth);
    }
    if town.chance.one_in(8) {
        stops.push(town.chance.pick(seen).id.clone());
    }
    let who = if town.chance.one_in(2) { driver.clone() } else { town.ops.clone() };
    let call = Call::new(&who, "driver.route", json!({"driver": driver.id, "orders": stops}));
    let mut calls = vec![call];
    if town.chance.one_in(3) {
        let order = one_of(town, seen);
        calls.push(command(town, &order).await);
    }
    at_once(town, calls).await
}

async fn location(town: &mut Town<'_>, seen: &[Seen]) -> usize {
    let driver = town.chance.pick(&town.drivers).clone();
    let has = seen.iter().any(|it| it.driver.is_some_and(|id| of_driver(id) == driver.id));
    // At the store, at the door, in between, or in another town.
    let places: &[(f64, f64)] = &[(52.52, 13.405), (52.53, 13.41), (52.525, 13.40), (48.1, 11.6)];
    let (lat, lng) = places[if has { town.chance.below(3) } else { town.chance.below(4) }];
    let at = ordercast::auth::now();
    let n = town.number();
    let call = Call::new(&driver, "locations", json!({"p": [[n, at.to_string(), lat, lng, 10]]}));
    let way = town.way();
    drop(call.go(town, way).await);
    // Written at once, as nobody writes it by itself here; who arrives is found by whoever looks.
    let place = Place { lat, lng };
    let (accuracy_m, n) = (Some(10.0), i64::try_from(n).unwrap());
    let location = Location { n, at, place, accuracy_m, heading: None, speed: None, battery: None };
    let (tenant, id) = (driver.principal.tenant, driver.id.parse::<DriverId>().unwrap());
    town.world.apis[0].database.note_locations(&[(tenant, id, location)]).await.unwrap();
    1
}
