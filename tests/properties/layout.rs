//! Partitions lie apart, in order, aligned and within their disk, and are as
//! large as asked; where they cannot be, there is an error. The tables that are
//! written say the same, read by rules of their own.

use std::fs::File;
use std::os::unix::fs::FileExt;

use proptest::collection::vec;
use proptest::prelude::*;
use safedib::blockdev::table::Ids;
use safedib::blockdev::{
    place, table, Disk, Extent, Partition, PartitionSize, PartitionTable, TableLabel, EBR_BYTES,
    SECTOR,
};

use crate::cases;

const MIB: u64 = 1 << 20;

/// Sizes as people write them, and at the edges of what numbers hold.
fn size() -> impl Strategy<Value = PartitionSize> {
    prop_oneof![
        4 => (0..600 * MIB).prop_map(PartitionSize::Absolute),
        2 => (1..40u64).prop_map(|count| PartitionSize::Absolute(count * 8 * MIB)),
        3 => (0.0..=100.0f64).prop_map(PartitionSize::Percent),
        1 => prop_oneof![Just(0.0), Just(50.0), Just(100.0)].prop_map(PartitionSize::Percent),
        1 => (u64::MAX - 4096..=u64::MAX).prop_map(PartitionSize::Absolute),
    ]
}

fn partitions(label: TableLabel) -> impl Strategy<Value = Vec<Partition>> {
    let logical_from = 0..8usize;
    (vec((size(), any::<bool>()), 1..12), logical_from).prop_map(move |(sizes, logical)| {
        let one = |(index, (size, bootable)): (usize, (PartitionSize, bool))| Partition {
            name: format!("p{index}"),
            size,
            kind: if label == TableLabel::Gpt {
                "8300"
            } else {
                "0x83"
            }
            .into(),
            bootable,
            primary: label == TableLabel::Mbr && index < logical,
        };
        sizes.into_iter().enumerate().map(one).collect()
    })
}

/// A disk with a table, and how many bytes it has.
fn disk() -> impl Strategy<Value = (Disk, u64)> {
    let label = prop_oneof![Just(TableLabel::Mbr), Just(TableLabel::Gpt)];
    label.prop_flat_map(|label| {
        let align = prop_oneof![
            4 => Just(MIB),
            3 => (1..16_384u64).prop_map(|sectors| sectors * SECTOR),
            1 => (1..18_000_000_000_000_000u64).prop_map(|sectors| sectors * SECTOR),
        ];
        let bytes = prop_oneof![
            6 => (0..4096 * MIB / SECTOR).prop_map(|sectors| sectors * SECTOR),
            2 => (0..1u64 << 33).prop_map(|sectors| sectors * SECTOR),
            1 => 0..=u64::MAX,
        ];
        let sector = match label {
            TableLabel::Mbr => prop_oneof![Just(512u32)].boxed(),
            TableLabel::Gpt => {
                prop_oneof![3 => Just(512u32), 1 => Just(1024), 1 => Just(4096)].boxed()
            }
        };
        (partitions(label), align, bytes, sector).prop_map(
            move |(partitions, align, bytes, sector)| {
                let disk = Disk {
                    name: "image0".into(),
                    size: None,
                    block_size: sector,
                    directory: None,
                    table: Some(PartitionTable {
                        label,
                        align,
                        partitions,
                    }),
                };
                (disk, bytes)
            },
        )
    })
}

/// Size of a partition by its configuration, where `free` is left.
fn wanted(size: PartitionSize, free: u64) -> u64 {
    match size {
        PartitionSize::Absolute(bytes) => bytes,
        PartitionSize::Percent(percent) => (free as f64 * percent / 100.0) as u64,
    }
}

fn check(disk: &Disk, bytes: u64, extents: &[Extent]) -> Result<(), TestCaseError> {
    let table = disk.table.as_ref().unwrap();
    let gpt = table.label == TableLabel::Gpt;
    let (align, unit) = match gpt {
        true => (MIB, MIB),
        false => (table.align, SECTOR),
    };
    prop_assert_eq!(extents.len(), table.partitions.len());
    // Behind the table itself: an MBR, or a GPT with its entries.
    let mut end = if gpt {
        2 * u64::from(disk.block_size) + 128 * 128
    } else {
        SECTOR
    };
    let (mut primary, mut logical) = (0, 4);
    for (index, (extent, partition)) in extents.iter().zip(&table.partitions).enumerate() {
        prop_assert_eq!(extent.partition, index, "the order is the configuration's");
        prop_assert_eq!(extent.start % align, 0, "{:?} is not aligned", extent);
        prop_assert!(extent.size > 0 && extent.size % unit == 0);
        let begin = extent.record.unwrap_or(extent.start);
        prop_assert!(begin >= end, "{:?} begins before {}", extent, end);
        if let Some(record) = extent.record {
            prop_assert!(record + EBR_BYTES <= extent.start);
        }
        prop_assert_eq!(extent.record.is_some(), !gpt && !partition.primary);
        let number = match extent.record {
            Some(_) => &mut logical,
            None => &mut primary,
        };
        *number += 1;
        prop_assert_eq!(extent.number, *number);
        if let PartitionSize::Absolute(asked) = partition.size {
            prop_assert_eq!(extent.size, asked / unit * unit);
        }
        end = extent.start.checked_add(extent.size).unwrap();
    }
    let backup = if gpt {
        128 * 128 + u64::from(disk.block_size)
    } else {
        0
    };
    prop_assert!(end <= bytes - backup, "{:?} end after {}", extents, bytes);
    Ok(())
}

/// Little-endian number at a place.
fn number<const N: usize>(file: &File, at: u64) -> u64 {
    let mut bytes = [0; 8];
    file.read_exact_at(&mut bytes[..N], at).unwrap();
    u64::from_le_bytes(bytes)
}

/// Start and length in bytes of all partitions of a written MBR, with its chain
/// of logical ones.
fn read_mbr(file: &File) -> Vec<(u64, u64)> {
    let entry = |sector: u64, slot: u64| {
        let at = sector * SECTOR + 446 + 16 * slot;
        let kind = number::<1>(file, at + 4);
        (kind, number::<4>(file, at + 8), number::<4>(file, at + 12))
    };
    let mut found = Vec::new();
    for slot in 0..4 {
        match entry(0, slot) {
            (0, ..) => {}
            (0x0f, base, _) => {
                let mut record = base;
                loop {
                    let (_, start, length) = entry(record, 0);
                    found.push((record + start, length));
                    match entry(record, 1) {
                        (0x05, next, _) => record = base + next,
                        _ => break,
                    }
                }
            }
            (_, start, length) => found.push((start, length)),
        }
    }
    let in_bytes = |(start, length)| (start * SECTOR, length * SECTOR);
    found.into_iter().map(in_bytes).collect()
}

/// The same of a GPT, from its first or its backup header.
fn read_gpt(file: &File, sector: u64, header: u64) -> Vec<(u64, u64)> {
    let array = number::<8>(file, header * sector + 72) * sector;
    let entry = |index: u64| {
        let at = array + 128 * index;
        let (first, last) = (number::<8>(file, at + 32), number::<8>(file, at + 40));
        (first * sector, (last + 1 - first) * sector)
    };
    let used = |index: &u64| number::<8>(file, array + 128 * index) != 0;
    (0..128).filter(used).map(entry).collect()
}

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn partitions_lie_apart_aligned_and_within_the_disk((disk, bytes) in disk()) {
        match place(&disk, bytes) {
            Ok(extents) => check(&disk, bytes, &extents)?,
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }

    /// What fits on a disk fits on one that is larger, and what is refused for
    /// its size has a partition that is.
    #[test]
    fn absolute_sizes_that_fit_are_placed(
        sizes in vec(1..64u64, 1..8),
        align in 1..8u64,
        gpt in any::<bool>(),
        spare in 0..3u64,
    ) {
        let label = if gpt { TableLabel::Gpt } else { TableLabel::Mbr };
        let one = |(index, mib): (usize, &u64)| Partition {
            name: format!("p{index}"),
            size: PartitionSize::Absolute(mib * MIB),
            kind: if gpt { "8300" } else { "83" }.into(),
            bootable: false,
            primary: !gpt && index < 3,
        };
        let partitions: Vec<Partition> = sizes.iter().enumerate().map(one).collect();
        let aligned = |mib: u64| mib.next_multiple_of(align);
        // The table, each partition and, before a logical one, its record.
        let needed = match gpt {
            true => 1 + sizes.iter().sum::<u64>() + 1,
            false => sizes.iter().enumerate().fold(align, |end, (index, mib)| {
                let start = if index < 3 { end } else { end + align };
                aligned(start + mib)
            }),
        };
        let disk = Disk {
            name: "image0".into(),
            size: None,
            block_size: 512,
            directory: None,
            table: Some(PartitionTable { label, align: align * MIB, partitions }),
        };
        let extents = place(&disk, (needed + spare) * MIB).unwrap();
        check(&disk, (needed + spare) * MIB, &extents)?;
        prop_assert!(place(&disk, extents.last().unwrap().start).is_err());
    }

    #[test]
    fn percentages_are_of_what_is_left(first in 1.0..99.0f64, mib in 64..4096u64) {
        let partition = |name: &str, percent| Partition {
            name: name.into(),
            size: PartitionSize::Percent(percent),
            kind: "8300".into(),
            bootable: false,
            primary: false,
        };
        let disk = Disk {
            name: "image0".into(),
            size: None,
            block_size: 512,
            directory: None,
            table: Some(PartitionTable {
                label: TableLabel::Gpt,
                align: MIB,
                partitions: vec![partition("a", first), partition("b", 100.0)],
            }),
        };
        let Ok(extents) = place(&disk, mib * MIB) else {
            return Ok(());
        };
        let free = (mib - 2) * MIB;
        let asked = wanted(PartitionSize::Percent(first), free);
        prop_assert_eq!(extents[0].size, asked / MIB * MIB);
        prop_assert_eq!(extents[1].size, (free - asked) / MIB * MIB);
    }
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn written_tables_say_the_same((disk, bytes) in disk()) {
        // A sparse file of this size is one on every filesystem.
        prop_assume!(bytes < 1 << 42);
        let file = tempfile::tempfile().unwrap();
        file.set_len(bytes).unwrap();
        let Ok(extents) = table::write(&disk, &file, "disk".as_ref(), bytes, &Ids::Random) else {
            return Ok(());
        };
        let expected: Vec<(u64, u64)> = extents.iter().map(|e| (e.start, e.size)).collect();
        let sector = u64::from(disk.block_size);
        match disk.table.as_ref().unwrap().label {
            TableLabel::Mbr => prop_assert_eq!(read_mbr(&file), expected),
            TableLabel::Gpt => {
                prop_assert_eq!(&read_gpt(&file, sector, 1), &expected);
                prop_assert_eq!(&read_gpt(&file, sector, bytes / sector - 1), &expected);
            }
        }
        prop_assert_eq!(file.metadata().unwrap().len(), bytes);
    }
}
