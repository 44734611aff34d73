//! T3 to T18: what follows when an order moves on. That the actor may do it from there, `table`
//! has said; each function checks the guards that are left and then changes the order.

use std::time::Duration;

use crate::domain::{
    Action, Fact, Fulfilment, Given, Leg, Proof, ProofPoint, ReasonCode, Refusal, Role, Status,
    Undeliverable,
};

use super::advance::Advance;
use super::estimate::{self, earlier, later, minutes};
use super::{eta, fields, guards, leg, place, proofs};

/// How long a courier waits at a door before "nobody answered" counts.
const NO_ANSWER_WAIT: Duration = Duration::from_mins(5);

type Done = Result<(), Refusal>;

/// T3.
pub(super) fn release(advance: &mut Advance<'_>) -> Done {
    let early = advance.order.release_at.is_some_and(|at| advance.now() < at);
    if early && advance.by.role == Role::System {
        return Err(Refusal::OutsideWindow("it is not yet time to place this order"));
    }
    place::ring(advance);
    Ok(())
}

/// T4, and T6 at once when preparing cannot wait.
pub(super) fn accept(advance: &mut Advance<'_>, prep_min: Option<i32>) -> Done {
    let role = advance.by.role;
    let walks = advance.order.is_walked(Action::Accept, role);
    if role == Role::System && !advance.facts.store.auto_accept && !walks {
        return Err(Refusal::RoleNotAllowed);
    }
    let late = advance.order.accept_by.is_some_and(|by| advance.now() > by);
    if late && role != Role::Ops && !walks {
        return Err(Refusal::OutsideWindow("the time to accept this order is over"));
    }
    let prep_min = prep_min.unwrap_or(advance.facts.store.default_prep_min);
    fields::prep_min(prep_min)?;
    let ready_eta = estimate::ready_eta(&advance.order, prep_min, advance.facts);
    advance.order.prep_min = Some(prep_min);
    advance.order.ready_eta = Some(ready_eta);
    leg::plan_search(&mut advance.order, advance.facts);
    expect(advance, Status::Accepted);
    advance.enter(Status::Accepted, Fact::Accepted { prep_min, ready_eta });
    if earlier(ready_eta, minutes(prep_min)) <= advance.now() {
        advance.enter_as_consequence(Status::Preparing, Fact::Preparing { ready_eta });
    }
    Ok(())
}

/// T5.
pub(super) fn reject(advance: &mut Advance<'_>, given: &Given) -> Done {
    let early = advance.order.accept_by.is_some_and(|by| advance.now() < by);
    let walks = advance.order.is_walked(Action::Reject, advance.by.role);
    if early && advance.by.role == Role::System && !walks {
        return Err(Refusal::OutsideWindow("the store may still accept this order"));
    }
    let reason = guards::reject_reason(given, advance.by)?;
    advance.order.reason = Some(reason.clone());
    advance.enter(Status::Rejected, Fact::Rejected { reason });
    Ok(())
}

/// T6.
pub(super) fn start(advance: &mut Advance<'_>) -> Done {
    let ready_eta = advance.order.ready_eta.unwrap_or(advance.now());
    let early = advance.order.start_at().is_some_and(|at| advance.now() < at);
    let walks = advance.order.is_walked(Action::Start, advance.by.role);
    if early && advance.by.role == Role::System && !walks {
        return Err(Refusal::OutsideWindow("it is not yet time to prepare this order"));
    }
    advance.enter(Status::Preparing, Fact::Preparing { ready_eta });
    Ok(())
}

/// T7.
pub(super) fn ready(advance: &mut Advance<'_>) {
    let ready_eta = advance.order.ready_eta.unwrap_or(advance.now());
    advance.order.stamps.ready = Some(advance.now());
    if advance.order.search.at.is_some() {
        leg::plan_search(&mut advance.order, advance.facts);
    }
    expect(advance, Status::Ready);
    advance.enter(Status::Ready, Fact::Ready { ready_eta });
}

/// T8.
pub(super) fn unready(advance: &mut Advance<'_>) {
    let ready_eta = estimate::ready_eta_after_undo(&advance.order, advance.now());
    advance.order.ready_eta = Some(ready_eta);
    advance.order.stamps.ready = None;
    if advance.order.search.at.is_some() {
        leg::plan_search(&mut advance.order, advance.facts);
    }
    expect(advance, Status::Preparing);
    advance.enter(Status::Preparing, Fact::Unready { ready_eta });
}

/// T9 with L7. An order that leaves was ready, whether or not somebody said so.
pub(super) fn pickup(advance: &mut Advance<'_>, proofs: &[Proof]) -> Done {
    let proofs = proofs::brought(advance, ProofPoint::Pickup, proofs)?;
    if advance.order.status != Status::Ready {
        let ready_eta = advance.order.ready_eta.unwrap_or(advance.now());
        advance.enter_as_consequence(Status::Ready, Fact::Ready { ready_eta });
    }
    if advance.order.fulfilment == Fulfilment::Delivery {
        advance.order.leg = Leg::EnRoute;
    }
    set_out(advance);
    let fact = Fact::PickedUp {
        dropoff_eta: advance.order.dropoff_eta,
        lo: advance.order.dropoff_eta_lo,
        hi: advance.order.dropoff_eta_hi,
        proofs,
    };
    advance.enter(Status::PickedUp, fact);
    Ok(())
}

/// The times as they are expected of an order that comes to `status` now; its event tells them.
fn expect(advance: &mut Advance<'_>, status: Status) {
    let was = std::mem::replace(&mut advance.order.status, status);
    eta::refresh(&mut advance.order, advance.facts);
    advance.order.status = was;
}

/// The same for one that sets out to its door now.
fn set_out(advance: &mut Advance<'_>) {
    let was = std::mem::replace(&mut advance.order.status, Status::PickedUp);
    let left = advance.order.stamps.picked_up.replace(advance.facts.now);
    eta::set_out(&mut advance.order, advance.facts);
    advance.order.stamps.picked_up = left;
    advance.order.status = was;
}

/// T10.
pub(super) fn deliver(advance: &mut Advance<'_>, pin: Option<&str>, proofs: &[Proof]) -> Done {
    let proofs = guards::delivery_proofs(&advance.order, advance.by, pin, proofs)?;
    proofs::hold(advance, ProofPoint::Dropoff, &proofs);
    advance.enter(Status::Delivered, Fact::Delivered { proofs });
    Ok(())
}

/// T11.
pub(super) fn collect(advance: &mut Advance<'_>, pin: Option<&str>, proofs: &[Proof]) -> Done {
    let proofs = guards::collection_proofs(&advance.order, advance.by, pin, proofs)?;
    proofs::hold(advance, ProofPoint::Dropoff, &proofs);
    advance.enter(Status::Delivered, Fact::Delivered { proofs });
    Ok(())
}

/// T12 and T13.
pub(super) fn cancel(advance: &mut Advance<'_>, given: &Given) -> Done {
    // Statuses are declared in the order in which an order passes them until it leaves.
    let late = advance.order.status > advance.facts.rules.customer_cancel_until;
    if late && advance.by.role == Role::Customer {
        return Err(Refusal::OutsideWindow("it is too late for the customer to cancel"));
    }
    let reason = guards::cancel_reason(given, advance.by)?;
    advance.order.reason = Some(reason.clone());
    advance.enter(Status::Cancelled, Fact::Cancelled { reason });
    Ok(())
}

/// T15 and T18.
pub(super) fn fail(advance: &mut Advance<'_>, given: &Given) -> Done {
    let reason = guards::fail_reason(given, advance.by)?;
    let gone = matches!(reason.code, ReasonCode::Lost | ReasonCode::Damaged);
    let order = &mut advance.order;
    // What can go back has to, unless there is nothing left that could.
    if order.status == Status::PickedUp && order.undeliverable == Undeliverable::Return && !gone {
        return Err(Refusal::InvalidTransition);
    }
    order.reason = Some(reason.clone());
    let attempt = order.attempt;
    advance.enter(Status::Failed, Fact::Failed { reason, attempt });
    Ok(())
}

/// T14. The courier leaves the door, so a second attempt starts on the way again and its
/// no-answer clock starts anew.
pub(super) fn turn_back(advance: &mut Advance<'_>, given: &Given) -> Done {
    let reason = guards::fail_reason(given, advance.by)?;
    let has_courier = advance.order.fulfilment == Fulfilment::Delivery;
    if has_courier && reason.code == ReasonCode::NoAnswer && !has_waited(advance) {
        return Err(Refusal::OutsideWindow("wait five minutes at the door first"));
    }
    if has_courier {
        advance.order.leg = Leg::EnRoute;
    }
    eta::clear_dropoff(&mut advance.order);
    expect(advance, Status::Returning);
    advance.order.reason = Some(reason.clone());
    let attempt = advance.order.attempt;
    advance.enter(Status::Returning, Fact::Returning { reason, attempt });
    Ok(())
}

fn has_waited(advance: &Advance<'_>) -> bool {
    let since = advance.order.stamps.at_door.filter(|_| advance.order.leg == Leg::AtDoor);
    since.is_some_and(|since| later(since, NO_ANSWER_WAIT) <= advance.now())
}

/// T16.
pub(super) fn returned(advance: &mut Advance<'_>, proofs: &[Proof]) -> Done {
    let proofs = proofs::brought(advance, ProofPoint::Return, proofs)?;
    let attempt = advance.order.attempt;
    advance.enter(Status::Returned, Fact::Returned { attempt, proofs });
    Ok(())
}

/// T17. Where the courier turned is not known, so the estimate counts the whole way.
pub(super) fn redeliver(advance: &mut Advance<'_>) {
    advance.order.told.retain(|notice| *notice != crate::domain::Notice::NearDoor);
    set_out(advance);
    advance.order.return_eta = None;
    advance.order.attempt += 1;
    advance.order.reason = None;
    let (attempt, dropoff_eta) = (advance.order.attempt, advance.order.dropoff_eta);
    advance.enter(Status::PickedUp, Fact::Redelivery { attempt, dropoff_eta });
}
