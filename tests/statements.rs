//! Holds `sql/` against a migrated PostgreSQL: what each statement's head says of it, the records
//! that travel, the plans, the page of the schema, and that migrating is safe.
//!
//! One private server for all of it, one database for each test.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a failed step should fail the test"
)]
#![expect(clippy::wildcard_enum_match_arm, reason = "of most answers one arm is looked for")]
#![expect(clippy::format_collect, reason = "short texts, for people")]

#[path = "statements/answers.rs"]
mod answers;
#[path = "statements/bindings.rs"]
mod bindings;
#[path = "statements/growth.rs"]
mod growth;
#[path = "statements/header.rs"]
mod header;
#[path = "statements/heads.rs"]
mod heads;
#[path = "statements/links.rs"]
mod links;
#[path = "statements/load.rs"]
mod load;
#[path = "statements/locations.rs"]
mod locations;
#[path = "statements/members.rs"]
mod members;
#[path = "statements/migrating.rs"]
mod migrating;
#[path = "statements/offers.rs"]
mod offers;
#[path = "statements/partitions.rs"]
mod partitions;
#[path = "statements/plans.rs"]
mod plans;
#[path = "statements/proofs.rs"]
mod proofs;
#[path = "statements/records.rs"]
mod records;
#[path = "statements/robo.rs"]
mod robo;
#[path = "statements/schema.rs"]
mod schema;
#[path = "statements/server.rs"]
mod server;
#[path = "statements/tenants.rs"]
mod tenants;
#[path = "statements/timers.rs"]
mod timers;
#[path = "statements/webhooks.rs"]
mod webhooks;
