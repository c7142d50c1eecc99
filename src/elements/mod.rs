//! Elements: finding them, resolving dependencies, collecting hooks.

#![cfg_attr(
    not(test),
    warn(
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::arithmetic_side_effects
    )
)]

mod catalog;
mod devices;
mod error;
mod gone;
mod hooks;
mod interpreters;
mod order;
mod phase;
mod resolver;
mod tools;

pub use devices::{calls, reads_block_device, BlockDeviceUse};
pub use error::{Error, Origin};
pub use gone::{gone_sources, GoneSource};
pub use hooks::{merge, merge_without, EnvironmentFile, HookNotice, MergedHooks, NoticeReason};
pub use interpreters::interpreter;
pub use order::{compare_environment_files, compare_hooks, is_environment_name, is_hook_name};
pub use phase::{Location, Phase};
pub use resolver::{resolve, resolve_loosely};
pub use tools::{host_tools, known_tools, Need, ToolNeed};

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// An element as found on `ELEMENTS_PATH`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Element {
    /// Base name of the real path (upstream `_find_all_elements`).
    pub name: String,
    /// Absolute real path.
    pub path: PathBuf,
    /// Lines of `element-deps`.
    pub depends: BTreeSet<String>,
    /// Lines of `element-provides`.
    pub provides: BTreeSet<String>,
}

/// Every element that can be found, by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Catalog {
    /// The elements.
    pub elements: BTreeMap<String, Element>,
    /// `(used, hidden)` paths, where an earlier path's element hides a later one's.
    pub overrides: Vec<(PathBuf, PathBuf)>,
}

/// The elements of one build, sorted by name.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ElementSet {
    /// The elements.
    pub elements: Vec<Element>,
    /// For each element who asked for it: element names, or `""` for the user.
    pub requested_by: BTreeMap<String, Vec<String>>,
}

impl ElementSet {
    /// Who asked for an element, in words: `you` for the request itself.
    pub fn askers(&self, element: &str) -> String {
        let askers: Vec<&str> = self
            .requested_by
            .get(element)
            .into_iter()
            .flatten()
            .map(|asker| if asker.is_empty() { "you" } else { asker })
            .collect();
        askers.join(", ")
    }

    /// Drops elements by name. What they asked for stays.
    pub fn exclude(&mut self, names: &[String]) {
        self.elements
            .retain(|element| !names.contains(&element.name));
        self.requested_by.retain(|name, _| !names.contains(name));
    }

    /// Names of the elements, sorted.
    pub fn names(&self) -> Vec<&str> {
        self.elements
            .iter()
            .map(|element| element.name.as_str())
            .collect()
    }
}

/// A hook script that will run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hook {
    /// Phase.
    pub phase: Phase,
    /// File name.
    pub name: String,
    /// Element that it comes from.
    pub element: String,
    /// Absolute path in the element.
    pub path: PathBuf,
}

/// One copy into the merged hooks tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookCopy {
    /// Element that it comes from.
    pub element: String,
    /// Absolute path of the file or directory in the element.
    pub source: PathBuf,
    /// Destination directory below the hooks tree: `""` for top-level files,
    /// else the name of a first-level directory such as `install.d`.
    pub directory: String,
}
