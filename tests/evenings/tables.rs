//! The tables of status and leg, as the README has them, for the log: which event takes an order
//! from where to where, and who may bring it about.

use ordercast::domain::{Fulfilment, Leg, Role, Status};

use Fulfilment::{Collection, Delivery, StoreDelivery};
use Leg::{Assigned, AtDoor, AtStore, EnRoute, Offering};
use Role::{Customer, Driver, Ops, Platform, System};
use Status::{
    Accepted, Cancelled, Delivered, Failed, PickedUp, Placed, Preparing, Ready, Rejected, Returned,
    Returning, Scheduled,
};

/// One row: the event, from where, to where, who, of which orders.
pub type Row = (&'static str, &'static [Status], Status, &'static [Role], &'static [Fulfilment]);

const ALL: &[Fulfilment] = &[Delivery, Collection, StoreDelivery];

/// T3 to T18. T9 from elsewhere than `ready` is two events, the first by the system.
pub const STATUS: &[Row] = &[
    ("order.placed", &[Scheduled], Placed, &[Ops, Platform, System], ALL),
    ("order.accepted", &[Scheduled, Placed], Accepted, &[Role::Store, Ops, Platform, System], ALL),
    ("order.rejected", &[Placed], Rejected, &[Role::Store, Ops, System], ALL),
    ("order.preparing", &[Accepted], Preparing, &[Role::Store, Ops, Platform, System], ALL),
    ("order.ready", &[Accepted, Preparing], Ready, &[Role::Store, Ops, Platform, System], ALL),
    ("order.unready", &[Ready], Preparing, &[Role::Store, Ops], ALL),
    ("order.picked_up", &[Ready], PickedUp, &[Driver, Ops], &[Delivery]),
    ("order.picked_up", &[Ready], PickedUp, &[Role::Store, Ops], &[StoreDelivery]),
    ("order.delivered", &[PickedUp], Delivered, &[Driver, Ops], &[Delivery]),
    ("order.delivered", &[PickedUp], Delivered, &[Role::Store, Ops], &[StoreDelivery]),
    ("order.delivered", &[Ready], Delivered, &[Role::Store, Ops, Customer], &[Collection]),
    ("order.cancelled", &[Scheduled], Cancelled, &[Customer, Platform, Ops, Role::Store], ALL),
    ("order.cancelled", &[Placed], Cancelled, &[Customer, Platform, Ops], ALL),
    (
        "order.cancelled",
        &[Accepted, Preparing, Ready],
        Cancelled,
        &[Customer, Platform, Ops, Role::Store],
        ALL,
    ),
    ("order.returning", &[PickedUp], Returning, &[Driver, Ops], ALL),
    ("order.failed", &[PickedUp], Failed, &[Driver, Ops], ALL),
    ("order.returned", &[Returning], Returned, &[Role::Store, Ops, Driver], ALL),
    ("order.redelivery", &[Returning], PickedUp, &[Ops, Platform], ALL),
    ("order.failed", &[Returning], Failed, &[Ops], ALL),
];

/// L1 to L8: the event, from which legs, to which, who. What L9 does depends on where it begins.
pub const LEG: &[(&str, &[Leg], Leg, &[Role])] = &[
    ("courier.searching", &[Leg::None, Offering], Offering, &[System, Ops, Platform]),
    ("courier.search_failed", &[Offering], Leg::None, &[System, Ops]),
    ("courier.assigned", &[Leg::None, Offering], Assigned, &[Driver, Ops, Platform]),
    ("courier.at_store", &[Assigned], AtStore, &[Driver]),
    ("courier.unassigned", &[Assigned, AtStore], Leg::None, &[Driver, Ops, Platform, System]),
    ("courier.at_door", &[EnRoute], AtDoor, &[Driver]),
    ("order.picked_up", &[Assigned, AtStore], EnRoute, &[Driver, Ops]),
    ("order.returning", &[EnRoute, AtDoor], EnRoute, &[Driver, Ops]),
];

/// Which statuses an event about a courier may come in.
pub const COURIER_IN: &[(&str, &[Status])] = &[
    ("courier.searching", &[Accepted, Preparing, Ready]),
    ("courier.search_failed", &[Accepted, Preparing, Ready]),
    ("courier.assigned", &[Placed, Accepted, Preparing, Ready]),
    ("courier.changed", &[Placed, Accepted, Preparing, Ready, PickedUp, Returning]),
    ("courier.at_store", &[Placed, Accepted, Preparing, Ready]),
    ("courier.unassigned", &[Placed, Accepted, Preparing, Ready]),
    ("courier.at_door", &[PickedUp]),
    ("courier.near", &[Placed, Accepted, Preparing, Ready, PickedUp]),
];

/// What may follow the end of an order.
pub const AFTER_THE_END: &[&str] = &["order.noted", "proof.added"];
