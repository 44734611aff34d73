//! What a tracking link shows of its order, and for how long.

use std::time::Duration;

use jiff::Timestamp;

use super::{Order, Status};

/// How much of the order a tracking link shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LinkView {
    /// What whoever waits for it may see.
    Full,
    /// How it ended, without name, address and map.
    Final,
}

/// How long after the end of its order a link shows what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkTerm {
    /// So long everything; at most as long as the link lasts.
    pub full: Duration,
    /// So long anything at all.
    pub ttl: Duration,
}

impl LinkTerm {
    /// What is shown at `now` of an order that ended at `ended`, and how long that stays so for
    /// certain: an order that goes on may end at any moment. `None` once the link has ended.
    pub fn view_at(self, ended: Option<Timestamp>, now: Timestamp) -> Option<(LinkView, Duration)> {
        let full = self.full.min(self.ttl);
        let Some(ended) = ended else { return Some((LinkView::Full, full)) };
        // Before its end only by clocks that were set back: then it has just ended.
        let passed = Duration::try_from(now.duration_since(ended)).unwrap_or_default();
        if passed < full {
            Some((LinkView::Full, full.saturating_sub(passed)))
        } else if passed < self.ttl {
            Some((LinkView::Final, self.ttl.saturating_sub(passed)))
        } else {
            None
        }
    }
}

impl Order {
    /// When it ended; `None` while it goes on.
    pub fn ended_at(&self) -> Option<Timestamp> {
        let at = self.stamps;
        let ended = match self.status {
            Status::Delivered => at.delivered,
            Status::Rejected => at.rejected,
            Status::Cancelled => at.cancelled,
            Status::Failed => at.failed,
            Status::Returned => at.returned,
            Status::Scheduled
            | Status::Placed
            | Status::Accepted
            | Status::Preparing
            | Status::Ready
            | Status::PickedUp
            | Status::Returning => return None,
        };
        // Each end has its stamp; one without must not count as going on.
        Some(ended.unwrap_or(at.created))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + 60 * minute).unwrap()
    }

    #[test]
    fn a_link_shows_all_of_an_order_then_its_end_and_then_nothing() {
        let term = LinkTerm { full: 2 * HOUR, ttl: 24 * HOUR };
        let minutes = |count: u64| Duration::from_mins(count);
        assert_eq!(term.view_at(None, at(0)), Some((LinkView::Full, 2 * HOUR)));
        for (minute, view) in [
            (-5, Some((LinkView::Full, 2 * HOUR))),
            (0, Some((LinkView::Full, 2 * HOUR))),
            (119, Some((LinkView::Full, minutes(1)))),
            (120, Some((LinkView::Final, 22 * HOUR))),
            (1_439, Some((LinkView::Final, minutes(1)))),
            (1_440, None),
            (100_000, None),
        ] {
            assert_eq!(term.view_at(Some(at(0)), at(minute)), view, "after {minute} minutes");
        }
    }

    #[test]
    fn nothing_is_shown_longer_than_the_link_lasts() {
        let term = LinkTerm { full: 2 * HOUR, ttl: HOUR };
        assert_eq!(term.view_at(None, at(0)), Some((LinkView::Full, HOUR)));
        assert_eq!(term.view_at(Some(at(0)), at(59)).unwrap().0, LinkView::Full);
        assert_eq!(term.view_at(Some(at(0)), at(60)), None);
    }
}
