//! Everything that can be wrong with a command line of virt-dib.

use std::path::PathBuf;

use crate::error::Explain;
use crate::request;

use super::line::PROGRAM;

/// Why a command line asks for nothing that can be built; exit status 1 for all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The words do not parse: the lines as they go out.
    #[error("{0}")]
    Usage(String),
    /// A word is not text.
    #[error("command-line argument is not valid UTF-8: {0:?}")]
    NotUtf8(String),
    /// `--debug` below 0; the original's text, as all that follow.
    #[error("--debug parameter must be >= 0")]
    NegativeDebug,
    /// `--size` is no size.
    #[error("{0}: cannot parse size field")]
    Size(String),
    /// `--formats` names something else.
    #[error("invalid format ‘{0}’ in --formats")]
    Format(String),
    /// `--machine-readable` with an unknown format.
    #[error("invalid {what} for --machine-readable: {format}")]
    MachineReadable {
        /// What is wrong with it.
        what: &'static str,
        /// The value.
        format: String,
    },
    /// No `-B`.
    #[error("-B must be specified")]
    NoBasepath,
    /// No element.
    #[error("at least one distribution root element must be specified")]
    NoElements,
    /// `-B` names another directory.
    #[error("the specified base path is not the diskimage-builder library")]
    NotTheLibrary(String),
    /// A program is missing.
    #[error("{0} needed but not found")]
    NoProgram(String),
    /// The docker format without `--docker-target`.
    #[error("docker: a target was not specified, use ‘--docker-target’")]
    NoDockerTarget,
    /// No `-p`, or none that is a directory.
    #[error("no directory with elements: {}", if .0.is_empty() { "-p was not given".to_owned() } else { format!("not a directory: {}", .0.join(", ")) })]
    NoElementPath(Vec<String>),
    /// `--envvar` for a variable that an option sets.
    #[error("--envvar {name} cannot be used")]
    OptionVariable {
        /// The variable.
        name: String,
        /// The option to use.
        option: &'static str,
    },
    /// `--envvar` without a name.
    #[error("--envvar '{0}' does not name a variable")]
    BadVariable(String),
    /// `--python` names a program that appliances do not show.
    #[error("--python: no appliance has {}", .0.display())]
    HiddenPython(PathBuf),
    /// What is wrong in the same way with any command.
    #[error(transparent)]
    Request(#[from] request::Error),
}

impl Error {
    /// A complaint of getopt, with the advice that the original adds.
    pub(super) fn usage(complaint: String) -> Self {
        Error::usage_of(complaint)
    }

    pub(super) fn usage_of(complaint: String) -> Self {
        Error::Usage(format!(
            "{PROGRAM}: {complaint}\n\
             Try ‘{PROGRAM} --help’ or consult {PROGRAM}(1) for more information."
        ))
    }
}

impl Explain for Error {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Error::Size(_) => {
                "give a number and a unit: b (bytes), K, M or G, such as 10G".to_owned()
            }
            Error::Format(_) => format!(
                "known formats: {}",
                super::values::FORMATS.map(|(name, _)| name).join(", ")
            ),
            Error::NoBasepath => {
                "give -B the lib directory of diskimage-builder, which has the file 'die'".to_owned()
            }
            Error::NotTheLibrary(path) => format!(
                "there is no {path}/die; give -B the directory diskimage_builder/lib of an installed or unpacked diskimage-builder"
            ),
            Error::NoElementPath(_) => {
                "give -p the directory diskimage_builder/elements of an installed or unpacked diskimage-builder".to_owned()
            }
            Error::OptionVariable { option, .. } => format!("use {option}"),
            Error::HiddenPython(_) => {
                "give an interpreter that is installed below /usr, without links that lead elsewhere"
                    .to_owned()
            }
            Error::BadVariable(_) => "give --envvar NAME or --envvar NAME=VALUE".to_owned(),
            Error::Request(error) => return error.hint(),
            _ => return None,
        })
    }

    fn is_verbatim(&self) -> bool {
        matches!(self, Error::Usage(_))
    }
}
