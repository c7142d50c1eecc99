//! Which tests are switched off.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::{ini, text};

const MARK: &[u8] = b"# dib-lint: disable=";

/// Names of tests that are switched off.
#[derive(Debug, Clone, Default)]
pub struct Exclusions(BTreeSet<String>);

impl Exclusions {
    /// Those of a directory's `tox.ini`, if it has one.
    pub fn of(directory: &Path) -> Exclusions {
        let text = fs::read(directory.join("tox.ini")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let mut section = ini::section(&text, "dib-lint").unwrap_or_default();
        let ignored = section.remove("ignore").unwrap_or_default();
        Exclusions(ignored.split_whitespace().map(str::to_owned).collect())
    }

    /// With those that a file's own comments name.
    pub fn and_of(&self, content: &[u8]) -> Exclusions {
        let mut all = self.clone();
        for line in text::lines(content) {
            if let Some(names) = line.strip_prefix(MARK) {
                let names = String::from_utf8_lossy(names);
                let names = names.replace(&*String::from_utf8_lossy(MARK), "");
                all.0.extend(names.split_whitespace().map(str::to_owned));
            }
        }
        all
    }

    /// Whether a test is switched off.
    pub fn has(&self, test: &str) -> bool {
        self.0.contains(test)
    }
}
