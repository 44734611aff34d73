//! What users notice, tested as they would notice it: over HTTP and the wire protocol, against
//! an app on a port of its own and a real PostgreSQL, a database for each test.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step should fail the test"
)]
#![expect(unreachable_pub, reason = "pub means that other tests use it")]

mod support;

mod audiences;
mod channels;
mod chaos;
mod concurrent_writes;
mod connecting;
mod following;
mod frames;
mod handshake;
mod ordering;
mod reading;
mod refusing;
mod repeating;
mod starting;
mod staying;
mod tenants;
