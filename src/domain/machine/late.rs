//! Lateness: told once for each thing that an order can be late with.

use std::time::Duration;

use jiff::Timestamp;

use crate::domain::{Fact, Notice, Order, Refusal, Status};

use super::advance::Advance;
use super::estimate::later;

/// A promise is kept if it is broken by no more than what would not have been told of it.
const GRACE: Duration = Duration::from_mins(2);

impl Order {
    /// Since when it is, or would be, late with this; `None` when it is not to do that now, or
    /// nobody has said when.
    pub(super) fn late_since(&self, notice: Notice) -> Option<Timestamp> {
        let in_store = matches!(self.status, Status::Accepted | Status::Preparing | Status::Ready);
        match notice {
            // Half of the time to answer: then somebody can still call.
            Notice::Accept => {
                let (placed, by) = self.stamps.placed.zip(self.accept_by)?;
                let half = Duration::try_from(by.duration_since(placed)).ok()? / 2;
                (self.status == Status::Placed).then(|| later(placed, half))
            }
            Notice::Prep if self.status != Status::Ready => {
                self.ready_eta.filter(|_| in_store).map(|eta| later(eta, GRACE))
            }
            Notice::Pickup => self.pickup_eta.filter(|_| in_store).map(|eta| later(eta, GRACE)),
            // A window already.
            Notice::Delivery => {
                self.dropoff_eta_hi.filter(|_| in_store || self.status == Status::PickedUp)
            }
            Notice::Prep | Notice::NearStore | Notice::NearDoor | Notice::Silence => None,
        }
    }

    /// The next lateness that was not told, and when it is.
    pub(super) fn next_late(&self) -> Option<(Timestamp, Notice)> {
        let untold = Notice::LATE.iter().filter(|notice| !self.told.contains(notice));
        untold.filter_map(|notice| Some((self.late_since(*notice)?, *notice))).min()
    }
}

/// It is late with this, and that is told.
pub(super) fn tell(advance: &mut Advance<'_>, kind: Notice) -> Result<(), Refusal> {
    let late = Refusal::OutsideWindow("it is not late with this");
    let since = advance.order.late_since(kind).filter(|since| *since <= advance.now());
    let since = since.ok_or(late)?;
    advance.order.told.push(kind);
    advance.record(Fact::Late { kind, since });
    Ok(())
}
