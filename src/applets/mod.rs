//! Commands by the exact name that a user types.

use std::process::ExitCode;

/// Runs the command named by `argv[0]`, or by the first argument of `safedib`.
pub fn main() -> ExitCode {
    ExitCode::from(2)
}
