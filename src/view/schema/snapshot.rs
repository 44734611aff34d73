//! Schemas of what a first subscribe brings: a channel's state, to which events are applied.

use utoipa::ToSchema;

use super::{Driver, Location, OfferData, Order, Store, Time};

/// The state of an order's channel.
#[derive(ToSchema)]
pub struct OrderSnapshot {
    /// When it was read.
    pub at: Time,
    /// The order.
    pub order: Order,
    /// Where its courier was last heard of, for who may see that now.
    #[schema(required = false)]
    pub location: Location,
}

/// The state of a store's channel.
#[derive(ToSchema)]
pub struct StoreSnapshot {
    /// When it was read.
    pub at: Time,
    /// Its open orders.
    pub orders: Vec<Order>,
    /// Whether there are more than could be sent.
    pub truncated: bool,
    /// The store.
    pub store: Store,
    /// Where those couriers were last heard of who come to it or are there.
    pub locations: Vec<Location>,
}

/// The state of a courier's channel.
#[derive(ToSchema)]
pub struct DriverSnapshot {
    /// When it was read.
    pub at: Time,
    /// The orders that it has.
    pub orders: Vec<Order>,
    /// Whether there are more than could be sent.
    pub truncated: bool,
    /// The courier.
    pub driver: Driver,
    /// Where it was last heard of.
    #[schema(required = false)]
    pub location: Location,
    /// What it is asked now.
    pub offers: Vec<OfferData>,
}

/// The state of a tenant's channel.
#[derive(ToSchema)]
pub struct OrdersSnapshot {
    /// When it was read.
    pub at: Time,
    /// The open orders.
    pub orders: Vec<Order>,
    /// Whether there are more than could be sent.
    pub truncated: bool,
    /// Where couriers were last heard of: for dispatchers, and platforms that ask for it.
    #[schema(required = false)]
    pub locations: Vec<Location>,
}
