//! Errors of finding, resolving and merging elements.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Explain, Setting};

/// What can be wrong with the elements of a request.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An entry of the elements path is no directory; the empty string counts.
    #[error("ELEMENTS_PATH entry '{}' is not a directory ", .entry.display())]
    NotADirectory {
        /// The entry as given.
        entry: PathBuf,
    },
    /// A directory or file of an element cannot be read.
    #[error("cannot read {}: {source}", .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// `element-deps`, `element-provides` or a name is not UTF-8.
    #[error("{} is not UTF-8", .path.display())]
    NotText {
        /// Which.
        path: PathBuf,
    },
    /// An element does not exist in the catalog.
    #[error("Element '{name}' not found{}", asked_for_by(.requested_by))]
    MissingElement {
        /// Its name.
        name: String,
        /// From the element that the user named down to the one whose
        /// `element-deps` asks for it; empty if the user asked.
        requested_by: Vec<String>,
        /// Elements that exist and have a similar name, best first.
        suggestions: Vec<String>,
    },
    /// Two elements of the build provide the same name.
    #[error("{name}: already provided by ['{provided_by}']{}", and_by(.second, .provided_by))]
    AlreadyProvided {
        /// What is provided.
        name: String,
        /// The first provider.
        provided_by: String,
        /// The second one; the same as the first if it was requested twice.
        second: String,
    },
    /// Elements that the user named are provided by others of the build.
    #[error("The following elements are already provided by another element{}", conflict_lines(.conflicts))]
    RequestedButProvided {
        /// `(requested, provider)`.
        conflicts: Vec<(String, String)>,
    },
    /// No element of the build provides `operating-system`.
    #[error("Please include an operating system element")]
    MissingOperatingSystem {
        /// The elements of the catalog that would.
        candidates: Vec<String>,
    },
    /// Two elements have a hook of the same name (`generate_hooks`).
    #[error(
        "There is a duplicated hook in your elements: /{directory}/{name} (in {first}, and in {second})"
    )]
    DuplicateHook {
        /// First-level directory, `install.d`.
        directory: String,
        /// File name.
        name: String,
        /// The file of the element that comes first by name.
        first: Box<Origin>,
        /// The other one.
        second: Box<Origin>,
    },
    /// A directory of one element and a file of another have the same name.
    #[error("{} is a directory in {directory}, and a file in {file}", .path.display())]
    DirectoryAndFile {
        /// Path of both in the merged tree.
        path: PathBuf,
        /// The directory.
        directory: Box<Origin>,
        /// The file.
        file: Box<Origin>,
    },
}

/// A file or directory of an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Name of the element.
    pub element: String,
    /// Absolute path.
    pub path: PathBuf,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}': {}", self.element, self.path.display())
    }
}

impl Error {
    /// An I/O error on `path`, to be used with `map_err`.
    pub(crate) fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> Error + '_ {
        move |source| Error::Unreadable {
            path: path.to_path_buf(),
            source,
        }
    }
}

fn asked_for_by(chain: &[String]) -> String {
    let mut text = String::new();
    for (index, element) in chain.iter().rev().enumerate() {
        text.push_str(if index == 0 {
            " (asked for by '"
        } else {
            ", which '"
        });
        text.push_str(element);
        text.push_str(if index == 0 { "'" } else { "' asks for" });
    }
    if !text.is_empty() {
        text.push(')');
    }
    text
}

fn and_by(second: &str, first: &str) -> String {
    if second == first {
        format!(" ('{first}' is requested twice)")
    } else {
        format!(", and by '{second}'")
    }
}

fn conflict_lines(pairs: &[(String, String)]) -> String {
    pairs
        .iter()
        .map(|(requested, provider)| format!("\n{requested} : already provided by ['{provider}']"))
        .collect()
}

impl Explain for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Error::NotADirectory { entry } if entry.as_os_str().is_empty() => {
                Some(format!("remove the empty entry (a leading, trailing or double colon) from {}", Setting::ElementsPath))
            }
            Error::NotADirectory { entry } => Some(format!(
                "remove {} from {}, or create it",
                entry.display(),
                Setting::ElementsPath
            )),
            Error::Unreadable { path, .. } => {
                Some(format!("make {} readable for you", path.display()))
            }
            Error::NotText { path } => Some(format!(
                "save {} as UTF-8, or rename it",
                path.display()
            )),
            Error::MissingElement {
                name, suggestions, ..
            } => Some(missing_hint(name, suggestions)),
            Error::AlreadyProvided {
                provided_by,
                second,
                ..
            } if provided_by == second => Some(format!("name '{second}' once")),
            Error::AlreadyProvided {
                provided_by,
                second,
                ..
            } => Some(format!(
                "request only one of '{provided_by}' and '{second}', or of the elements that depend on them"
            )),
            Error::RequestedButProvided { conflicts } => Some(format!(
                "do not request {}",
                quoted(conflicts.iter().map(|(requested, _)| requested))
            )),
            Error::MissingOperatingSystem { candidates } if candidates.is_empty() => {
                Some(format!("no element of {} provides operating-system; add diskimage-builder's elements directory", Setting::ElementsPath))
            }
            Error::MissingOperatingSystem { candidates } => {
                Some(format!("add one of {}", quoted(candidates.iter())))
            }
            Error::DuplicateHook { directory, .. } => Some(format!(
                "rename one of the two files; names must be unique in {directory} over all elements of a build"
            )),
            Error::DirectoryAndFile { .. } => Some("rename one of the two".into()),
        }
    }
}

fn missing_hint(name: &str, suggestions: &[String]) -> String {
    if name.starts_with('#') {
        return "element-deps cannot hold comments: remove the line".into();
    }
    if suggestions.is_empty() {
        return format!(
            "check the spelling, or add the directory that holds it to {}",
            Setting::ElementsPath
        );
    }
    format!("did you mean {}?", quoted(suggestions.iter()))
}

fn quoted<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let names: Vec<String> = names.map(|name| format!("'{name}'")).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_begin_with_upstreams_wording() {
        let missing = |requested_by: &[&str]| Error::MissingElement {
            name: "x".into(),
            requested_by: requested_by.iter().map(|name| name.to_string()).collect(),
            suggestions: vec![],
        };
        for (error, message) in [
            (missing(&[]), "Element 'x' not found"),
            (
                missing(&["vm", "boot"]),
                "Element 'x' not found (asked for by 'boot', which 'vm' asks for)",
            ),
            (
                Error::NotADirectory { entry: "".into() },
                "ELEMENTS_PATH entry '' is not a directory ",
            ),
            (
                Error::AlreadyProvided {
                    name: "operating-system".into(),
                    provided_by: "ubuntu".into(),
                    second: "ubuntu".into(),
                },
                "operating-system: already provided by ['ubuntu'] ('ubuntu' is requested twice)",
            ),
            (
                Error::RequestedButProvided {
                    conflicts: vec![("x".into(), "y".into())],
                },
                "The following elements are already provided by another element\nx : already provided by ['y']",
            ),
        ] {
            assert_eq!(error.to_string(), message);
            assert!(error.hint().is_some());
        }
    }
}
