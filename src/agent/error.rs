//! What can go wrong while an agent executes steps.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::error::{Explain, Setting, Syntax};
use crate::plan::Phase;
use crate::protocol::Failure;

/// Why a step failed.
#[derive(Debug, Error)]
pub(crate) enum Error {
    /// A hook, an environment file or a command in the target failed.
    #[error("{} failed with status {status}", hook.as_deref().unwrap_or("environment.d"))]
    Hook {
        phase: Phase,
        hook: Option<String>,
        status: i32,
        tail: Vec<String>,
    },
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("cannot run {program}: {source}")]
    Spawn { program: String, source: io::Error },
    #[error("{program} ended with status {status}")]
    Tool { program: String, status: i32 },
    #[error("the debug command at {point} ended with status {status}")]
    Break { point: String, status: i32 },
    #[error("there is no terminal for a shell")]
    NoTerminal,
    #[error("no root.d hook left anything in the target")]
    NotDeployed,
    #[error("two elements have the hook {}", .0.display())]
    DuplicateHook(PathBuf),
    #[error("the target has no directory /{0}")]
    MissingDirectory(String),
    #[error("the target takes {tree_kib} KiB, more than the {size_kib} KiB of the disk")]
    TooSmall { tree_kib: u64, size_kib: u64 },
    #[error("{program} printed no size: {output:?}")]
    NoSize { program: String, output: String },
    #[error("the layout mounts no filesystem at /")]
    NoRootFilesystem,
    #[error("mount point {0} is no directory in the target")]
    NotADirectory(String),
    #[error("a hook of block-device.d printed what the shell cannot run: {0}")]
    DeviceLine(String),
    #[error("variable ‘IMAGE_BLOCK_DEVICE’ not found in lines:\n{0}")]
    NoDeviceLine(String),
    #[error("variable ‘IMAGE_BLOCK_DEVICE’ has more than one occurrency in lines:\n{0}")]
    TwoDeviceLines(String),
    #[error("block-device.d names '{0}' as IMAGE_BLOCK_DEVICE, which is no block device")]
    NoBlockDevice(String),
    #[error("the size of the disk is not known: no step has measured the tree")]
    NoDiskSize,
    #[error("no step has made the block devices that this one gives up")]
    NoDevices,
    #[error(transparent)]
    Devices(#[from] crate::blockdev::devices::Error),
    #[error(transparent)]
    BlockDevices(#[from] crate::blockdev::Error),
    #[error("step needs filesystem trees, but no step has split the target")]
    NotSplit,
    #[error("the appliance does not have {}, which is to run the elements' Python", .0.display())]
    NoPython(PathBuf),
    #[error(transparent)]
    Drive(#[from] super::drive::DriveError),
    #[error("cannot talk to the driver: {0}")]
    Channel(io::Error),
    #[error(transparent)]
    Output(#[from] super::pack::Error),
}

impl Error {
    /// An error of an operation on a path; `action` reads as "cannot ACTION PATH".
    pub(crate) fn io(
        action: &'static str,
        path: impl AsRef<Path>,
    ) -> impl FnOnce(io::Error) -> Error {
        let path = path.as_ref().to_owned();
        move |source| Error::Io {
            action,
            path,
            source,
        }
    }

    /// As it is sent to the driver, for the step with this index.
    pub(crate) fn into_failure(self, index: usize) -> Failure {
        match self {
            Error::Hook {
                phase,
                hook,
                status,
                tail,
            } => Failure::Hook {
                phase,
                hook,
                status,
                tail,
            },
            other => Failure::Step {
                index,
                message: other.to_string(),
                hint: other.hint(),
                status: i32::from(other.exit_code()),
            },
        }
    }
}

impl Explain for Error {
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Error::NotDeployed => "add an element that provides operating-system, or look at what its root.d hooks print".to_owned(),
            Error::DuplicateHook(_) => "rename the hook in one of the elements, or leave one of them out".to_owned(),
            Error::MissingDirectory(path) => format!("let a root.d hook create $TARGET_ROOT/{path}"),
            Error::DeviceLine(_)
            | Error::NoDeviceLine(_)
            | Error::TwoDeviceLines(_)
            | Error::NoBlockDevice(_) => {
                "let a hook print one line IMAGE_BLOCK_DEVICE=/dev/... with the device for the \
                 root filesystem, and nothing else with that name"
                    .to_owned()
            }
            Error::TooSmall { tree_kib, .. } => {
                let least = tree_kib.div_ceil(1 << 20) + 1;
                match Syntax::spoken() {
                    Syntax::DiskImageCreate => format!(
                        "leave DIB_IMAGE_SIZE (--image-size) out, or set it to {least} or more"
                    ),
                    Syntax::VirtDib => format!("give --size {least}G or more"),
                }
            }
            Error::Io { source, .. } | Error::Spawn { source, .. }
                if source.raw_os_error() == Some(nix::libc::ENOSPC) =>
            {
                Setting::more_room()
            }
            Error::NoPython(_) => "name its package in DIB_APPLIANCE_PACKAGES, or leave out --python".to_owned(),
            Error::Drive(error) => error.hint(),
            Error::Output(error) => return error.hint(),
            Error::Devices(error) => return error.hint(),
            Error::BlockDevices(error) => return error.hint(),
            _ => return None,
        };
        Some(hint)
    }

    fn exit_code(&self) -> u8 {
        match self {
            Error::Hook { status, .. }
            | Error::Tool { status, .. }
            | Error::Break { status, .. } => u8::try_from(*status).unwrap_or(1),
            Error::Output(error) => error.exit_code(),
            _ => 1,
        }
    }
}
