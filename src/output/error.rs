//! What can go wrong while outputs are made.

use std::io;
use std::path::{Path, PathBuf};

use crate::blockdev;
use crate::error::{Explain, Setting};

/// Any failure to make an output.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A tool of the host is absent.
    #[error("{tool} is needed and not installed")]
    MissingTool {
        /// Command name.
        tool: String,
        /// Debian's package of it.
        package: &'static str,
    },
    /// qemu-img is too old for `--compression zstd`.
    #[error("--compression zstd needs a qemu-img that writes qcow2 images so (5.1 or later), and this host's does not")]
    NoZstd,
    /// A tool failed.
    #[error("{tool} failed ({status}){}", tail_text(.tail))]
    Tool {
        /// Command name.
        tool: String,
        /// How it ended.
        status: String,
        /// Last lines of its standard error.
        tail: String,
    },
    /// A tool failed that does not name what it writes.
    #[error("{cause}\nit was writing {}", .path.display())]
    Writing {
        /// The file.
        path: PathBuf,
        /// How it failed.
        cause: Box<Error>,
    },
    /// A system call failed.
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        /// What was tried, as in "cannot ACTION PATH".
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The tree does not fit into its filesystem.
    #[error(
        "filesystem '{node}' of {size} bytes is too small: the tree needs about {tree} bytes{}",
        tail_text(.tail)
    )]
    TooSmall {
        /// Node name.
        node: String,
        /// Bytes of the disk or partition.
        size: u64,
        /// Bytes of the tree, by its blocks.
        tree: u64,
        /// Last lines of mkfs.
        tail: String,
    },
    /// The filesystem, or the tool that fills it, cannot hold something.
    #[error("filesystem '{node}' ({fstype}) cannot hold {what}: {}", .path.display())]
    Unrepresentable {
        /// Node name.
        node: String,
        /// Its type.
        fstype: String,
        /// What it cannot hold.
        what: &'static str,
        /// The first path concerned.
        path: PathBuf,
    },
    /// There is no way to fill this type without mounting it.
    #[error("filesystem '{node}': {fstype} cannot be filled without mounting it")]
    CannotPopulate {
        /// Node name.
        node: String,
        /// Its type.
        fstype: String,
    },
    /// Something that is made by a kernel with block devices.
    #[error("block-device node '{node}': {what} cannot be made without block devices")]
    NotOffline {
        /// Node name.
        node: String,
        /// What it is.
        what: String,
    },
    /// A filesystem that is mounted has no tree.
    #[error("no tree was given for filesystem '{0}'")]
    NoTree(String),
    /// The layout does not fit the disk.
    #[error(transparent)]
    BlockDevice(#[from] blockdev::Error),
    /// A device node whose name a tool cannot be told.
    #[error("device node with a name that {tool} cannot take: {}", .path.display())]
    NodeName {
        /// The tool.
        tool: &'static str,
        /// The node.
        path: PathBuf,
    },
    /// The list of device nodes is damaged.
    #[error("device-node registry {}, line {line}: {reason}", .path.display())]
    Registry {
        /// The registry.
        path: PathBuf,
        /// Line number from 1.
        line: usize,
        /// Why.
        reason: String,
    },
    /// An archive that GNU tar wrote does not read back.
    #[error("unexpected content in archive {} at byte {offset}", .path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// Where.
        offset: u64,
    },
    /// Neither docker nor podman.
    #[error("neither docker nor podman is on PATH; the image cannot be imported")]
    NoContainerClient,
    /// Hooks could write to a directory of ours, and something lies there that
    /// we have not put there: it is not followed.
    #[error("{} is not {expected}: a hook has put something else there", .path.display())]
    Planted {
        /// Where.
        path: PathBuf,
        /// What should be there.
        expected: &'static str,
    },
    /// Somebody has asked for the end.
    #[error("ended before the outputs were put in place")]
    Ended,
    /// Outputs could not all be put in place; those that were are undone.
    #[error("outputs were not put in place: cannot rename {} to {}: {source}", .from.display(), .to.display())]
    Rename {
        /// Staged file.
        from: PathBuf,
        /// Final name.
        to: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Error {
    /// Names the file that a tool was writing when it failed.
    pub(super) fn writing(self, path: &Path) -> Error {
        match self {
            Error::Tool { .. } => Error::Writing {
                path: path.into(),
                cause: Box::new(self),
            },
            other => other,
        }
    }
}

fn tail_text(tail: &str) -> String {
    match tail.trim() {
        "" => String::new(),
        text => format!(": {text}"),
    }
}

/// What to do when an output finds no room.
fn full(path: &Path) -> String {
    format!(
        "free space on the filesystem of {}, or choose another place with {}",
        path.display(),
        Setting::Output
    )
}

/// Makes an [`Error::Io`] out of the error of a system call.
pub(super) fn io_error<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> Error + 'a {
    move |source| Error::Io {
        action,
        path: path.to_path_buf(),
        source,
    }
}

impl Explain for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Error::MissingTool { package, .. } => {
                Some(format!("install the Debian package {package}"))
            }
            Error::TooSmall { tail, .. } if tail.contains("journal size too big") => Some(format!(
                "the journal takes at most half of the filesystem: lower {} or raise {}",
                Setting::JournalSize,
                Setting::ImageSize
            )),
            Error::TooSmall { .. } => Some(format!(
                "raise {}, or give the partition more room",
                Setting::ImageRoom
            )),
            Error::CannotPopulate { .. } => Some(format!(
                "use ext4 ({} or 'type: ext4' in the configuration)",
                Setting::FsType("ext4")
            )),
            Error::Planted { .. } => Some(
                "look for hooks that write below /run/safedib, which is no part of what elements \
                 are given"
                    .into(),
            ),
            Error::NoZstd => Some(
                "leave out --compression zstd, or install a later qemu-img (package qemu-utils)"
                    .into(),
            ),
            Error::NoContainerClient => Some("install docker.io or podman".into()),
            Error::Io { path, source, .. } => match source.kind() {
                io::ErrorKind::StorageFull => Some(full(path)),
                io::ErrorKind::FileTooLarge => Some(Setting::larger_files()),
                _ => None,
            },
            Error::Rename { to, source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                Some(full(to))
            }
            Error::BlockDevice(error) => error.hint(),
            _ => None,
        }
    }
}
