//! A courier: one socket for everything, what it hears and what it does.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::agenda::Agenda;
use super::board::ends;
use super::city::{City, Kind};
use super::guests::STAND_BACK;
use super::line::{Line, Player};
use super::pace::{Pace, once_in, one_of};
use super::rest::Denied;
use super::walk::{REPORT, Spot, Walk, spot};
use super::wire::{Event, text};
use crate::auth;

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
#[derive(Debug)]
struct Errand {
    is_at_store: bool,
    is_ready: bool,
    pace: Pace,
    store: Option<Spot>,
    door: Option<Spot>,
}

/// A courier.
pub(super) struct Courier {
    city: Rc<City>,
    id: String,
    name: String,
    walk: Walk,
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
        corner: Option<Spot>,
    ) -> Result<(Rc<Self>, Rc<Line>), Denied> {
        let courier = Rc::new(Self {
            city: Rc::clone(city),
            id: id.to_owned(),
            name: name.to_owned(),
            walk: Walk::new(corner),
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
        let place = |name: &str| view.get(name).and_then(spot);
        let store = view.get("store").map(|store| text(store, "id")).unwrap_or_default();
        let errand = Errand {
            is_at_store: leg == "at_store",
            is_ready: status == "ready",
            pace: self.city.pace_at(store),
            store: place("store"),
            door: place("dropoff"),
        };
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
            self.agenda.put(
                Instant::now() + errand.pace.takes(0.3, 1.0),
                (order.to_owned(), Step::Pickup),
            );
        }
    }

    /// Means to do a step, and goes where it is done.
    fn plan(&self, order: &str, step: Step, least: f64, most: f64) {
        let errands = self.errands.borrow();
        let errand = errands.get(order);
        self.walk.head_for(match step {
            Step::AtStore | Step::BringBack => errand.and_then(|errand| errand.store),
            Step::AtDoor => errand.and_then(|errand| errand.door),
            Step::Drop | Step::Pickup | Step::HandOver => None,
        });
        let pace = errand.map_or(self.city.pace, |errand| errand.pace);
        let at = Instant::now() + pace.takes(least, most);
        self.agenda.put(at, (order.to_owned(), step));
    }

    /// Works until the evening is over.
    pub(super) async fn work(&self) {
        let work = self.agenda.work(&self.city, AT_ONCE, |(order, step)| self.act(order, step));
        futures::join!(work, self.report());
    }

    /// Says where it is, until the evening is over.
    async fn report(&self) {
        let mut due = interval(REPORT);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = self.city.over() => return,
                _ = due.tick() => {}
            }
            // A person's phone says where the person is.
            let Some(line) = self.line.get().filter(|_| !self.is_taken()) else { continue };
            if let Err(denied) = line.call("locations", self.walk.report(auth::now())).await {
                self.city.denied(&self.name, &denied);
            }
        }
    }

    fn is_taken(&self) -> bool {
        self.city.guests.courier.is_taken(&self.id)
    }

    async fn act(&self, order: String, step: Step) {
        let Some(line) = self.line.get() else { return };
        if !self.errands.borrow().contains_key(&order) {
            return;
        }
        if self.is_taken() {
            return self.agenda.put(Instant::now() + STAND_BACK, (order, step));
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
