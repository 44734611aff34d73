//! The order machine: what an order is, who may change it, and what follows.
//!
//! It decides and never waits: no I/O, no clock, no wire format. Time, the store, the tenant's
//! rules and the courier come in as [`Facts`]; the answer is a [`Judgement`]. The tables T1 to
//! T18 and L1 to L10 of the README's "Order machine" section are the only source of the rules.

mod actor;
mod command;
mod fact;
mod id;
mod link;
mod machine;
mod offer;
mod order;
mod proof;
mod refusal;
mod robo;
mod status;
mod tenant;
mod words;

pub use actor::{Actor, Role};
pub use command::{Action, Command, Given, Patch, Promise};
pub use fact::{Event, Fact};
pub use id::{
    BadId, BatchId, CredentialId, DriverId, EventId, Id, OfferId, OrderId, ProofId, StoreId,
    TenantId, WebhookId,
};
pub use link::{LinkTerm, LinkView};
pub use machine::{
    Courier, Facts, Judgement, PIN_TRIES, Step, WATCH_EVERY, distance_m, place, travel_time,
};
pub use offer::{Ask, BROADCAST_MAX, Candidate, Offer, OfferMode, OfferRules, OfferState, Search};
pub use order::{
    Draft, Driver, Dropoff, Duty, EtaSource, Item, Notice, Order, Place, Reason, ReasonCode, Route,
    Stamps, Store, TenantRules, Vehicle, Window,
};
pub use proof::{
    HeldProof, NewProof, Picture, PictureType, Proof, ProofContent, ProofKind, ProofKinds,
    ProofPoint, ProofRequired,
};
pub use refusal::Refusal;
pub use robo::{Robo, RoboEnd};
pub use status::{Fulfilment, Leg, Status, Undeliverable};
pub use tenant::{Tenant, TenantPatch};
pub use words::{UnknownWord, Word};
