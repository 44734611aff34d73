//! What has happened: the accepted facts that the log keeps.

use jiff::Timestamp;

use super::actor::Actor;
use super::id::{CredentialId, DriverId};
use super::offer::Offer;
use super::order::{Duty, Notice, Reason, Window};
use super::proof::{NewProof, Proof};
use super::status::Status;

/// One accepted fact about an order, and who brought it about.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The order's version after it.
    pub n: i64,
    /// What happened.
    pub fact: Fact,
    /// Who did it.
    pub by: Actor,
    /// When it happened, by the actor's device if it said so, else by the database.
    pub occurred_at: Timestamp,
    /// Where the order stood before.
    pub was: Status,
    /// Where the order stands after it.
    pub status: Status,
    /// The courier who has the order after it, or had it when the order closed.
    pub driver: Option<DriverId>,
    /// The courier who has just lost the order, who hears of it for the last time.
    pub prior_driver: Option<DriverId>,
}

/// What happened. The variant names the event's type, its fields are the event's data.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each variant is the event type of the same name in the README")]
pub enum Fact {
    /// Data: the whole order.
    Placed,
    Scheduled {
        window: Window,
        release_at: Timestamp,
    },
    Accepted {
        prep_min: i32,
        ready_eta: Timestamp,
    },
    Rejected {
        reason: Reason,
    },
    Cancelled {
        reason: Reason,
    },
    Preparing {
        ready_eta: Timestamp,
    },
    Ready {
        ready_eta: Timestamp,
    },
    Unready {
        ready_eta: Timestamp,
    },
    PrepChanged {
        prep_min: i32,
        ready_eta: Timestamp,
        why: Option<String>,
    },
    PickedUp {
        dropoff_eta: Option<Timestamp>,
        lo: Option<Timestamp>,
        hi: Option<Timestamp>,
        proofs: Vec<Proof>,
    },
    Delivered {
        proofs: Vec<Proof>,
    },
    Failed {
        reason: Reason,
        attempt: i32,
    },
    Returning {
        reason: Reason,
        attempt: i32,
    },
    Returned {
        attempt: i32,
        proofs: Vec<Proof>,
    },
    Redelivery {
        attempt: i32,
        dropoff_eta: Option<Timestamp>,
    },
    /// Data: the changed details only, read from the order after it.
    Updated {
        note: bool,
        dropoff: bool,
        window: bool,
        meta: bool,
    },
    CourierSearching {
        round: i32,
    },
    CourierSearchFailed,
    /// Data: the courier's view and, for the courier, the whole order.
    CourierAssigned {
        pickup_eta: Option<Timestamp>,
    },
    /// A hand-over between couriers. Data as for an assignment.
    CourierChanged {
        pickup_eta: Option<Timestamp>,
    },
    CourierUnassigned {
        reason: Reason,
    },
    CourierAtStore,
    CourierAtDoor,
    /// About to be at the store, or at the door.
    CourierNear {
        door: bool,
    },
    /// Data: the times as the order has them after it, and the stops before it.
    Eta,
    Late {
        kind: Notice,
        since: Timestamp,
    },
    Noted {
        note: String,
    },
    /// Data: what it proves and what it is, never its bytes.
    ProofAdded(Box<NewProof>),
    /// About an offer of an order, without a version, as the next.
    OfferSent(Box<Offer>),
    OfferClosed(Box<Offer>),
    /// All that is personal in the order is gone, also from its earlier events.
    Erased,
    /// About a courier, not an order: `n` does not apply.
    DriverDuty {
        duty: Duty,
    },
    /// About a store, not an order: `n` does not apply. `None` means open again.
    StorePaused {
        until: Option<Timestamp>,
    },
    /// About a store: orders wait, and nobody there could see them.
    StoreSilent,
    /// About a store, as all that follow about no order. It is there no longer.
    StoreDeleted,
    /// About a courier, who is there no longer, and on duty neither.
    DriverDeleted,
    /// A token or API key that speaks for nobody any more.
    TokenRevoked {
        token: CredentialId,
    },
}

impl Fact {
    /// The event's type, as on the wire and in the log.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Placed => "order.placed",
            Self::Scheduled { .. } => "order.scheduled",
            Self::Accepted { .. } => "order.accepted",
            Self::Rejected { .. } => "order.rejected",
            Self::Cancelled { .. } => "order.cancelled",
            Self::Preparing { .. } => "order.preparing",
            Self::Ready { .. } => "order.ready",
            Self::Unready { .. } => "order.unready",
            Self::PrepChanged { .. } => "order.prep_changed",
            Self::PickedUp { .. } => "order.picked_up",
            Self::Delivered { .. } => "order.delivered",
            Self::Failed { .. } => "order.failed",
            Self::Returning { .. } => "order.returning",
            Self::Returned { .. } => "order.returned",
            Self::Redelivery { .. } => "order.redelivery",
            Self::Updated { .. } => "order.updated",
            Self::CourierSearching { .. } => "courier.searching",
            Self::CourierSearchFailed => "courier.search_failed",
            Self::CourierAssigned { .. } => "courier.assigned",
            Self::CourierChanged { .. } => "courier.changed",
            Self::CourierUnassigned { .. } => "courier.unassigned",
            Self::CourierAtStore => "courier.at_store",
            Self::CourierAtDoor => "courier.at_door",
            Self::CourierNear { .. } => "courier.near",
            Self::Eta => "order.eta",
            Self::Late { .. } => "order.late",
            Self::Noted { .. } => "order.noted",
            Self::ProofAdded(_) => "proof.added",
            Self::OfferSent(_) => "offer.sent",
            Self::OfferClosed(_) => "offer.closed",
            Self::Erased => "order.erased",
            Self::DriverDuty { .. } => "driver.duty",
            Self::StorePaused { .. } => "store.paused",
            Self::StoreSilent => "store.silent",
            Self::StoreDeleted => "store.deleted",
            Self::DriverDeleted => "driver.deleted",
            Self::TokenRevoked { .. } => "token.revoked",
        }
    }
}
