//! What a new token shall say.

use jiff::Timestamp;

use super::Info;
use crate::domain::{OrderId, Role, TenantId};

/// What a new connection token shall say.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Whose data it may touch.
    pub tenant: TenantId,
    /// As what.
    pub role: Role,
    /// Which one.
    pub subject: String,
    /// The orders a customer may see.
    pub orders: Vec<OrderId>,
    /// What others on a channel may see of it.
    pub info: Option<Info>,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// What a new subscription token shall say.
#[derive(Debug, Clone)]
pub struct SubscriptionGrant {
    /// Whose data the channel carries.
    pub tenant: TenantId,
    /// Who may subscribe.
    pub subject: String,
    /// The channel's name on the wire.
    pub channel: String,
    /// What others on the channel may see of the subscription.
    pub info: Option<Info>,
    /// When it ends.
    pub expires_at: Timestamp,
}
