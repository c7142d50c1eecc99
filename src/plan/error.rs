//! Errors of planning.

use std::path::PathBuf;

use thiserror::Error;

use crate::elements::BlockDeviceUse;
use crate::error::Explain;
use crate::{blockdev, elements, request};

/// Why a request cannot be planned.
#[derive(Debug, Error)]
pub enum Error {
    /// Something about elements or hooks.
    #[error(transparent)]
    Elements(#[from] elements::Error),
    /// Something about the block-device configuration.
    #[error(transparent)]
    BlockDevice(#[from] blockdev::Error),
    /// A value that hooks cannot be given.
    #[error(transparent)]
    Request(#[from] request::Error),
    /// A configuration file that cannot be read.
    #[error("cannot read the block-device configuration {}: {source}", path.display())]
    BlockDeviceConfig {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A hook that needs a device which this version does not make.
    #[error(
        "element '{}' (asked for by {asked_by}) needs the image as a block device, \
         which safedib cannot give it yet: {}, line {}: {}",
        found.element, found.path.display(), found.line, found.why
    )]
    NeedsBlockDevice {
        /// The hook, and what in it needs the device.
        found: Box<BlockDeviceUse>,
        /// Who asked for its element.
        asked_by: String,
    },
    /// A filesystem that cannot be made from a tree.
    #[error(
        "filesystem '{node}' for '{mount_point}' has type {fstype}, which cannot be made from \
         a directory tree without mounting it"
    )]
    UnpopulatableFilesystem {
        /// mkfs node.
        node: String,
        /// Its type.
        fstype: String,
        /// Where it is mounted.
        mount_point: String,
    },
    /// A layout that only a kernel with block devices can make.
    #[error("block-device node '{node}': {what} is not supported yet by the namespace appliance")]
    BeyondOffline {
        /// Node name.
        node: String,
        /// What is not supported.
        what: String,
    },
    /// Sectors of another size.
    #[error("a disk with sectors of {0} bytes (DIB_BLOCK_SIZE) is not supported yet")]
    BlockSize(String),
}

impl Explain for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Error::Elements(error) => error.hint(),
            Error::BlockDevice(error) => error.hint(),
            Error::Request(error) => error.hint(),
            Error::BlockDeviceConfig { .. } => Some(
                "DIB_BLOCK_DEVICE_CONFIG takes YAML text, or file:// and an absolute path".into(),
            ),
            Error::NeedsBlockDevice { found, asked_by } => Some(format!(
                "leave out '{}' and what asks for it ({asked_by}); \
                 boot loaders come with the microvm appliance",
                found.element
            )),
            Error::UnpopulatableFilesystem { .. } => {
                Some("use ext4 (FS_TYPE=ext4), or build a tar with -t tar".into())
            }
            Error::BeyondOffline { .. } => Some(
                "use one disk with partitions or a plain filesystem, or build a tar with -t tar"
                    .into(),
            ),
            Error::BlockSize(_) => Some("unset DIB_BLOCK_SIZE".into()),
        }
    }
}
