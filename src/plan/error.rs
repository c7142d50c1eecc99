//! Errors of planning.

use std::path::PathBuf;

use thiserror::Error;

use crate::elements::BlockDeviceUse;
use crate::error::{Explain, Setting};
use crate::request::Generation;
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
    /// A shell is wanted at a phase that this build does not have.
    #[error("this build has no phase '{phase}', next to which a shell could be opened")]
    NoSuchPlace {
        /// The phase.
        phase: String,
    },
    /// What the namespace appliance cannot do, where the user wants no other.
    #[error("{0}")]
    Lack(#[from] Lack),
    /// A hook of the phase that made the device before configuration did, with
    /// an engine that has a configuration.
    #[error(
        "element '{element}' (asked for by {asked_by}) makes the block device by a hook, as \
         diskimage-builder 1.x and before had it; this build is of generation {generation}: {}",
        path.display()
    )]
    BlockDeviceHook {
        /// Element of the hook.
        element: String,
        /// Who asked for it.
        asked_by: String,
        /// The hook.
        path: PathBuf,
        /// Generation of the build.
        generation: Generation,
    },
    /// A hook and a configuration that both make the disk.
    #[error("the hook {} and {configuration} both say how the disk is made", path.display())]
    TwoDisks {
        /// The hook.
        path: PathBuf,
        /// Where the configuration is from.
        configuration: String,
    },
    /// A hook outside the target that would certainly fail.
    #[error(
        "element '{element}': {} needs {program}, which this host does not have", path.display()
    )]
    NoInterpreter {
        /// The program.
        program: String,
        /// Element of the hook.
        element: String,
        /// The hook.
        path: PathBuf,
    },
    /// An image file that would not come out of the appliance.
    #[error("local_loop node '{node}': an image file in a directory of its own ({directory}) is not supported")]
    DiskElsewhere {
        /// local_loop node.
        node: String,
        /// The directory.
        directory: String,
    },
    /// Sectors of a size that no loop device has.
    #[error("DIB_BLOCK_SIZE is '{0}', which is no sector size of a loop device")]
    BlockSize(String),
}

/// Why the namespace appliance cannot do something.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Lack {
    /// A hook needs a block device.
    #[error(
        "element '{}' (asked for by {asked_by}) needs the image as a block device, \
         which the namespace appliance does not have: {}{}: {}",
        found.element, found.path.display(), line_text(found), found.why
    )]
    BlockDevice {
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
    #[error("block-device node '{node}': {what} takes block devices, which the namespace appliance does not have")]
    BeyondOffline {
        /// Node name.
        node: String,
        /// What takes them.
        what: String,
    },
}

/// Where in a hook; nothing if it is the phase.
fn line_text(found: &BlockDeviceUse) -> String {
    match found.line {
        0 => String::new(),
        line => format!(", line {line}"),
    }
}

impl Lack {
    /// In few words, for the log line about an appliance.
    pub fn reason(&self) -> String {
        match self {
            Lack::BlockDevice { found, .. } => format!(
                "{}.d/{} of element '{}'{}: {}",
                found.phase.name(),
                found.hook,
                found.element,
                line_text(found),
                found.why
            ),
            Lack::UnpopulatableFilesystem { node, fstype, .. } => {
                format!("filesystem '{node}' of type {fstype} is filled through a mount")
            }
            Lack::BeyondOffline { node, what } => format!("block-device node '{node}': {what}"),
        }
    }
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
            Error::NoSuchPlace { .. } => Some(
                "phases are root, extra-data, pre-install, install, post-install, post-root, \
                 pre-finalise, finalise and cleanup (0.x and 1.x have no post-root and pre-finalise)"
                    .into(),
            ),
            Error::Lack(_) => Some(format!(
                "let the build choose ({}), or ask for a virtual machine ({})",
                Setting::Appliance("auto"),
                Setting::Appliance("microvm")
            )),
            Error::NoInterpreter { program, .. } => Some(format!(
                "install {program}, give the element a script for a newer one, or leave it out"
            )),
            Error::BlockDeviceHook {
                element, asked_by, ..
            } => Some(format!(
                "if all elements are of 1.x or 0.1.x, say so by --generation 1 or --generation 0; \
                 else leave out '{element}' and what asks for it ({asked_by}), and say what it \
                 makes in DIB_BLOCK_DEVICE_CONFIG"
            )),
            Error::TwoDisks { .. } => Some("leave out one of them".into()),
            Error::DiskElsewhere { .. } => Some(format!(
                "leave out 'directory': outputs are written beside {}",
                Setting::Output
            )),
            Error::BlockSize(_) => Some("use 512 (the default), 1024, 2048 or 4096".into()),
        }
    }
}
