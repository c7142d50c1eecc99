//! What the appliance tells a machine's pid 1 before the agent starts: a file
//! of JSON on the scratch disk.

use std::ffi::OsString;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Directory of the scratch disk with what pid 1 needs.
pub const BOOT_DIR: &str = "boot";
/// In [`BOOT_DIR`]: [`MachineSetup`] as JSON.
pub const SETUP_FILE: &str = "setup.json";
/// In [`BOOT_DIR`]: where pid 1 shows the binary that it and the agent are.
pub const BINARY_FILE: &str = "safedib";
/// In [`BOOT_DIR`]: shared files, by number.
pub const FILES_DIR: &str = "files";
/// Name of the virtio-serial port that is the channel.
pub const PORT_NAME: &str = "org.safedib.agent";
/// Serial number of the block device that is the image's disk
/// (`/sys/block/NAME/serial`).
pub const IMAGE_DISK: &str = "image";
/// Serial number of the helper drive.
pub const HELPER_DRIVE: &str = "helper";
/// Serial number of the disk that the machine's root is on.
pub const ROOT_DISK: &str = "root";
/// Serial number of the scratch disk.
pub const SCRATCH_DISK: &str = "scratch";
/// Where the scratch disk is mounted.
pub const SCRATCH_DIR: &str = "/.scratch";
/// In the initramfs: the binary, which the kernel starts as pid 1.
pub const INITRD_BINARY: &str = "/safedib";
/// In the initramfs: the directory of kernel modules.
pub const INITRD_MODULES: &str = "/modules";
/// In [`INITRD_MODULES`]: [`BootModules`] as JSON.
pub const MODULES_FILE: &str = "modules.json";

/// Kernel modules in the initramfs, by file name, each list in an order in
/// which they can be loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootModules {
    /// What both of the next two need.
    pub common: Vec<String>,
    /// Drivers of disks and of the channel.
    pub devices: Vec<String>,
    /// What mounts disks.
    pub filesystems: Vec<String>,
    /// What is needed once the root is there.
    pub later: Vec<String>,
}

/// How the machine is set up for its agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MachineSetup {
    /// Mounts for hooks, in order.
    pub mounts: Vec<MachineMount>,
    /// Files that are written before the agent starts.
    pub files: Vec<MachineFile>,
    /// Directories that exist.
    pub directories: Vec<(PathBuf, u32)>,
    /// Host name.
    pub hostname: String,
    /// The network, if there is one.
    pub network: Option<MachineNetwork>,
    /// The agent: program and arguments.
    pub arguments: Vec<OsString>,
    /// Its environment.
    pub environment: Vec<(OsString, OsString)>,
}

/// A mount in the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum MachineMount {
    /// A directory of the host.
    Shared {
        /// Tag of the 9p device.
        tag: String,
        /// Where.
        path: PathBuf,
        /// Hooks may write.
        writable: bool,
    },
    /// A file that came with the scratch disk, read-only.
    File {
        /// Its number in [`FILES_DIR`].
        number: usize,
        /// Where.
        path: PathBuf,
    },
    /// An empty directory of the scratch disk.
    Empty {
        /// Where.
        path: PathBuf,
    },
    /// A directory whose new content is kept apart, over what is there.
    Scratch {
        /// Where.
        path: PathBuf,
        /// Where only the new content is seen.
        collect_at: PathBuf,
        /// Content of a share is seen through it.
        over_share: bool,
    },
}

impl MachineMount {
    /// Where it is seen.
    pub fn path(&self) -> &PathBuf {
        match self {
            MachineMount::Shared { path, .. }
            | MachineMount::File { path, .. }
            | MachineMount::Empty { path }
            | MachineMount::Scratch { path, .. } => path,
        }
    }
}

/// A file to write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineFile {
    /// Where.
    pub path: PathBuf,
    /// What.
    pub content: String,
    /// Permission bits.
    pub mode: u32,
}

/// Addresses of the machine; nobody has to be asked for them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineNetwork {
    /// Address and prefix length, `10.0.2.15/24`.
    pub address: String,
    /// Default gateway.
    pub gateway: String,
}
