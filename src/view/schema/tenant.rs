//! The schema of a tenant.

use utoipa::ToSchema;

use super::{CancelUntil, SearchMode, TenantId};

/// A tenant with its settings. They hold for what happens from now on: an order keeps the times
/// that it has.
#[derive(ToSchema)]
pub struct Tenant {
    /// Its identifier.
    pub id: TenantId,
    /// What it is called.
    pub name: String,
    /// Seconds a store may think about a new order.
    #[schema(minimum = 10, maximum = 86400)]
    pub accept_s: i32,
    /// The last status in which a customer may cancel.
    pub customer_cancel_until: CancelUntil,
    /// How couriers are asked by themselves; `off` leaves it to dispatchers and the platform.
    pub offer_mode: SearchMode,
    /// Seconds a courier may think about an offer.
    #[schema(minimum = 15, maximum = 120)]
    pub offer_s: i32,
    /// Rounds until a search has failed.
    #[schema(minimum = 1, maximum = 100)]
    pub offer_rounds: i32,
    /// Seconds before an order is ready at which its search begins.
    #[schema(minimum = 0, maximum = 7200)]
    pub search_lead_s: i32,
    /// Hours after an order's end that its links show it, unless they say otherwise.
    #[schema(minimum = 1, maximum = 8760)]
    pub link_ttl_h: i32,
    /// Hours for which the ways of its couriers are kept; 0 keeps none.
    #[schema(minimum = 0, maximum = 8760)]
    pub location_retention_h: i32,
    /// Whether new orders go their way by themselves.
    pub robo: bool,
}
