//! Which tests are switched off.

use std::collections::BTreeSet;
use std::fs;

use super::{ini, shell};

const MARK: &[u8] = b"# dib-lint: disable=";

/// Names of tests that are switched off.
#[derive(Debug, Clone, Default)]
pub(super) struct Exclusions(BTreeSet<String>);

impl Exclusions {
    /// Those of `./tox.ini`.
    pub(super) fn global() -> Exclusions {
        let text = fs::read("tox.ini").unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let mut section = ini::section(&text, "dib-lint").unwrap_or_default();
        let ignored = section.remove("ignore").unwrap_or_default();
        Exclusions(ignored.split_whitespace().map(str::to_owned).collect())
    }

    /// With those that a file's own comments name.
    pub(super) fn and_of(&self, content: &[u8]) -> Exclusions {
        let mut all = self.clone();
        for line in shell::lines(content) {
            if let Some(names) = line.strip_prefix(MARK) {
                let names = String::from_utf8_lossy(names);
                let names = names.replace(&*String::from_utf8_lossy(MARK), "");
                all.0.extend(names.split_whitespace().map(str::to_owned));
            }
        }
        all
    }

    pub(super) fn has(&self, test: &str) -> bool {
        self.0.contains(test)
    }
}
