//! Schemas of what a first subscribe brings: a channel's state, to which events are applied.

use utoipa::ToSchema;

use super::{Driver, OfferData, Order, Store, Time};

/// The state of an order's channel.
#[derive(ToSchema)]
pub struct OrderSnapshot {
    /// When it was read.
    pub at: Time,
    /// The order.
    pub order: Order,
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
}
