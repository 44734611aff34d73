//! What a customer reads of an order, as the page's script words it too (`assets/journey.js`).

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::{list, text};

/// Each step that a customer may read of: its name, its word and its headline.
const STEPS: &[(&str, &str, &str)] = &[
    ("received", "Received", "Order received"),
    ("preparing", "Preparing", "Preparing your order"),
    ("on_the_way", "On the way", "On the way"),
    ("arriving", "Arriving", "At your door"),
    ("delivered", "Delivered", "Delivered"),
    ("ready", "Ready", "Ready to collect"),
    ("collected", "Collected", "Collected"),
    ("rejected", "Not accepted", "Not accepted"),
    ("cancelled", "Cancelled", "Cancelled"),
    ("failed", "Not delivered", "Not delivered"),
    ("returning", "Going back", "Going back to the store"),
    ("returned", "Returned", "Back at the store"),
];

/// Steps after which nothing comes.
const LAST: &[&str] = &["delivered", "collected", "rejected", "cancelled", "failed", "returned"];
/// Those that nobody wished for.
const SAD: &[&str] = &["rejected", "cancelled", "failed", "returning", "returned"];

const DELIVERY: &[&str] = &["received", "preparing", "on_the_way", "arriving", "delivered"];
/// Who brings it is not tracked, so nobody knows when it is at the door.
const STORE_DELIVERY: &[&str] = &["received", "preparing", "on_the_way", "delivered"];
const COLLECTION: &[&str] = &["received", "preparing", "ready", "collected"];

const LONGER: &str = "It takes a little longer than planned.";

/// Times as they stand on the store's clock.
pub(super) struct Clock(TimeZone);

impl Clock {
    /// That of a store; UTC where nobody knows its zone.
    pub(super) fn of(store: &Value) -> Self {
        let zone = text(store, "tz").and_then(|name| TimeZone::get(name).ok());
        Self(zone.unwrap_or(TimeZone::UTC))
    }
    fn show(&self, format: &str, at: Timestamp) -> String {
        at.to_zoned(self.0.clone()).strftime(format).to_string()
    }
    /// The time of day, as in `18:20`.
    pub(super) fn time_of(&self, at: Timestamp) -> String {
        self.show("%H:%M", at)
    }
    /// The same of a view's text; empty where that is no time.
    pub(super) fn time(&self, at: &str) -> String {
        at.parse().map(|at| self.time_of(at)).unwrap_or_default()
    }
    fn day(&self, at: &str) -> String {
        at.parse().map(|at| self.show("%a %-d %b", at)).unwrap_or_default()
    }
}

/// A step of the ladder.
pub(super) struct Step<'a> {
    pub(super) name: &'static str,
    pub(super) word: &'static str,
    pub(super) at: Option<&'a str>,
    /// `done`, `here` or `ahead`.
    pub(super) state: &'static str,
}

/// The head of the page; what is empty is not shown.
#[derive(Debug, Default)]
pub(super) struct Head {
    pub(super) line: &'static str,
    /// `good`, `bad` or nothing.
    pub(super) tone: &'static str,
    pub(super) label: String,
    pub(super) time: String,
    pub(super) note: String,
}

fn entry(step: &str) -> (&'static str, &'static str, &'static str) {
    let known = STEPS.iter().find(|(name, _, _)| *name == step);
    known.copied().unwrap_or(("received", "Under way", "Under way"))
}

fn passed(order: &Value) -> impl Iterator<Item = (&str, Option<&str>)> {
    list(order, "steps").filter_map(|step| Some((text(step, "step")?, text(step, "at"))))
}

fn current(order: &Value) -> (&str, Option<&str>) {
    passed(order).last().unwrap_or(("received", None))
}

pub(super) fn is_over(order: &Value) -> bool {
    LAST.contains(&current(order).0)
}

/// The ladder as far as it is known; where an order left it, only the steps that were passed.
pub(super) fn ladder(order: &Value) -> Vec<Step<'_>> {
    let (here, _) = current(order);
    let ladder = match text(order, "fulfilment") {
        Some("collection") => COLLECTION,
        Some("store_delivery") => STORE_DELIVERY,
        _ => DELIVERY,
    };
    let reached = ladder.iter().position(|step| *step == here);
    let steps: Vec<&str> = match reached {
        Some(_) => ladder.to_vec(),
        None => passed(order).map(|(step, _)| step).collect(),
    };
    let reached = reached.unwrap_or(steps.len().saturating_sub(1));
    let steps = steps.into_iter().enumerate().map(|(nth, step)| {
        let (name, word, _head) = entry(step);
        let at = passed(order).filter(|(its, _)| *its == step).last().and_then(|(_, at)| at);
        let is_done = nth < reached || nth == reached && LAST.contains(&name);
        let state = if is_done {
            "done"
        } else if nth == reached {
            "here"
        } else {
            "ahead"
        };
        Step { name, word, at: at.filter(|_| nth <= reached), state }
    });
    steps.collect()
}

/// Where it stands and when what is next will be. A time that has passed is not shown as one that
/// is to come.
pub(super) fn head(order: &Value, clock: &Clock, now: Timestamp) -> Head {
    let (step, at) = current(order);
    let is_over = LAST.contains(&step);
    let is_bad = SAD.contains(&step);
    let is_good = is_over || matches!(step, "ready" | "arriving");
    let tone = if is_bad {
        "bad"
    } else if is_good {
        "good"
    } else {
        ""
    };
    let mut told = Head { line: entry(step).2, tone, ..Head::default() };
    let store = order.get("store").and_then(|store| text(store, "name"));
    match step {
        "received" => match order.get("window").map(|it| (text(it, "from"), text(it, "to"))) {
            Some((Some(from), Some(to))) => {
                told.label = format!("Planned for {}", clock.day(from));
                told.time = format!("{}–{}", clock.time(from), clock.time(to));
            }
            _ => told.note = format!("Waiting for {} to confirm.", store.unwrap_or("the store")),
        },
        "preparing" | "on_the_way" => arrival(&mut told, order, clock, now),
        "arriving" => "Your courier is at the door.".clone_into(&mut told.note),
        "ready" => {
            told.note = format!("{} has it waiting for you.", store.unwrap_or("The store"));
        }
        "delivered" | "collected" => {
            "At".clone_into(&mut told.label);
            told.time = at.map(|at| clock.time(at)).unwrap_or_default();
            "Enjoy!".clone_into(&mut told.note);
        }
        _ => {
            let code = order.get("reason").and_then(|reason| text(reason, "code"));
            code.map(reason).unwrap_or_default().clone_into(&mut told.note);
        }
    }
    let before = order.get("stops_before").and_then(Value::as_u64).unwrap_or(0);
    if before > 0 && !is_over {
        let stops = if before == 1 { "stop" } else { "stops" };
        let note = format!("{} {before} {stops} before yours.", told.note);
        note.trim().clone_into(&mut told.note);
    }
    told
}

/// When it arrives, or where nobody knows and it is being prepared, when it is ready.
fn arrival(told: &mut Head, order: &Value, clock: &Clock, now: Timestamp) {
    let is_past = |at: &str| at.parse::<Timestamp>().is_ok_and(|at| at < now);
    let is_delivered = text(order, "fulfilment") != Some("collection");
    let eta = text(order, "dropoff_eta").filter(|_| is_delivered);
    let ready = text(order, "ready_eta").filter(|_| current(order).0 == "preparing");
    if let Some(at) = eta {
        let (lo, hi) = (text(order, "dropoff_eta_lo"), text(order, "dropoff_eta_hi"));
        let (lo, hi) = (lo.unwrap_or(at), hi.unwrap_or(at));
        if is_past(hi) {
            LONGER.clone_into(&mut told.note);
        } else {
            let (lo, hi) = (clock.time(lo), clock.time(hi));
            "Arrives".clone_into(&mut told.label);
            told.time = if lo == hi { lo } else { format!("{lo}–{hi}") };
        }
    } else if let Some(at) = ready {
        if is_past(at) {
            LONGER.clone_into(&mut told.note);
        } else {
            "Ready about".clone_into(&mut told.label);
            told.time = clock.time(at);
        }
    }
}

/// A reason that helps to be told.
fn reason(code: &str) -> &'static str {
    match code {
        "no_response" => "The store did not answer in time.",
        "too_busy" => "The store is too busy right now.",
        "closed" => "The store is closed.",
        "closing_early" => "The store closes early today.",
        "item_unavailable" => "Something you ordered is not available.",
        "cannot_meet_note" => "The store cannot do what the note asks for.",
        "customer_request" => "As you asked.",
        "duplicate" => "It was ordered twice.",
        "no_courier" => "No courier could be found.",
        "store_problem" => "The store had a problem.",
        "no_answer" => "Nobody answered at the door.",
        "wrong_address" => "The address was not right.",
        "refused" => "It was refused at the door.",
        "damaged" => "It was damaged on the way.",
        "lost" => "It was lost on the way.",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(order: &Value) -> Head {
        let now = "2025-07-01T16:10:00Z".parse().unwrap();
        head(order, &Clock::of(&Value::Null), now)
    }

    #[test]
    fn a_time_that_has_passed_is_not_promised() {
        for (step, key) in [("preparing", "ready_eta"), ("on_the_way", "dropoff_eta")] {
            let order = |at: &str| json!({"steps": [{"step": step}], key: at});
            assert_eq!(told(&order("2025-07-01T16:20:00Z")).time, "16:20");
            let late = told(&order("2025-07-01T16:00:00Z"));
            assert_eq!((late.time.as_str(), late.note.as_str()), ("", LONGER));
        }
    }

    #[test]
    fn the_ladder_ends_where_the_order_left_it() {
        let steps = |fulfilment: &str, passed: &[&str]| -> Vec<(&str, &str)> {
            let passed: Vec<_> = passed.iter().map(|step| json!({"step": step})).collect();
            let order = json!({"fulfilment": fulfilment, "steps": passed});
            ladder(&order).iter().map(|step| (step.name, step.state)).collect()
        };
        assert_eq!(
            steps("collection", &["received", "preparing"]),
            [
                ("received", "done"),
                ("preparing", "here"),
                ("ready", "ahead"),
                ("collected", "ahead")
            ]
        );
        let cancelled = [("received", "done"), ("cancelled", "done")];
        assert_eq!(steps("delivery", &["received", "cancelled"]), cancelled);
        let back = [("received", "done"), ("on_the_way", "done"), ("returning", "here")];
        assert_eq!(steps("delivery", &["received", "on_the_way", "returning"]), back);
        assert_eq!(
            steps("delivery", &["received", "delivered"]).last(),
            Some(&("delivered", "done"))
        );
    }

    #[test]
    fn stops_before_are_told_until_the_end() {
        let order = |step: &str| json!({"steps": [{"step": step}], "stops_before": 1});
        assert_eq!(told(&order("on_the_way")).note, "1 stop before yours.");
        assert_eq!(told(&order("delivered")).note, "Enjoy!");
    }
}
