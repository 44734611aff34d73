//! Proofs: which an order asks for, which it has, and which are still missing.
//!
//! A proof counts for the hand-over it was made for: those of the pick-up from when the courier
//! was assigned, those of the drop-off from when the order left the store, those of the return
//! from when it turned back. So a courier who takes over picks up with its own proofs, and a
//! second attempt is proved anew.

use jiff::Timestamp;

use crate::domain::{
    Fact, Fulfilment, HeldProof, NewProof, Order, Proof, ProofKind, ProofKinds, ProofPoint,
    ProofRequired, Refusal, Role, Status,
};

use super::advance::Advance;
use super::{fields, guards};

/// Proofs that an order takes by themselves: three hand-overs, each from several sides and more
/// than once.
const UPLOADS_MAX: usize = 20;
/// Proofs that an order remembers, with those that came with actions.
const HELD_MAX: usize = 60;

/// A PIN is the customer's, so only a drop-off can ask for it.
pub(super) fn check(required: ProofRequired) -> Result<(), Refusal> {
    for (kinds, field) in
        [(required.pickup, "proof_required.pickup"), (required.back, "proof_required.return")]
    {
        if kinds.contains(ProofKind::Pin) {
            return Err(fields::invalid(field, "a PIN proves a drop-off only".to_owned()));
        }
    }
    Ok(())
}

impl Order {
    /// The kinds of proofs that it has of this hand-over, as far as they count.
    pub fn proofs_of(&self, point: ProofPoint) -> ProofKinds {
        let proofs = self.proofs.iter().filter(|proof| proof.point == point && self.counts(proof));
        proofs.map(|proof| proof.kind).collect()
    }

    fn counts(&self, proof: &HeldProof) -> bool {
        self.proofs_since(proof.point).is_none_or(|since| proof.at >= since)
    }

    /// From when on proofs of this hand-over count.
    fn proofs_since(&self, point: ProofPoint) -> Option<Timestamp> {
        let at = &self.stamps;
        match point {
            // Who took over later had no part in it.
            ProofPoint::Pickup => {
                at.assigned.filter(|since| at.picked_up.is_none_or(|left| *since <= left))
            }
            ProofPoint::Dropoff => at.picked_up,
            ProofPoint::Return => at.returning,
        }
    }
}

/// Whether the order has this very proof already.
pub(super) fn is_held(order: &Order, proof: &NewProof) -> bool {
    let new = proof.held(order.stamps.created);
    order.proofs.iter().any(|held| {
        (held.point, held.kind, &held.hash) == (new.point, new.kind, &new.hash)
            && order.counts(held)
    })
}

/// A proof by itself: as soon as its hand-over can happen, and after the end too, because the
/// pictures of a courier who was offline come late.
pub(super) fn add(advance: &mut Advance<'_>, proof: &NewProof) -> Result<(), Refusal> {
    if proof.kind == ProofKind::Pin {
        return Err(fields::invalid("kind", "a PIN is given with the hand-over".to_owned()));
    }
    let order = &advance.order;
    // Whose hand-over it is not sees nothing that it could prove. A store is handed back what
    // couriers bring, and hands out itself what they do not.
    let by_courier = order.fulfilment == Fulfilment::Delivery && proof.point != ProofPoint::Return;
    if advance.by.role == Role::Store && by_courier {
        return Err(Refusal::RoleNotAllowed);
    }
    if !is_open(order, proof.point) {
        return Err(Refusal::InvalidTransition);
    }
    let uploads = order.proofs.iter().filter(|held| !held.hash.is_empty()).count();
    if uploads >= UPLOADS_MAX {
        let detail = format!("the order has {UPLOADS_MAX} proofs, and takes no more");
        return Err(fields::invalid("point", detail));
    }
    // Another process may have recorded the step before it by a moment later than ours.
    let at = order.proofs_since(proof.point).map_or(advance.now(), |at| at.max(advance.now()));
    advance.order.proofs.push(proof.held(at));
    advance.record(Fact::ProofAdded(Box::new(proof.clone())));
    Ok(())
}

/// Whether there is, or was, such a hand-over of an order that has any.
fn is_open(order: &Order, point: ProofPoint) -> bool {
    let back = matches!(order.status, Status::Returning | Status::Returned);
    match point {
        // Who collects takes it at the counter: that is the drop-off.
        ProofPoint::Pickup => order.fulfilment != Fulfilment::Collection,
        ProofPoint::Dropoff => {
            order.fulfilment == Fulfilment::Collection || order.stamps.picked_up.is_some()
        }
        ProofPoint::Return => back || order.stamps.returning.is_some(),
    }
}

/// Which required proofs the order has not and `given` does not bring.
pub(super) fn missing(order: &Order, point: ProofPoint, given: &[Proof]) -> Vec<ProofKind> {
    let held = order.proofs_of(point);
    let has = |kind: ProofKind| {
        // A PIN is compared each time.
        (held.contains(kind) && kind != ProofKind::Pin)
            || given.iter().any(|proof| proof.kind == kind)
    };
    order.proof_required.at(point).iter().filter(|kind| !has(*kind)).collect()
}

/// The proofs that come with an action, if with those before them nothing is missing. A
/// dispatcher needs none, because it is the way out when nobody can bring them.
pub(super) fn brought(
    advance: &mut Advance<'_>,
    point: ProofPoint,
    given: &[Proof],
) -> Result<Vec<Proof>, Refusal> {
    let given = guards::given_proofs(given)?;
    let missing = missing(&advance.order, point, &given);
    if !missing.is_empty() && advance.by.role != Role::Ops {
        return Err(Refusal::ProofRequired(missing));
    }
    hold(advance, point, &given);
    Ok(given)
}

/// Remembers the proofs that came with an action.
pub(super) fn hold(advance: &mut Advance<'_>, point: ProofPoint, given: &[Proof]) {
    let since = advance.order.proofs_since(point);
    let at = since.map_or(advance.now(), |at| at.max(advance.now()));
    let kinds: ProofKinds = given.iter().map(|proof| proof.kind).collect();
    for kind in kinds.iter() {
        if advance.order.proofs.len() < HELD_MAX {
            advance.order.proofs.push(HeldProof { point, kind, at, hash: String::new() });
        }
    }
}
