//! A customer: orders through the platform, and watches that one order until it ends.

use std::rc::Rc;

use awc::http::Method;
use rand::Rng as _;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::board::ends;
use super::city::{City, Kind};
use super::line::{Line, Player};
use super::names::{DISHES, FIRST, LAST, STORES, STREETS};
use super::pace::{once_in, one_of};
use super::walk::{Spot, around_the_corner};
use super::wire::{Event, text};

/// The last steps a customer sees.
const LAST_STEPS: &[&str] =
    &["delivered", "collected", "rejected", "cancelled", "failed", "returned"];

/// Who watches one order.
#[derive(Debug, Default)]
struct Customer {
    ended: Notify,
}

impl Player for Customer {
    fn hear(&self, event: &Event) {
        if ends(&event.kind) {
            self.ended.notify_one();
        }
    }

    fn see(&self, snapshot: &Value) {
        let steps = snapshot.get("order").and_then(|order| order.get("steps"));
        let mut steps = steps.and_then(Value::as_array).into_iter().flatten();
        if steps.any(|step| LAST_STEPS.contains(&text(step, "step"))) {
            self.ended.notify_one();
        }
    }
}

/// Places an order at a store and watches it until it ends, or the evening does.
pub(super) async fn order(city: Rc<City>, store: String, nth: u64) {
    let is_peoples = city.guests.store.is(&store);
    let near = STORES.first().filter(|_| is_peoples).map(|(_name, lat, lng)| (*lat, *lng));
    let placed =
        city.rest.write(Method::POST, "/v1/orders", &city.key, &wishes(&store, nth, near)).await;
    let order = match placed {
        Ok(placed) => text(&placed, "id").to_owned(),
        Err(denied) => return city.denied("platform", &denied),
    };
    if !city.is_playing() {
        return;
    }
    if !city.has_room() {
        city.meter.borrow_mut().unwatched += 1;
        return;
    }
    let token = match city.customer_token(&order).await {
        Ok(token) => token,
        Err(denied) => return city.denied("platform", &denied),
    };
    let customer = Rc::new(Customer::default());
    let player: Rc<dyn Player> = Rc::clone(&customer) as Rc<dyn Player>;
    let line = Line::open(&city, Kind::Customer, format!("order:{order}"), token.clone(), player);
    city.keep(&line);
    if is_peoples {
        city.show(&order).await;
    }
    // Who changes their mind does so soon, and may still be too late.
    let mut regret = once_in(25).then(|| Instant::now() + city.pace.takes(0.2, 2.0));
    loop {
        let at = regret.unwrap_or_else(Instant::now);
        tokio::select! {
            // The line stands until it is judged.
            () = city.over() => break,
            () = customer.ended.notified() => {
                city.hide(&order);
                city.archive(&line).await;
                break;
            }
            () = sleep_until(at), if regret.is_some() => {
                regret = None;
                let path = format!("/v1/orders/{order}/cancel");
                let body = json!({"reason": "customer_request"});
                let done = city.rest.write(Method::POST, &path, &token, &body).await;
                if let Err(denied) = done {
                    city.denied("customer", &denied);
                }
            }
        }
    }
}

/// The body of an order; for a door around the corner of a place, if one is given.
fn wishes(store: &str, nth: u64, near: Option<Spot>) -> Value {
    let mut rng = rand::rng();
    let name = |from: &[&'static str]| one_of(from).unwrap_or("Ada");
    let anywhere = (rng.random_range(52.48..52.55), rng.random_range(13.33..13.46));
    let (lat, lng) = near.map_or(anywhere, around_the_corner);
    let items: Vec<Value> = (0..rng.random_range(1..4))
        .map(|_| json!({"name": name(DISHES), "qty": rng.random_range(1..3)}))
        .collect();
    json!({
        "external_id": format!("demo-{nth}"),
        "store": store,
        "items": items,
        "dropoff": {
            "name": format!("{} {}", name(FIRST), name(LAST)),
            "phone": format!("+49 30 {:07}", rng.random_range(0..10_000_000)),
            "address": format!("{} {}, Berlin", name(STREETS), rng.random_range(1..120)),
            "lat": lat,
            "lng": lng,
        },
    })
}
