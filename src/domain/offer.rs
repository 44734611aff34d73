//! Offers: couriers are asked whether they bring an order, one after the other or all at once.

use std::time::Duration;

use jiff::Timestamp;

use super::id::{DriverId, OfferId, OrderId};
use super::words::words;

words! {
    /// What became of an offer. All but `pending` are final.
    OfferState "state" {
        /// The courier has not answered yet.
        Pending "pending",
        /// The courier brings the order.
        Accepted "accepted",
        /// The courier does not want it.
        Declined "declined",
        /// The courier did not answer in time, which counts as a no.
        Expired "expired",
        /// Nobody is asked any more: the order ended, or the search was called off.
        Withdrawn "withdrawn",
        /// Another courier brings it.
        Lost "lost",
    }
}

words! {
    /// How couriers are asked.
    OfferMode "mode" {
        /// The nearest first, each alone.
        OneByOne "one_by_one",
        /// All of the nearest at once; the first who accepts has it.
        Broadcast "broadcast",
    }
}

/// One courier asked for one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Which one.
    pub id: OfferId,
    /// What is to be brought.
    pub order: OrderId,
    /// Who is asked.
    pub driver: DriverId,
    /// When the search began that it is part of.
    pub since: Timestamp,
    /// In which round of the search, from 1.
    pub round: i32,
    /// What became of it.
    pub state: OfferState,
    /// When the courier was asked.
    pub sent_at: Timestamp,
    /// Until when the courier may accept.
    pub expires_at: Timestamp,
    /// When it was answered or ended.
    pub closed_at: Option<Timestamp>,
    /// Metres from the courier to the store as it was sent; absent when nobody knew.
    pub distance_m: Option<i32>,
}

/// A courier who could be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The identifier that the offer will have; drawn by the caller because the machine rolls no
    /// dice.
    pub offer: OfferId,
    /// Who.
    pub driver: DriverId,
    /// Metres to the store, if known.
    pub distance_m: Option<i32>,
}

/// Couriers asked at once by a broadcast, at most.
pub const BROADCAST_MAX: usize = 20;

/// How the tenant has couriers searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OfferRules {
    /// How they are asked by themselves; `None` leaves it to dispatchers and the platform.
    pub mode: Option<OfferMode>,
    /// How long a courier may think, 15 to 120 seconds.
    pub offer_s: i32,
    /// Rounds until a search has failed.
    pub rounds: i32,
    /// How long before an order is ready its search begins.
    pub lead: Duration,
}

/// What is asked of a search; what is `None` the tenant's rules say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ask {
    /// How couriers are asked.
    pub mode: Option<OfferMode>,
    /// How long each may think, in seconds.
    pub offer_s: Option<i32>,
    /// Whether only some couriers were to be asked: then it is refused when none of them can be.
    pub named: bool,
    /// Who could be asked now, the best first.
    pub candidates: Vec<Candidate>,
}

/// Where an order's search for a courier stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Search {
    /// When it is to begin by itself; absent when it is not, or has.
    pub at: Option<Timestamp>,
    /// When the last one began.
    pub since: Option<Timestamp>,
    /// Its round, from 1; 0 before the first.
    pub round: i32,
    /// How it asks.
    pub mode: Option<OfferMode>,
    /// How long each courier may think, in seconds.
    pub offer_s: i32,
    /// When its round is over: the offers of it have expired by then.
    pub until: Option<Timestamp>,
    /// Who has lost the order last, and is not asked for it again.
    pub lost_by: Option<DriverId>,
}
