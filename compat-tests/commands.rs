//! `dib-run-parts`, `element-info` and `dib-lint` as commands, each beside
//! upstream's own of 3.43.0: status, standard output and messages.
//!
//! Upstream runs as `scripts/install-upstream` installs it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

#[path = "commands/element_info.rs"]
mod element_info;
#[path = "commands/lint.rs"]
mod lint;
#[path = "commands/lint_python.rs"]
mod lint_python;
#[path = "commands/run_parts.rs"]
mod run_parts;

/// Fixed, so that a failure can be repeated.
const RANDOM_SEED: u64 = 0x5afe_d1b1;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn cache() -> PathBuf {
    let cache = repository().join("upstream-fixtures/cache");
    cache
        .canonicalize()
        .unwrap_or_else(|error| panic!("{}: {error}: run scripts/fetch-fixtures", cache.display()))
}

/// The source of a pinned version.
fn package(version: &str) -> PathBuf {
    let root = cache().join(format!("diskimage-builder-{version}"));
    assert!(
        root.is_dir(),
        "no {}: run scripts/fetch-fixtures",
        root.display()
    );
    root
}

/// The virtual environment that has upstream; none where it cannot be had.
fn installed() -> Option<PathBuf> {
    let output = Command::new(repository().join("scripts/install-upstream"))
        .stderr(Stdio::inherit())
        .output()
        .expect("scripts/install-upstream starts");
    if output.status.success() {
        let path = String::from_utf8(output.stdout).unwrap();
        return Some(PathBuf::from(path.trim()));
    }
    assert_ne!(
        std::env::var("CI").as_deref(),
        Ok("true"),
        "upstream is not installed: run scripts/fetch-fixtures and scripts/install-upstream"
    );
    eprintln!("skipped: scripts/install-upstream failed");
    None
}

/// Our binary, about to run as `name` in a bare environment.
fn ours(name: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_safedib"));
    bare(command.arg(name));
    command
}

fn bare(command: &mut Command) -> &mut Command {
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
}

fn lines(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    text.lines().map(str::to_owned).collect()
}

fn show(output: &Output) -> String {
    format!(
        "{}\n--- stdout\n{}\n--- stderr\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

struct Random(u64);

impl Random {
    /// Knuth's MMIX generator, its upper bits.
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    fn one_of<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len())]
    }
}
