//! People who look in: one store and one courier of the city are theirs to take. Whoever plays the
//! part stands back as long as a person's page is open on it, and goes on from there when it is
//! closed. That store has time: its orders take as long as people need to follow them.
//!
//! Who is there, the server's own presence says: the tokens that are printed for people carry a
//! mark, and the players' do not.

use std::cell::{Cell, OnceCell};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::city::City;
use super::line::Line;

/// Between two looks at who is there.
const LOOK: Duration = Duration::from_secs(1);
/// How long a player waits before it looks again whether the part is its own.
pub(super) const STAND_BACK: Duration = Duration::from_secs(1);
/// Between two orders of the people's store: nobody answers eight a minute.
const ORDER_GAP: Duration = Duration::from_secs(15);

/// What a token for people says in its `info`.
pub(super) fn mark() -> Value {
    json!({"guest": true})
}

/// A part that a person may take.
#[derive(Debug, Default)]
pub(super) struct Part {
    id: OnceCell<String>,
    is_taken: Cell<bool>,
}

impl Part {
    /// Says whose part it is; once.
    pub(super) fn give(&self, id: &str) {
        drop(self.id.set(id.to_owned()));
    }

    /// Whether it is the part of this store or courier.
    pub(super) fn is(&self, id: &str) -> bool {
        self.id.get().is_some_and(|own| own == id)
    }

    /// Whose part it is.
    pub(super) fn id(&self) -> Option<&str> {
        self.id.get().map(String::as_str)
    }

    /// Whether a person plays the part of this store or courier now.
    pub(super) fn is_taken(&self, id: &str) -> bool {
        self.is_taken.get() && self.is(id)
    }

    async fn look(&self, line: &Line, kind: &str) {
        let Some(id) = self.id() else { return };
        // A line that comes and goes says nothing about people: then it stays as it was.
        if let Ok(present) = line.present(&format!("{kind}:{id}")).await {
            self.is_taken.set(present.as_object().is_some_and(|all| all.values().any(is_guest)));
        }
    }
}

fn is_guest(member: &Value) -> bool {
    member.pointer("/conn_info/info/guest").and_then(Value::as_bool).unwrap_or(false)
}

/// The parts that people may take.
#[derive(Debug, Default)]
pub(super) struct Guests {
    pub(super) store: Part,
    pub(super) courier: Part,
    last_order: Cell<Option<Instant>>,
}

impl Guests {
    /// Whether the people's store is to have its next order now. Said yes, it counts as placed.
    pub(super) fn takes_order(&self, now: Instant) -> bool {
        let due = self.last_order.get().is_none_or(|last| now.duration_since(last) >= ORDER_GAP);
        if due {
            self.last_order.set(Some(now));
        }
        due
    }
}

/// Looks who is there until the evening is over.
pub(super) async fn watch(city: &City, line: &Line) {
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = city.over() => return,
            _ = look.tick() => {}
        }
        let looking = async {
            city.guests.store.look(line, "store").await;
            city.guests.courier.look(line, "driver").await;
        };
        tokio::select! {
            () = city.over() => return,
            () = looking => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_told_from_players_by_the_mark_of_their_token() {
        let player = json!({"client": "a", "user": "st_1", "conn_info": {"role": "store"}});
        let guest = json!({"client": "b", "user": "st_1",
            "conn_info": {"role": "store", "info": mark()}});
        assert!(!is_guest(&player));
        assert!(is_guest(&guest));
    }

    #[test]
    fn a_part_is_taken_only_where_it_is_given() {
        let part = Part::default();
        part.is_taken.set(true);
        assert!(!part.is_taken("st_1"), "nobody's part");
        part.give("st_1");
        assert!(part.is_taken("st_1") && !part.is_taken("st_2"));
    }

    #[test]
    fn the_peoples_store_is_not_flooded() {
        let (guests, now) = (Guests::default(), Instant::now());
        assert!(guests.takes_order(now));
        assert!(!guests.takes_order(now + ORDER_GAP / 2));
        assert!(guests.takes_order(now + ORDER_GAP));
    }
}
