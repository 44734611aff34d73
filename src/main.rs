//! The binary: see the `cli` room.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A change is some hundred small allocations, made on one thread and freed on another.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    ordercast::cli::run()
}
