//! Whatever becomes of orders, couriers and tours: nobody sees a courier outside its window.
//!
//! What a listener may see at a moment is told by the log up to the last event that it has heard,
//! and by nothing of the code that decides it.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::support::{Courier, Fleet, Phone, Server, attentive, of};

const STEPS: u32 = 120;

/// Numbers that look drawn, the same each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(most).unwrap()).unwrap()
    }

    fn pick<'a, T>(&mut self, some: &'a [T]) -> &'a T {
        &some[self.below(some.len())]
    }
}

/// An order as the log says it is.
#[derive(Debug, Clone, Default)]
struct Stands {
    driver: Option<String>,
    leg: &'static str,
    stops_before: i64,
}

impl Stands {
    fn apply(&mut self, event: &Value) {
        self.driver = event["driver"].as_str().map(str::to_owned);
        match event["type"].as_str().unwrap() {
            "courier.assigned" => (self.leg, self.stops_before) = ("assigned", 0),
            // Where the new courier goes first nobody has said.
            "courier.changed" => self.stops_before = 0,
            "courier.unassigned" => self.leg = "none",
            "courier.at_store" => self.leg = "at_store",
            "order.picked_up" | "order.redelivery" => self.leg = "en_route",
            "courier.at_door" => self.leg = "at_door",
            "order.returning" => self.leg = "returning",
            "order.delivered" | "order.cancelled" | "order.failed" | "order.returned" => {
                self.leg = "closed";
            }
            _ => {}
        }
        if let Some(stops) = event["data"]["stops_before"].as_i64() {
            self.stops_before = stops;
        }
    }
}

/// Each order as it stands at each position at which it changed.
fn history(log: &[Value]) -> HashMap<String, Vec<(u64, Stands)>> {
    let mut orders: HashMap<String, Vec<(u64, Stands)>> = HashMap::new();
    for event in log {
        let Some(order) = event["order"].as_str() else { continue };
        let its = orders.entry(order.to_owned()).or_default();
        let mut stands = its.last().map(|(_, stands)| stands.clone()).unwrap_or_default();
        stands.apply(event);
        its.push((event["position"].as_u64().unwrap(), stands));
    }
    orders
}

fn at(history: &[(u64, Stands)], position: u64) -> Stands {
    let before = history.iter().take_while(|(at, _)| *at <= position);
    before.last().map(|(_, stands)| stands.clone()).unwrap_or_default()
}

async fn play(number: u64) -> usize {
    let server = Server::start_with(|config| {
        attentive(config);
        config.locations.flush_ms = of(10);
        config.locations.customer_pace_ms = of(0);
        config.locations.board_pace_ms = of(0);
        config.locations.messages_per_s = 1_000;
        config.locations.points_per_s = 1_000;
    })
    .await;
    let fleet = Fleet::found(&server, None).await;
    let mut chance = Chance(number);
    let couriers = [fleet.courier(None).await, fleet.courier(None).await];
    let mut orders = Vec::new();
    let mut customers = Vec::new();
    for _ in 0..4 {
        let order = fleet.accepted(10).await;
        let token = fleet.city.customer_token(&order).await;
        let mut phone = Phone::connect(&server.url, &token).await;
        phone.subscribe(&format!("order:{order}")).await;
        customers.push((order.clone(), phone));
        orders.push(order);
    }
    let mut tablet = Phone::connect(&server.url, &fleet.city.store_token().await).await;
    tablet.subscribe(&format!("store:{}", fleet.city.store)).await;
    // By the number of a point, whose it is.
    let mut tellers: Vec<&Courier> = Vec::new();
    for _ in 0..STEPS {
        let (courier, order) = (chance.pick(&couriers), chance.pick(&orders).clone());
        let path = |what: &str| format!("/v1/orders/{order}/{what}");
        // What cannot be done now is refused, and that is fine.
        let ops = &fleet.ops;
        match chance.below(20) {
            0..=9 => {
                let (n, now) = (tellers.len(), ordercast::auth::now().as_millisecond());
                let lat = 52.52 + f64::from(u32::try_from(n).unwrap()) * 1e-6;
                let at = now + i64::try_from(n).unwrap();
                let body = json!({"p": [[n, at, lat, 13.4]]});
                courier.rest.post("/v1/drivers/me/locations", body).await.expect(200);
                tellers.push(courier);
            }
            10..=12 => drop(ops.put(&path("driver"), json!({"driver": courier.id})).await),
            13 => drop(ops.delete(&path("driver")).await),
            14 => drop(ops.post(&path("at_store"), json!({})).await),
            15..=16 => drop(ops.post(&path("pickup"), json!({})).await),
            17 => drop(ops.post(&path("at_door"), json!({})).await),
            18 => {
                let mut its = Vec::new();
                for order in &orders {
                    let view = fleet.order(order).await;
                    if view["driver"]["id"] == courier.id.as_str() && view["leg"] != "closed" {
                        its.insert(chance.below(its.len() + 1), order);
                    }
                }
                let path = format!("/v1/drivers/{}/route", courier.id);
                drop(ops.put(&path, json!({"orders": its})).await);
            }
            _ => drop(ops.post(&path("deliver"), json!({})).await),
        }
    }
    let log = history(&fleet.log(0).await);
    let mut seen = 0;
    for (order, phone) in &mut customers {
        phone.catch_up().await;
        for push in phone.locations.drain(..) {
            let stands = at(&log[order], push["after"].as_u64().unwrap());
            let n = push["pub"]["data"]["data"]["n"].as_u64().unwrap();
            let teller = &tellers[usize::try_from(n).unwrap()].id;
            assert_eq!(push["channel"], format!("order:{order}"));
            assert!(matches!(stands.leg, "en_route" | "at_door"), "{number:x}: {stands:?} {push}");
            assert_eq!(stands.stops_before, 0, "{number:x}: {stands:?} {push}");
            assert_eq!(stands.driver.as_ref(), Some(teller), "{number:x}: {stands:?} {push}");
            seen += 1;
        }
    }
    tablet.catch_up().await;
    for push in tablet.locations.drain(..) {
        let after = push["after"].as_u64().unwrap();
        let n = push["pub"]["data"]["data"]["n"].as_u64().unwrap();
        let teller = &tellers[usize::try_from(n).unwrap()].id;
        let comes = |order: &String| {
            let stands = at(&log[order], after);
            stands.driver.as_ref() == Some(teller) && matches!(stands.leg, "assigned" | "at_store")
        };
        assert!(orders.iter().any(comes), "{number:x}: {push}");
    }
    server.stop().await;
    seen
}

#[actix_web::test]
async fn nobody_ever_sees_a_courier_outside_its_window() {
    let mut seen = 0;
    for seed in [0x5eed, 0xca11, 0xb1ce] {
        seen += play(seed).await;
    }
    assert!(seen > 0, "nobody saw anything");
}
