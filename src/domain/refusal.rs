//! The machine's "no": an answer, not an error.

use super::offer::OfferState;
use super::proof::ProofKind;

/// Why a command is not carried out. Nothing was written, except that a wrong PIN is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The actor's role never does this.
    RoleNotAllowed,
    /// The role does this, but not to an order that stands where this one does.
    InvalidTransition,
    /// A cancellation after pick-up; the way out is return or fail.
    AlreadyPickedUp,
    /// The offer cannot be answered any more; so it ended.
    OfferClosed(OfferState),
    /// The caller saw another version than the order has.
    VersionMismatch,
    /// The courier has no room.
    DriverAtCapacity,
    /// The courier is not on duty.
    DriverOffDuty,
    /// These proofs are missing.
    ProofRequired(Vec<ProofKind>),
    /// The PIN is wrong; so many tries are left.
    PinWrong {
        /// Tries left before only a dispatcher can go on.
        tries_left: i32,
    },
    /// Too many wrong PINs.
    PinLocked,
    /// Too early or too late for this.
    OutsideWindow(&'static str),
    /// A field of the body does not do.
    Validation {
        /// The field's path in the body.
        field: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// Another order of the tenant has this external id and another content.
    ExternalIdConflict,
    /// The Idempotency-Key was used for another request.
    IdempotencyKeyReused,
    /// A store or courier that still has open orders is not deleted.
    HasOpenOrders,
    /// The order, store or courier is not the tenant's, or not the actor's.
    NotFound,
}
