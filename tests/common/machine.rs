//! Virtual machines in tests: one at a time, and only where their parts are.

use std::fs;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Caller, Run};

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

/// A build of `caller`'s.
pub fn build(caller: &Caller, words: &[&str]) -> Run {
    Run::new(caller, "disk-image-create").args(words.iter().copied())
}

/// Starts a run whose hook says "here" and then waits; returns once it has said so.
pub fn waiting(run: &Run) -> Child {
    let log = fs::File::create(run.home().join("log")).unwrap();
    let errors = fs::File::create(run.home().join("errors")).unwrap();
    let mut command = run.command();
    let mut child = command.stdout(log).stderr(errors).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    while !logged(run, "log").contains("| here") {
        assert!(
            Instant::now() < deadline && child.try_wait().unwrap().is_none(),
            "{}{}",
            logged(run, "log"),
            logged(run, "errors")
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    child
}

/// A file of [`waiting`]'s: `log` or `errors`.
pub fn logged(run: &Run, name: &str) -> String {
    fs::read_to_string(run.home().join(name)).unwrap_or_default()
}

/// A build for [`waiting`].
pub fn waiter(caller: &Caller) -> Run {
    build(caller, &TCG)
        .element_file(
            "waiter",
            "root.d/05-wait",
            "#!/bin/bash\necho here\nsleep 600\n",
        )
        .args(["-n", "-t", "tar", "-o", "x", "waiter", "safedib-one-file"])
}

/// The qemu of a run, by the name of its scratch disk.
pub fn qemu_of(run: &Run) -> i32 {
    let scratch = run.tmp().display().to_string();
    let found = fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let line =
            String::from_utf8_lossy(&fs::read(entry.path().join("cmdline")).ok()?).into_owned();
        (line.contains("qemu-system") && line.contains(&scratch)).then_some(pid)
    });
    found.expect("a qemu of this run")
}
