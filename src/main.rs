//! The `safedib` binary: everything it does lives in the library.

fn main() -> std::process::ExitCode {
    safedib::applets::main()
}
