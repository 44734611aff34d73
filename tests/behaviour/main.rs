//! What users notice, tested as they would notice it: over HTTP and the wire protocol, against
//! an app on a port of its own and a real PostgreSQL, a database for each test.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step should fail the test"
)]
#![expect(unreachable_pub, reason = "pub means that other tests use it")]

#[path = "../conformance/mod.rs"]
mod conformance;
mod support;

mod audiences;
mod bulk;
mod chance_of_sight;
mod channels;
mod chaos;
mod concurrent_writes;
mod conforming;
mod connecting;
mod deleting;
mod documents;
mod erasing;
mod estimates;
mod following;
mod frames;
mod handing_over;
mod handshake;
mod happenings;
mod keyed;
mod leaks;
mod limits;
mod link_pages;
mod link_sockets;
mod links;
mod listener_outage;
mod lost_connections;
mod metrics;
mod notes;
mod offers;
mod one_way;
mod ordering;
mod personal;
mod pins;
mod plain;
mod presence;
mod proofs;
mod public_keys;
mod reading;
mod recalling;
mod recovering;
mod refusing;
mod repeating;
mod retention;
mod revoking;
mod rights_ending;
mod robo;
mod roles;
mod rpc;
mod searching;
mod settings;
mod sightings;
mod silence;
mod slow_subscribers;
mod starting;
mod staying;
mod streams;
mod subscription_tokens;
mod tenants;
mod timers;
mod tokens;
mod tours;
mod trails;
mod two_couriers;
mod two_processes;
mod validating;
mod webhook_outages;
mod webhook_processes;
mod webhook_routes;
mod webhooks;
mod whereabouts;
mod window;
mod wire;
