//! An order made of its events alone, from the first: what a client of the platform would hold.

use jiff::Timestamp;
use ordercast::domain::{DriverId, Fulfilment, Leg, Notice, Role, Status, Word};
use ordercast::view::LogEvent;
use serde_json::{Map, Value, json};

use crate::tables::{AFTER_THE_END, COURIER_IN, LEG, STATUS};

/// What the fold and the row must agree on.
const FIELDS: &[&str] = &[
    "id",
    "tenant",
    "external_id",
    "short_code",
    "fulfilment",
    "status",
    "leg",
    "version",
    "dropoff",
    "items",
    "note",
    "window",
    "prep_min",
    "undeliverable_action",
    "proof_required",
    "pin",
    "attempt",
    "stamps",
    "accept_by",
    "release_at",
    "ready_eta",
    "pickup_eta",
    "dropoff_eta",
    "dropoff_eta_lo",
    "dropoff_eta_hi",
    "return_eta",
    "reason",
    "late",
    "meta",
];

/// Events that carry both times as they are after them.
const TIMED: &[&str] = &[
    "order.accepted",
    "order.preparing",
    "order.ready",
    "order.unready",
    "order.prep_changed",
    "order.eta",
    "courier.assigned",
    "courier.changed",
];

pub struct Fold {
    pub n: i64,
    pub status: Status,
    pub leg: Leg,
    pub driver: Option<DriverId>,
    pub fulfilment: Fulfilment,
    /// Whether it walks by itself: then the system does what store and courier do.
    pub robo: bool,
    /// Of the last event, for those that must come in pairs.
    last: (String, Role),
    view: Map<String, Value>,
}

fn at(time: Timestamp) -> Value {
    format!("{time:.3}").into()
}

fn text<'a>(view: &'a Map<String, Value>, key: &str) -> &'a str {
    view.get(key).and_then(Value::as_str).unwrap_or_default()
}

impl Fold {
    /// Begins with the first event of an order.
    pub fn begin(event: &LogEvent, robo: bool) -> Result<Self, String> {
        let view = match event.kind.as_str() {
            "order.placed" => event.data.as_object(),
            "order.scheduled" => event.data["order"].as_object(),
            _ => None,
        };
        let mut view = view.ok_or_else(|| format!("begins with {}", event.kind))?.clone();
        let status = if event.kind == "order.placed" { Status::Placed } else { Status::Scheduled };
        if event.by.role != Role::Platform {
            return Err(format!("was placed by {:?}", event.by));
        }
        // It may have gone on at once; the events that say so follow.
        for key in ["prep_min", "ready_eta", "pickup_eta", "dropoff_eta", "dropoff_eta_lo"] {
            view.remove(key);
        }
        for key in ["dropoff_eta_hi", "late", "reason", "driver", "steps"] {
            view.remove(key);
        }
        let mut stamps = Map::from_iter([("created".to_owned(), at(event.recorded_at))]);
        if status == Status::Placed {
            stamps.insert("placed".to_owned(), at(event.recorded_at));
        }
        view.insert("stamps".to_owned(), stamps.into());
        let fulfilment = Fulfilment::find(text(&view, "fulfilment")).map_err(|e| e.to_string())?;
        let last = (event.kind.clone(), event.by.role);
        let (leg, driver) = (Leg::None, None);
        let mut fold = Self { n: 0, status, leg, driver, fulfilment, robo, last, view };
        fold.close(event, status)?;
        Ok(fold)
    }

    /// The next event of the order.
    pub fn apply(&mut self, event: &LogEvent) -> Result<(), String> {
        let kind = event.kind.as_str();
        if self.status.is_terminal() && !AFTER_THE_END.contains(&kind) {
            return Err(format!("{kind} after {:?}", self.status));
        }
        let by_itself = self.last == ("order.ready".to_owned(), Role::System) && !self.robo;
        if by_itself && kind != "order.picked_up" {
            return Err(format!("ready by itself, and then {kind}"));
        }
        self.who(event)?;
        self.when(event)?;
        let was = self.status;
        let row = STATUS.iter().find(|(name, from, _, who, what)| {
            *name == kind
                && from.contains(&was)
                && self.may(who, event.by.role)
                && what.contains(&self.fulfilment)
        });
        match row {
            Some((.., to, _, _)) => self.status = *to,
            None if STATUS.iter().any(|row| row.0 == kind) => {
                let by = event.by.role;
                return Err(format!("{kind} from {was:?} by {by:?}, {:?}", self.fulfilment));
            }
            None => {}
        }
        self.ride(event)?;
        self.note(event);
        self.last = (kind.to_owned(), event.by.role);
        self.close(event, was)
    }

    /// Whether what happened by itself was due: not a moment too early, by the database's clock.
    fn when(&self, event: &LogEvent) -> Result<(), String> {
        let due = match (event.kind.as_str(), event.by.role) {
            ("order.placed", Role::System) => self.view.get("release_at"),
            ("order.rejected", Role::System) if !self.robo => self.view.get("accept_by"),
            ("order.late", _) => event.data.get("since"),
            _ => return Ok(()),
        };
        // Times of one form sort as texts.
        let (due, now) = (due.and_then(Value::as_str), at(event.recorded_at));
        if due.is_some() && due <= now.as_str() {
            Ok(())
        } else {
            Err(format!("{} is due at {due:?} and came at {now}", event.kind))
        }
    }

    fn may(&self, who: &[Role], role: Role) -> bool {
        who.contains(&role) || (self.robo && role == Role::System)
    }

    /// Whether whoever did it is who it should be.
    fn who(&self, event: &LogEvent) -> Result<(), String> {
        let by = &event.by;
        let right = match by.role {
            Role::Store => text_of(&self.view, "store", "id") == Some(by.id.as_str()),
            Role::Driver if event.kind == "courier.assigned" => {
                // By the offer that this courier has accepted.
                event.driver.is_some_and(|driver| driver.to_string() == by.id)
            }
            Role::Driver => self.driver.is_some_and(|driver| driver.to_string() == by.id),
            Role::Customer | Role::Ops | Role::Platform | Role::System => true,
        };
        if right { Ok(()) } else { Err(format!("{} by {by:?}, of another", event.kind)) }
    }

    /// What it does to the leg, and to whom the order belongs.
    fn ride(&mut self, event: &LogEvent) -> Result<(), String> {
        let kind = event.kind.as_str();
        let role = event.by.role;
        let statuses = COURIER_IN.iter().find(|(name, _)| *name == kind);
        if statuses.is_some_and(|(_, in_these)| !in_these.contains(&self.status)) {
            return Err(format!("{kind} while {:?}", self.status));
        }
        if self.status.is_terminal() {
            self.leg = Leg::Closed;
            return Ok(());
        }
        if self.fulfilment != Fulfilment::Delivery {
            let courier = kind.starts_with("courier.");
            return if courier { Err(format!("{kind} without a courier")) } else { Ok(()) };
        }
        let named = event.data["driver"]["id"].as_str().and_then(|id| id.parse().ok());
        let mut prior = None;
        if kind == "courier.changed" {
            let coming = matches!(self.leg, Leg::Assigned | Leg::AtStore);
            let carried = matches!(self.leg, Leg::EnRoute | Leg::AtDoor);
            let right = match role {
                Role::Ops => coming || carried,
                Role::Platform => coming,
                _ => false,
            };
            if !right || named.is_none() || named == self.driver {
                return Err(format!("{kind} while {:?} by {role:?} to {named:?}", self.leg));
            }
            prior = std::mem::replace(&mut self.driver, named);
            self.leg = if coming { Leg::Assigned } else { self.leg };
        } else if let Some((.., to, _)) = LEG.iter().find(|(name, from, _, who)| {
            *name == kind && from.contains(&self.leg) && self.may(who, role)
        }) {
            self.leg = *to;
            match kind {
                "courier.assigned" => self.driver = Some(named.ok_or("assigned to nobody")?),
                "courier.unassigned" => prior = self.driver.take(),
                _ => {}
            }
        } else if LEG.iter().any(|row| row.0 == kind) {
            return Err(format!("{kind} while {:?} by {role:?}", self.leg));
        }
        if event.prior_driver != prior {
            return Err(format!("{kind}: {:?} lost it, not {prior:?}", event.prior_driver));
        }
        Ok(())
    }

    fn put(&mut self, key: &str, value: &Value) {
        if value.is_null() {
            self.view.remove(key);
        } else {
            self.view.insert(key.to_owned(), value.clone());
        }
    }

    fn stamp(&mut self, key: &str, time: Option<Timestamp>) {
        let Some(Value::Object(stamps)) = self.view.get_mut("stamps") else { return };
        match time {
            Some(time) => drop(stamps.insert(key.to_owned(), at(time))),
            None => drop(stamps.remove(key)),
        }
    }

    /// What it does to everything else.
    fn note(&mut self, event: &LogEvent) {
        let (data, now) = (&event.data, event.recorded_at);
        let kind = event.kind.as_str();
        let (_, name) = kind.split_once('.').unwrap_or_default();
        if TIMED.contains(&kind) {
            for (key, from) in [
                ("pickup_eta", "pickup_eta"),
                ("dropoff_eta", "dropoff_eta"),
                ("dropoff_eta_lo", "lo"),
                ("dropoff_eta_hi", "hi"),
                ("return_eta", "return_eta"),
            ] {
                self.put(key, &data[from]);
            }
        }
        match kind {
            "order.placed" => {
                self.stamp("placed", Some(now));
                self.put("accept_by", &data["accept_by"]);
            }
            "order.accepted" | "order.prep_changed" => self.put("prep_min", &data["prep_min"]),
            "order.unready" => {
                self.stamp("ready", None);
                self.stamp("preparing", Some(now));
            }
            "order.picked_up" | "order.redelivery" => {
                self.stamp("picked_up", Some(now));
                for (key, from) in [
                    ("dropoff_eta", "dropoff_eta"),
                    ("dropoff_eta_lo", "lo"),
                    ("dropoff_eta_hi", "hi"),
                ] {
                    self.put(key, &data[from]);
                }
            }
            "order.returning" => {
                for key in ["dropoff_eta", "dropoff_eta_lo", "dropoff_eta_hi"] {
                    self.put(key, &Value::Null);
                }
                self.put("return_eta", &data["return_eta"]);
            }
            "order.updated" => {
                for field in data["fields"].as_array().into_iter().flatten() {
                    let field = field.as_str().unwrap_or_default();
                    self.put(field, &data["order"][field]);
                }
                for key in ["release_at", "pickup_eta", "dropoff_eta", "dropoff_eta_lo"] {
                    self.put(key, &data["order"][key]);
                }
                self.put("dropoff_eta_hi", &data["order"]["dropoff_eta_hi"]);
            }
            "order.late" => {
                let late = self.view.entry("late").or_insert_with(|| json!([]));
                let told: Vec<&str> =
                    late.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
                let kind = data["kind"].as_str().unwrap_or_default();
                let all = Notice::LATE.iter().map(|notice| notice.word());
                let all = all.filter(|word| told.contains(word) || *word == kind);
                *late = json!(all.collect::<Vec<_>>());
            }
            "courier.assigned" | "courier.changed" => {
                self.stamp("assigned", Some(now));
                if self.leg == Leg::Assigned {
                    self.stamp("at_store", None);
                }
            }
            "courier.unassigned" => {
                self.stamp("assigned", None);
                self.stamp("at_store", None);
                self.put("pickup_eta", &Value::Null);
            }
            "courier.at_store" | "courier.at_door" => self.stamp(name, Some(now)),
            _ => {}
        }
        let stamped = STATUS.iter().any(|row| row.0 == kind);
        if stamped && !matches!(kind, "order.unready" | "order.redelivery") {
            self.stamp(name, Some(now));
        }
        match kind {
            "order.accepted" | "order.preparing" | "order.ready" | "order.unready"
            | "order.prep_changed" => self.put("ready_eta", &data["ready_eta"]),
            "order.redelivery" => {
                self.put("reason", &Value::Null);
                self.put("return_eta", &Value::Null);
                self.put("attempt", &data["attempt"]);
            }
            "order.rejected" | "order.cancelled" | "order.failed" | "order.returning" => {
                let mut reason = json!({"code": data["code"], "by": data["by"]});
                if !data["note"].is_null() {
                    reason["note"] = data["note"].clone();
                }
                self.put("reason", &reason);
            }
            _ => {}
        }
    }

    /// What must hold after each event.
    fn close(&mut self, event: &LogEvent, was: Status) -> Result<(), String> {
        let kind = &event.kind;
        self.n += 1;
        if event.n != Some(self.n) {
            return Err(format!("{kind} is {:?}, after {}", event.n, self.n - 1));
        }
        if (event.was, event.status) != (Some(was), Some(self.status)) {
            let says = (event.was, event.status);
            return Err(format!("{kind} says {says:?}, from {was:?} to {:?}", self.status));
        }
        if event.driver != self.driver {
            return Err(format!("{kind} says {:?}, it has {:?}", event.driver, self.driver));
        }
        let held = self.leg.has_driver();
        if self.leg != Leg::Closed && held != self.driver.is_some() {
            return Err(format!("{kind}: {:?} with {:?}", self.leg, self.driver));
        }
        let courier = self.fulfilment == Fulfilment::Delivery;
        if !courier && !matches!(self.leg, Leg::None | Leg::Closed) {
            return Err(format!("{kind}: {:?} of {:?}", self.leg, self.fulfilment));
        }
        let gone = matches!(self.status, Status::PickedUp | Status::Returning);
        let riding = matches!(self.leg, Leg::EnRoute | Leg::AtDoor);
        if courier && gone != riding {
            return Err(format!("{kind}: {:?} while {:?}", self.leg, self.status));
        }
        let (status, leg) = (self.status.word(), self.leg.word());
        self.put("status", &status.into());
        self.put("leg", &leg.into());
        self.put("version", &self.n.into());
        Ok(())
    }

    /// Where it differs from the order as the row has it.
    pub fn differs(&self, row: &Map<String, Value>) -> Vec<String> {
        let mut differences = Vec::new();
        for key in FIELDS {
            let (mine, theirs) = (self.view.get(*key), row.get(*key));
            if mine != theirs {
                differences.push(format!("{key} is {theirs:?} by the row, {mine:?} by the log"));
            }
        }
        let driver = row.get("driver").and_then(|driver| driver["id"].as_str());
        let mine = self.driver.map(|driver| driver.to_string());
        if driver != mine.as_deref() {
            differences.push(format!("its courier is {driver:?} by the row, {mine:?} by the log"));
        }
        differences
    }

    /// The customer's digits.
    pub fn pin(&self) -> Option<&str> {
        self.view.get("pin").and_then(Value::as_str)
    }
}

fn text_of<'a>(view: &'a Map<String, Value>, key: &str, inner: &str) -> Option<&'a str> {
    view.get(key)?.get(inner)?.as_str()
}
