//! Robo mode: how an order goes its way by itself, for integration tests of platforms.

use jiff::Timestamp;

use super::words::words;

words! {
    /// How the walk of an order ends.
    RoboEnd "end" {
        /// The customer has it.
        Delivered "delivered",
        /// The store does not answer.
        Rejected "rejected",
        /// It is called off at the last moment before it leaves the store.
        Cancelled "cancelled",
        /// The customer does not take it, and it goes back to the store.
        Returned "returned",
        /// It is damaged on its way.
        Failed "failed",
    }
}

/// The walk of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Robo {
    /// How it ends, unless somebody takes the order past that point.
    pub end: RoboEnd,
    /// Seconds between two steps, 1 to 3600.
    pub step_s: i32,
    /// When the next step is due; `None` while none is.
    pub at: Option<Timestamp>,
}
