//! Commands by the exact name that a user types.

use std::process::ExitCode;

/// Runs the command named by `argv[0]`, or by the first argument of `safedib`.
pub fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|name| name == "sandbox-init") {
        crate::appliance::namespace::sandbox_init(&arguments.collect::<Vec<_>>());
    }
    ExitCode::from(2)
}
