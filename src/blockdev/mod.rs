//! Block devices: configuration (YAML) to layout, a pure computation, and their
//! execution.
//!
//! * [`json`]: to the byte as Python writes it; YAML is [`crate::yaml`].
//! * [`mod@config`]: tree or graph form to the expanded graph form of `config.json`,
//!   and what `getval` says of it.
//! * [`mod@graph`]: its nodes and the order of their creation.
//! * [`layout()`]: what the nodes come to, a [`Layout`], with all checks.
//! * [`place()`]: where each partition of a disk lies; [`table`]: its table.
//! * [`devices`]: the nodes made real, by a kernel that is ours alone.
//! * [`state`]: device names, `state.json`, and what `getval` and `writefstab`
//!   say of it.

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::string_slice))]

use serde::{Deserialize, Serialize};

pub mod config;
pub mod devices;
mod error;
mod getval;
pub mod graph;
pub mod json;
mod layout;
mod lvm;
mod names;
mod nodes;
mod place;
pub mod size;
pub mod state;
pub mod table;

#[cfg(test)]
mod layout_tests;
#[cfg(test)]
mod lvm_tests;

pub use config::{default_config, old_default_config, Config};
pub use error::Error;
pub use graph::Graph;
pub use layout::{config, layout};
pub use place::{place, Extent, EBR_BYTES, SECTOR};

/// What the command line says about the root filesystem; it only reaches the
/// filesystem named `mkfs_root`, and only where the configuration is silent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RootParams {
    /// `FS_TYPE`.
    pub fs_type: String,
    /// `ROOT_LABEL`; empty means `cloudimg-rootfs`, for xfs `img-rootfs`.
    pub root_label: String,
    /// mkfs options, a word each.
    pub root_opts: Vec<String>,
}

/// Disks and what is on them: what upstream's block-device layer calls its nodes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Layout {
    /// All disks; the first is `image0`, the one that becomes the output.
    pub disks: Vec<Disk>,
    /// Logical volumes and what they are made of.
    #[serde(default)]
    pub lvm: Lvm,
    /// Filesystems in mount order (swap among them), those without a `mount`
    /// entry last.
    pub filesystems: Vec<Filesystem>,
    /// All configured mount points in configuration order, swap's included.
    #[serde(default)]
    pub mount_points: Vec<String>,
}

/// A disk (`local_loop` node).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Disk {
    /// Node name; the image file is `NAME.raw`.
    pub name: String,
    /// Bytes, when the configuration fixes the size.
    pub size: Option<u64>,
    /// Bytes of a sector.
    pub block_size: u32,
    /// Directory of the image file, when the configuration fixes it.
    pub directory: Option<String>,
    /// Partition table, or none for what uses the bare disk.
    pub table: Option<PartitionTable>,
}

/// Volumes of LVM, in the order in which they are made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lvm {
    /// Physical volumes.
    pub physical_volumes: Vec<PhysicalVolume>,
    /// Volume groups.
    pub volume_groups: Vec<VolumeGroup>,
    /// Logical volumes.
    pub logical_volumes: Vec<LogicalVolume>,
}

/// A physical volume (`pvs`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhysicalVolume {
    /// Node name; LVM does not know it.
    pub name: String,
    /// What it is made on.
    pub backing: Backing,
    /// Further arguments of `pvcreate`.
    pub options: Option<Vec<String>>,
}

/// A volume group (`vgs`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeGroup {
    /// Its name, the node's too.
    pub name: String,
    /// Names of its physical volumes.
    pub physical_volumes: Vec<String>,
    /// Further arguments of `vgcreate`.
    pub options: Option<Vec<String>>,
}

/// A logical volume (`lvs`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogicalVolume {
    /// Its name, the node's too.
    pub name: String,
    /// Its volume group.
    pub group: String,
    /// Size; goes before `extents`.
    pub size: Option<VolumeSize>,
    /// Size as `lvcreate -l` takes it, such as `57%VG`.
    pub extents: Option<String>,
    /// `type`, if not a plain one.
    pub segment: Option<Segment>,
    /// `thin-pool`: the pool that a thin volume takes its blocks from.
    pub thin_pool: Option<String>,
    /// Further arguments of `lvcreate`.
    pub options: Option<Vec<String>>,
}

/// Size of a logical volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeSize {
    /// As configured; `state.json` has it so.
    pub configured: String,
    /// Whole extents of 4 MiB, in bytes.
    pub bytes: u64,
}

/// Type of a logical volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Segment {
    /// `thin`.
    Thin,
    /// `thin-pool`.
    ThinPool,
}

/// A partition table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PartitionTable {
    /// Kind.
    pub label: TableLabel,
    /// Alignment in bytes (`align`, MBR only upstream; 1 MiB by default).
    pub align: u64,
    /// Partitions in configuration order.
    pub partitions: Vec<Partition>,
}

/// Kind of partition table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TableLabel {
    /// DOS partition table.
    Mbr,
    /// GUID partition table.
    Gpt,
}

/// A partition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Partition {
    /// Node name.
    pub name: String,
    /// Size.
    pub size: PartitionSize,
    /// `type` as configured: hexadecimal for MBR, sgdisk code or GUID for GPT.
    pub kind: String,
    /// `boot` flag.
    pub bootable: bool,
    /// `primary` flag.
    pub primary: bool,
}

/// Size of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartitionSize {
    /// Bytes.
    Absolute(u64),
    /// Percent of what remains at that point.
    Percent(f64),
}

/// What a filesystem or a physical volume is made on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backing {
    /// The whole disk with this index in [`Layout::disks`].
    Disk(usize),
    /// A partition.
    Partition {
        /// Index in [`Layout::disks`].
        disk: usize,
        /// Index in [`PartitionTable::partitions`].
        partition: usize,
    },
    /// The volume with this index in [`Lvm::logical_volumes`].
    Volume(usize),
}

/// A filesystem (`mkfs` node), where it is mounted, and its line in fstab.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Filesystem {
    /// Node name, `mkfs_root` for the default layout.
    pub node: String,
    /// What it is made on.
    pub backing: Backing,
    /// `ext4`, `xfs`, `vfat`, `btrfs`, `swap`, ...
    pub fstype: String,
    /// Label, already upper-cased for vfat.
    pub label: String,
    /// Label as the configuration has it after merging, if it has one.
    #[serde(default)]
    pub configured_label: Option<String>,
    /// Fixed UUID, if configured.
    pub uuid: Option<String>,
    /// Further mkfs arguments.
    pub options: Vec<String>,
    /// Mount point, if mounted; swap never is.
    pub mount_point: Option<String>,
    /// Its fstab entry, if configured.
    pub fstab: Option<FstabEntry>,
}

/// Fields of a line in fstab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FstabEntry {
    /// `fs_mntops`.
    pub options: String,
    /// `fs_freq`.
    pub dump_freq: u32,
    /// `fs_passno`.
    pub fsck_passno: u32,
}
