//! The platform: sends the orders in at the pace, and hears everything.

use std::rc::Rc;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use serde_json::Value;
use tokio::time::{Duration, Instant, sleep_until};

use super::board::ends;
use super::city::{City, Kind};
use super::customer;
use super::line::{Line, Player};
use super::pace::one_of;
use super::wire::Event;

/// Orders that are placed and watched at once; beyond it the pace is not kept.
const ORDERS_MAX: usize = 6_000;
/// How far behind its pace the platform catches up.
const BEHIND_MAX: Duration = Duration::from_secs(1);

/// The platform's back end.
struct Platform {
    city: Rc<City>,
}

impl Player for Platform {
    fn hear(&self, event: &Event) {
        let mut meter = self.city.meter.borrow_mut();
        let mut board = self.city.board.borrow_mut();
        meter.events += 1;
        let order = event.order();
        let (code, why, by) = (board.code(order), event.text("code"), event.text("by"));
        match event.kind.as_str() {
            "order.rejected" => meter.note(&format!("{code} rejected by its store: {why}")),
            "order.cancelled" => meter.note(&format!("{code} cancelled by {by}: {why}")),
            "order.failed" => meter.note(&format!("{code} failed: {why}")),
            "order.returning" => meter.note(&format!("{code} goes back to its store: {why}")),
            "courier.unassigned" => meter.note(&format!("{code} given up by its courier: {why}")),
            "courier.changed" => meter.note(&format!("{code} handed to another courier")),
            _ => {}
        }
        if ends(&event.kind) {
            self.city.hide(order);
        }
        board.hear(event);
    }

    fn see(&self, snapshot: &Value) {
        self.city.board.borrow_mut().see(snapshot);
    }
}

/// The platform's line, which stands when this returns.
pub(super) async fn listen(city: &Rc<City>) -> Rc<Line> {
    let player: Rc<dyn Player> = Rc::new(Platform { city: Rc::clone(city) });
    let key = city.key.clone();
    let line = Line::open(city, Kind::Platform, "tenant".to_owned(), key, player);
    line.reach(0).await;
    line
}

/// Where the next order goes: to any store, and to the people's as often as people can answer.
fn next_store<'a>(city: &City, stores: &'a [String]) -> Option<&'a String> {
    let guests = &city.guests;
    let is_peoples = |store: &&String| guests.store.is(store);
    if let Some(store) = stores.iter().find(is_peoples)
        && guests.takes_order(Instant::now())
    {
        return Some(store);
    }
    let others: Vec<&String> = stores.iter().filter(|store| !is_peoples(store)).collect();
    one_of(&others)
}

/// Sends orders in at the pace until the evening is over.
pub(super) async fn work(city: &Rc<City>, stores: &[String]) {
    let mut orders = FuturesUnordered::new();
    let mut next = Instant::now();
    let mut nth = 0;
    loop {
        tokio::select! {
            biased;
            () = city.over() => break,
            Some(()) = orders.next(), if !orders.is_empty() => {}
            () = sleep_until(next), if orders.len() < ORDERS_MAX => {
                if let Some(store) = next_store(city, stores) {
                    nth += 1;
                    orders.push(customer::order(Rc::clone(city), store.clone(), nth));
                }
                next += city.pace.gap();
                if next.elapsed() > BEHIND_MAX {
                    next = Instant::now();
                }
            }
        }
    }
    while orders.next().await.is_some() {}
}
