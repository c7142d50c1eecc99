//! The DOS partition table, byte for byte as upstream writes it
//! (`block_device/level1/mbr.py`) but for the random disk id.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::Ids;
use crate::blockdev::nodes::mbr_type;
use crate::blockdev::{Extent, Partition, PartitionTable, SECTOR};

const DISK_ID: u64 = 440;
const FIRST_ENTRY: u64 = 446;
const SIGNATURE: u64 = 510;
const EXTENDED_LBA: u8 = 0x0f;
const EXTENDED_CHS: u8 = 0x05;
const HEADS: u64 = 254;
const TRACK: u64 = 63;
const MAX_CYLINDER: u64 = 1023;

/// Writes the table of a disk of `size` bytes.
pub(super) fn write(
    disk: &File,
    table: &PartitionTable,
    extents: &[Extent],
    size: u64,
    ids: &Ids,
) -> io::Result<()> {
    write_records(disk, table, extents, size, ids.bytes("mbr signature")?)
}

fn write_records(
    disk: &File,
    table: &PartitionTable,
    extents: &[Extent],
    size: u64,
    id: [u8; 4],
) -> io::Result<()> {
    disk.write_all_at(&id, DISK_ID)?;
    sign(disk, 0)?;
    let mut extended = None;
    let mut previous: Option<u64> = None;
    for (slot, extent) in extents.iter().enumerate() {
        let Some(partition) = table.partitions.get(extent.partition) else {
            continue;
        };
        let entry = Entry {
            bootable: partition.bootable,
            kind: kind(partition),
            start: extent.start / SECTOR,
            length: extent.size / SECTOR,
        };
        let Some(record) = extent.record else {
            write_entry(disk, 0, slot as u64, &entry)?;
            continue;
        };
        let record = record / SECTOR;
        let base = match extended {
            Some(base) => base,
            None => {
                let whole = Entry::extended(EXTENDED_LBA, record, size / SECTOR - record);
                write_entry(disk, 0, slot as u64, &whole)?;
                extended = Some(record);
                record
            }
        };
        if let Some(previous) = previous {
            let align = table.align / SECTOR;
            let end = (entry.start + entry.length).div_ceil(align) * align;
            let link = Entry::extended(EXTENDED_CHS, record - base, end - record);
            write_entry(disk, previous, 1, &link)?;
        }
        let start = entry.start - record;
        write_entry(disk, record, 0, &Entry { start, ..entry })?;
        sign(disk, record)?;
        previous = Some(record);
    }
    Ok(())
}

fn kind(partition: &Partition) -> u8 {
    // The layout only has types that are hexadecimal.
    mbr_type(&partition.kind).unwrap_or(0x83)
}

struct Entry {
    bootable: bool,
    kind: u8,
    start: u64,
    length: u64,
}

impl Entry {
    fn extended(kind: u8, start: u64, length: u64) -> Entry {
        Entry {
            bootable: false,
            kind,
            start,
            length,
        }
    }
}

fn sign(disk: &File, sector: u64) -> io::Result<()> {
    disk.write_all_at(&[0x55, 0xaa], sector * SECTOR + SIGNATURE)
}

fn write_entry(disk: &File, sector: u64, slot: u64, entry: &Entry) -> io::Result<()> {
    let mut bytes = [0u8; 16];
    bytes[0] = if entry.bootable { 0x80 } else { 0 };
    bytes[1..4].copy_from_slice(&chs(entry.start));
    bytes[4] = entry.kind;
    bytes[5..8].copy_from_slice(&chs(entry.start + entry.length));
    // `place` refuses disks beyond 32 bits of sectors.
    bytes[8..12].copy_from_slice(&(entry.start as u32).to_le_bytes());
    bytes[12..16].copy_from_slice(&(entry.length as u32).to_le_bytes());
    disk.write_all_at(&bytes, sector * SECTOR + FIRST_ENTRY + 16 * slot)
}

/// Head, sector, cylinder. Upstream ORs a quarter of the cylinder into the
/// sector byte, not only its two high bits, and its end is one sector too far;
/// every reader uses the LBA fields, so the bytes stay upstream's.
fn chs(lba: u64) -> [u8; 3] {
    let (cylinder, head, sector) = if lba > HEADS * TRACK * MAX_CYLINDER {
        (MAX_CYLINDER, HEADS, TRACK)
    } else {
        (
            lba / (HEADS * TRACK),
            (lba / TRACK) % HEADS,
            lba % TRACK + 1,
        )
    };
    [
        head as u8,
        (sector | (cylinder / 4)) as u8,
        (cylinder % 256) as u8,
    ]
}
