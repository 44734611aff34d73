//! Writes over a socket, and the table of their refusals' codes.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde::Deserialize;
use serde_json::Value;

use crate::api::{Api, Problem, ProblemCode};
use crate::auth::Principal;
use crate::domain::{Action, OrderId, Word as _};
use crate::protocol::code::{ErrorCode, problem};
use crate::protocol::{ErrorReply, RawJson};

/// The protocol code of each problem.
pub(super) const fn code(code: ProblemCode) -> ErrorCode {
    match code {
        ProblemCode::Malformed => problem::MALFORMED,
        ProblemCode::Unauthenticated => problem::UNAUTHENTICATED,
        ProblemCode::TokenExpired => problem::TOKEN_EXPIRED,
        ProblemCode::RoleNotAllowed => problem::ROLE_NOT_ALLOWED,
        ProblemCode::NotFound | ProblemCode::MethodNotAllowed => problem::NOT_FOUND,
        ProblemCode::InvalidTransition => problem::INVALID_TRANSITION,
        ProblemCode::AlreadyPickedUp => problem::ALREADY_PICKED_UP,
        ProblemCode::VersionMismatch => problem::VERSION_MISMATCH,
        ProblemCode::DriverAtCapacity => problem::DRIVER_AT_CAPACITY,
        ProblemCode::DriverOffDuty => problem::DRIVER_OFF_DUTY,
        ProblemCode::OfferClosed => problem::OFFER_CLOSED,
        ProblemCode::ExternalIdConflict => problem::EXTERNAL_ID_CONFLICT,
        ProblemCode::IdempotencyKeyReused => problem::IDEMPOTENCY_KEY_REUSED,
        ProblemCode::IdempotencyKeyInUse => problem::IDEMPOTENCY_KEY_IN_USE,
        ProblemCode::HasOpenOrders => problem::HAS_OPEN_ORDERS,
        ProblemCode::LinkEnded => problem::LINK_ENDED,
        ProblemCode::CursorTooOld => problem::CURSOR_TOO_OLD,
        ProblemCode::PayloadTooLarge => problem::PAYLOAD_TOO_LARGE,
        ProblemCode::Validation => problem::VALIDATION,
        ProblemCode::ProofRequired => problem::PROOF_REQUIRED,
        ProblemCode::PinWrong => problem::PIN_WRONG,
        ProblemCode::PinLocked => problem::PIN_LOCKED,
        ProblemCode::OutsideWindow => problem::OUTSIDE_WINDOW,
        ProblemCode::RateLimited => problem::RATE_LIMITED,
        ProblemCode::Internal => problem::INTERNAL,
        ProblemCode::Overloaded => problem::OVERLOADED,
    }
}

/// A problem as the error of a command: the code, and the word with its sentence.
pub(super) fn error(problem: &Problem) -> ErrorReply<'static> {
    let code = code(problem.code);
    ErrorReply::detailed(code, format!("{}: {}", problem.code.word(), problem.detail))
}

/// The lane of a call: of one that changes one order and nothing else, that order; of one that
/// places an order, the platform's own name of it. Two names of one order, as `or_…` and `ext:…`,
/// are not told to be one: calls by the second have no lane.
pub(super) fn lane(method: &str, data: Option<&RawJson>) -> Option<u64> {
    #[derive(Deserialize)]
    struct About<'a> {
        #[serde(borrow)]
        order: Option<Cow<'a, str>>,
        #[serde(borrow)]
        external_id: Option<Cow<'a, str>>,
    }
    let action = method.strip_prefix("order.")?;
    let is_new = action == "create";
    if !is_new && !Action::find(action).ok()?.stays_within_its_order() {
        return None;
    }
    let about: About<'_> = serde_json::from_str(data?.get()).ok()?;
    let mut lane = DefaultHasher::new();
    if is_new {
        about.external_id?.hash(&mut lane);
    } else {
        about.order?.parse::<OrderId>().ok()?.hash(&mut lane);
    }
    Some(lane.finish())
}

/// Calls a method; the answer is JSON text.
pub(super) async fn call(
    api: &Api,
    principal: &Principal,
    method: &str,
    data: Option<&RawJson>,
) -> Result<Box<RawJson>, ErrorReply<'static>> {
    let data: Value = match data {
        Some(data) => {
            serde_json::from_str(data.get()).map_err(|_| ErrorReply::from(problem::MALFORMED))?
        }
        None => Value::Object(serde_json::Map::new()),
    };
    if !data.is_object() {
        return Err(error(&Problem::field("data", "must be an object")));
    }
    match api.call(principal, method, data).await {
        None => Err(ErrorCode::METHOD_NOT_FOUND.into()),
        Some(Err(problem)) => Err(error(&problem)),
        Some(Ok(answer)) => {
            serde_json::value::to_raw_value(&answer).map_err(|_| problem::INTERNAL.into())
        }
    }
}
