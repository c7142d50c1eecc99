//! Errors of a build, as the driver sees them.

use std::path::PathBuf;

use nix::sys::signal::Signal;
use thiserror::Error;

use crate::error::{Explain, Setting};
use crate::report::{BuildFailure, LogError};
use crate::{appliance, output, plan};

use super::{DriveError, ReportError};

/// [`Error::Directory`]: the one for temporary trees.
pub(super) const TMP_DIR: &str = "TMP_DIR";
/// The one for what hooks download.
pub(super) const IMAGE_CACHE: &str = "DIB_IMAGE_CACHE";
/// The one for layers.
pub(super) const LAYERS: &str = "--cache";

/// Why a build failed.
#[derive(Debug, Error)]
pub enum Error {
    /// The request cannot be planned.
    #[error(transparent)]
    Plan(#[from] plan::Error),
    /// No appliance could be started.
    #[error(transparent)]
    Appliance(#[from] appliance::namespace::Error),
    /// The same, where a virtual machine could be.
    #[error(transparent)]
    NotNamespaces(appliance::namespace::Error),
    /// No virtual machine could be started.
    #[error(transparent)]
    Microvm(#[from] appliance::microvm::Error),
    /// The helper drive cannot be used.
    #[error(transparent)]
    Drive(#[from] DriveError),
    /// A report cannot be written, or compared with another.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The log cannot be written.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Outputs could not be made final.
    #[error(transparent)]
    Output(#[from] output::Error),
    /// A command of the host is missing.
    #[error("{message}")]
    MissingTool {
        /// Upstream's sentence where it has one.
        message: String,
        /// Debian package that has the command.
        package: String,
    },
    /// Hooks could write where safedib keeps what it trusts.
    #[error("hooks could write to {}, which safedib trusts: it lies in {}, which is shared ({why})", cache.display(), share.display())]
    Exposed {
        /// What is shared.
        share: PathBuf,
        /// Why it is.
        why: String,
        /// Where appliances and journals are.
        cache: PathBuf,
    },
    /// The directory for outputs cannot be used.
    #[error("cannot write the image into {}: {source}", directory.display())]
    OutputDirectory {
        /// The directory.
        directory: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A directory of the caller that the build needs.
    #[error("cannot use {} as {}: {source}", directory.display(), setting(what))]
    Directory {
        /// What it is for.
        what: &'static str,
        /// The directory.
        directory: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Something failed inside the appliance.
    #[error(transparent)]
    Failed(Box<BuildFailure>),
    /// The appliance ended without a word.
    #[error("the appliance died during '{during}': {detail}")]
    ApplianceDied {
        /// The step that ran.
        during: String,
        /// What is known about its end.
        detail: String,
        /// What to try.
        hint: String,
    },
    /// The agent speaks another version, or garbage.
    #[error("the agent in the appliance does not speak our protocol: {0}")]
    Protocol(String),
    /// A shell is wanted where nobody could be asked.
    #[error("there is no terminal for {what}: standard input is none")]
    NoTerminal {
        /// What wants it.
        what: &'static str,
    },
    /// A signal asked for the end.
    #[error("interrupted by {name}; {}", aftermath(story, left.as_deref()))]
    Interrupted {
        /// The signal's name.
        name: &'static str,
        /// Its number.
        number: i32,
        /// Where it found the build, and what became of that, a line each.
        story: Vec<String>,
        /// Why something of the build is still there.
        left: Option<String>,
    },
    /// The caller's limit on the size of files forbids one that the build makes.
    #[error("{what} has {bytes} bytes, and no file may have more than {limit} here (ulimit -f)")]
    FileLimit {
        /// The file.
        what: &'static str,
        /// Its size, holes included.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The image is made by running its programs, which nothing here does.
    #[error("{what}, and element `{element}` makes the image by running them")]
    ForeignArchitecture {
        /// Which architecture, and where it does not run.
        what: String,
        /// The element.
        element: String,
        /// What to change.
        hint: String,
    },
    /// Any other operation on the host.
    #[error("cannot {what}: {source}")]
    Host {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
}

impl From<BuildFailure> for Error {
    fn from(failure: BuildFailure) -> Error {
        Error::Failed(Box::new(failure))
    }
}

/// What the caller would set: a given TMPDIR goes before TMP_DIR.
fn setting(what: &str) -> String {
    match what {
        TMP_DIR => Setting::TmpDir.to_string(),
        what => what.to_owned(),
    }
}

impl Error {
    /// The end by a signal.
    pub(super) fn interrupted(signal: Signal, story: Vec<String>) -> Error {
        Error::Interrupted {
            name: signal.as_str(),
            number: signal as i32,
            story,
            left: None,
        }
    }

    /// What keeps the namespace appliance from starting also names the other
    /// one, where `works`, which is asked only then, says that it is a way out.
    pub(super) fn or_machine(self, works: impl FnOnce() -> bool) -> Error {
        use appliance::namespace::Error as Namespace;
        match self {
            // The same path cannot be shared with a machine either.
            Error::Appliance(error @ Namespace::Share { .. }) => Error::Appliance(error),
            // A machine makes larger files.
            Error::Appliance(error) if error.is_file_limit() => Error::Appliance(error),
            Error::Appliance(error) if works() => Error::NotNamespaces(error),
            other => other,
        }
    }
}

fn aftermath(story: &[String], left: Option<&str>) -> String {
    let mut text = match left {
        Some(left) => format!("not everything of the build was removed: {left}"),
        None => "everything of the build was removed".to_owned(),
    };
    for line in story {
        text.push('\n');
        text.push_str(line);
    }
    text
}

impl Explain for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Error::Plan(error) => error.hint(),
            Error::Appliance(error) => error.hint(),
            Error::NotNamespaces(error) => Some(match error.hint() {
                Some(hint) => format!("{hint}; or use {}", Setting::Appliance("microvm")),
                None => format!("use {}", Setting::Appliance("microvm")),
            }),
            Error::Microvm(error) => error.hint(),
            Error::Drive(error) => error.hint(),
            Error::Report(error) => error.hint(),
            Error::Log(error) => error.hint(),
            Error::Output(error) => error.hint(),
            Error::Exposed { .. } => Some(
                "use another directory there, such as one of its own below it (DIB_IMAGE_CACHE, \
                 DIB_LOCKFILES, --share)"
                    .to_owned(),
            ),
            Error::MissingTool { package, .. } => Some(format!("apt-get install {package}")),
            Error::OutputDirectory { directory, .. } if directory.parent().is_none() => {
                Some(Setting::NOT_IN_ROOT.to_owned())
            }
            Error::OutputDirectory { directory, source } => Some(Setting::writable(
                directory,
                source,
                &format!("choose another place with {}", Setting::Output),
            )),
            Error::Directory {
                what,
                directory,
                source,
            } => {
                let instead = format!("set {} to a directory you own", setting(what));
                Some(Setting::writable(directory, source, &instead))
            }
            Error::ForeignArchitecture { hint, .. } => Some(hint.clone()),
            Error::NoTerminal { what } => Some(match *what {
                "--shell-on-failure" => "leave --shell-on-failure out, or call it at a terminal: \
                    break=after-error with break_cmd=COMMAND runs a command that asks nothing"
                    .to_owned(),
                what if what.starts_with("a debug break") => format!(
                    "call it at a terminal, use {}, or break=after-error with a break_cmd that \
                     asks nothing",
                    Setting::Appliance("namespace")
                ),
                _ => "call it at a terminal".to_owned(),
            }),
            Error::FileLimit { .. } => Some(Setting::larger_files()),
            Error::Failed(error) => error.hint(),
            Error::ApplianceDied { hint, .. } => Some(hint.clone()),
            _ => None,
        }
    }

    fn exit_code(&self) -> u8 {
        match self {
            Error::Failed(error) => error.exit_code(),
            Error::Interrupted { number, .. } => u8::try_from(128 + number).unwrap_or(1),
            _ => 1,
        }
    }
}
