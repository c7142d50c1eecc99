//! The steps that an agent executes. They are data: serialisable, and without
//! knowledge of command lines or of how the appliance was started.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::blockdev::{Graph, Layout};
use crate::elements::{HookCopy, Location, Phase};

/// What a step needs of the appliance that runs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ApplianceKind {
    /// User namespaces on the host's kernel: no block devices.
    Namespace,
    /// A virtual machine with a kernel of its own.
    Microvm,
}

/// A step and the reason why it runs where it runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedStep {
    /// What is done.
    pub step: Step,
    /// The appliance that does it.
    pub appliance: ApplianceKind,
    /// Why that appliance.
    pub why: String,
}

/// How the size of the disk follows from the size of the tree
/// (`lib/disk-image-create`, "Calculating image size").
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SizePolicy {
    /// `DIB_IMAGE_SIZE` as KiB, when the user gave it.
    pub requested_kib: Option<u64>,
    /// `DIB_IMAGE_EXTRA_SIZE` as KiB, when the user gave it.
    pub extra_kib: Option<u64>,
    /// Journal size in MiB that is added for an ext4 root of unrequested size.
    pub journal_mib: Option<u64>,
    /// How the size follows from what the tree takes.
    #[serde(default)]
    pub formula: SizeFormula,
    /// Padding in KiB for an EFI system partition.
    pub efi_padding_kib: u64,
    /// KiB that hooks which divide the disk may leave unused: the smallest disk
    /// for a journal has so much more.
    #[serde(default)]
    pub unused_kib: u64,
    /// Print the usage report (`DIB_SHOW_IMAGE_USAGE`): `Some(true)` in full.
    pub usage_report: Option<bool>,
}

impl SizePolicy {
    /// KiB of a disk that is at least `kib` large: with the padding, and rounded
    /// up to 64 KiB.
    pub fn rounded_kib(&self, kib: u64) -> u64 {
        (kib + self.efi_padding_kib).next_multiple_of(64)
    }
}

/// What of the output of `block-device.d` names a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceLine {
    /// Every line with `IMAGE_BLOCK_DEVICE=` is shell code (disk-image-create).
    Evaluated,
    /// The one line that begins so (virt-dib).
    Single,
}

/// What a number without a unit means to `sfdisk` in hooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SfdiskUnits {
    /// A sector: since util-linux 2.26 (2015).
    Sectors,
    /// A cylinder of 255 tracks of 63 sectors: before.
    Cylinders,
}

/// How the size of a disk follows from what the tree takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SizeFormula {
    /// Six tenths of the disk.
    #[default]
    SixTenths,
    /// 0.x: blocks of 600 bytes count as KiB, and the sum goes up to the next
    /// multiple of 64 even if it is one.
    Blocks600,
}

/// The archive formats that are packed from the mounted target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Archive {
    /// `NAME.tar`, or a private tar that a later step compresses or imports.
    Tar,
    /// `NAME.aci`: tar below `rootfs/`, with the manifest file appended.
    Aci {
        /// `ACI_MANIFEST`, a path inside the appliance.
        manifest: Option<PathBuf>,
    },
    /// `NAME.squash`.
    Squashfs,
}

/// Where the raw disk lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RawDisk {
    /// In the appliance's own `TMP_IMAGE_DIR`.
    WorkDirectory,
    /// In the output directory as [`RAW_DISK`], where other appliances see it.
    OutputDirectory,
}

/// Where a machine with the helper drive sees what is copied from and to it.
pub const DRIVE_COPY: &str = "/run/safedib/drive-copy";

/// In `TMP_BUILD_DIR`: what `dib-block-device` is told
/// (`DIB_BLOCK_DEVICE_PARAMS_YAML`).
pub const PARAMS_FILE: &str = "block-device/params.yaml";
/// In `TMP_BUILD_DIR`: what `dib-block-device` remembers.
pub const STATE_DIR: &str = "states/block-device";

/// [`RawDisk::OutputDirectory`]: the file, in the output directory.
pub const RAW_DISK: &str = ".disk.raw";

/// A place of the target's tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TreePlace {
    /// `$TMP_BUILD_DIR/mnt`.
    Target,
    /// `$TMP_BUILD_DIR/built`.
    Built,
    /// The archive that another appliance has packed.
    Handoff,
}

/// One step of a build. Paths of outputs are file names in the session's
/// output directory; every other path is absolute inside the appliance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "op")]
pub enum Step {
    /// Print a line to the log.
    Say {
        /// The text, without newline.
        text: String,
    },
    /// Change what all later hooks have in their environment.
    SetVariables {
        /// Variables to export; exported functions are `BASH_FUNC_name%%`.
        set: BTreeMap<String, String>,
        /// Variables to remove.
        unset: Vec<String>,
    },
    /// Create `$TMP_BUILD_DIR/mnt`, owned by root, mode 0755.
    CreateTarget,
    /// Fill the hooks tree, in this order (`generate_hooks`).
    MergeHooks {
        /// First-level directories of the tree, those that stay empty included.
        #[serde(default)]
        directories: Vec<String>,
        /// All copies.
        copies: Vec<HookCopy>,
    },
    /// Write a file into the hooks tree.
    WriteHookFile {
        /// Path below the hooks tree.
        path: PathBuf,
        /// Its content.
        contents: String,
    },
    /// Write a file below `TMP_BUILD_DIR`.
    WriteBuildFile {
        /// Path below it.
        path: PathBuf,
        /// Its content.
        contents: String,
    },
    /// Run the hooks of a phase, breaks included.
    RunHooks {
        /// Which phase.
        phase: Phase,
    },
    /// Fail with `Failed to deploy the root element.` if root.d left nothing.
    CheckRootDeployed,
    /// Save resolv.conf as `.ORIG` and put the appliance's own in its place.
    InstallResolvConf,
    /// Mount proc, dev, devpts and sysfs below the target.
    MountKernelFilesystems {
        /// sysfs can be written to, as far as the appliance may (until 3.12).
        sysfs_writable: bool,
    },
    /// Run `install-packages` in the target.
    InstallPackages {
        /// Package names, passed through the target's shell as upstream does.
        packages: Vec<String>,
    },
    /// Unmount everything below the target that the layout does not own.
    UnmountTarget,
    /// Remove `lost+found` from the tree, move `mnt` to `built`.
    MoveTargetToBuilt,
    /// Measure the tree, decide the disk's size, export `DIB_IMAGE_SIZE` in KiB.
    MeasureTree {
        /// The formula's inputs.
        policy: SizePolicy,
    },
    /// Give each filesystem of the layout a tree of its own at its mount point
    /// below `mnt`.
    SplitFilesystems {
        /// The disk layout.
        layout: Layout,
        /// Write `etc/fstab`.
        fstab: bool,
    },
    /// Restore resolv.conf, empty /tmp and the logs (`finalise_base`).
    FinaliseTarget {
        /// A link at `/etc/resolv.conf` stays (since 2.x).
        keep_link: bool,
        /// Empty the logs (since 1.x).
        logs: bool,
    },
    /// End every process that hooks left behind in the appliance.
    EndStrayProcesses,
    /// Set all later times of the finished trees to this one.
    ClampTimes {
        /// Seconds since 1970.
        epoch: u32,
    },
    /// Look up what takes the space in the target, and which packages it has, for
    /// reports of the build; nothing is changed.
    Inventory,
    /// Pack the target into an archive.
    PackArchive {
        /// Format.
        archive: Archive,
        /// File name in the output directory.
        output: String,
    },
    /// Compress a file of the output directory with `$DIB_GZIP_BIN -9`.
    Gzip {
        /// The program.
        program: String,
        /// Input in the output directory.
        input: String,
        /// Result in the output directory.
        output: String,
        /// Remove the input afterwards.
        remove_input: bool,
    },
    /// Make the raw disk from the filesystem trees, without a kernel's help.
    AssembleDisk {
        /// The disk layout.
        layout: Layout,
        /// Where to.
        disk: RawDisk,
    },
    /// Convert the raw disk with `qemu-img convert`.
    ConvertDisk {
        /// From where.
        disk: RawDisk,
        /// qemu-img's name of the format.
        format: String,
        /// `-c`.
        compress: bool,
        /// Value of `-o`, if any.
        options: Option<String>,
        /// File name in the output directory.
        output: String,
    },
    /// Convert the raw disk with a `vhd-util` that can, else with qemu-img.
    ConvertToVhd {
        /// From where.
        disk: RawDisk,
        /// File name in the output directory.
        output: String,
    },
    /// Move the raw disk to the output directory; the last use of it.
    TakeRawDisk {
        /// From where.
        disk: RawDisk,
        /// File name in the output directory.
        output: String,
    },
    /// Drop what upstream's copy of the built tree into the filesystems leaves
    /// behind.
    PrepareTree {
        /// The disk layout.
        layout: Layout,
        /// Write `etc/fstab`.
        fstab: bool,
    },
    /// Make the empty raw disk of [`RawDisk::OutputDirectory`], of the measured size.
    CreateRawDisk {
        /// The disk layout, which may fix the size.
        layout: Layout,
    },
    /// Make block devices over the machine's image disk, filesystems on them,
    /// mount those at `mnt`; export `IMAGE_BLOCK_DEVICE` and `IMAGE_BLOCK_DEVICES`
    /// (`dib-block-device create`).
    CreateDevices {
        /// What is made, in what order.
        graph: Graph,
        /// The disk layout, which may fix the size.
        layout: Layout,
        /// Bytes of a sector, whatever is configured.
        block_size: Option<u32>,
        /// The disk has it all already.
        populated: bool,
    },
    /// Attach the machine's image disk to a loop device that hooks divide; export
    /// `IMAGE_BLOCK_DEVICE` and `TMP_IMAGE_PATH`.
    AttachDisk {
        /// The disk layout, which may fix the size.
        layout: Layout,
        /// What numbers mean to `sfdisk`.
        units: SfdiskUnits,
    },
    /// Run the hooks of block-device.d, and export as `IMAGE_BLOCK_DEVICE` what
    /// their output names.
    RunDeviceHooks {
        /// Where that is in the output.
        line: DeviceLine,
    },
    /// Make the root filesystem on `IMAGE_BLOCK_DEVICE` and mount it at `mnt`.
    MakeRootFilesystem {
        /// Its type.
        fstype: String,
        /// Further arguments of mkfs.
        options: Vec<String>,
        /// Its label.
        label: String,
        /// Its UUID, if it is not to be a random one.
        uuid: Option<String>,
    },
    /// Copy the tree to the mounted filesystems, or a handed-over tree to `mnt`;
    /// where it was, it is gone afterwards.
    FillTarget {
        /// Where it is.
        from: TreePlace,
    },
    /// Unmount the filesystems, give up the devices, cut the image disk to its
    /// size (`dib-block-device umount`, `cleanup`).
    ReleaseDevices,
    /// Pack the tree for another appliance.
    PackTree {
        /// Where it is.
        from: TreePlace,
    },
    /// Pack the rest for another appliance: the hooks' work directories, the
    /// measured size, and directories whose new content is kept apart.
    PackHandoff {
        /// Where only the new content is seen, for each.
        scratch: Vec<PathBuf>,
    },
    /// Take what [`Step::PackHandoff`] of another appliance has packed.
    UnpackHandoff {
        /// Where hooks see the directories, in the same order.
        scratch: Vec<PathBuf>,
    },
    /// Bring everything to the state of a layer that an earlier build has kept.
    RestoreLayer {
        /// The shared directories as hooks see them, in the order of the session.
        scratch: Vec<PathBuf>,
    },
    /// Write this appliance's resolv.conf over the one of the appliance before.
    RenewResolvConf,
    /// Copy the directory `home` of the helper drive to [`DRIVE_COPY`].
    ReadDrive {
        /// A directory below `home` that hooks expect to be there.
        cache: PathBuf,
    },
    /// Make the directory `home` of the helper drive equal to its copy, and
    /// bring the files beside that copy to the top of the drive.
    WriteDrive,
    /// Open a shell at the caller's terminal, and wait for its end.
    OpenShell {
        /// The phase next to which.
        phase: Phase,
        /// Where it runs.
        location: Location,
        /// Before the phase's hooks rather than after them.
        before: bool,
    },
    /// Bring the files that hooks wrote beside the image, and that belong to
    /// its name, to `side/` in the output directory.
    CollectSideFiles {
        /// Directory of the image as hooks see it.
        directory: PathBuf,
        /// Base name of the image.
        name: String,
        /// Names that are outputs of the build itself and stay out.
        except: Vec<String>,
        /// Directory that takes them all; its own content stays where it is.
        #[serde(default)]
        into: Option<String>,
    },
}
