//! Appliances: start an agent in isolation, get bytes in and out, end it.
//!
//! They exec the agent (this same binary) and know nothing of its work.

use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

pub use crate::plan::Share;
pub use abilities::{probe_namespace, prove_kvm, Abilities};

mod abilities;
pub mod microvm;
pub mod namespace;

/// What an appliance needs to know to start an agent; by default nothing is
/// shared and there is no network.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ApplianceSpec {
    /// Host paths that hooks can see.
    pub shares: Vec<Share>,
    /// Directories that exist, empty and writable, inside only. Where one lies
    /// in a share, the share's content is seen through it (overlay).
    pub scratch: Vec<Scratch>,
    /// Directories for the build: a tmpfs each, or bound from `on_disk`.
    pub work_dirs: Vec<WorkDir>,
    /// File of the host that is the image's disk: the guest's block device with
    /// the serial number [`crate::protocol::machine::IMAGE_DISK`]. Only a machine
    /// can have one.
    pub image_disk: Option<PathBuf>,
    /// A further disk of the host, the guest's block device with the serial
    /// number [`crate::protocol::machine::HELPER_DRIVE`]. Only a machine can have one.
    pub helper_drive: Option<HelperDisk>,
    /// Network inside: outbound only, or none.
    pub network: bool,
    /// The network leads to the cloud's metadata service, too. That of a machine
    /// does in any case: hooks there are root of their own kernel.
    pub metadata_service: bool,
    /// Where what hooks write to `/usr` is seen by itself, if it is kept apart; it is
    /// not in a machine.
    pub usr_changes_at: Option<PathBuf>,
}

/// A disk that outlives the build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelperDisk {
    /// The file.
    pub file: PathBuf,
    /// qemu's name of its format.
    pub format: String,
}

/// A directory whose content is kept apart and can be collected by the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scratch {
    /// Where hooks see it.
    pub path: PathBuf,
    /// Where only its own new content is seen.
    pub collect_at: PathBuf,
}

/// A directory of the build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkDir {
    /// Path inside.
    pub path: PathBuf,
    /// Directory of the host that backs it; `None` for tmpfs.
    pub on_disk: Option<PathBuf>,
}

/// A started agent. Dropping it ends everything inside.
pub trait Running {
    /// The channel to the agent.
    fn channel(&self) -> &UnixStream;

    /// What was chosen because the host lacks something, a line each for the log.
    fn notes(&self) -> &[String];

    /// Becomes readable when what carries the network has ended; `None` without one.
    fn network(&self) -> Option<BorrowedFd<'_>>;

    /// Ends the appliance and waits for it.
    fn end(self: Box<Self>) -> Ending;
}

/// What is known about an appliance that has ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ending {
    /// How its agent ended, if that was not a normal exit.
    pub how: Option<String>,
    /// What went wrong in the appliance itself, which a hook may have failed of.
    pub trouble: Option<Trouble>,
}

/// Something that the kernel of an appliance complained about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What happened.
    pub what: String,
    /// What to change.
    pub hint: String,
}
