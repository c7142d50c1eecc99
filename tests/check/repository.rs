//! Elements that a test writes, and `safedib check` over them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// A repository with a directory `elements`.
pub struct Repository {
    _base: tempfile::TempDir,
    /// Its real path.
    pub root: PathBuf,
}

impl Repository {
    /// An empty one.
    pub fn new() -> Repository {
        let base = tempfile::tempdir().unwrap();
        Repository {
            root: base.path().canonicalize().unwrap(),
            _base: base,
        }
    }

    /// Writes a file below `elements`.
    pub fn write(&self, path: &str, mode: u32, text: &str) {
        let path = self.root.join("elements").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Runs check; there are no elements of upstream's.
    pub fn check(&self, arguments: &[&str]) -> Output {
        check(&self.root, arguments)
    }

    /// All findings with a code that begins so: element, code, place, text.
    pub fn findings(&self, codes: &str) -> Vec<String> {
        let root = self.root.to_str().unwrap();
        let output = self.check(&["--format", "json", root]);
        let report: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        let elements = report["elements"].as_array().unwrap();
        let mut found = Vec::new();
        for element in elements {
            for (code, place, what) in findings(element) {
                if code.starts_with(codes) {
                    found.push(format!(
                        "{} {code} {place}: {what}",
                        element["name"].as_str().unwrap()
                    ));
                }
            }
        }
        found
    }
}

/// Runs check with upstream's elements somewhere.
pub fn check(upstream: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_safedib"))
        .arg("check")
        .args(arguments)
        .env("ELEMENTS_PATH", "")
        .env("DIB_ELEMENTS_DIR", upstream)
        .output()
        .unwrap()
}

/// Code, place and text of an element's findings.
pub fn findings(element: &Value) -> Vec<(String, String, String)> {
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    let findings = element["findings"].as_array().unwrap();
    findings
        .iter()
        .map(|finding| {
            let file = text(finding, "file");
            let place = match finding["line"].as_u64().unwrap() {
                0 => file,
                line => format!("{file}:{line}"),
            };
            (text(finding, "code"), place, text(finding, "what"))
        })
        .collect()
}
