//! The dispatcher: watches all orders and gives each the courier with the least to do.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::time::Duration;

use awc::http::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::agenda::Agenda;
use super::board::ends;
use super::city::{City, Kind};
use super::line::{Line, Player};
use super::pace::once_in;
use super::wire::{Event, text};

/// Assignments under way at once.
const AT_ONCE: usize = 16;
/// How long to wait for a courier to be free.
const WAIT: Duration = Duration::from_millis(250);
/// Seconds a person has to say whether it takes an order.
const OFFER_S: u32 = 30;

/// What a dispatcher means to do with an order.
#[derive(Debug)]
enum Task {
    Assign(String),
    /// The people's courier is to bring it, if it will.
    Favour(String),
    /// Another courier is to bring it.
    Reassign(String),
    CallOff(String),
}

/// The couriers on duty, and the orders each has or is about to get.
#[derive(Debug, Default)]
struct Roster {
    couriers: HashMap<String, HashSet<String>>,
    /// Who takes a break.
    off: HashSet<String>,
    /// Who has each order.
    holders: HashMap<String, String>,
}

impl Roster {
    /// Who is not on duty is given nothing; what it has it keeps.
    fn set_duty(&mut self, courier: &str, is_on: bool) {
        if is_on {
            self.off.remove(courier);
            self.couriers.entry(courier.to_owned()).or_default();
        } else {
            self.off.insert(courier.to_owned());
        }
    }

    /// Whether this courier can take another order.
    fn has_room(&self, courier: &str, capacity: usize) -> bool {
        !self.off.contains(courier)
            && self.couriers.get(courier).is_some_and(|orders| orders.len() < capacity)
    }

    fn give(&mut self, order: &str, courier: &str) {
        self.take(order);
        self.couriers.entry(courier.to_owned()).or_default().insert(order.to_owned());
        self.holders.insert(order.to_owned(), courier.to_owned());
    }

    fn take(&mut self, order: &str) -> Option<String> {
        let courier = self.holders.remove(order)?;
        if let Some(orders) = self.couriers.get_mut(&courier) {
            orders.remove(order);
        }
        Some(courier)
    }

    /// The courier with the least to do who has room and is not the one who has the order.
    fn free(&self, order: &str, capacity: usize) -> Option<String> {
        let holder = self.holders.get(order);
        self.couriers
            .iter()
            .filter(|(courier, orders)| orders.len() < capacity && Some(*courier) != holder)
            .filter(|(courier, _)| !self.off.contains(*courier))
            .min_by_key(|(_, orders)| orders.len())
            .map(|(courier, _)| courier.clone())
    }
}

/// The dispatcher.
pub(super) struct Dispatcher {
    city: Rc<City>,
    token: String,
    agenda: Agenda<Task>,
    roster: RefCell<Roster>,
}

impl Player for Dispatcher {
    fn hear(&self, event: &Event) {
        let order = event.order();
        match event.kind.as_str() {
            "driver.duty" => {
                let driver = event.driver.as_deref().unwrap_or_default();
                self.roster.borrow_mut().set_duty(driver, event.text("duty") == "on");
            }
            "order.accepted" => {
                let is_peoples =
                    event.store.as_deref().is_some_and(|it| self.city.guests.store.is(it));
                let task = if is_peoples { Task::Favour } else { Task::Assign };
                self.agenda.put(Instant::now(), task(order.to_owned()));
                if once_in(80) {
                    let at = Instant::now() + self.city.pace.takes(0.5, 4.0);
                    self.agenda.put(at, Task::CallOff(order.to_owned()));
                }
            }
            "courier.assigned" | "courier.changed" => {
                let driver = event.driver.as_deref().unwrap_or_default();
                self.roster.borrow_mut().give(order, driver);
                if event.kind == "courier.assigned" && once_in(40) {
                    let at = Instant::now() + self.city.pace.takes(0.5, 1.5);
                    self.agenda.put(at, Task::Reassign(order.to_owned()));
                }
            }
            "courier.search_failed" => {
                self.agenda.put(Instant::now(), Task::Assign(order.to_owned()));
            }
            "courier.unassigned" => {
                self.roster.borrow_mut().take(order);
                self.agenda.put(Instant::now(), Task::Assign(order.to_owned()));
            }
            kind if ends(kind) => {
                self.roster.borrow_mut().take(order);
            }
            _ => {}
        }
    }

    fn see(&self, snapshot: &Value) {
        for view in snapshot.get("orders").and_then(Value::as_array).into_iter().flatten() {
            let order = text(view, "id");
            let driver = view.get("driver").map(|driver| text(driver, "id")).unwrap_or_default();
            let is_accepted = matches!(text(view, "status"), "accepted" | "preparing" | "ready");
            if !driver.is_empty() {
                self.roster.borrow_mut().give(order, driver);
            } else if is_accepted {
                self.agenda.put(Instant::now(), Task::Assign(order.to_owned()));
            }
        }
    }
}

impl Dispatcher {
    /// A dispatcher whose line stands when this returns.
    pub(super) async fn start(city: &Rc<City>, token: String) -> (Rc<Self>, Rc<Line>) {
        let dispatcher = Rc::new(Self {
            city: Rc::clone(city),
            token: token.clone(),
            agenda: Agenda::default(),
            roster: RefCell::default(),
        });
        let player: Rc<dyn Player> = Rc::clone(&dispatcher) as Rc<dyn Player>;
        let line = Line::open(city, Kind::Dispatcher, "dispatch".to_owned(), token, player);
        line.reach(0).await;
        (dispatcher, line)
    }

    /// Works until the evening is over.
    pub(super) async fn work(&self) {
        self.agenda.work(&self.city, AT_ONCE, |task| self.act(task)).await;
    }

    async fn act(&self, task: Task) {
        match task {
            Task::Assign(order) => {
                // Given already, by a snapshot or by somebody else.
                if !self.roster.borrow().holders.contains_key(&order) {
                    self.assign(order).await;
                }
            }
            Task::Favour(order) => self.favour(order).await,
            Task::Reassign(order) => {
                if self.roster.borrow().holders.contains_key(&order) {
                    self.reassign(&order).await;
                }
            }
            Task::CallOff(order) => {
                let path = format!("/v1/orders/{order}/cancel");
                let body = json!({"reason": "store_problem"});
                if let Err(denied) =
                    self.city.rest.write(Method::POST, &path, &self.token, &body).await
                {
                    self.city.denied("dispatcher", &denied);
                }
            }
        }
    }

    async fn assign(&self, order: String) {
        let courier = self.pick(&order);
        let Some(courier) = courier else {
            self.agenda.put(Instant::now() + WAIT, Task::Assign(order));
            return;
        };
        // Counted at once, so that the next assignment knows.
        self.roster.borrow_mut().give(&order, &courier);
        if let Err(denied) = self.put(&order, &courier).await {
            self.city.denied("dispatcher", &denied);
            self.roster.borrow_mut().take(&order);
            if denied.is_about_courier() {
                self.agenda.put(Instant::now() + WAIT, Task::Assign(order));
            }
        }
    }

    /// Gives an order to the people's courier: a person is asked, its player told.
    async fn favour(&self, order: String) {
        let part = &self.city.guests.courier;
        let room =
            part.id().filter(|courier| self.roster.borrow().has_room(courier, self.capacity()));
        let Some(courier) = room else { return self.assign(order).await };
        let done = if part.is_taken(courier) {
            let path = format!("/v1/orders/{order}/offers");
            let body = json!({"drivers": [courier], "offer_s": OFFER_S});
            self.city.rest.write(Method::POST, &path, &self.token, &body).await.map(drop)
        } else {
            self.roster.borrow_mut().give(&order, courier);
            self.put(&order, courier).await
        };
        if let Err(denied) = done {
            self.city.denied("dispatcher", &denied);
            self.roster.borrow_mut().take(&order);
            self.agenda.put(Instant::now() + WAIT, Task::Assign(order));
        }
    }

    async fn reassign(&self, order: &str) {
        let Some(courier) = self.pick(order) else { return };
        // The roster changes when the event is heard: until then the first courier has it.
        if let Err(denied) = self.put(order, &courier).await {
            self.city.denied("dispatcher", &denied);
        }
    }

    fn pick(&self, order: &str) -> Option<String> {
        self.roster.borrow().free(order, self.capacity())
    }

    fn capacity(&self) -> usize {
        usize::try_from(self.city.pace.capacity()).unwrap_or(usize::MAX)
    }

    async fn put(&self, order: &str, courier: &str) -> Result<(), super::rest::Denied> {
        let path = format!("/v1/orders/{order}/driver");
        let body = json!({"driver": courier});
        self.city.rest.write(Method::PUT, &path, &self.token, &body).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_courier_with_the_least_to_do_and_room_is_picked() {
        let mut roster = Roster::default();
        for courier in ["dr_1", "dr_2"] {
            roster.couriers.entry(courier.to_owned()).or_default();
        }
        roster.give("or_1", "dr_1");
        assert_eq!(roster.free("or_2", 2).as_deref(), Some("dr_2"));
        assert_eq!(roster.free("or_1", 2).as_deref(), Some("dr_2"));
        roster.give("or_2", "dr_2");
        assert_eq!(roster.free("or_3", 1), None);
        roster.give("or_1", "dr_2");
        assert_eq!(roster.free("or_3", 1).as_deref(), Some("dr_1"));
        assert_eq!(roster.take("or_1").as_deref(), Some("dr_2"));
        roster.set_duty("dr_1", false);
        assert_eq!(roster.free("or_3", 2).as_deref(), Some("dr_2"));
        assert!(roster.has_room("dr_2", 2) && !roster.has_room("dr_1", 9));
    }
}
