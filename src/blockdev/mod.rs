//! Block devices: configuration (YAML) to layout, a pure computation.
//!
//! * [`yaml`]: YAML 1.1 with the types that upstream's parser gives.
//! * [`config`]: tree or graph form to a flat list of entries.
//! * [`layout()`]: entries to a [`Layout`], with all checks.
//! * [`place`]: where each partition of a layout lies on a disk.

use serde::{Deserialize, Serialize};

pub mod config;
mod error;
mod layout;
mod nodes;
mod place;
pub mod size;
pub mod yaml;

#[cfg(test)]
mod layout_tests;

pub use config::default_config;
pub use error::Error;
pub use layout::layout;
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

/// A disk and what is on it: what upstream's block-device layer calls its nodes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Layout {
    /// Name of the `local_loop` node, `image0`.
    pub disk: String,
    /// Bytes, when the configuration fixes the size.
    pub disk_size: Option<u64>,
    /// Partition table, or none for a filesystem on the bare disk.
    pub table: Option<PartitionTable>,
    /// Filesystems in mount order (swap among them), those without a `mount`
    /// entry last.
    pub filesystems: Vec<Filesystem>,
    /// All configured mount points in configuration order, swap's included.
    #[serde(default)]
    pub mount_points: Vec<String>,
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

/// What a filesystem is made on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backing {
    /// The whole disk.
    Disk,
    /// The partition with this index in [`PartitionTable::partitions`].
    Partition(usize),
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
