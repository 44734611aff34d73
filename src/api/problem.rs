//! Problems: every "no" a caller can get, as one word and what helps to go on.

use std::time::Duration;

use serde_json::{Value, json};

use super::body::FieldProblem;
use super::limits::Quota;
use crate::domain::{Action, Actor, Leg, Order, ProofKind, Refusal, Role, Status, Word};
use crate::store::{Error, WriteError};

/// The words. Each has one HTTP status and one protocol code, in the tables of those rooms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the README's table of problems says what each means")]
pub enum ProblemCode {
    Malformed,
    Unauthenticated,
    TokenExpired,
    RoleNotAllowed,
    NotFound,
    MethodNotAllowed,
    InvalidTransition,
    AlreadyPickedUp,
    VersionMismatch,
    DriverAtCapacity,
    DriverOffDuty,
    OfferClosed,
    ExternalIdConflict,
    IdempotencyKeyReused,
    IdempotencyKeyInUse,
    HasOpenOrders,
    LinkEnded,
    CursorTooOld,
    PayloadTooLarge,
    Validation,
    ProofRequired,
    PinWrong,
    PinLocked,
    OutsideWindow,
    RateLimited,
    Internal,
    Overloaded,
}

impl ProblemCode {
    /// Every code.
    pub const ALL: &'static [Self] = &[
        Self::Malformed,
        Self::Unauthenticated,
        Self::TokenExpired,
        Self::RoleNotAllowed,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::InvalidTransition,
        Self::AlreadyPickedUp,
        Self::VersionMismatch,
        Self::DriverAtCapacity,
        Self::DriverOffDuty,
        Self::OfferClosed,
        Self::ExternalIdConflict,
        Self::IdempotencyKeyReused,
        Self::IdempotencyKeyInUse,
        Self::HasOpenOrders,
        Self::LinkEnded,
        Self::CursorTooOld,
        Self::PayloadTooLarge,
        Self::Validation,
        Self::ProofRequired,
        Self::PinWrong,
        Self::PinLocked,
        Self::OutsideWindow,
        Self::RateLimited,
        Self::Internal,
        Self::Overloaded,
    ];

    /// The word on the wire.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Unauthenticated => "unauthenticated",
            Self::TokenExpired => "token_expired",
            Self::RoleNotAllowed => "role_not_allowed",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::InvalidTransition => "invalid_transition",
            Self::AlreadyPickedUp => "already_picked_up",
            Self::VersionMismatch => "version_mismatch",
            Self::DriverAtCapacity => "driver_at_capacity",
            Self::DriverOffDuty => "driver_off_duty",
            Self::OfferClosed => "offer_closed",
            Self::ExternalIdConflict => "external_id_conflict",
            Self::IdempotencyKeyReused => "idempotency_key_reused",
            Self::IdempotencyKeyInUse => "idempotency_key_in_use",
            Self::HasOpenOrders => "has_open_orders",
            Self::LinkEnded => "link_ended",
            Self::CursorTooOld => "cursor_too_old",
            Self::PayloadTooLarge => "payload_too_large",
            Self::Validation => "validation",
            Self::ProofRequired => "proof_required",
            Self::PinWrong => "pin_wrong",
            Self::PinLocked => "pin_locked",
            Self::OutsideWindow => "outside_window",
            Self::RateLimited => "rate_limited",
            Self::Internal => "internal",
            Self::Overloaded => "overloaded",
        }
    }
}

/// Where the order stands that a change was refused for, and what could be done instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Its status; absent for those who only see steps.
    pub status: Option<Status>,
    /// Its leg; absent for those who only see steps.
    pub leg: Option<Leg>,
    /// Its version.
    pub version: i64,
    /// What the caller could do now.
    pub allowed: Vec<Action>,
}

/// A "no", or a failure of ours, as a caller sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The word.
    pub code: ProblemCode,
    /// A sentence for people.
    pub detail: String,
    /// The fields at fault.
    pub fields: Vec<FieldProblem>,
    /// Where the order stands.
    pub standing: Option<Standing>,
    /// When to try again.
    pub retry_after: Option<Duration>,
    /// What was used up.
    pub quota: Option<Box<Quota>>,
}

impl Problem {
    /// A problem with a sentence.
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            fields: vec![],
            standing: None,
            retry_after: None,
            quota: None,
        }
    }
    /// One field does not do.
    pub fn field(field: impl Into<String>, detail: impl Into<String>) -> Self {
        let field = FieldProblem { field: field.into(), detail: detail.into() };
        let mut problem =
            Self::new(ProblemCode::Validation, format!("{}: {}", field.field, field.detail));
        problem.fields.push(field);
        problem
    }
    /// No token, or none of ours. Says nothing about why.
    pub fn unauthenticated() -> Self {
        Self::new(ProblemCode::Unauthenticated, "a valid token or API key is required")
    }
    /// The caller's role never does this.
    pub fn role_not_allowed() -> Self {
        Self::new(ProblemCode::RoleNotAllowed, "your role may not do this")
    }
    /// It is not there, or not the caller's to see: no difference is shown.
    pub fn not_found() -> Self {
        Self::new(ProblemCode::NotFound, "there is no such thing")
    }
    /// Too much at once; nothing was done.
    pub fn overloaded() -> Self {
        let mut problem = Self::new(ProblemCode::Overloaded, "too busy; try again shortly");
        problem.retry_after = Some(Duration::from_secs(1));
        problem
    }

    /// Too often; nothing was done.
    pub fn rate_limited(quota: Quota, wait: Duration) -> Self {
        let detail = format!("more than {} {} a second", quota.per_s, quota.name);
        let mut problem = Self::new(ProblemCode::RateLimited, detail);
        problem.retry_after = Some(wait);
        problem.quota = Some(Box::new(quota));
        problem
    }

    /// What the order machine refused, to `by`, about `order`.
    pub fn refused(refusal: Refusal, order: Option<&Order>, by: &Actor) -> Self {
        let mut fields = Vec::new();
        let (code, detail) = match refusal {
            Refusal::NotFound => return Self::not_found(),
            Refusal::RoleNotAllowed => return Self::role_not_allowed(),
            Refusal::Validation { field, detail } => return Self::field(field, detail),
            Refusal::InvalidTransition => {
                (ProblemCode::InvalidTransition, "the order does not allow this now".to_owned())
            }
            Refusal::AlreadyPickedUp => (
                ProblemCode::AlreadyPickedUp,
                "the order has been picked up; return or fail it instead".to_owned(),
            ),
            Refusal::VersionMismatch => {
                (ProblemCode::VersionMismatch, "the order has another version".to_owned())
            }
            Refusal::DriverAtCapacity => {
                (ProblemCode::DriverAtCapacity, "the courier has no room".to_owned())
            }
            Refusal::DriverOffDuty => {
                (ProblemCode::DriverOffDuty, "the courier is not on duty".to_owned())
            }
            Refusal::OfferClosed(state) => {
                (ProblemCode::OfferClosed, format!("the offer is {state}"))
            }
            Refusal::ProofRequired(kinds) => {
                fields = kinds.iter().map(|kind| missing(*kind)).collect();
                let kinds: Vec<_> = kinds.into_iter().map(Word::word).collect();
                (ProblemCode::ProofRequired, format!("still required: {}", kinds.join(", ")))
            }
            Refusal::PinWrong { tries_left } => {
                (ProblemCode::PinWrong, format!("the PIN is wrong; tries left: {tries_left}"))
            }
            Refusal::PinLocked => (
                ProblemCode::PinLocked,
                "too many wrong PINs; only a dispatcher can go on".to_owned(),
            ),
            Refusal::OutsideWindow(detail) => (ProblemCode::OutsideWindow, detail.to_owned()),
            Refusal::ExternalIdConflict => (
                ProblemCode::ExternalIdConflict,
                "another order has this external_id and another content".to_owned(),
            ),
            Refusal::IdempotencyKeyReused => (
                ProblemCode::IdempotencyKeyReused,
                "this Idempotency-Key came with another request before".to_owned(),
            ),
            Refusal::HasOpenOrders => {
                (ProblemCode::HasOpenOrders, "its open orders must end first".to_owned())
            }
        };
        let mut problem = Self { fields, ..Self::new(code, detail) };
        // A courier who was asked for an order, and has it not, does not hear how it stands.
        let known = order.filter(|order| {
            let theirs = order.driver.is_some_and(|driver| driver.to_string() == by.id);
            by.role != Role::Driver || theirs
        });
        problem.standing = known.map(|order| {
            let steps_only = by.role == Role::Customer;
            Standing {
                status: (!steps_only).then_some(order.status),
                leg: (!steps_only).then_some(order.leg),
                version: order.version,
                allowed: order.allowed(by),
            }
        });
        problem
    }

    /// The members all ways out share.
    pub fn body(&self) -> Value {
        let mut body = json!({"code": self.code.word(), "detail": self.detail});
        if let Some(members) = body.as_object_mut() {
            if !self.fields.is_empty() {
                let fields = self.fields.iter();
                let fields = fields.map(|at| json!({"field": at.field, "detail": at.detail}));
                members.insert("fields".to_owned(), fields.collect());
            }
            if let Some(standing) = &self.standing {
                if let Some(status) = standing.status {
                    members.insert("status".to_owned(), status.word().into());
                }
                if let Some(leg) = standing.leg {
                    members.insert("leg".to_owned(), leg.word().into());
                }
                members.insert("version".to_owned(), standing.version.into());
                let allowed = standing.allowed.iter().map(|action| Value::from(action.word()));
                members.insert("allowed".to_owned(), allowed.collect());
            }
        }
        body
    }
}

/// A proof that is missing: a PIN is a member of its own.
fn missing(kind: ProofKind) -> FieldProblem {
    let field = if kind == ProofKind::Pin { "pin" } else { "proofs" };
    FieldProblem { field: field.to_owned(), detail: format!("{kind} is required") }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        if error.is_disconnect() {
            tracing::warn!(%error, cause = ?std::error::Error::source(&error), "the database is busy or gone");
            Self::overloaded()
        } else {
            tracing::error!(%error, cause = ?std::error::Error::source(&error), "reading failed");
            Self::new(ProblemCode::Internal, "something is wrong on our side")
        }
    }
}

impl From<WriteError> for Problem {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Overloaded | WriteError::Failed => Self::overloaded(),
            WriteError::Unknown => {
                let mut problem = Self::overloaded();
                "whether this was written is not known; ask again with the same Idempotency-Key"
                    .clone_into(&mut problem.detail);
                problem
            }
        }
    }
}
