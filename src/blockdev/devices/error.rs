//! What can go wrong with devices.

use std::io;
use std::path::PathBuf;

use super::command::Command;
use super::system::Failure;
use crate::blockdev;
use crate::error::{Explain, Setting};

/// Any failure to make or to release devices.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A layout that does not fit, or a state that lacks something.
    #[error("block-device node '{node}': {source}")]
    Layout {
        /// Node name.
        node: String,
        /// What is wrong.
        source: blockdev::Error,
    },
    /// A tool is absent.
    #[error("block-device node '{node}': {tool} is needed and not installed here")]
    MissingTool {
        /// Node name.
        node: String,
        /// Command name.
        tool: &'static str,
        /// Debian's package of it.
        package: &'static str,
    },
    /// A tool failed.
    #[error("block-device node '{node}': [{command}] failed ({status}){}", tail_text(.output))]
    Tool {
        /// Node name.
        node: String,
        /// The whole command line.
        command: String,
        /// How it ended.
        status: String,
        /// Last lines that it printed.
        output: String,
    },
    /// A system call failed.
    #[error("block-device node '{node}': cannot {action} {}: {source}", .path.display())]
    Io {
        /// Node name.
        node: String,
        /// What was tried, as in "cannot ACTION PATH".
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The disk that the machine has for an image is smaller than the image.
    #[error(
        "block-device node '{node}': its disk {} has {has} bytes, the image {needs}",
        .path.display()
    )]
    SmallMedium {
        /// Node name.
        node: String,
        /// The disk.
        path: PathBuf,
        /// Its bytes.
        has: u64,
        /// Bytes of the image.
        needs: u64,
    },
    /// A tool ended well, and its device is not there.
    #[error("block-device node '{node}': {command} made no {device}")]
    NoDevice {
        /// Node name.
        node: String,
        /// The command line.
        command: String,
        /// The device.
        device: String,
    },
    /// Creation failed, and so did taking back what was there by then.
    #[error("{first}; and what was made could not be taken back: {rest}")]
    Rollback {
        /// Why creation failed.
        first: Box<Error>,
        /// What is left, and why.
        rest: String,
    },
}

fn tail_text(output: &str) -> String {
    match output.trim() {
        "" => String::new(),
        text => format!(": {text}"),
    }
}

impl Error {
    /// A command of a node that failed.
    pub(super) fn of(node: &str, command: &Command, failure: Failure) -> Error {
        let node = node.to_owned();
        match failure {
            Failure::Missing => Error::MissingTool {
                node,
                tool: command.program,
                package: command.package,
            },
            Failure::Io(source) => Error::Io {
                node,
                action: "run",
                path: command.program.into(),
                source,
            },
            Failure::Status { status, output } => Error::Tool {
                node,
                command: command.to_string(),
                status,
                output,
            },
        }
    }

    /// Makes an [`Error::Io`] of a node out of the error of a system call.
    pub(super) fn io<'a>(
        node: &'a str,
        action: &'static str,
        path: impl Into<PathBuf> + 'a,
    ) -> impl FnOnce(io::Error) -> Error + 'a {
        move |source| Error::Io {
            node: node.into(),
            action,
            path: path.into(),
            source,
        }
    }

    /// Makes an [`Error::Layout`] of a node.
    pub(super) fn layout(node: &str) -> impl FnOnce(blockdev::Error) -> Error + '_ {
        move |source| Error::Layout {
            node: node.into(),
            source,
        }
    }
}

impl Explain for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Error::Layout { source, .. } => source.hint(),
            Error::MissingTool { package, .. } => Some(format!(
                "install the Debian package {package} on this host: the microvm appliance is made of its packages"
            )),
            Error::Tool { command, .. } if command.starts_with("umount") => {
                Some("a process that a hook has left running may use the filesystem".into())
            }
            Error::Tool { command, .. } if command.starts_with("mkfs ") => Some(
                "see 'type', 'opts' and the size of this filesystem in the block-device \
                 configuration, and --mkfs-options (MKFS_OPTS) for the root filesystem"
                    .into(),
            ),
            Error::SmallMedium { .. } => Some(format!("raise {}", Setting::ImageSize)),
            Error::Rollback { first, .. } => first.hint(),
            _ => None,
        }
    }
}
