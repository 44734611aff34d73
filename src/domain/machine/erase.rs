//! Forgetting whom an order was for, once it is over. Statuses, times, codes, couriers and what
//! was ordered stay.

use crate::domain::{Fact, Order, Role};

use super::advance::Advance;

/// What is personal is absent from then on.
pub(super) fn erase(advance: &mut Advance<'_>) {
    let erased_at = advance.now();
    let Order { dropoff, note, meta, reason, status_by, .. } = &mut advance.order;
    *dropoff = None;
    *note = None;
    *meta = serde_json::json!({});
    if let Some(reason) = reason {
        reason.note = None;
    }
    // Of everybody else the name is the store's, the courier's or that of someone at work.
    if status_by.role == Role::Customer {
        status_by.id.clear();
    }
    advance.order.erased_at = Some(erased_at);
    advance.record(Fact::Erased);
}
