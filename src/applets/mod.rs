//! Commands by the exact name that a user types.

use std::process::ExitCode;

/// Runs the command named by `argv[0]`, or by the first argument of `safedib`.
pub fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if let Some(name) = arguments.next() {
        let rest: Vec<_> = arguments.collect();
        if let Some(status) = crate::appliance::namespace::hidden_command(&name, &rest) {
            std::process::exit(status);
        }
    }
    ExitCode::from(2)
}
