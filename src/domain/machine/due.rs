//! What happens to an order by itself: when the next of it is due, and what it comes to.

use jiff::Timestamp;

use crate::domain::{Actor, Command, Event, Order, ReasonCode, Status};

use super::estimate::{earlier, minutes};
use super::{Facts, Judgement};

/// The order after something happened to it, and the events of that.
pub type Step = (Order, Vec<Event>);

impl Order {
    /// The next moment at which something happens to this order by itself; `None` while nothing
    /// will. It hangs on the order alone, so it moves only when the order changes.
    pub fn due(&self) -> Option<Timestamp> {
        match self.status {
            Status::Scheduled => self.release_at,
            Status::Placed => self.accept_by,
            Status::Accepted => self.start_at(),
            Status::Preparing
            | Status::Ready
            | Status::PickedUp
            | Status::Delivered
            | Status::Rejected
            | Status::Cancelled
            | Status::Failed
            | Status::Returning
            | Status::Returned => None,
        }
    }

    /// When preparing has to begin for the order to be ready in time.
    pub(super) fn start_at(&self) -> Option<Timestamp> {
        let prep = minutes(self.prep_min.unwrap_or_default());
        self.ready_eta.map(|eta| earlier(eta, prep))
    }

    /// Does everything that is due, one step after the other, each at `facts.now`; empty when
    /// nothing is. So it may be asked twice, late or early, and by two processes.
    ///
    /// Of things that were due long ago the first comes first, and what it leads to counts from
    /// now: a store whose order was released late has its whole time to answer.
    pub fn settle(&self, facts: &Facts<'_>) -> Vec<Step> {
        // Nobody's device said when, and nobody insists on a version.
        let facts = Facts { occurred_at: None, if_match: None, driver: None, ..*facts };
        let mut steps: Vec<Step> = Vec::new();
        loop {
            let order = steps.last().map_or(self, |(order, _)| order);
            let Some(command) = order.overdue(&facts) else { return steps };
            match order.judge(&command, &Actor::system(), &facts) {
                // Each step leads to a later status, so there are no more than a few.
                Judgement::Accepted { order, events } => steps.push((*order, events)),
                Judgement::Repeated | Judgement::Refused(_) => return steps,
            }
        }
    }

    /// What the system has to do now, if anything.
    fn overdue(&self, facts: &Facts<'_>) -> Option<Command> {
        let is_due = self.due().is_some_and(|at| at <= facts.now);
        match self.status {
            Status::Scheduled if is_due => Some(Command::Release),
            // Such a store's answer is known, so its tablet never rings.
            Status::Placed if answers_by_itself(self, facts) => {
                Some(Command::Accept { prep_min: None })
            }
            Status::Placed if is_due => {
                Some(Command::Reject { reason: (ReasonCode::NoResponse, None) })
            }
            Status::Accepted if is_due => Some(Command::Start),
            Status::Scheduled
            | Status::Placed
            | Status::Accepted
            | Status::Preparing
            | Status::Ready
            | Status::PickedUp
            | Status::Delivered
            | Status::Rejected
            | Status::Cancelled
            | Status::Failed
            | Status::Returning
            | Status::Returned => None,
        }
    }
}

/// Whether the system accepts for the store: not while it is paused, when nobody is there to see
/// the order, nor once its time is over.
fn answers_by_itself(order: &Order, facts: &Facts<'_>) -> bool {
    let is_open = facts.store.paused_until.is_none_or(|until| until <= facts.now);
    let in_time = order.accept_by.is_none_or(|by| facts.now <= by);
    facts.store.auto_accept && is_open && in_time
}
