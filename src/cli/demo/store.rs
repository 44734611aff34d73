//! A store: hears its orders on a socket, accepts, cooks and rejects over REST.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use awc::http::Method;
use rand::Rng as _;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::agenda::Agenda;
use super::board::ends;
use super::city::{City, Kind};
use super::guests::STAND_BACK;
use super::line::{Line, Player};
use super::pace::{Pace, once_in, one_of};
use super::wire::{Event, text};

/// Hands of one store.
const AT_ONCE: usize = 4;
/// Why a store says no.
const REASONS: &[&str] = &["too_busy", "item_unavailable", "closing_early"];

/// What a store means to do with an order.
#[derive(Debug)]
enum Task {
    Answer(String),
    Serve(String),
}

/// Where an order stands with its store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Asked,
    Cooking,
    Served,
}

/// A store.
pub(super) struct Store {
    city: Rc<City>,
    id: String,
    pace: Pace,
    name: String,
    token: String,
    agenda: Agenda<Task>,
    /// Orders that are still its to make.
    orders: RefCell<HashMap<String, Stage>>,
}

impl Player for Store {
    fn hear(&self, event: &Event) {
        match event.kind.as_str() {
            "order.placed" => self.ring(event.order()),
            "order.accepted" | "order.unready" => self.cook(event.order()),
            "order.ready" => self.stand(event.order(), Stage::Served),
            kind if ends(kind) => {
                self.orders.borrow_mut().remove(event.order());
            }
            _ => {}
        }
    }

    fn see(&self, snapshot: &Value) {
        for order in snapshot.get("orders").and_then(Value::as_array).into_iter().flatten() {
            let id = text(order, "id");
            match text(order, "status") {
                "placed" => self.ring(id),
                "accepted" | "preparing" => self.cook(id),
                _ => {}
            }
        }
    }
}

impl Store {
    /// Opens the store: its line stands when this returns.
    pub(super) async fn open(
        city: &Rc<City>,
        id: &str,
        name: &str,
        token: String,
    ) -> (Rc<Self>, Rc<Line>) {
        let store = Rc::new(Self {
            city: Rc::clone(city),
            id: id.to_owned(),
            pace: city.pace_at(id),
            name: name.to_owned(),
            token: token.clone(),
            agenda: Agenda::default(),
            orders: RefCell::default(),
        });
        let player: Rc<dyn Player> = Rc::clone(&store) as Rc<dyn Player>;
        let line = Line::open(city, Kind::Store, format!("store:{id}"), token, player);
        line.reach(0).await;
        (store, line)
    }

    /// An order came in, and someone has to look at it.
    fn ring(&self, order: &str) {
        if self.stands(order).is_none() {
            self.stand(order, Stage::Asked);
            let at = Instant::now() + self.pace.takes(1.0, 3.0);
            self.agenda.put(at, Task::Answer(order.to_owned()));
        }
    }

    fn stands(&self, order: &str) -> Option<Stage> {
        self.orders.borrow().get(order).copied()
    }

    fn stand(&self, order: &str, stage: Stage) {
        self.orders.borrow_mut().insert(order.to_owned(), stage);
    }

    fn cook(&self, order: &str) {
        self.stand(order, Stage::Cooking);
        let at = Instant::now() + self.pace.takes(3.0, 8.0);
        self.agenda.put(at, Task::Serve(order.to_owned()));
    }

    /// Works until the evening is over.
    pub(super) async fn work(&self) {
        self.agenda.work(&self.city, AT_ONCE, |task| self.act(task)).await;
    }

    async fn act(&self, task: Task) {
        let (order, due) = match &task {
            Task::Answer(order) => (order, Stage::Asked),
            Task::Serve(order) => (order, Stage::Cooking),
        };
        // Somebody else did it, or it is over.
        if self.stands(order) != Some(due) {
            return;
        }
        if self.city.guests.store.is_taken(&self.id) {
            return self.agenda.put(Instant::now() + STAND_BACK, task);
        }
        let (order, action, body) = match task {
            Task::Answer(order) if once_in(30) => {
                let reason = one_of(REASONS).unwrap_or("too_busy");
                (order, "reject", json!({"reason": reason}))
            }
            Task::Answer(order) => {
                let minutes = rand::rng().random_range(2..5) * 5;
                (order, "accept", json!({"prep_min": minutes}))
            }
            Task::Serve(order) => (order, "ready", json!({})),
        };
        let path = format!("/v1/orders/{order}/{action}");
        let done = self.city.rest.write(Method::POST, &path, &self.token, &body).await;
        if let Err(denied) = done {
            self.city.denied(&self.name, &denied);
        }
    }
}
