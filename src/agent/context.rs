//! What the steps of a session share.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::error::Error;
use super::lane::Lane;
use super::layers::Keeper;
use super::output::Log;
use super::spawn::{self, Invocation};
use super::terminal::Terminal;
use super::variables::Variables;
use crate::blockdev::state::State;
use crate::blockdev::Layout;
use crate::plan::{RawDisk, Reproducible, RAW_DISK};
use crate::protocol::Breaks;

/// The state of a session.
pub(crate) struct Context {
    /// Where output and messages go.
    pub(crate) log: Log,
    /// The environment of hooks.
    pub(crate) variables: Variables,
    /// Working directory of hooks outside the target.
    pub(crate) cwd: PathBuf,
    /// As `Session::python_signals`.
    pub(crate) python_signals: bool,
    /// `TMP_BUILD_DIR`.
    pub(crate) build_dir: PathBuf,
    /// `TMP_IMAGE_DIR`.
    pub(crate) image_dir: PathBuf,
    /// Directory that receives outputs.
    pub(crate) output_dir: PathBuf,
    /// Debug breaks.
    pub(crate) breaks: Breaks,
    /// What shells are shown at; `None`: they read standard input.
    pub(crate) terminal: Option<Terminal>,
    /// Where files that hooks make in the caller's directories are seen.
    pub(crate) scratch: Vec<PathBuf>,
    /// Size of the disk in KiB, once the tree has been measured.
    pub(crate) size_kib: Option<u64>,
    /// The tree of each filesystem node, once the target has been split.
    pub(crate) trees: BTreeMap<String, PathBuf>,
    /// Block devices that are there now.
    pub(crate) devices: Option<Devices>,
    /// Who keeps layers, if they are wanted.
    pub(crate) layers: Option<Keeper>,
    /// As `Session::reproducible`.
    pub(crate) reproducible: Option<Reproducible>,
    /// Number of the step that runs.
    pub(crate) step: usize,
    /// What runs beside it.
    pub(crate) lane: Lane,
}

/// Block devices of the image.
pub(crate) struct Devices {
    /// What they are.
    pub(crate) made: MadeDevices,
    /// Size of the disk.
    pub(crate) bytes: u64,
}

/// Who made the devices of the image.
pub(crate) enum MadeDevices {
    /// We, by a configuration.
    Configured(State),
    /// Hooks of block-device.d.
    ByHooks {
        /// The loop device of the disk.
        device: String,
        /// Type of the root filesystem; empty before there is one.
        fstype: String,
    },
}

impl Context {
    /// `TMP_MOUNT_PATH`: the target.
    pub(crate) fn target(&self) -> PathBuf {
        self.build_dir.join("mnt")
    }

    /// Where the target waits while the disk is made.
    pub(crate) fn built(&self) -> PathBuf {
        self.build_dir.join("built")
    }

    /// `TMP_HOOKS_PATH`: the merged hooks tree.
    pub(crate) fn hooks(&self) -> PathBuf {
        self.build_dir.join("hooks")
    }

    /// Sets the measured size, and `DIB_IMAGE_SIZE` for hooks.
    pub(crate) fn set_size(&mut self, kib: u64) {
        self.size_kib = Some(kib);
        self.variables.set("DIB_IMAGE_SIZE", kib.to_string());
    }

    /// Bytes of the disk: what the layout fixes, or else what was measured.
    pub(crate) fn disk_bytes(&self, layout: &Layout) -> Result<u64, Error> {
        let fixed = layout.disks.first().and_then(|disk| disk.size);
        let measured = self.size_kib.map(|kib| kib * 1024);
        fixed.or(measured).ok_or(Error::NoDiskSize)
    }

    /// The file of the raw disk (upstream: `NODE.raw` in `TMP_IMAGE_DIR`, with
    /// the default layout's node name).
    pub(crate) fn disk(&self, disk: RawDisk) -> PathBuf {
        match disk {
            RawDisk::WorkDirectory => self.image_dir.join("image0.raw"),
            RawDisk::OutputDirectory => self.output_dir.join(RAW_DISK),
        }
    }

    /// Prints a line to the log.
    pub(crate) fn say(&mut self, text: impl AsRef<str>) -> Result<(), Error> {
        self.log.say(text)
    }

    /// A process outside the target, with the environment and cwd of hooks.
    pub(crate) fn outside(&self, program: &str) -> Invocation {
        Invocation::new(program, self.variables.outside(None)).cwd(&self.cwd)
    }

    /// Runs a process that must end with status 0; what it printed if captured.
    pub(crate) fn run_tool(&mut self, invocation: &Invocation) -> Result<Vec<u8>, Error> {
        spawn::run_tool(&mut self.log, invocation)
    }
}
