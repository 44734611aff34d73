//! A platform and what it has decided for its orders.

use std::ops::RangeInclusive;

use super::id::TenantId;
use super::offer::OfferMode;
use super::status::Status;

/// A platform with its settings. All of them hold for what happens from now on: an order keeps the
/// times that it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Which one.
    pub id: TenantId,
    /// What it is called; unique.
    pub name: String,
    /// Seconds a store may think about a new order, 10 to 86,400.
    pub accept_s: i32,
    /// The last status in which a customer may still cancel, none after [`Status::Ready`].
    pub customer_cancel_until: Status,
    /// Whether new orders go their way by themselves.
    pub robo: bool,
    /// How couriers are asked by themselves; `None` leaves it to dispatchers and the platform.
    pub offer_mode: Option<OfferMode>,
    /// Seconds a courier may think about an offer, 15 to 120.
    pub offer_s: i32,
    /// Rounds until a search has failed, 1 to 100.
    pub offer_rounds: i32,
    /// Seconds before an order is ready at which its search begins, 0 to 7,200.
    pub search_lead_s: i32,
    /// Hours after an order's end that its links show it, 1 to 8,760, unless they say otherwise.
    pub link_ttl_h: i32,
    /// Hours for which the ways of its couriers are kept, 0 to 8,760; 0 keeps none.
    pub location_retention_h: i32,
}

/// What to change of a tenant's settings; `None` stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of Tenant")]
pub struct TenantPatch {
    pub accept_s: Option<i32>,
    pub customer_cancel_until: Option<Status>,
    pub robo: Option<bool>,
    /// `Some(None)` turns it off.
    pub offer_mode: Option<Option<OfferMode>>,
    pub offer_s: Option<i32>,
    pub offer_rounds: Option<i32>,
    pub search_lead_s: Option<i32>,
    pub link_ttl_h: Option<i32>,
    pub location_retention_h: Option<i32>,
}

impl TenantPatch {
    /// Whether every setting is within its bounds; else which is not, and what they are.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let within = |field: &'static str, given: Option<i32>, bounds: RangeInclusive<i32>| {
            if given.is_none_or(|given| bounds.contains(&given)) {
                Ok(())
            } else {
                Err((field, format!("must be {} to {}", bounds.start(), bounds.end())))
            }
        };
        within("accept_s", self.accept_s, 10..=86_400)?;
        within("offer_s", self.offer_s, 15..=120)?;
        within("offer_rounds", self.offer_rounds, 1..=100)?;
        within("search_lead_s", self.search_lead_s, 0..=7_200)?;
        within("link_ttl_h", self.link_ttl_h, 1..=8_760)?;
        within("location_retention_h", self.location_retention_h, 0..=8_760)?;
        // Statuses are declared in the order in which an order passes them until it leaves.
        if self.customer_cancel_until.is_some_and(|until| until > Status::Ready) {
            let detail = "must be scheduled, placed, accepted, preparing or ready".to_owned();
            return Err(("customer_cancel_until", detail));
        }
        Ok(())
    }
}
