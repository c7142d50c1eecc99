//! The caller's exported environment, as bytes.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

/// Exported variables by name. Values need not be UTF-8.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment(pub BTreeMap<OsString, OsString>);

impl Environment {
    /// The environment of this process.
    pub fn current() -> Self {
        Environment(std::env::vars_os().collect())
    }

    /// The value of a variable, empty values included.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// The value of a variable, as the shell's `${NAME:-...}` sees it: an empty
    /// value counts as none.
    pub fn filled(&self, name: &str) -> Option<&OsStr> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// Exports a variable.
    pub fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.0.insert(OsString::from(name), value.into());
    }

    /// Changes a variable that the caller exported and leaves others unset: what
    /// an assignment without `export` does in the engine's shell.
    pub fn assign(&mut self, name: &str, value: impl Into<OsString>) {
        if let Some(slot) = self.0.get_mut(OsStr::new(name)) {
            *slot = value.into();
        }
    }

    /// Removes a variable.
    pub fn remove(&mut self, name: &str) {
        self.0.remove(OsStr::new(name));
    }
}

impl<N: Into<OsString>, V: Into<OsString>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Environment(
            pairs
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }
}
