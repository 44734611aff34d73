//! T1 and T2: how a draft becomes an order.

use crate::domain::{
    Actor, Draft, Fact, Fulfilment, Leg, Order, Refusal, Role, Route, Search, Stamps, Status,
};

use super::advance::Advance;
use super::{Facts, Step, estimate, fields, walk};

/// Makes an order of what a platform asks for: placed now, or scheduled when its window is far
/// enough away. The first event stands for the whole order.
///
/// Whether the external id is free is the caller's to know.
pub fn place(draft: Draft, by: &Actor, facts: &Facts<'_>) -> Result<Step, Refusal> {
    if by.role != Role::Platform {
        return Err(Refusal::RoleNotAllowed);
    }
    if facts.store.id != draft.store || facts.store.tenant != draft.tenant {
        return Err(Refusal::NotFound);
    }
    check(&draft)?;
    let robo = walk::plan(&draft, facts.rules)?;
    let mut order = Order { robo, ..unplaced(draft, by, facts) };
    let later_on = order.window.and_then(|window| {
        let release_at = estimate::release_at(&order, window, facts.store);
        (release_at > facts.now).then_some((window, release_at))
    });
    if let Some((window, release_at)) = later_on {
        order.release_at = Some(release_at);
        let mut advance = Advance::begin(order, by, facts);
        advance.enter(Status::Scheduled, Fact::Scheduled { window, release_at });
        return Ok(advance.finish());
    }
    if facts.store.paused_until.is_some_and(|until| until > facts.now) {
        return Err(Refusal::OutsideWindow("the store is paused"));
    }
    // An order that never stood anywhere else was placed before, too.
    order.status = Status::Placed;
    let mut advance = Advance::begin(order, by, facts);
    ring(&mut advance);
    Ok(advance.finish())
}

/// The order is the store's to answer from now on: T1, and T3 for one that was scheduled.
pub(super) fn ring(advance: &mut Advance<'_>) {
    let accept_by = estimate::later(advance.now(), advance.facts.rules.accept_window);
    advance.order.accept_by = Some(accept_by);
    advance.enter(Status::Placed, Fact::Placed);
}

fn check(draft: &Draft) -> Result<(), Refusal> {
    fields::external_id(&draft.external_id)?;
    fields::items(&draft.items)?;
    if let Some(note) = &draft.note {
        fields::short("note", note)?;
    }
    if let Some(window) = draft.window {
        fields::window(window)?;
    }
    match (draft.fulfilment, &draft.dropoff) {
        (_, Some(dropoff)) => fields::dropoff(dropoff)?,
        (Fulfilment::Collection, None) => {}
        (Fulfilment::Delivery | Fulfilment::StoreDelivery, None) => {
            return Err(fields::invalid("dropoff", "a delivery needs one".to_owned()));
        }
    }
    let needs_pin = draft.proof_required.pin || draft.fulfilment == Fulfilment::Collection;
    super::proofs::check(draft.proof_required)?;
    if needs_pin && draft.pin.is_none() {
        return Err(fields::invalid("pin", "this order needs one".to_owned()));
    }
    fields::meta(&draft.meta)
}

/// The order before its first event: version 0, scheduled until said otherwise.
fn unplaced(draft: Draft, by: &Actor, facts: &Facts<'_>) -> Order {
    Order {
        id: draft.id,
        tenant: draft.tenant,
        external_id: draft.external_id,
        store: draft.store,
        short_code: draft.short_code,
        fulfilment: draft.fulfilment,
        status: Status::Scheduled,
        leg: Leg::None,
        version: 0,
        driver: None,
        dropoff: draft.dropoff,
        items: draft.items,
        note: draft.note,
        window: draft.window,
        prep_min: None,
        undeliverable: draft.undeliverable,
        proof_required: draft.proof_required,
        proofs: Vec::new(),
        pin: draft.pin,
        pin_tries: 0,
        attempt: 1,
        stamps: Stamps { created: facts.now, ..Stamps::default() },
        accept_by: None,
        release_at: None,
        ready_eta: None,
        pickup_eta: None,
        dropoff_eta: None,
        dropoff_eta_lo: None,
        dropoff_eta_hi: None,
        return_eta: None,
        eta_source: None,
        eta_at: None,
        search: Search::default(),
        route: Route::default(),
        told: Vec::new(),
        reason: None,
        status_by: by.clone(),
        meta: draft.meta,
        erased_at: None,
        robo: None,
    }
}
