//! Schemas of the data of events, each for the types that [`super::events`] names.

use utoipa::ToSchema;

use super::{
    BatchId, Courier, CredentialId, Dropoff, Duty, EtaSource, Late, Meta, Order, PictureType,
    Place, Proof, ProofId, ProofKind, ProofPoint, ReasonCode, Role, Status, Time, Window,
};

/// Nothing, or where it happened.
#[derive(ToSchema)]
pub struct PlainData {
    /// Where the actor's device was; for dispatchers and the platform.
    #[schema(required = false)]
    pub place: Place,
}

/// The order is to be placed later.
#[derive(ToSchema)]
pub struct ScheduledData {
    /// When the customer wants it.
    pub window: Window,
    /// When it will be placed; not for customers.
    #[schema(required = false)]
    pub release_at: Time,
    /// The order.
    pub order: Order,
    /// Where the actor's device was; for dispatchers and the platform.
    #[schema(required = false)]
    pub place: Place,
}

/// A promise of the store.
#[derive(ToSchema)]
pub struct PrepData {
    /// Minutes of preparation; not for customers.
    #[schema(required = false)]
    pub prep_min: i32,
    /// When it is expected to be ready.
    pub ready_eta: Time,
    /// Why it takes longer or shorter; for the store, dispatchers and the platform.
    #[schema(required = false)]
    pub why: String,
    /// When its courier is expected at the store; not for customers.
    #[schema(required = false)]
    pub pickup_eta: Time,
    /// When it is expected at the door.
    #[schema(required = false)]
    pub dropoff_eta: Time,
    /// Not before.
    #[schema(required = false)]
    pub lo: Time,
    /// Not after.
    #[schema(required = false)]
    pub hi: Time,
    /// By whose word.
    #[schema(required = false)]
    pub source: EtaSource,
    /// Where the actor's device was; for dispatchers and the platform.
    #[schema(required = false)]
    pub place: Place,
}

/// When it is ready.
#[derive(ToSchema)]
pub struct ReadyData {
    /// When it is expected to be ready, or was.
    pub ready_eta: Time,
    /// When its courier is expected at the store; not for customers.
    #[schema(required = false)]
    pub pickup_eta: Time,
    /// When it is expected at the door.
    #[schema(required = false)]
    pub dropoff_eta: Time,
    /// Not before.
    #[schema(required = false)]
    pub lo: Time,
    /// Not after.
    #[schema(required = false)]
    pub hi: Time,
    /// By whose word.
    #[schema(required = false)]
    pub source: EtaSource,
    /// Where the actor's device was; for dispatchers and the platform.
    #[schema(required = false)]
    pub place: Place,
}

/// Why. Some codes are `other` to those outside.
#[derive(ToSchema)]
pub struct ReasonData {
    /// The code.
    pub code: ReasonCode,
    /// Who said so.
    pub by: Role,
    /// In words; for dispatchers, the platform and who wrote it.
    #[schema(required = false)]
    pub note: String,
    /// Which attempt at delivering this was; not for customers.
    #[schema(required = false)]
    pub attempt: i32,
    /// Where the order stood before; not for customers.
    #[schema(required = false)]
    pub was: Status,
    /// Where the actor's device was; for dispatchers and the platform.
    #[schema(required = false)]
    pub place: Place,
}

/// It is brought back, and why. Some codes are `other` to those outside.
#[derive(ToSchema)]
pub struct ReturningData {
    /// The code.
    pub code: ReasonCode,
    /// Who said so.
    pub by: Role,
    /// In words; for dispatchers, the platform and who wrote it.
    #[schema(required = false)]
    pub note: String,
    /// Which attempt at delivering this was; not for customers.
    #[schema(required = false)]
    pub attempt: i32,
    /// When it is expected at the store; not for customers.
    #[schema(required = false)]
    pub return_eta: Time,
    /// Where the actor's device was; for dispatchers and the platform.
    #[schema(required = false)]
    pub place: Place,
}

/// It is on the way.
#[derive(ToSchema)]
pub struct PickedUpData {
    /// When it is expected at the door.
    #[schema(required = false)]
    pub dropoff_eta: Time,
    /// Not before.
    #[schema(required = false)]
    pub lo: Time,
    /// Not after.
    #[schema(required = false)]
    pub hi: Time,
    /// By whose word.
    #[schema(required = false)]
    pub source: EtaSource,
    /// What proved it.
    #[schema(required = false)]
    pub proofs: Vec<ProofKind>,
    /// The proofs themselves; for dispatchers and the platform.
    #[schema(required = false)]
    pub proof_refs: Vec<Proof>,
    /// Where the actor's device was; for dispatchers and the platform.
    #[schema(required = false)]
    pub place: Place,
}

/// It was handed over.
#[derive(ToSchema)]
pub struct ProofsData {
    /// Which attempt at delivering this was; not for customers.
    #[schema(required = false)]
    pub attempt: i32,
    /// What proved it.
    #[schema(required = false)]
    pub proofs: Vec<ProofKind>,
    /// The proofs themselves; for dispatchers and the platform.
    #[schema(required = false)]
    pub proof_refs: Vec<Proof>,
    /// Where the actor's device was; for dispatchers and the platform.
    #[schema(required = false)]
    pub place: Place,
}

/// It is on the way again.
#[derive(ToSchema)]
pub struct RedeliveryData {
    /// Which attempt this is; not for customers.
    #[schema(required = false)]
    pub attempt: i32,
    /// When it is expected at the door.
    #[schema(required = false)]
    pub dropoff_eta: Time,
    /// Not before.
    #[schema(required = false)]
    pub lo: Time,
    /// Not after.
    #[schema(required = false)]
    pub hi: Time,
    /// By whose word.
    #[schema(required = false)]
    pub source: EtaSource,
    /// Where the actor's device was; for dispatchers and the platform.
    #[schema(required = false)]
    pub place: Place,
}

/// What changed, as the order has it now; null for what was taken away.
#[derive(ToSchema)]
pub struct UpdatedData {
    /// The wish to the store.
    pub note: Option<String>,
    /// Where and to whom it goes.
    pub dropoff: Option<Dropoff>,
    /// When the customer wants it.
    pub window: Option<Window>,
    /// Data of the platform's own.
    pub meta: Option<Meta>,
    /// When a scheduled order is placed; not for customers.
    pub release_at: Option<Time>,
    /// When its courier is expected at the store; not for customers.
    pub pickup_eta: Option<Time>,
    /// When it is expected at the door.
    pub dropoff_eta: Option<Time>,
    /// Not before.
    pub dropoff_eta_lo: Option<Time>,
    /// Not after.
    pub dropoff_eta_hi: Option<Time>,
    /// By whose word.
    pub eta_source: Option<EtaSource>,
}

/// A proof was handed in. Where it is, outsiders ask for.
#[derive(ToSchema)]
pub struct ProofAddedData {
    /// Which one.
    pub proof: ProofId,
    /// Of which hand-over.
    pub point: ProofPoint,
    /// What it is.
    pub kind: ProofKind,
    /// The attempt at delivering that it is of; not for customers.
    #[schema(required = false)]
    pub attempt: i32,
    /// What its picture is, if that is kept here.
    #[schema(required = false)]
    pub content_type: PictureType,
    /// Bytes of that picture.
    #[schema(required = false, minimum = 1)]
    pub bytes: u64,
    /// Where it is, if it is kept elsewhere; for dispatchers and the platform.
    #[schema(required = false)]
    pub url: String,
    /// The text of a scanned code; for dispatchers and the platform.
    #[schema(rename = "ref", required = false)]
    pub reference: String,
    /// Where the actor's device was; for dispatchers and the platform.
    #[schema(required = false)]
    pub place: Place,
}

/// Couriers are asked.
#[derive(ToSchema)]
pub struct SearchingData {
    /// Which round this is.
    pub round: i32,
    /// Where the actor's device was; for dispatchers and the platform.
    #[schema(required = false)]
    pub place: Place,
}

/// A courier has the order now. One who has just lost it is told no more than that.
#[derive(ToSchema)]
pub struct CourierData {
    /// Who; not for the courier itself.
    #[schema(required = false)]
    pub driver: Courier,
    /// When it is expected at the store; not for customers.
    #[schema(required = false)]
    pub pickup_eta: Time,
    /// When it is expected at the door.
    #[schema(required = false)]
    pub dropoff_eta: Time,
    /// Not before.
    #[schema(required = false)]
    pub lo: Time,
    /// Not after.
    #[schema(required = false)]
    pub hi: Time,
    /// When it is expected back at the store, if it is brought back; not for customers.
    #[schema(required = false)]
    pub return_eta: Time,
    /// By whose word.
    #[schema(required = false)]
    pub source: EtaSource,
    /// The order; for the courier.
    #[schema(required = false)]
    pub order: Order,
    /// Where the actor's device was; for dispatchers and the platform.
    #[schema(required = false)]
    pub place: Place,
}

/// Why the courier does not have it any more; not for stores and customers.
#[derive(ToSchema)]
pub struct UnassignedData {
    /// The code.
    #[schema(required = false)]
    pub code: ReasonCode,
    /// Who said so.
    #[schema(required = false)]
    pub by: Role,
    /// In words; for dispatchers, the platform and who wrote it.
    #[schema(required = false)]
    pub note: String,
    /// Where the actor's device was; for dispatchers and the platform.
    #[schema(required = false)]
    pub place: Place,
}

/// Whether a courier takes orders.
#[derive(ToSchema)]
pub struct DutyData {
    /// It does, does not, or not now.
    pub duty: Duty,
}

/// Whether a store takes orders.
#[derive(ToSchema)]
pub struct PausedData {
    /// Not until then; null when it is open again.
    #[schema(required)]
    pub until: Option<Time>,
}

/// Who is let in no more.
#[derive(ToSchema)]
pub struct RevokedData {
    /// The token or API key.
    pub token: CredentialId,
}

/// It is expected at other times.
#[derive(ToSchema)]
pub struct EtaData {
    /// When its courier is expected at the store; not for customers.
    #[schema(required = false)]
    pub pickup_eta: Time,
    /// When it is expected at the door.
    #[schema(required = false)]
    pub dropoff_eta: Time,
    /// Not before.
    #[schema(required = false)]
    pub lo: Time,
    /// Not after.
    #[schema(required = false)]
    pub hi: Time,
    /// When it is expected back at the store, if it is brought back; not for customers.
    #[schema(required = false)]
    pub return_eta: Time,
    /// By whose word.
    #[schema(required = false)]
    pub source: EtaSource,
    /// The tour of its courier that it is part of; not for stores and customers.
    #[schema(required = false)]
    pub batch: BatchId,
    /// Where in that tour it comes; not for stores and customers.
    #[schema(required = false)]
    pub stop_seq: i32,
    /// Stops of the tour before it; not for stores.
    #[schema(required = false)]
    pub stops_before: i32,
    /// Where the actor's device was; for dispatchers and the platform.
    #[schema(required = false)]
    pub place: Place,
}

/// It is late. Customers hear of the delivery alone.
#[derive(ToSchema)]
pub struct LateData {
    /// What is late.
    pub kind: Late,
    /// Since when.
    pub since: Time,
    /// Where the actor's device was; for dispatchers and the platform.
    #[schema(required = false)]
    pub place: Place,
}

/// A remark, for dispatchers, the platform and who made it.
#[derive(ToSchema)]
pub struct NotedData {
    /// The remark.
    #[schema(required = false)]
    pub note: String,
    /// Where the actor's device was; for dispatchers and the platform.
    #[schema(required = false)]
    pub place: Place,
}

/// The courier is about to arrive.
#[derive(ToSchema)]
pub struct NearData {
    /// `store` or `door`.
    pub end: String,
    /// Where the actor's device was; for dispatchers and the platform.
    #[schema(required = false)]
    pub place: Place,
}
