//! Webhooks: a tenant's events, posted to its endpoints by the Standard Webhooks specification
//! (<https://www.standardwebhooks.com>).
//!
//! There is no queue: each webhook has a cursor in the log, and what comes after it is posted one
//! after the other, as the `tenant` channel carries it. The cursor moves once an endpoint has
//! answered; so whoever was away gets everything in order, and twice only what was answered and
//! not yet noted when a process died, with the same `webhook-id`.
//!
//! Any process may deliver. It takes up a webhook by a lease in the database, so that one process
//! delivers at a time, and what a dead one held is free once its lease ends.
//!
//! Absent on purpose: it publishes nothing, and no event tells of an endpoint that fails.

mod guard;
mod patience;
mod post;
mod secret;
mod worker;

pub use guard::{BadUrl, Guard};
pub use post::{Letter, Line, Outcome, Poster, Sent};
pub use secret::Secret;
pub use worker::Worker;
