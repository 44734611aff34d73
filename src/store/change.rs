//! What a caller asks of the writer, and what it is told.

use std::time::Duration;

use jiff::Timestamp;

use super::offers::Candidates;
use super::once::Kept;
use crate::domain::{
    Actor, BatchId, Command, CredentialId, Draft, Driver, DriverId, Duty, OrderId, Place, Refusal,
    Store, StoreId, TenantId,
};
use crate::view::Sheet;

/// One change as a caller asks for it.
#[derive(Debug, Clone)]
pub struct Change {
    /// Whose data it is about; nothing of another tenant is ever found.
    pub tenant: TenantId,
    /// Who asks.
    pub by: Actor,
    /// What is asked.
    pub target: Target,
    /// A key under which the answer is kept.
    pub idempotency: Option<IdempotencyKey>,
    /// The version the caller has seen, if it insists on it.
    pub if_match: Option<i64>,
    /// When it happened, by the caller's device.
    pub occurred_at: Option<Timestamp>,
    /// Where the caller's device was; kept with the event for dispatchers and the platform.
    pub place: Option<Place>,
}

/// An Idempotency-Key and a fingerprint of the request it came with.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey {
    /// The caller's key, at most 255 bytes.
    pub key: String,
    /// SHA-256 of method, target and body.
    pub request_hash: Vec<u8>,
}

/// What a change is about.
#[derive(Debug, Clone)]
pub enum Target {
    /// A new order.
    Place {
        /// What is ordered.
        draft: Box<Draft>,
        /// SHA-256 of the request, which tells a repeat from a conflict.
        request_hash: Vec<u8>,
    },
    /// An order that is there.
    Order {
        /// Which.
        id: OrderId,
        /// What is asked of it.
        command: Box<Command>,
    },
    /// Whatever is due of an order by itself. Asked by the system; when nothing is, nothing is
    /// written but the timer, if it was wrong.
    Elapse {
        /// Which.
        order: OrderId,
        /// What was looked up for it.
        looked_up: LookedUp,
    },
    /// In which order a courier goes to its open orders: a tour, which is a batch.
    Route {
        /// Which courier.
        driver: DriverId,
        /// The tour's identifier, if it is a new one.
        batch: BatchId,
        /// Its stops, the first first, each once.
        orders: Vec<OrderId>,
    },
    /// A courier's duty.
    Duty {
        /// Which courier.
        driver: DriverId,
        /// The new duty.
        duty: Duty,
    },
    /// A store's pause.
    Pause {
        /// Which store.
        store: StoreId,
        /// Until when; `None` opens it.
        until: Option<Timestamp>,
    },
    /// A token or an API key that shall speak for nobody any more. Whether there is one of this
    /// identifier nobody knows, and nobody is told.
    Revoke {
        /// Which.
        token: CredentialId,
        /// How long that must be remembered: by then it has expired in any case.
        keep: Duration,
    },
    /// A store that is to be there no longer, but in its past orders.
    DeleteStore {
        /// Which store.
        store: StoreId,
    },
    /// A courier who is to be there no longer, but in past orders.
    DeleteDriver {
        /// Which courier.
        driver: DriverId,
    },
}

/// What was looked up of an order before what is due of it is done.
#[derive(Debug, Clone, Default)]
pub struct LookedUp {
    /// Who could be asked to bring it; `None` when nobody has looked.
    pub candidates: Option<Candidates>,
    /// Its store, if nobody there can.
    pub unseen_at: Option<StoreId>,
    /// Who is to bring it, if it goes its way by itself and the courier's turn has come.
    pub robo: Option<DriverId>,
}

/// What became of a change. All but `Refused` are durable when the caller hears of them.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// A new order.
    Placed(Box<Sheet>),
    /// The order changed.
    Changed(Box<Sheet>),
    /// It had taken effect before; nothing was written.
    Repeated(Box<Sheet>),
    /// It came with a key that was answered before: the order as it was answered then, and whether
    /// it had just been made.
    Replayed {
        /// The order as it was then, of its store and courier as they are now.
        sheet: Box<Sheet>,
        /// Whether it had just been made.
        created: bool,
    },
    /// The same, of what is no order.
    Answered(Kept),
    /// It is not carried out; nothing was written. The order as it stands, if it was found.
    Refused(Refusal, Option<Box<Sheet>>),
    /// The orders of a courier's tour after the change, the first stop first.
    Routed(Vec<Sheet>),
    /// The courier's row after the change.
    Driver(Box<Driver>),
    /// The store's row after the change.
    Store(Box<Store>),
    /// It is revoked or deleted; perhaps it was before, and nothing was written.
    Ended,
}

/// Why a change has no outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The queue is full: nothing was written, ask again later.
    #[error("the writer's queue is full")]
    Overloaded,
    /// The database refused or was gone: nothing was written.
    #[error("the change could not be written")]
    Failed,
    /// The database was lost during the commit: it may have been written. Ask again with the
    /// same Idempotency-Key, or look.
    #[error("whether the change was written is not known")]
    Unknown,
}
