//! What one can listen to, and as whom.

use std::fmt;

use crate::domain::{DriverId, OrderId, StoreId, TenantId};
use crate::view::Audience;

/// A feed. On the wire it is a channel; the tenant of `dispatch` and `tenant` is the listener's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// One order.
    Order(OrderId),
    /// One store's orders.
    Store(StoreId),
    /// One courier's orders and duty.
    Driver(DriverId),
    /// All orders of a tenant, for dispatchers.
    Dispatch(TenantId),
    /// The tenant's whole log, for its back end.
    Tenant(TenantId),
}

impl Topic {
    /// The order, store or courier that a channel of this name is of.
    pub fn find(name: &str) -> Option<Self> {
        let (kind, id) = name.split_once(':')?;
        match kind {
            "order" => id.parse().ok().map(Self::Order),
            "store" => id.parse().ok().map(Self::Store),
            "driver" => id.parse().ok().map(Self::Driver),
            _ => None,
        }
    }
}

impl fmt::Display for Topic {
    /// The channel's name on the wire.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Order(id) => write!(f, "order:{id}"),
            Self::Store(id) => write!(f, "store:{id}"),
            Self::Driver(id) => write!(f, "driver:{id}"),
            Self::Dispatch(_) => f.write_str("dispatch"),
            Self::Tenant(_) => f.write_str("tenant"),
        }
    }
}

/// As whom one listens to a topic. All listeners of one seat are sent the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Seat {
    /// An order's customer.
    OrderCustomer,
    /// The bearer of a tracking link.
    OrderLink,
    /// The same when the order has been over for a while.
    OrderPastLink,
    /// The courier who has the order, looking at it.
    OrderDriver,
    /// The same, hearing that it has lost the order.
    OrderFormerDriver,
    /// A dispatcher who looks at one order.
    OrderOps,
    /// The platform, looking at one order.
    OrderPlatform,
    /// The store itself.
    Store,
    /// The courier itself.
    Driver,
    /// The courier itself, hearing that it has lost an order.
    FormerDriver,
    /// A dispatcher.
    Dispatch,
    /// The platform.
    Tenant,
}

impl Seat {
    /// How many there are.
    pub const COUNT: usize = 12;

    /// Which audience sits there.
    pub const fn audience(self) -> Audience {
        match self {
            Self::OrderCustomer => Audience::Customer,
            Self::OrderLink => Audience::Link,
            Self::OrderPastLink => Audience::PastLink,
            Self::OrderOps | Self::Dispatch => Audience::Ops,
            Self::OrderPlatform | Self::Tenant => Audience::Platform,
            Self::Store => Audience::Store,
            Self::Driver | Self::OrderDriver => Audience::Driver,
            Self::FormerDriver | Self::OrderFormerDriver => Audience::FormerDriver,
        }
    }
}
