//! What users notice, tested as they would notice it: over HTTP and the wire protocol, against
//! an app on a port of its own and a real PostgreSQL, a database for each test.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step should fail the test"
)]

mod support;

mod audiences;
mod channels;
mod chaos;
mod connecting;
mod following;
mod frames;
mod handshake;
mod listener_outage;
mod recovering;
mod rpc;
mod slow_subscribers;
mod staying;
mod two_processes;
