//! The table: who may do what from where. Its rows are the rows T3 to T18 and L1 to L9 of the
//! README's "Order machine" section, in that order; T1 and T2 are [`super::place()`], L7 comes
//! with T9, L10 with every terminal status.
//!
//! Guards that need a body or a clock are not here, so a row that fits says "could", not "will".

use crate::domain::{Action, Fulfilment, Leg, Order, Role, Status, Undeliverable, Word};

use Role::{Customer, Driver, Ops, Platform, System};
use Status::{Accepted, PickedUp, Placed, Preparing, Ready, Returning, Scheduled};

/// One way to do one thing.
struct Row {
    action: Action,
    from: &'static [Status],
    who: &'static [Role],
    fulfilment: &'static [Fulfilment],
    legs: &'static [Leg],
}

const fn row(action: Action, from: &'static [Status], who: &'static [Role]) -> Row {
    Row { action, from, who, fulfilment: Fulfilment::ALL, legs: Leg::ALL }
}

impl Row {
    /// The row for deliveries by a courier, whose leg is one of these.
    const fn courier(mut self, legs: &'static [Leg]) -> Self {
        self.fulfilment = &[Fulfilment::Delivery];
        self.legs = legs;
        self
    }
    const fn store_delivery(mut self) -> Self {
        self.fulfilment = &[Fulfilment::StoreDelivery];
        self
    }
    const fn collection(mut self) -> Self {
        self.fulfilment = &[Fulfilment::Collection];
        self
    }
}

/// The store has it: accepted and not yet gone.
const IN_STORE: &[Status] = &[Accepted, Preparing, Ready];
/// A courier may be named, by a dispatcher who plans ahead as early as this.
const ASSIGNABLE: &[Status] = &[Placed, Accepted, Preparing, Ready];
const ALIVE: &[Status] = &[Scheduled, Placed, Accepted, Preparing, Ready, PickedUp, Returning];
/// It is, or was, handed from one to another.
const HANDED: &[Status] = &[
    Accepted,
    Preparing,
    Ready,
    PickedUp,
    Returning,
    Status::Delivered,
    Status::Failed,
    Status::Returned,
];
/// Where the end of everything is, too.
const ANY: &[Status] = Status::ALL;
/// It can be late, and its courier near.
const GOING: &[Status] = &[Placed, Accepted, Preparing, Ready, PickedUp];
/// It is promised to somebody.
const PROMISED: &[Status] = &[Accepted, Preparing, Ready, PickedUp];
/// A courier has it, or is coming for it.
const HELD: &[Leg] = &[Leg::Assigned, Leg::AtStore, Leg::EnRoute, Leg::AtDoor];
/// It is over.
const OVER: &[Status] =
    &[Status::Delivered, Status::Rejected, Status::Cancelled, Status::Failed, Status::Returned];
/// A courier is coming for it.
const COMING: &[Leg] = &[Leg::Assigned, Leg::AtStore];
/// A courier carries it.
const CARRIED: &[Leg] = &[Leg::EnRoute, Leg::AtDoor];

static ROWS: &[Row] = &[
    // T3
    row(Action::Release, &[Scheduled], &[Ops, Platform, System]),
    // T4
    row(Action::Accept, &[Scheduled, Placed], &[Role::Store, Ops, Platform, System]),
    // T5
    row(Action::Reject, &[Placed], &[Role::Store, Ops, System]),
    // T6
    row(Action::Start, &[Accepted], &[Role::Store, Ops, Platform, System]),
    // T7
    row(Action::Ready, &[Accepted, Preparing], &[Role::Store, Ops, Platform]),
    // T8
    row(Action::Unready, &[Ready], &[Role::Store, Ops]),
    // Between T4 and T7, without a change of status.
    row(Action::Prep, &[Accepted, Preparing], &[Role::Store, Ops]),
    // T9 with L7
    row(Action::Pickup, IN_STORE, &[Driver, Ops]).courier(COMING),
    row(Action::Pickup, IN_STORE, &[Role::Store, Ops]).store_delivery(),
    // T10
    row(Action::Deliver, &[PickedUp], &[Driver, Ops]).courier(CARRIED),
    row(Action::Deliver, &[PickedUp], &[Role::Store, Ops]).store_delivery(),
    // T11
    row(Action::Collect, &[Ready], &[Role::Store, Ops, Customer]).collection(),
    // T12
    row(Action::Cancel, &[Scheduled], &[Customer, Platform, Ops, Role::Store]),
    row(Action::Cancel, &[Placed], &[Customer, Platform, Ops]),
    // T13
    row(Action::Cancel, IN_STORE, &[Customer, Platform, Ops, Role::Store]),
    // T14
    row(Action::Return, &[PickedUp], &[Driver, Ops]),
    // T15
    row(Action::Fail, &[PickedUp], &[Driver, Ops]),
    // T16
    row(Action::Returned, &[Returning], &[Role::Store, Ops, Driver]),
    // T17
    row(Action::Redeliver, &[Returning], &[Ops, Platform]),
    // T18
    row(Action::Fail, &[Returning], &[Ops]),
    // Details, any time before the end.
    row(Action::Update, ALIVE, &[Ops, Platform]),
    // Once, any time after it.
    row(Action::Erase, OVER, &[Platform]),
    // L1
    row(Action::Search, IN_STORE, &[System, Ops, Platform]).courier(&[Leg::None]),
    row(Action::NextRound, IN_STORE, &[System]).courier(&[Leg::Offering]),
    // L2 by a courier who was asked
    row(Action::AcceptOffer, IN_STORE, &[Driver]).courier(&[Leg::Offering]),
    row(Action::DeclineOffer, IN_STORE, &[Driver]).courier(&[Leg::Offering]),
    // L2, L3
    row(Action::Assign, ASSIGNABLE, &[Ops, Platform]).courier(&[Leg::None, Leg::Offering]),
    // Another courier instead, before pick-up.
    row(Action::Assign, ASSIGNABLE, &[Ops, Platform]).courier(COMING),
    // L4
    row(Action::SearchFailed, IN_STORE, &[System, Ops]).courier(&[Leg::Offering]),
    // L5
    row(Action::AtStore, ASSIGNABLE, &[Driver]).courier(&[Leg::Assigned]),
    // L6
    row(Action::Drop, ASSIGNABLE, &[Driver]).courier(COMING),
    row(Action::Unassign, ASSIGNABLE, &[Ops, Platform, System]).courier(COMING),
    // L8
    row(Action::AtDoor, &[PickedUp], &[Driver]).courier(&[Leg::EnRoute]),
    // L9, also on the way back
    row(Action::Assign, &[PickedUp, Returning], &[Ops]).courier(CARRIED),
    // Where it comes in a tour, when it will be there, and what follows from where its courier is.
    row(Action::Route, ALIVE, &[Driver, Ops, Platform]).courier(HELD),
    row(Action::Eta, PROMISED, &[Driver, Platform]).courier(Leg::ALL),
    row(Action::Eta, PROMISED, &[Platform]).store_delivery(),
    row(Action::Watch, GOING, &[System]).courier(HELD),
    row(Action::Late, GOING, &[System]),
    row(Action::Note, ANY, &[Role::Store, Driver, Ops, Platform]),
    // Pictures of couriers who were offline come after the end.
    row(Action::AddProof, HANDED, &[Driver, Ops]).courier(Leg::ALL),
    row(Action::AddProof, &[Returning, Status::Returned], &[Role::Store]).courier(Leg::ALL),
    row(Action::AddProof, HANDED, &[Role::Store, Ops]).store_delivery(),
    row(Action::AddProof, &[Ready, Status::Delivered], &[Role::Store, Ops]).collection(),
];

/// Whether the role does this at all, to some order.
pub(super) fn ever(action: Action, role: Role) -> bool {
    ROWS.iter().any(|row| row.action == action && row.who.contains(&role))
}

/// Whether the role could do this to the order where it stands.
pub(super) fn open(order: &Order, action: Action, role: Role) -> bool {
    // What is erased is not to be filled again.
    if order.erased_at.is_some() {
        return false;
    }
    if action == Action::Return && order.undeliverable != Undeliverable::Return {
        return false;
    }
    if action == Action::Erase && order.erased_at.is_some() {
        return false;
    }
    ROWS.iter().any(|row| {
        row.action == action
            && (row.who.contains(&role) || order.is_walked(action, role))
            && row.from.contains(&order.status)
            && row.fulfilment.contains(&order.fulfilment)
            && row.legs.contains(&order.leg)
    })
}
