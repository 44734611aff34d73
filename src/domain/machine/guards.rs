//! What a body must bring beside being allowed: reasons, proofs and PINs.

use crate::domain::{
    Actor, Given, Order, Proof, ProofKind, ProofPoint, Reason, ReasonCode, Refusal, Role,
};

use super::PIN_TRIES;
use super::fields::{self, invalid};
use super::proofs;

use ReasonCode::{
    AgeCheck, CannotMeetNote, Closed, ClosingEarly, CourierIncident, CustomerRequest, Damaged,
    Duplicate, FailedToReturn, Fraud, ItemUnavailable, LongWait, Lost, NoAnswer, NoCourier,
    NoResponse, Other, Payment, Personal, Refused, StoreProblem, TooBusy, TooFar, Unsafe, Vehicle,
    WrongAddress,
};

/// Why a store does not make an order: T5, and T12 and T13 by the store.
const STORE: &[ReasonCode] =
    &[TooBusy, Closed, ItemUnavailable, ClosingEarly, CannotMeetNote, Other];
/// Why the system does what it does: nobody answered.
const SYSTEM: &[ReasonCode] = &[NoResponse];
/// Why others call an order off: T12 and T13.
const CANCEL: &[ReasonCode] =
    &[CustomerRequest, Duplicate, Payment, NoCourier, CourierIncident, StoreProblem, Fraud, Other];
/// Why an order is not handed over: T14, T15 and T18.
const FAIL: &[ReasonCode] =
    &[NoAnswer, WrongAddress, Refused, Damaged, Lost, Unsafe, AgeCheck, FailedToReturn, Other];
/// Why a courier gives an order up: L6.
const DROP: &[ReasonCode] = &[Vehicle, TooFar, LongWait, Personal, Other];

/// The reason for T5.
pub(super) fn reject_reason(given: &Given, by: &Actor) -> Result<Reason, Refusal> {
    match by.role {
        Role::System => reason(given, by, &[SYSTEM]),
        Role::Customer | Role::Store | Role::Driver | Role::Ops | Role::Platform => {
            reason(given, by, &[STORE])
        }
    }
}

/// The reason for T12 and T13.
pub(super) fn cancel_reason(given: &Given, by: &Actor) -> Result<Reason, Refusal> {
    match by.role {
        Role::Store => reason(given, by, &[STORE]),
        Role::Customer | Role::Driver | Role::Ops | Role::Platform | Role::System => {
            reason(given, by, &[CANCEL])
        }
    }
}

/// The reason for T14, T15 and T18.
pub(super) fn fail_reason(given: &Given, by: &Actor) -> Result<Reason, Refusal> {
    reason(given, by, &[FAIL])
}

/// The reason for L6 by the courier.
pub(super) fn drop_reason(given: &Given, by: &Actor) -> Result<Reason, Refusal> {
    reason(given, by, &[DROP])
}

/// The reason for L6 by others, who speak for the courier or call its part off.
pub(super) fn unassign_reason(given: &Given, by: &Actor) -> Result<Reason, Refusal> {
    match by.role {
        Role::System => reason(given, by, &[SYSTEM, DROP, CANCEL]),
        Role::Customer | Role::Store | Role::Driver | Role::Ops | Role::Platform => {
            reason(given, by, &[DROP, CANCEL])
        }
    }
}

fn reason((code, note): &Given, by: &Actor, lists: &[&[ReasonCode]]) -> Result<Reason, Refusal> {
    if !lists.iter().any(|list| list.contains(code)) {
        return Err(invalid("reason", format!("`{code}` is not a reason for this")));
    }
    if *code == Other && note.as_deref().unwrap_or_default().trim().is_empty() {
        return Err(invalid("reason", "`other` needs a note".to_owned()));
    }
    if let Some(note) = note {
        fields::short("reason", note)?;
    }
    Ok(Reason { code: *code, by: by.role, note: note.clone() })
}

/// Proofs that come as proofs. A PIN does not: it is compared, and counts once it was right.
pub(super) fn given_proofs(proofs: &[Proof]) -> Result<Vec<Proof>, Refusal> {
    if proofs.iter().any(|proof| proof.kind == ProofKind::Pin) {
        return Err(invalid("proofs", "a PIN is given as `pin`".to_owned()));
    }
    Ok(proofs.to_vec())
}

/// What proves T10: the required proofs and a PIN that was compared. A dispatcher needs none,
/// because it is the way out when a courier cannot bring them.
pub(super) fn delivery_proofs(
    order: &Order,
    by: &Actor,
    pin: Option<&str>,
    proofs: &[Proof],
) -> Result<Vec<Proof>, Refusal> {
    let mut shown = given_proofs(proofs)?;
    if by.role == Role::Ops {
        return Ok(shown);
    }
    let required = order.proof_required;
    if required.pin && order.pin_tries >= PIN_TRIES {
        return Err(Refusal::PinLocked);
    }
    // What is missing comes first: a try is not spent on a hand-over that would fail anyway.
    let mut missing = proofs::missing(order, ProofPoint::Dropoff, &shown);
    missing.retain(|kind| *kind != ProofKind::Pin || pin.is_none());
    if !missing.is_empty() {
        return Err(Refusal::ProofRequired(missing));
    }
    if let Some(pin) = pin.filter(|_| required.pin) {
        shown.push(compared(order, pin)?);
    }
    Ok(shown)
}

/// What proves T11: what is required, and a customer's code, which a store may compare and has to
/// where it is required. A dispatcher needs none of it.
pub(super) fn collection_proofs(
    order: &Order,
    by: &Actor,
    pin: Option<&str>,
    proofs: &[Proof],
) -> Result<Vec<Proof>, Refusal> {
    let mut shown = given_proofs(proofs)?;
    let must = match by.role {
        Role::Customer => true,
        Role::Store => pin.is_some() || order.proof_required.pin,
        Role::Driver | Role::Ops | Role::Platform | Role::System => return Ok(shown),
    };
    let mut missing = proofs::missing(order, ProofPoint::Dropoff, &shown);
    missing.retain(|kind| *kind != ProofKind::Pin);
    if must && pin.is_none() {
        missing.push(ProofKind::Pin);
    }
    if !missing.is_empty() {
        return Err(Refusal::ProofRequired(missing));
    }
    if must && order.pin_tries >= PIN_TRIES {
        return Err(Refusal::PinLocked);
    }
    if let Some(pin) = pin.filter(|_| must) {
        shown.push(compared(order, pin)?);
    }
    Ok(shown)
}

fn compared(order: &Order, pin: &str) -> Result<Proof, Refusal> {
    if order.pin.as_deref() == Some(pin) {
        Ok(Proof { kind: ProofKind::Pin, reference: String::new() })
    } else {
        let tries_left = (PIN_TRIES - order.pin_tries - 1).max(0);
        Err(Refusal::PinWrong { tries_left })
    }
}
