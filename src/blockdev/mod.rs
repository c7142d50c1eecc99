//! Block devices: configuration (YAML) to layout, a pure computation.

use serde::{Deserialize, Serialize};

/// A disk and what is on it: what upstream's block-device layer calls its nodes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Layout {
    /// Name of the `local_loop` node, `image0`.
    pub disk: String,
    /// Bytes, when the configuration fixes the size.
    pub disk_size: Option<u64>,
    /// Partition table, or none for a filesystem on the bare disk.
    pub table: Option<PartitionTable>,
    /// Filesystems in mount order, unmounted ones last.
    pub filesystems: Vec<Filesystem>,
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
    /// Fixed UUID, if configured.
    pub uuid: Option<String>,
    /// Further mkfs arguments.
    pub options: Vec<String>,
    /// Mount point, if mounted.
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
