//! Whoever a token speaks for.

use jiff::Timestamp;

use super::Info;
use crate::domain::{Actor, CredentialId, DriverId, LinkView, OrderId, Role, StoreId, TenantId};

/// Whoever a token speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Whose data it may touch.
    pub tenant: TenantId,
    /// As what.
    pub role: Role,
    /// Which one: a store's or courier's identifier, or a name of the platform's own.
    pub subject: String,
    /// The orders a customer may see.
    pub orders: Vec<OrderId>,
    /// What others on a channel may see of it.
    pub info: Option<Info>,
    /// Which credential.
    pub credential: CredentialId,
    /// When the right ends; absent for an API key.
    pub expires_at: Option<Timestamp>,
    /// The bearer of a tracking link: a customer who may only look, and sees so much.
    pub link: Option<LinkView>,
}

impl Principal {
    /// What tells its credential from all others, also of other tenants.
    pub fn bearer(&self) -> [u128; 2] {
        bearer(self.tenant, self.credential)
    }
    /// The same as an actor of the order machine.
    pub fn actor(&self) -> Actor {
        Actor { role: self.role, id: self.subject.clone() }
    }
    /// The store it is, if it is one.
    pub fn store(&self) -> Option<StoreId> {
        if self.role == Role::Store { self.subject.parse().ok() } else { None }
    }
    /// The courier it is, if it is one.
    pub fn driver(&self) -> Option<DriverId> {
        if self.role == Role::Driver { self.subject.parse().ok() } else { None }
    }
}

/// What tells a tenant's credential from all others: tenants may give theirs the same identifiers.
pub fn bearer(tenant: TenantId, credential: CredentialId) -> [u128; 2] {
    [tenant.uuid().as_u128(), credential.uuid().as_u128()]
}
