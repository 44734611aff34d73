//! What a caller may ask of an order.

use jiff::Timestamp;

use super::id::{BatchId, DriverId, OfferId};
use super::offer::Ask;
use super::order::{Dropoff, Notice, ReasonCode, Window};
use super::proof::{NewProof, Proof};
use super::words::words;

words! {
    /// The name of a command: the last part of its REST path and of its RPC method.
    Action "action" {
        /// T3: place a scheduled order now.
        Release "release",
        /// T4: the store will make it.
        Accept "accept",
        /// T5: the store will not.
        Reject "reject",
        /// T6: making it.
        Start "start",
        /// T7: it is made.
        Ready "ready",
        /// T8: it is not made after all.
        Unready "unready",
        /// The preparation takes longer or shorter.
        Prep "prep",
        /// T9: it leaves the store.
        Pickup "pickup",
        /// T10: it is handed over.
        Deliver "deliver",
        /// T11: the customer fetched it.
        Collect "collect",
        /// T12, T13: called off.
        Cancel "cancel",
        /// T15, T18: lost or given up.
        Fail "fail",
        /// T14: it goes back.
        Return "return",
        /// T16: it is back.
        Returned "returned",
        /// T17: a second attempt.
        Redeliver "redeliver",
        /// Details change.
        Update "update",
        /// L1: ask couriers.
        Search "search",
        /// L4: no courier was found.
        SearchFailed "search_failed",
        /// L1: nobody has accepted; ask others.
        NextRound "next_round",
        /// L2: I bring it, said by a courier who was asked.
        AcceptOffer "accept_offer",
        /// Not me, said by a courier who was asked.
        DeclineOffer "decline_offer",
        /// L2, L3, L9: this courier.
        Assign "assign",
        /// L6: not this courier any more, said by others.
        Unassign "unassign",
        /// L6: not me any more, said by the courier.
        Drop "drop",
        /// L5: the courier is at the store.
        AtStore "at_store",
        /// L8: the courier is at the door.
        AtDoor "at_door",
        /// Its place in the courier's tour.
        Route "route",
        /// When it will be picked up and delivered.
        Eta "eta",
        /// Where the courier is, and what follows from that.
        Watch "watch",
        /// It is late.
        Late "late",
        /// A remark for those who work on it.
        Note "note",
        /// Forget whom it was for, once it is over.
        Erase "erase",
        /// Something that proves a hand-over.
        AddProof "add_proof",
    }
}

impl Action {
    /// Whether it reads and changes its one order only: asked of two orders, it makes no difference
    /// which is first. What gives an order to a courier or takes it away is about the courier's
    /// other orders, too.
    pub const fn stays_within_its_order(self) -> bool {
        match self {
            Self::Release
            | Self::Accept
            | Self::Reject
            | Self::Start
            | Self::Ready
            | Self::Unready
            | Self::Prep
            | Self::Pickup
            | Self::Deliver
            | Self::Collect
            | Self::Cancel
            | Self::Fail
            | Self::Return
            | Self::Returned
            | Self::Redeliver
            | Self::Update
            | Self::AtStore
            | Self::AtDoor
            | Self::Eta
            | Self::Note => true,
            Self::Search
            | Self::SearchFailed
            | Self::NextRound
            | Self::AcceptOffer
            | Self::DeclineOffer
            | Self::Assign
            | Self::Unassign
            | Self::Drop
            | Self::Route
            | Self::Watch
            | Self::Late
            | Self::Erase
            | Self::AddProof => false,
        }
    }
}

/// The reason a caller gives: a code and, for `other`, a note.
pub type Given = (ReasonCode, Option<String>);

/// Details to change; what is `None` stays.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Patch {
    /// A new wish to the store; `Some(None)` clears it.
    pub note: Option<Option<String>>,
    /// Another door; only before pick-up.
    pub dropoff: Option<Dropoff>,
    /// Another window; only before the store has accepted.
    pub window: Option<Window>,
    /// Other data of the platform's own.
    pub meta: Option<serde_json::Value>,
}

/// When an order shall be picked up and delivered, by somebody's word; what is `None` stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Promise {
    /// When the courier has it.
    pub pickup: Option<Timestamp>,
    /// When it is delivered.
    pub dropoff: Option<Timestamp>,
    /// The early end; some minutes before `dropoff` when absent.
    pub lo: Option<Timestamp>,
    /// The late end; some minutes after `dropoff` when absent.
    pub hi: Option<Timestamp>,
}

/// What a caller asks of an order.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each variant is the action of the same name, with its body")]
pub enum Command {
    Release,
    /// Minutes of preparation; the store's default when absent.
    Accept {
        prep_min: Option<i32>,
    },
    Reject {
        reason: Given,
    },
    Start,
    Ready,
    Unready,
    /// Minutes from now, and why, in the store's words.
    Prep {
        prep_min: i32,
        why: Option<String>,
    },
    Pickup {
        proofs: Vec<Proof>,
    },
    Deliver {
        pin: Option<String>,
        proofs: Vec<Proof>,
    },
    /// The customer's code, which a customer must give and a store may check.
    Collect {
        pin: Option<String>,
        proofs: Vec<Proof>,
    },
    Cancel {
        reason: Given,
    },
    Fail {
        reason: Given,
    },
    Return {
        reason: Given,
    },
    Returned {
        proofs: Vec<Proof>,
    },
    Redeliver,
    Update(Box<Patch>),
    Search(Ask),
    SearchFailed,
    /// Whom to ask comes in the facts.
    NextRound,
    /// The offer and the courier's row come in the facts.
    AcceptOffer {
        offer: OfferId,
    },
    DeclineOffer {
        offer: OfferId,
    },
    /// The courier's row comes in the facts.
    Assign {
        driver: DriverId,
    },
    Unassign {
        reason: Given,
    },
    Drop {
        reason: Given,
    },
    AtStore,
    AtDoor,
    /// `before` counts the stops before it.
    Route {
        batch: BatchId,
        seq: i32,
        before: i32,
    },
    Eta(Promise),
    Watch,
    Late(Notice),
    Note {
        text: String,
    },
    Erase,
    AddProof(Box<NewProof>),
}

impl Command {
    /// The name of what is asked.
    pub const fn action(&self) -> Action {
        match self {
            Self::Release => Action::Release,
            Self::Accept { .. } => Action::Accept,
            Self::Reject { .. } => Action::Reject,
            Self::Start => Action::Start,
            Self::Ready => Action::Ready,
            Self::Unready => Action::Unready,
            Self::Prep { .. } => Action::Prep,
            Self::Pickup { .. } => Action::Pickup,
            Self::Deliver { .. } => Action::Deliver,
            Self::Collect { .. } => Action::Collect,
            Self::Cancel { .. } => Action::Cancel,
            Self::Fail { .. } => Action::Fail,
            Self::Return { .. } => Action::Return,
            Self::Returned { .. } => Action::Returned,
            Self::Redeliver => Action::Redeliver,
            Self::Update(_) => Action::Update,
            Self::Search(_) => Action::Search,
            Self::NextRound => Action::NextRound,
            Self::AcceptOffer { .. } => Action::AcceptOffer,
            Self::DeclineOffer { .. } => Action::DeclineOffer,
            Self::SearchFailed => Action::SearchFailed,
            Self::Assign { .. } => Action::Assign,
            Self::Unassign { .. } => Action::Unassign,
            Self::Drop { .. } => Action::Drop,
            Self::AtStore => Action::AtStore,
            Self::AtDoor => Action::AtDoor,
            Self::Route { .. } => Action::Route,
            Self::Eta(_) => Action::Eta,
            Self::Watch => Action::Watch,
            Self::Late(_) => Action::Late,
            Self::Note { .. } => Action::Note,
            Self::Erase => Action::Erase,
            Self::AddProof(_) => Action::AddProof,
        }
    }
}
