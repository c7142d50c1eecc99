//! Virtual machines in tests: one at a time, and only where their parts are.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

static ONE_MACHINE: Mutex<()> = Mutex::new(());

/// The words that ask for a machine without KVM.
pub const TCG: [&str; 2] = ["--appliance", "microvm,tcg"];

/// The right to start a machine; `None` where a machine's parts are not
/// installed, which is a failure in CI.
pub fn machine() -> Option<MutexGuard<'static, ()>> {
    let programs = ["/usr/bin/qemu-system-x86_64", "/usr/bin/supermin"];
    let absent = programs.iter().find(|program| !Path::new(program).exists());
    let kernel = fs::read_dir("/boot")
        .into_iter()
        .flatten()
        .flatten()
        .any(|entry| entry.file_name().to_string_lossy().starts_with("vmlinuz-"));
    let why = match absent {
        Some(program) => format!("no {program}"),
        None if !kernel => "no kernel in /boot".to_owned(),
        None => return Some(ONE_MACHINE.lock().unwrap_or_else(PoisonError::into_inner)),
    };
    assert_ne!(
        std::env::var("CI").as_deref(),
        Ok("true"),
        "{why}: run scripts/setup first"
    );
    eprintln!("{why} (scripts/setup installs it): not tested");
    None
}

/// Fails unless two tar archives in a directory hold the same tree, contents,
/// owners, modes, devices and extended attributes included.
pub fn same_trees(directory: &Path, one: &str, other: &str) {
    let output = Command::new("/usr/bin/python3")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("compat-tests/tree_diff.py"))
        .args(["--content", one, other])
        .current_dir(directory)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && text.is_empty(),
        "{one} and {other} differ: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
