//! Everything that can be wrong with a request.

use std::path::PathBuf;

use super::options::{OptionSpec, OPTIONS};
use crate::error::{near, Explain};

/// Why a request cannot be built. The exit status is 1 for all, as upstream's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The command line does not parse: one line per complaint, in the words of
    /// getopt(1), program name included.
    #[error("{}", .0.join("\n"))]
    Usage(Vec<String>),
    /// No element was named.
    #[error("ERROR: At least one distribution root element must be specified")]
    NoElements,
    /// An entry of `ELEMENTS_PATH` is no directory (upstream `InvalidElementDir`).
    #[error("ELEMENTS_PATH entry '{0}' is not a directory")]
    InvalidElementDir(String),
    /// Neither `ELEMENTS_PATH` nor an installed diskimage-builder gives elements.
    #[error("no elements found: ELEMENTS_PATH is not set and no installed diskimage-builder was found (looked in {})", .0.join(", "))]
    NoElementsDirectory(Vec<String>),
    /// `DIB_ELEMENTS_DIR` or `--lib` names something that is no directory.
    #[error("{what} '{path}' is not a directory")]
    NotADirectory {
        /// Variable or option.
        what: &'static str,
        /// Its value.
        path: String,
    },
    /// A variable that must be set is not.
    #[error("{name} is not set, and {needed_for} depends on it")]
    MissingVariable {
        /// The variable.
        name: &'static str,
        /// What cannot be computed without it.
        needed_for: &'static str,
    },
    /// A value is not text.
    #[error("{what} is not valid UTF-8: {value:?}")]
    NotUtf8 {
        /// Variable, option or argument.
        what: String,
        /// The value, made printable.
        value: String,
    },
    /// `--envvar` or `DIB_ENVVARS` without a name.
    #[error("--envvar (DIB_ENVVARS) '{0}' does not name a variable")]
    BadVariable(String),
    /// A value cannot mean anything.
    #[error("{what}: {why}: '{value}'")]
    BadValue {
        /// Option and variable.
        what: &'static str,
        /// The value as given.
        value: String,
        /// Why it is refused.
        why: &'static str,
        /// What to give instead.
        hint: &'static str,
    },
    /// An image size that no image can have.
    #[error("impossible size: {what} '{value}' {why}")]
    ImpossibleSize {
        /// Option and variable.
        what: &'static str,
        /// The value as given.
        value: String,
        /// Why it is refused.
        why: &'static str,
    },
    /// `-t` names a format that does not exist.
    #[error("unknown image type '{0}'")]
    UnknownFormat(String),
    /// `-t` names nothing, or has an empty entry.
    #[error("empty entry in the list of image types '{0}'")]
    EmptyFormat(String),
    /// Docker output without a target; upstream's text.
    #[error("Please set --docker-target.")]
    NoDockerTarget,
    /// A path of `--share` does not exist.
    #[error("--share path '{0}' does not exist")]
    NoSuchShare(String),
    /// The working directory is not known.
    #[error("current directory cannot be determined: {0}")]
    NoCurrentDirectory(String),
}

impl Error {
    pub(super) fn not_utf8(what: impl Into<String>, value: &std::ffi::OsStr) -> Self {
        Error::NotUtf8 {
            what: what.into(),
            value: value.to_string_lossy().into_owned(),
        }
    }

    pub(super) fn not_a_directory(what: &'static str, path: PathBuf) -> Self {
        Error::NotADirectory {
            what,
            path: path.display().to_string(),
        }
    }
}

impl Explain for Error {
    fn hint(&self) -> Option<String> {
        let text = match self {
            Error::InvalidElementDir(entry) if entry.is_empty() => {
                "remove the empty entry (a leading, trailing or double colon) from ELEMENTS_PATH"
            }
            Error::InvalidElementDir(_) => "create the directory or remove it from ELEMENTS_PATH",
            Error::NoElementsDirectory(_) => {
                "set ELEMENTS_PATH or DIB_ELEMENTS_DIR to a directory of elements, or install diskimage-builder"
            }
            Error::MissingVariable { name, .. } => return Some(format!("export {name}")),
            Error::BadVariable(_) => "give --envvar NAME, --envvar NAME=VALUE, or '*' for all",
            Error::BadValue { hint, .. } => hint,
            Error::ImpossibleSize { .. } => "give a positive number below 1 EiB, such as 10",
            Error::UnknownFormat(_) | Error::EmptyFormat(_) => {
                return Some(format!("known types: {}", super::formats::known()))
            }
            Error::Usage(complaints) => return complaints.iter().find_map(|line| meant(line)),
            Error::NoDockerTarget => {
                "--docker-target NAME[:TAG] names the image that the container engine gets"
            }
            Error::NoElements => {
                "name what the image is made of, such as: disk-image-create -o image debian-minimal vm"
            }
            Error::NoSuchShare(_) => "create it, or correct the path; only ':rw' may follow it",
            _ => return None,
        };
        Some(text.to_owned())
    }

    fn is_verbatim(&self) -> bool {
        matches!(
            self,
            Error::Usage(_) | Error::NoElements | Error::NoDockerTarget
        )
    }
}

/// What a complaint of the parser leads to: long options that the unknown one may
/// have been meant to be, or what value is missing.
fn meant(complaint: &str) -> Option<String> {
    let (_, text) = complaint.split_once(": ")?;
    let quoted = || text.split('\'').nth(1);
    if text.starts_with("unrecognized option") {
        let word = quoted()?.trim_start_matches('-').split('=').next()?;
        let known = OPTIONS.iter().filter_map(|option| option.long);
        let near = near(word, known);
        let near: Vec<String> = near.iter().map(|name| format!("--{name}")).collect();
        return Some(match near.is_empty() {
            true => "--help lists the options".to_owned(),
            false => format!("did you mean {}?", near.join(" or ")),
        });
    }
    let option = match text.contains("requires an argument") {
        true => quoted()?.trim_start_matches('-'),
        false => return None,
    };
    let is_it = |known: &&OptionSpec| {
        let short = known.short.map(String::from);
        known.long == Some(option) || short.as_deref() == Some(option)
    };
    let known = OPTIONS.iter().find(is_it)?;
    let value = known.value.unwrap_or_default();
    let dashes = if option.len() == 1 { "-" } else { "--" };
    Some(format!("{dashes}{option} {value}: {}", known.help))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_option_is_recognised() {
        let hint = |text: &str| Error::Usage(vec![text.to_owned()]).hint();
        let complaint = |word: &str| hint(&format!("x: unrecognized option '--{word}'"));
        let meant = Some("did you mean --image-size?".to_owned());
        assert_eq!(complaint("imagesize"), meant);
        assert_eq!(complaint("imagesize=10"), meant);
        let none = Some("--help lists the options".to_owned());
        assert_eq!(complaint("nothing-of-the-kind"), none);
        assert_eq!(hint("x: invalid option -- 'z'"), None);
        let missing = Some("-o NAME: path of the image, to which each type adds its extension");
        let short = hint("x: option requires an argument -- 'o'");
        assert_eq!(short.as_deref(), missing);
        let long = hint("x: option '--image-size' requires an argument");
        assert!(long.unwrap().starts_with("--image-size GIB: "));
    }
}
