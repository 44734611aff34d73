//! Arbitrary bytes and arbitrary commands: no panic, no unbounded memory, always the right code.
//!
//! Each fuzzer runs for a few seconds from a seed that is always the same, so that the gate finds
//! today what it found yesterday. Longer, and from elsewhere:
//!
//! ```console
//! $ ORDERCAST_FUZZ_S=600 ORDERCAST_FUZZ_SEED=7 cargo test --release --test fuzz -- --nocapture
//! ```
//!
//! That many seconds for each fuzzer, one after the other. A finding is printed with the input that does it again. Inputs worth keeping go to `corpus/`.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step should fail the test"
)]
#![expect(
    clippy::wildcard_enum_match_arm,
    clippy::string_slice,
    reason = "a rule names what it is about, and texts here are cut where they may be"
)]
#![expect(unreachable_pub, reason = "pub means that other tests use it")]

mod allocation;
mod bytes;
mod chance;
mod codecs;
mod frames;
mod judge;
mod people;
mod sessions;
#[path = "../behaviour/support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the other tests use the rest")]
mod support;

#[global_allocator]
static ALLOCATOR: allocation::Counting = allocation::Counting;
