//! What was committed, read from `GET /v1/events`, and who should have heard it.
//!
//! The rules are those of the README's channels and audiences, written down a second time on
//! purpose: were they the server's own code, its mistakes would be our expectations.

use std::collections::HashMap;

use super::board::Board;
use super::rest::{Denied, Rest};
use super::wire::{Event, EventPage};

/// Events asked for at once.
const PAGE: usize = 1_000;

/// The log of one tenant, by channel.
#[derive(Debug, Default)]
pub(super) struct Truth {
    channels: HashMap<String, Vec<u64>>,
    /// The courier who has each order, as the events so far say.
    holders: HashMap<String, String>,
    end: u64,
    events: u64,
    is_ordered: bool,
    board: Board,
}

impl Truth {
    /// Reads the log after a position, all of it.
    pub(super) async fn read(rest: &Rest, key: &str, mut after: u64) -> Result<Self, Denied> {
        let mut truth = Self { end: after, is_ordered: true, ..Self::default() };
        loop {
            let path = format!("/v1/events?after={after}&limit={PAGE}");
            let page: EventPage = rest.get(&path, key).await?;
            for event in &page.events {
                truth.add(event);
            }
            after = page.next;
            if page.events.len() < PAGE {
                truth.end = truth.end.max(after);
                return Ok(truth);
            }
        }
    }

    /// The position it was read up to.
    pub(super) const fn end(&self) -> u64 {
        self.end
    }

    /// How many events it has.
    pub(super) const fn events(&self) -> u64 {
        self.events
    }

    /// Whether positions grew from event to event, as the reading promises.
    pub(super) const fn is_ordered(&self) -> bool {
        self.is_ordered
    }

    /// Where all orders stand at its end.
    pub(super) const fn board(&self) -> &Board {
        &self.board
    }

    /// The positions of a channel's events, ascending.
    pub(super) fn of(&self, channel: &str) -> &[u64] {
        self.channels.get(channel).map_or(&[], Vec::as_slice)
    }

    fn add(&mut self, event: &Event) {
        self.is_ordered &= event.position > self.end;
        self.end = event.position;
        self.events += 1;
        self.board.hear(event);
        for channel in self.hearers(event) {
            self.channels.entry(channel).or_default().push(event.position);
        }
        // An offer names the courier who is asked, and not who has the order.
        if let Some(order) = event.order.as_ref().filter(|_| !event.kind.starts_with("offer.")) {
            match &event.driver {
                Some(driver) => self.holders.insert(order.clone(), driver.clone()),
                None => self.holders.remove(order),
            };
        }
    }

    /// The channels on which a player of this demo hears the event.
    fn hearers(&self, event: &Event) -> Vec<String> {
        let kind = event.kind.as_str();
        let (noun, _) = kind.split_once('.').unwrap_or((kind, ""));
        let mut channels = vec!["tenant".to_owned(), "dispatch".to_owned()];
        if let Some(store) = &event.store
            && matches!(noun, "order" | "courier" | "store" | "proof")
            && (kind != "courier.near" || event.text("end") == "store")
            && (kind != "order.noted" || event.by.role == "store")
        {
            channels.push(format!("store:{store}"));
        }
        if let Some(order) = &event.order
            && is_for_customer(event)
        {
            channels.push(format!("order:{order}"));
        }
        if let Some(driver) = &event.driver
            && is_for_courier(kind)
            && (kind != "order.noted" || event.by.id == *driver)
        {
            channels.push(format!("driver:{driver}"));
        }
        // A courier hears of losing an order, and of nothing after that.
        if let Some(loser) = event.order.as_ref().and_then(|order| self.holders.get(order))
            && matches!(kind, "courier.changed" | "courier.unassigned")
            && event.driver.as_ref() != Some(loser)
        {
            channels.push(format!("driver:{loser}"));
        }
        channels
    }
}

/// The customer follows steps and the courier, not the search for one nor notes of the staff.
fn is_for_customer(event: &Event) -> bool {
    match event.kind.split_once('.') {
        Some(("order", "late")) => event.text("kind") == "delivery",
        Some(("order", what)) => what != "noted",
        Some(("courier", "near")) => event.text("end") == "door",
        Some(("courier", what)) => {
            matches!(what, "assigned" | "changed" | "unassigned" | "at_store" | "at_door")
        }
        Some(("proof", _)) => {
            event.text("point") == "dropoff" && matches!(event.text("kind"), "photo" | "signature")
        }
        _ => false,
    }
}

/// The courier follows its own orders and its own duty, and is asked for others.
fn is_for_courier(kind: &str) -> bool {
    match kind.split_once('.') {
        Some(("order" | "offer" | "proof", _)) => true,
        Some(("courier", what)) => !matches!(what, "searching" | "search_failed"),
        Some(("driver", what)) => what == "duty",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(position: u64, kind: &str, order: Option<&str>, driver: Option<&str>) -> Event {
        let store = order.map(|_| "st_1");
        let at = "2025-01-02T18:04:05.120Z";
        let mut event = json!({"position": position, "type": kind, "at": at, "data": {}});
        for (key, value) in [("order", order), ("store", store), ("driver", driver)] {
            if let Some(value) = value {
                event[key] = value.into();
            }
        }
        serde_json::from_value(event).unwrap()
    }

    fn truth(events: &[Event]) -> Truth {
        let mut truth = Truth { is_ordered: true, ..Truth::default() };
        for event in events {
            truth.add(event);
        }
        truth
    }

    #[test]
    fn each_channel_has_its_part_of_the_log() {
        let truth = truth(&[
            event(1, "driver.duty", None, Some("dr_1")),
            event(2, "order.placed", Some("or_1"), None),
            event(3, "courier.searching", Some("or_1"), None),
            event(4, "courier.assigned", Some("or_1"), Some("dr_1")),
            event(5, "order.noted", Some("or_1"), Some("dr_1")),
        ]);
        assert_eq!(truth.of("tenant"), [1, 2, 3, 4, 5]);
        assert_eq!(truth.of("dispatch"), [1, 2, 3, 4, 5]);
        // A remark is between those who run it all and whoever made it.
        assert_eq!(truth.of("store:st_1"), [2, 3, 4]);
        assert_eq!(truth.of("driver:dr_1"), [1, 4]);
        assert_eq!(truth.of("order:or_1"), [2, 4]);
        assert_eq!((truth.end(), truth.events(), truth.is_ordered()), (5, 5, true));
    }

    #[test]
    fn a_courier_hears_of_losing_an_order_and_no_more() {
        let truth = truth(&[
            event(1, "courier.assigned", Some("or_1"), Some("dr_1")),
            event(2, "courier.changed", Some("or_1"), Some("dr_2")),
            event(3, "courier.at_store", Some("or_1"), Some("dr_2")),
            event(4, "courier.unassigned", Some("or_1"), None),
            event(5, "order.cancelled", Some("or_1"), None),
        ]);
        assert_eq!(truth.of("driver:dr_1"), [1, 2]);
        assert_eq!(truth.of("driver:dr_2"), [2, 3, 4]);
    }

    #[test]
    fn a_log_that_does_not_grow_is_noticed() {
        let twice = event(7, "order.placed", Some("or_1"), None);
        assert!(!truth(&[twice.clone(), twice]).is_ordered());
    }
}
