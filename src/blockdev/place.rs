//! Where the partitions of a table lie (`level1/mbr.py`, `level1/partitioning.py`).

use super::{Disk, Error, Partition, PartitionSize, PartitionTable, TableLabel};

/// Bytes of a sector of an MBR, and of a GPT unless the disk has larger ones.
pub const SECTOR: u64 = 512;
/// Bytes that the record of a logical partition takes.
pub const EBR_BYTES: u64 = 512;
/// What upstream keeps back of a GPT disk before it divides it.
const GPT_RESERVE: u64 = 2 << 20;
const MIB: u64 = 1 << 20;
/// Entries of a GPT as sgdisk makes it.
const GPT_ENTRIES: usize = 128;
/// Bytes of the entries of a GPT.
const GPT_ARRAY: u64 = 128 * GPT_ENTRIES as u64;

/// Where a partition lies. Offsets and sizes in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Index in [`PartitionTable::partitions`].
    pub partition: usize,
    /// Number in the table as Linux counts: from 1, logical ones from 5.
    pub number: u32,
    /// First byte.
    pub start: u64,
    /// Length.
    pub size: u64,
    /// Offset of the extended boot record of a logical partition.
    pub record: Option<u64>,
}

impl Extent {
    /// One past the last byte.
    pub fn end(&self) -> u64 {
        self.start + self.size
    }
}

/// Places the partitions of `disk`, which has `disk_bytes`, in configuration
/// order; empty for a disk without a table.
///
/// # Errors
/// Sizes that do not fit, where upstream writes a broken table (MBR) or stops
/// with an assertion (GPT); an MBR on other than 512-byte sectors, where
/// upstream writes one that no kernel reads as meant.
pub fn place(disk: &Disk, disk_bytes: u64) -> Result<Vec<Extent>, Error> {
    let Some(table) = &disk.table else {
        return Ok(Vec::new());
    };
    let sector = u64::from(disk.block_size);
    if disk_bytes == 0 || sector == 0 || disk_bytes % sector != 0 {
        return Err(Error::OddDisk {
            bytes: disk_bytes,
            sector,
        });
    }
    match table.label {
        TableLabel::Mbr if sector != SECTOR => Err(Error::MbrSectors {
            node: disk.name.clone(),
            sector,
        }),
        TableLabel::Mbr => place_mbr(table, disk_bytes),
        TableLabel::Gpt => place_gpt(table, disk_bytes, sector),
    }
}

fn bytes_of(size: PartitionSize, remaining: u64) -> u64 {
    match size {
        PartitionSize::Absolute(bytes) => bytes,
        // The order of operations is upstream's: the result is truncated.
        PartitionSize::Percent(percent) => (remaining as f64 * percent / 100.0) as u64,
    }
}

fn does_not_fit(partition: &Partition, needed: u64, available: u64, disk: u64) -> Error {
    Error::DoesNotFit {
        partition: partition.name.clone(),
        needed,
        available,
        disk,
    }
}

fn align_up(sector: u64, align: u64) -> u64 {
    sector.div_ceil(align) * align
}

fn place_mbr(table: &PartitionTable, disk_bytes: u64) -> Result<Vec<Extent>, Error> {
    if disk_bytes / SECTOR > u64::from(u32::MAX) {
        return Err(Error::BeyondMbr(disk_bytes));
    }
    let align = table.align / SECTOR;
    let mut next_free = align_up(1, align);
    let mut logical = 0u32;
    let mut primary = 0u32;
    let mut extents: Vec<Extent> = Vec::new();
    for (index, partition) in table.partitions.iter().enumerate() {
        let free = disk_bytes.saturating_sub((next_free + align_up(1, align)) * SECTOR);
        let size = bytes_of(partition.size, free);
        let sectors = size / SECTOR;
        if sectors == 0 {
            return Err(Error::EmptyPartition {
                partition: partition.name.clone(),
                size,
                disk: disk_bytes,
            });
        }
        if partition.primary && logical > 0 {
            return Err(Error::PrimaryAfterLogical(partition.name.clone()));
        }
        // A record takes the sector before the data, which aligns upwards.
        let record = (!partition.primary).then_some(next_free);
        let start = match record {
            Some(record) => align_up(record + 1, align),
            None => next_free,
        };
        if start.saturating_add(sectors) > disk_bytes / SECTOR {
            let available = disk_bytes.saturating_sub(start * SECTOR);
            return Err(does_not_fit(partition, size, available, disk_bytes));
        }
        let number = if partition.primary {
            primary += 1;
            primary
        } else {
            logical += 1;
            4 + logical
        };
        if primary + u32::from(logical > 0) > 4 {
            return Err(Error::TooManyPrimaries(partition.name.clone()));
        }
        next_free = align_up(start + sectors, align);
        extents.push(Extent {
            partition: index,
            number,
            start: start * SECTOR,
            size: sectors * SECTOR,
            record: record.map(|sector| sector * SECTOR),
        });
    }
    Ok(extents)
}

/// Sizes are floored to MiB for sgdisk, whose first partition starts at 1 MiB
/// and each next one right behind.
fn place_gpt(table: &PartitionTable, disk_bytes: u64, sector: u64) -> Result<Vec<Extent>, Error> {
    let mut remaining = disk_bytes.saturating_sub(GPT_RESERVE);
    // The backup table: its entries, and its header in the last sector.
    let usable_end = disk_bytes.saturating_sub(GPT_ARRAY + sector);
    let mut start = MIB;
    let mut extents = Vec::new();
    for (index, partition) in table.partitions.iter().enumerate() {
        if index >= GPT_ENTRIES {
            return Err(Error::TooManyPartitions(partition.name.clone()));
        }
        let bytes = bytes_of(partition.size, remaining);
        if bytes > remaining || start.saturating_add(bytes / MIB * MIB) > usable_end {
            return Err(does_not_fit(partition, bytes, remaining, disk_bytes));
        }
        let size = bytes / MIB * MIB;
        if size == 0 {
            return Err(Error::EmptyPartition {
                partition: partition.name.clone(),
                size: bytes,
                disk: disk_bytes,
            });
        }
        extents.push(Extent {
            partition: index,
            number: index as u32 + 1,
            start,
            size,
            record: None,
        });
        start += size;
        remaining -= bytes;
    }
    Ok(extents)
}
