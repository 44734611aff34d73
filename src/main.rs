//! The binary: see the `cli` room.

use std::process::ExitCode;

fn main() -> ExitCode {
    ordercast::cli::run()
}
