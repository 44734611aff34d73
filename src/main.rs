//! The binary: see the `cli` room.

use std::process::ExitCode;

/// A change is some hundred small allocations, made on one thread and freed on another; a socket is
/// a few that stay all day. README, Figures, has what this allocator does for both.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// An arena a core in place of four: idle sockets then lie closer together.
/// Read by jemalloc at start (its manual, TUNING); `_RJEM_MALLOC_CONF` in the environment wins.
#[cfg(feature = "jemalloc")]
#[expect(unsafe_code, reason = "jemalloc reads its options from a symbol of this name")]
// SAFETY: the name and the type, a pointer to text that ends with NUL, are what jemalloc declares.
#[unsafe(export_name = "_rjem_malloc_conf")]
static MALLOC_CONF: &[u8; 20] = b"percpu_arena:percpu\0";

fn main() -> ExitCode {
    ordercast::cli::run()
}
