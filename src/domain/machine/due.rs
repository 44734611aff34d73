//! What happens to an order by itself: when the next of it is due, and what it comes to.

use std::time::Duration;

use jiff::Timestamp;

use crate::domain::{Actor, Ask, Command, Leg, Notice, Order, ReasonCode, Status};

use super::estimate::{earlier, later, minutes};
use super::{Facts, Judgement, Step, WATCH_EVERY, merged};

/// A placed order that nobody has answered so long may be one that nobody can see.
const UNSEEN_AFTER: Duration = Duration::from_mins(1);

impl Order {
    /// The next moment at which something happens to this order by itself; `None` while nothing
    /// will. It hangs on the order alone, so it moves only when the order changes.
    pub fn due(&self) -> Option<Timestamp> {
        let late = self.next_late().map(|(at, _notice)| at);
        let due = [self.step_due(), self.search_due(), self.walk_due(), late];
        due.into_iter().flatten().min()
    }

    /// When it is next looked whether anybody at the store can see it: first when it has waited for a
    /// while, then again and again, as whoever saw it may have gone. `None` once it was told that
    /// nobody can, or nobody has to.
    pub fn next_look(&self, now: Timestamp) -> Option<Timestamp> {
        self.look_due().map(|first| if first > now { first } else { later(now, WATCH_EVERY) })
    }

    /// Whether it is to be looked every [`super::WATCH_EVERY`] where its courier is.
    pub fn is_watched(&self) -> bool {
        self.leg.has_driver() && self.status != Status::Returning
    }

    /// When its status changes by itself.
    fn step_due(&self) -> Option<Timestamp> {
        match self.status {
            Status::Scheduled => self.release_at,
            // The walk is the answer.
            Status::Placed => self.accept_by.filter(|_| self.walk_due().is_none()),
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

    /// When it is first to be looked whether anybody at the store can see it.
    fn look_due(&self) -> Option<Timestamp> {
        let waits = self.status == Status::Placed && !self.told.contains(&Notice::Silence);
        self.stamps.placed.filter(|_| waits).map(|at| later(at, UNSEEN_AFTER))
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
        let mut steps: Vec<Step> = Vec::new();
        let mut offers = facts.offers.to_vec();
        let walker = facts.driver;
        let mut watched = false;
        loop {
            let order = steps.last().map_or(self, |step| &step.order);
            let taken = order.driver.filter(|_| self.driver.is_none());
            let named = walker.filter(|named| taken == Some(named.driver.id));
            // Nobody's device said when, and nobody insists on a version.
            let facts = Facts {
                occurred_at: None,
                if_match: None,
                driver: None,
                courier: named.or(facts.courier),
                offers: &offers,
                ..*facts
            };
            if facts.unseen && order.look_due().is_some_and(|at| at <= facts.now) {
                let mut order = order.clone();
                order.told.push(Notice::Silence);
                steps.push(Step { order, events: Vec::new(), offers: Vec::new() });
                continue;
            }
            if facts.rules.offers.mode.is_none() && order.is_to_be_searched(facts.now) {
                // Planned before the tenant said that it names its couriers itself.
                let mut order = order.clone();
                order.search.at = None;
                steps.push(Step { order, events: Vec::new(), offers: Vec::new() });
                continue;
            }
            let command = match order.overdue(&facts) {
                Some(command) => command,
                None if order.walk_due().is_some_and(|at| at <= facts.now) => {
                    // Either way the next step is due later.
                    let step = order.walk(&Facts { driver: walker, ..facts });
                    offers = merged(&offers, &step.offers);
                    steps.push(step);
                    continue;
                }
                // Once, after all else: it looks at what is, and is never done.
                None if order.is_watched() && !std::mem::replace(&mut watched, true) => {
                    Command::Watch
                }
                None => return steps,
            };
            match order.judge(&command, &Actor::system(), &facts) {
                // Each step leads to a later status, or tells what is told once.
                Judgement::Accepted(step) => {
                    offers = merged(&offers, &step.offers);
                    steps.push(*step);
                }
                Judgement::Repeated | Judgement::Refused(_) => return steps,
            }
        }
    }

    /// What the system has to do now, if anything.
    fn overdue(&self, facts: &Facts<'_>) -> Option<Command> {
        self.overdue_step(facts).or_else(|| self.overdue_search(facts)).or_else(|| {
            let (at, notice) = self.next_late()?;
            (at <= facts.now).then_some(Command::Late(notice))
        })
    }

    fn overdue_step(&self, facts: &Facts<'_>) -> Option<Command> {
        let is_due = self.step_due().is_some_and(|at| at <= facts.now);
        match self.status {
            Status::Scheduled if is_due => Some(Command::Release),
            Status::Placed if self.walk_due().is_some() => None,
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

    /// Whether a search for its courier is due to begin.
    fn is_to_be_searched(&self, now: Timestamp) -> bool {
        self.leg == Leg::None && self.search_due().is_some_and(|at| at <= now)
    }

    /// What is due of a search, if it was looked who could be asked.
    fn overdue_search(&self, facts: &Facts<'_>) -> Option<Command> {
        self.search_due().filter(|at| *at <= facts.now)?;
        let candidates = facts.candidates?.to_vec();
        Some(if self.leg != Leg::Offering {
            Command::Search(Ask { candidates, ..Ask::default() })
        } else if self.search.round < facts.rules.offers.rounds {
            Command::NextRound
        } else {
            Command::SearchFailed
        })
    }
}

/// Whether the system accepts for the store: not while it is paused, when nobody is there to see
/// the order, nor once its time is over.
fn answers_by_itself(order: &Order, facts: &Facts<'_>) -> bool {
    let is_open = facts.store.paused_until.is_none_or(|until| until <= facts.now);
    let in_time = order.accept_by.is_none_or(|by| facts.now <= by);
    facts.store.auto_accept && is_open && in_time
}
