//! Where all orders stand, as the platform hears it.

use std::collections::HashMap;

use serde_json::Value;

use super::wire::{Event, text};

/// Where an order stands, in the words of the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stand {
    Waiting,
    Cooking,
    Ready,
    OnTheWay,
    Delivered,
    Rejected,
    Cancelled,
    Failed,
    Returned,
}

impl Stand {
    /// Every one, in the order in which they are shown.
    const ALL: &'static [Self] = &[
        Self::Waiting,
        Self::Cooking,
        Self::Ready,
        Self::OnTheWay,
        Self::Delivered,
        Self::Rejected,
        Self::Cancelled,
        Self::Failed,
        Self::Returned,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Cooking => "cooking",
            Self::Ready => "ready",
            Self::OnTheWay => "on the way",
            Self::Delivered => "delivered",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
            Self::Returned => "returned",
        }
    }

    /// Where an order stands after an event of this type; none when it stays where it is.
    fn after(kind: &str) -> Option<Self> {
        Some(match kind {
            "order.placed" => Self::Waiting,
            "order.accepted" | "order.preparing" | "order.unready" => Self::Cooking,
            "order.ready" => Self::Ready,
            "order.picked_up" | "order.returning" | "order.redelivery" => Self::OnTheWay,
            "order.delivered" => Self::Delivered,
            "order.rejected" => Self::Rejected,
            "order.cancelled" => Self::Cancelled,
            "order.failed" => Self::Failed,
            "order.returned" => Self::Returned,
            _ => return None,
        })
    }

    /// Where an open order of this status stands.
    fn at(status: &str) -> Option<Self> {
        Some(match status {
            "placed" => Self::Waiting,
            "accepted" | "preparing" => Self::Cooking,
            "ready" => Self::Ready,
            "picked_up" | "returning" => Self::OnTheWay,
            _ => return None,
        })
    }

    const fn is_open(self) -> bool {
        matches!(self, Self::Waiting | Self::Cooking | Self::Ready | Self::OnTheWay)
    }
}

/// Whether an event of this type ends its order.
pub(super) fn ends(kind: &str) -> bool {
    Stand::after(kind).is_some_and(|stand| !stand.is_open())
}

/// Where all orders stand. Ended ones are only counted.
#[derive(Debug, Default)]
pub(super) struct Board {
    /// The short code of each open order, and where it stands.
    open: HashMap<String, (String, Stand)>,
    ended: HashMap<&'static str, u64>,
}

impl Board {
    /// Takes one event.
    pub(super) fn hear(&mut self, event: &Event) {
        let Some(stand) = Stand::after(&event.kind) else { return };
        if stand.is_open() {
            let code = || text(&event.data, "short_code").to_owned();
            self.open
                .entry(event.order().to_owned())
                .and_modify(|(_, at)| *at = stand)
                .or_insert_with(|| (code(), stand));
        } else {
            self.open.remove(event.order());
            *self.ended.entry(stand.name()).or_default() += 1;
        }
    }

    /// Takes the open orders as a snapshot has them. What ended unheard is not counted.
    pub(super) fn see(&mut self, snapshot: &Value) {
        let orders = snapshot.get("orders").and_then(Value::as_array).into_iter().flatten();
        let open = orders.filter_map(|order| {
            let stand = Stand::at(text(order, "status"))?;
            Some((text(order, "id").to_owned(), (text(order, "short_code").to_owned(), stand)))
        });
        self.open = open.collect();
    }

    /// What people call an open order.
    pub(super) fn code(&self, order: &str) -> String {
        self.open.get(order).map(|(code, _)| code.clone()).unwrap_or_default()
    }

    /// How many orders stand where: each word and its count.
    pub(super) fn counts(&self) -> Vec<(&'static str, u64)> {
        let open = |stand: Stand| self.open.values().filter(|(_, at)| *at == stand).count();
        let count = |stand: Stand| {
            if stand.is_open() {
                u64::try_from(open(stand)).unwrap_or(u64::MAX)
            } else {
                self.ended.get(stand.name()).copied().unwrap_or(0)
            }
        };
        Stand::ALL.iter().map(|stand| (stand.name(), count(*stand))).collect()
    }

    /// Orders placed so far.
    pub(super) fn placed(&self) -> u64 {
        self.counts().iter().map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_order_moves_over_the_board_and_leaves_it_counted() {
        let mut board = Board::default();
        let mut count = |kind: &str| {
            let event = json!({"position": 1, "type": kind, "order": "or_1", "at": "",
                "data": {"short_code": "7KQ2"}});
            board.hear(&serde_json::from_value(event).unwrap());
            let counts = board.counts();
            let (name, _) = counts.iter().find(|(_, count)| *count == 1).unwrap();
            (*name, board.open.len(), board.code("or_1"))
        };
        assert_eq!(count("order.placed"), ("waiting", 1, "7KQ2".to_owned()));
        assert_eq!(count("order.accepted"), ("cooking", 1, "7KQ2".to_owned()));
        assert_eq!(count("courier.assigned"), ("cooking", 1, "7KQ2".to_owned()));
        assert_eq!(count("order.picked_up"), ("on the way", 1, "7KQ2".to_owned()));
        assert_eq!(count("order.delivered"), ("delivered", 0, String::new()));
        assert_eq!(board.placed(), 1);
    }

    #[test]
    fn a_snapshot_says_what_is_open() {
        let mut board = Board::default();
        board.see(&json!({"orders": [{"id": "or_1", "short_code": "7KQ2", "status": "ready"}]}));
        assert_eq!((board.placed(), board.code("or_1").as_str()), (1, "7KQ2"));
        board.see(&json!({"orders": []}));
        assert_eq!(board.placed(), 0);
    }

    #[test]
    fn only_the_last_events_end_an_order() {
        assert!(ends("order.delivered") && ends("order.rejected") && ends("order.returned"));
        assert!(!ends("order.returning") && !ends("courier.unassigned"));
    }
}
