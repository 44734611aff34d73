//! A courier: one socket for everything, what it hears and what it does.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::agenda::Agenda;
use super::board::ends;
use super::city::{City, Kind};
use super::line::{Line, Player};
use super::pace::{once_in, one_of};
use super::rest::Denied;
use super::wire::{Event, text};

/// Calls of one courier at once.
const AT_ONCE: usize = 3;
/// Why a courier gives an order up.
const DROPS: &[&str] = &["vehicle", "too_far", "long_wait"];

/// The next step with an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    AtStore,
    Drop,
    Pickup,
    AtDoor,
    HandOver,
    BringBack,
}

/// An order the courier has.
#[derive(Debug, Default)]
struct Errand {
    is_at_store: bool,
    is_ready: bool,
}

/// A courier.
pub(super) struct Courier {
    city: Rc<City>,
    name: String,
    line: OnceCell<Rc<Line>>,
    agenda: Agenda<(String, Step)>,
    errands: RefCell<HashMap<String, Errand>>,
}

impl Player for Courier {
    fn hear(&self, event: &Event) {
        let order = event.order();
        match event.kind.as_str() {
            // Only whom it is given to is shown the order.
            "courier.assigned" | "courier.changed" => match event.data.get("order") {
                Some(view) => self.begin(order, view),
                None => self.forget(order),
            },
            "courier.unassigned" => self.forget(order),
            "courier.at_store" => self.change(order, |errand| errand.is_at_store = true),
            "order.ready" => self.change(order, |errand| errand.is_ready = true),
            "order.picked_up" => self.plan(order, Step::AtDoor, 2.5, 5.0),
            "courier.at_door" => self.plan(order, Step::HandOver, 0.5, 1.5),
            "order.returning" => self.plan(order, Step::BringBack, 2.0, 4.0),
            kind if ends(kind) => self.forget(order),
            _ => {}
        }
    }

    fn see(&self, snapshot: &Value) {
        for view in snapshot.get("orders").and_then(Value::as_array).into_iter().flatten() {
            self.begin(text(view, "id"), view);
        }
    }
}

impl Courier {
    /// A courier with a line that stands when this returns, on duty.
    pub(super) async fn start(
        city: &Rc<City>,
        id: &str,
        name: &str,
        token: String,
    ) -> Result<(Rc<Self>, Rc<Line>), Denied> {
        let courier = Rc::new(Self {
            city: Rc::clone(city),
            name: name.to_owned(),
            line: OnceCell::new(),
            agenda: Agenda::default(),
            errands: RefCell::default(),
        });
        let player: Rc<dyn Player> = Rc::clone(&courier) as Rc<dyn Player>;
        let line = Line::open(city, Kind::Courier, format!("driver:{id}"), token, player);
        line.call("driver.duty", json!({"duty": "on"})).await?;
        // Set once, here.
        drop(courier.line.set(Rc::clone(&line)));
        Ok((courier, line))
    }

    /// Goes on with an order from where it stands.
    fn begin(&self, order: &str, view: &Value) {
        let (leg, status) = (text(view, "leg"), text(view, "status"));
        let errand = Errand { is_at_store: leg == "at_store", is_ready: status == "ready" };
        self.errands.borrow_mut().insert(order.to_owned(), errand);
        match (leg, status) {
            ("en_route", "returning") => self.plan(order, Step::BringBack, 2.0, 4.0),
            ("en_route", _) => self.plan(order, Step::AtDoor, 2.5, 5.0),
            ("at_door", _) => self.plan(order, Step::HandOver, 0.5, 1.5),
            // Picks it up once both are there.
            ("at_store", _) => self.change(order, |_errand| {}),
            _ if once_in(50) => self.plan(order, Step::Drop, 0.5, 1.5),
            _ => self.plan(order, Step::AtStore, 2.0, 4.0),
        }
    }

    fn forget(&self, order: &str) {
        self.errands.borrow_mut().remove(order);
    }

    /// Picks the order up once both are there, the courier and the food.
    fn change(&self, order: &str, change: impl FnOnce(&mut Errand)) {
        let mut errands = self.errands.borrow_mut();
        let Some(errand) = errands.get_mut(order) else { return };
        change(errand);
        if errand.is_at_store && errand.is_ready {
            self.plan(order, Step::Pickup, 0.3, 1.0);
        }
    }

    fn plan(&self, order: &str, step: Step, least: f64, most: f64) {
        let at = Instant::now() + self.city.pace.takes(least, most);
        self.agenda.put(at, (order.to_owned(), step));
    }

    /// Works until the evening is over.
    pub(super) async fn work(&self) {
        self.agenda.work(&self.city, AT_ONCE, |(order, step)| self.act(order, step)).await;
    }

    async fn act(&self, order: String, step: Step) {
        let Some(line) = self.line.get() else { return };
        if !self.errands.borrow().contains_key(&order) {
            return;
        }
        let (method, reason) = match step {
            Step::AtStore => ("order.at_store", None),
            Step::Drop => ("order.drop", one_of(DROPS)),
            Step::Pickup => ("order.pickup", None),
            Step::AtDoor => ("order.at_door", None),
            Step::HandOver if once_in(60) => ("order.fail", Some("damaged")),
            Step::HandOver if once_in(60) => ("order.return", Some("refused")),
            Step::HandOver => ("order.deliver", None),
            Step::BringBack => ("order.returned", None),
        };
        let body = match reason {
            Some(reason) => json!({"order": order, "reason": reason}),
            None => json!({"order": order}),
        };
        if let Err(denied) = line.call(method, body).await {
            self.city.denied(&self.name, &denied);
        }
    }
}
