//! Where an order stands: its status, the courier's leg, and how it is fulfilled.

use super::words::words;

words! {
    /// Where an order stands, from the platform's asking to the end.
    Status "status" {
        /// Asked for a later window; the store may already look at it.
        Scheduled "scheduled",
        /// Waits for the store's answer; the store rings.
        Placed "placed",
        /// The store will make it, but not yet.
        Accepted "accepted",
        /// Being made.
        Preparing "preparing",
        /// Made, waits to leave the store.
        Ready "ready",
        /// On its way to the customer.
        PickedUp "picked_up",
        /// Handed to the customer. Terminal.
        Delivered "delivered",
        /// The store said no, or nothing in time. Terminal.
        Rejected "rejected",
        /// Called off before pick-up. Terminal.
        Cancelled "cancelled",
        /// Could be neither delivered nor returned. Terminal.
        Failed "failed",
        /// On its way back to the store.
        Returning "returning",
        /// Back at the store. Terminal.
        Returned "returned",
    }
}

impl Status {
    /// Whether nothing but notes and proofs may follow.
    pub const fn is_terminal(self) -> bool {
        matches!(
            self,
            Self::Delivered | Self::Rejected | Self::Cancelled | Self::Failed | Self::Returned
        )
    }
}

words! {
    /// Where the courier of a delivery stands.
    Leg "leg" {
        /// Nobody is asked.
        None "none",
        /// Couriers are being asked.
        Offering "offering",
        /// A courier is on the way to the store.
        Assigned "assigned",
        /// The courier waits at the store.
        AtStore "at_store",
        /// The courier has the order.
        EnRoute "en_route",
        /// The courier stands at the customer's door.
        AtDoor "at_door",
        /// Over; the courier stays on record.
        Closed "closed",
    }
}

impl Leg {
    /// Whether a courier holds the order now; only then may `driver` be set before the close.
    pub const fn has_driver(self) -> bool {
        matches!(self, Self::Assigned | Self::AtStore | Self::EnRoute | Self::AtDoor)
    }
}

words! {
    /// How an order reaches the customer.
    Fulfilment "fulfilment" {
        /// By a courier.
        Delivery "delivery",
        /// The customer fetches it.
        Collection "collection",
        /// By the store's own people, whom ordercast does not track.
        StoreDelivery "store_delivery",
    }
}

words! {
    /// What becomes of an order that cannot be handed over.
    Undeliverable "undeliverable_action" {
        /// Back to the store.
        Return "return",
        /// Thrown away by the courier.
        Dispose "dispose",
        /// Left at the door.
        Leave "leave",
    }
}
