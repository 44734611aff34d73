//! L1 to L9: who brings a delivery, and how far along that courier is. The status stays.

use crate::domain::{DriverId, Duty, Fact, Given, Leg, Reason, Refusal};

use super::advance::Advance;
use super::{estimate, guards};

type Done = Result<(), Refusal>;

/// L1.
pub(super) fn search(advance: &mut Advance<'_>) {
    advance.order.leg = Leg::Offering;
    advance.record(Fact::CourierSearching { round: 1 });
}

/// L4.
pub(super) fn search_failed(advance: &mut Advance<'_>) {
    advance.order.leg = Leg::None;
    advance.record(Fact::CourierSearchFailed);
}

/// L2 and L3, L9, and another courier instead of one who is still coming.
pub(super) fn assign(advance: &mut Advance<'_>, named: DriverId) -> Done {
    is_free(advance, named)?;
    let now = advance.now();
    let prior = advance.order.driver;
    let order = &mut advance.order;
    let carried = matches!(order.leg, Leg::EnRoute | Leg::AtDoor);
    order.driver = Some(named);
    order.stamps.assigned = Some(now);
    if !carried {
        order.leg = Leg::Assigned;
        order.stamps.at_store = None;
        order.pickup_eta = Some(estimate::pickup_eta(order, now));
    }
    let pickup_eta = order.pickup_eta;
    match prior {
        None => advance.record(Fact::CourierAssigned { pickup_eta }),
        Some(_) => advance.record_loss(Fact::CourierChanged { pickup_eta }, prior),
    }
    Ok(())
}

/// Whether the named courier works and has room.
fn is_free(advance: &Advance<'_>, named: DriverId) -> Done {
    let known = advance.facts.driver.filter(|(driver, _)| driver.id == named);
    let (driver, active) = known.ok_or(Refusal::NotFound)?;
    if driver.tenant != advance.order.tenant {
        return Err(Refusal::NotFound);
    }
    match driver.duty {
        Duty::Off | Duty::Paused => Err(Refusal::DriverOffDuty),
        Duty::On if active >= i64::from(driver.capacity) => Err(Refusal::DriverAtCapacity),
        Duty::On => Ok(()),
    }
}

/// L5.
pub(super) fn at_store(advance: &mut Advance<'_>) {
    advance.order.leg = Leg::AtStore;
    advance.order.stamps.at_store = Some(advance.now());
    advance.record(Fact::CourierAtStore);
}

/// L6, said by others.
pub(super) fn unassign(advance: &mut Advance<'_>, given: &Given) -> Done {
    let reason = guards::unassign_reason(given, advance.by)?;
    lose(advance, reason);
    Ok(())
}

/// L6, said by the courier.
pub(super) fn drop_out(advance: &mut Advance<'_>, given: &Given) -> Done {
    let reason = guards::drop_reason(given, advance.by)?;
    lose(advance, reason);
    Ok(())
}

/// The order has no courier again; what that courier had reached no longer counts.
fn lose(advance: &mut Advance<'_>, reason: Reason) {
    let order = &mut advance.order;
    let prior = order.driver.take();
    order.leg = Leg::None;
    order.pickup_eta = None;
    order.stamps.assigned = None;
    order.stamps.at_store = None;
    advance.record_loss(Fact::CourierUnassigned { reason }, prior);
}

/// L8.
pub(super) fn at_door(advance: &mut Advance<'_>) {
    advance.order.leg = Leg::AtDoor;
    advance.order.stamps.at_door = Some(advance.now());
    advance.record(Fact::CourierAtDoor);
}
