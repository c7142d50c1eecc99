//! Upstream's own resolver of 3.43.0, by `resolve_upstream.py`, and where the
//! elements of the pinned packages are.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

/// A request, and the element directories that it is for.
#[derive(Debug, Serialize)]
pub struct Case {
    pub paths: Vec<PathBuf>,
    pub request: Vec<String>,
}

/// What it resolves to, or the class and text of the error.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(untagged)]
pub enum Outcome {
    Elements { elements: Vec<(String, PathBuf)> },
    Error { error: String, message: String },
}

/// Where the pinned packages are unpacked.
pub fn cache() -> PathBuf {
    let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("upstream-fixtures/cache");
    cache
        .canonicalize()
        .unwrap_or_else(|error| panic!("{}: {error}: run scripts/fetch-fixtures", cache.display()))
}

/// The elements of a package, `NAME-VERSION`.
pub fn elements_of(package: &str) -> PathBuf {
    let root = cache().join(package);
    ["diskimage_builder/elements", "elements", "dib"]
        .iter()
        .map(|folder| root.join(folder))
        .find(|path| path.is_dir())
        .unwrap_or_else(|| {
            panic!(
                "no elements in {}: run scripts/fetch-fixtures",
                root.display()
            )
        })
}

/// What upstream makes of each case with this `PYTHONHASHSEED`.
pub fn ask_upstream(cases: &[Case], seed: &str) -> Vec<Outcome> {
    let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("compat-tests/resolve_upstream.py");
    let mut child = Command::new("/usr/bin/python3")
        .arg(driver)
        .arg(cache().join("diskimage-builder-3.43.0"))
        .env("PYTHONHASHSEED", seed)
        .env_remove("PYTHONPATH")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("/usr/bin/python3 starts: install python3 and python3-yaml");
    let input = serde_json::to_vec(cases).unwrap();
    child.stdin.take().unwrap().write_all(&input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "upstream's resolver ran: install python3-yaml if it is missing"
    );
    let outcomes: Vec<Outcome> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(outcomes.len(), cases.len());
    outcomes
}
