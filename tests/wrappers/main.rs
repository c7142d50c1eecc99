//! The wrapper scripts of other projects, unmodified, with our links first on
//! PATH: first every image that they ask for is planned from the real elements,
//! then they run to their end with their own elements' hooks on a stand-in of the
//! distribution. What they build from real distributions is in
//! `compat-tests/foreign`.

#[path = "../common/mod.rs"]
mod common;
mod ironic;
mod octavia;
mod sahara;
mod stand_in;
mod tripleo;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use common::{callers, copy_tree, Caller, Run};

const NEWEST: &str = "diskimage-builder-3.43.0/diskimage_builder/elements";

/// A path in the cache of upstream packages.
fn pinned(path: &str) -> PathBuf {
    let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("upstream-fixtures/cache");
    let path = cache.join(path);
    assert!(path.exists(), "no {path:?}: run scripts/fetch-fixtures");
    path
}

/// The directory of a run that holds the wrapper, as its package installs it.
fn prefix(run: &Run) -> PathBuf {
    run.dir.parent().unwrap().join("prefix")
}

/// An installed package: files or directories of the cache by their place below
/// the prefix.
fn install(run: &Run, files: &[(&str, &str)]) {
    for (from, to) in files {
        let to = prefix(run).join(to);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        let from = pinned(from);
        match from.is_dir() {
            true => copy_tree(&from, &to),
            false => drop(fs::copy(&from, &to).unwrap()),
        }
    }
}

/// Makes a wrapper the command of a run: a user who has our links first on PATH,
/// then what the package installed.
fn call(run: Run, words: &[&str]) -> Run {
    let installed = prefix(&run).join("bin");
    let script = format!(
        "PATH=${{0%/*}}:{}:$PATH; export PATH; exec \"$@\"",
        installed.display()
    );
    run.through(&["sh", "-c", &script]).args(words)
}

/// The ordinary user, if the tests can become one.
fn user() -> Caller {
    callers().swap_remove(0)
}

/// A command `disk-image-create` that only plans, and leaves each plan in the
/// working directory, with the words that it was called with.
const PLANNER: &str = r#"#!/bin/sh
set -e
[ "$1" != --version ] || exec safedib disk-image-create --version
number=$(printf %03d "$(ls "$PLANS" | wc -l)")
safedib plan --json disk-image-create "$@" >"$PLANS/$number"
"#;

/// As [`call`], with [`PLANNER`] in the command's place.
fn plan_with(run: Run, words: &[&str]) -> Run {
    let bin = prefix(&run).join("bin");
    fs::create_dir_all(&bin).unwrap();
    let planner = bin.join("disk-image-create");
    fs::write(&planner, PLANNER).unwrap();
    fs::set_permissions(&planner, fs::Permissions::from_mode(0o755)).unwrap();
    let plans = run.dir.join("plans");
    fs::create_dir(&plans).unwrap();
    run.give(&plans);
    let script = format!(
        "PATH={}:${{0%/*}}:$PATH; export PATH; exec \"$@\"",
        bin.display()
    );
    run.env("PLANS", &plans)
        .env("DIB_ELEMENTS_DIR", pinned(NEWEST))
        .through(&["sh", "-c", &script])
        .args(words)
}

/// The plans that a run left, in order.
fn plans(run: &Run) -> Vec<Value> {
    let files = fs::read_dir(run.dir.join("plans")).unwrap();
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    let read = |file: &PathBuf| serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    files.iter().map(read).collect()
}

/// The file names of what a plan makes.
fn outputs(plan: &Value) -> Vec<String> {
    let outputs = plan["outputs"].as_array().unwrap().iter();
    outputs
        .map(|output| output["staged"].as_str().unwrap().to_owned())
        .collect()
}

/// The elements of a plan.
fn requested(plan: &Value) -> Vec<&str> {
    let names = plan["requested"].as_array().unwrap().iter();
    names.map(|name| name.as_str().unwrap()).collect()
}
