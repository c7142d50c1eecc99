//! The GUID partition table, as `sgdisk -n N:0:+SIZEM -t N:TYPE -c N:NAME`
//! makes it on an empty disk.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::Ids;
use crate::blockdev::{Error, Extent, Partition, PartitionTable};

const ENTRIES: usize = 128;
const ENTRY_SIZE: usize = 128;
const HEADER_SIZE: usize = 92;
/// Characters (UTF-16 units) of a partition's name.
const NAME_UNITS: usize = 36;

/// Codes of sgdisk and the types that they stand for.
const TYPES: &str = include_str!("gpt_types.txt");

/// All codes with their types.
pub(super) fn types() -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = TYPES.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(' '))
}

/// Where things lie on a disk, counted in its sectors.
struct Geometry {
    sector: u64,
    last: u64,
    /// Sectors of the array of entries.
    array: u64,
}

impl Geometry {
    fn of(size: u64, sector: u64) -> Geometry {
        Geometry {
            sector,
            last: (size / sector).saturating_sub(1),
            array: ((ENTRIES * ENTRY_SIZE) as u64).div_ceil(sector),
        }
    }
}

/// The types of all partitions.
///
/// # Errors
/// [`Error::PartitionType`].
pub(super) fn check(table: &PartitionTable) -> Result<(), Error> {
    let known = |partition: &Partition| {
        let kind = type_guid(&partition.kind);
        kind.map(drop).ok_or_else(|| Error::PartitionType {
            partition: partition.name.clone(),
            kind: partition.kind.clone(),
        })
    };
    table.partitions.iter().try_for_each(known)
}

/// Writes both copies of the table of a disk of `size` bytes in sectors of so
/// many, and the MBR that protects it.
pub(super) fn write(
    disk: &File,
    table: &PartitionTable,
    extents: &[Extent],
    (size, sector): (u64, u64),
    ids: &Ids,
) -> io::Result<()> {
    let place = Geometry::of(size, sector);
    let array = entries(table, extents, sector, ids)?;
    let guid = new_guid(ids, "gpt disk")?;
    let last = place.last;
    let primary = header(&place, (1, last), 2, &guid, &array);
    let backup_at = last - place.array;
    let backup = header(&place, (last, 1), backup_at, &guid, &array);
    disk.write_all_at(&protective_mbr(last), 0)?;
    disk.write_all_at(&primary, sector)?;
    disk.write_all_at(&array, 2 * sector)?;
    disk.write_all_at(&array, backup_at * sector)?;
    disk.write_all_at(&backup, last * sector)
}

fn entries(
    table: &PartitionTable,
    extents: &[Extent],
    sector: u64,
    ids: &Ids,
) -> io::Result<Vec<u8>> {
    let mut array = vec![0u8; ENTRIES * ENTRY_SIZE];
    for (place, extent) in array.chunks_exact_mut(ENTRY_SIZE).zip(extents) {
        let partition = table.partitions.get(extent.partition);
        let kind = partition.and_then(|partition| type_guid(&partition.kind));
        let (Some(partition), Some(kind)) = (partition, kind) else {
            continue;
        };
        let mut entry = [0u8; ENTRY_SIZE];
        entry[0..16].copy_from_slice(&kind);
        let role = format!("gpt partition {}", partition.name);
        entry[16..32].copy_from_slice(&new_guid(ids, &role)?);
        entry[32..40].copy_from_slice(&(extent.start / sector).to_le_bytes());
        entry[40..48].copy_from_slice(&(extent.end() / sector - 1).to_le_bytes());
        let name = partition.name.encode_utf16().take(NAME_UNITS);
        for (letter, unit) in entry[56..].chunks_exact_mut(2).zip(name) {
            letter.copy_from_slice(&unit.to_le_bytes());
        }
        place.copy_from_slice(&entry);
    }
    Ok(array)
}

fn new_guid(ids: &Ids, role: &str) -> io::Result<[u8; 16]> {
    let text = ids.uuid(role)?;
    guid_bytes(&text).ok_or_else(|| io::Error::other(format!("'{text}' is no GUID")))
}

/// The bytes of a type: a code with or without `0x`, or a full GUID.
fn type_guid(kind: &str) -> Option<[u8; 16]> {
    if let Some(bytes) = guid_bytes(kind) {
        return Some(bytes);
    }
    let code = kind.strip_prefix("0x").unwrap_or(kind).to_uppercase();
    let (_, guid) = types().find(|(name, _)| *name == code)?;
    guid_bytes(guid)
}

/// A GUID as it is stored: the first three groups little-endian.
fn guid_bytes(text: &str) -> Option<[u8; 16]> {
    let groups: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    let digits = groups.concat();
    // A sign, too, is something that numbers are read from.
    if lengths != [8, 4, 4, 4, 12] || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let number = u128::from_str_radix(&digits, 16).ok()?;
    let mut bytes = number.to_be_bytes();
    bytes[0..4].reverse();
    bytes[4..6].reverse();
    bytes[6..8].reverse();
    Some(bytes)
}

/// A header; `own` and `other` are the sectors of this one and of its copy.
fn header(
    place: &Geometry,
    (own, other): (u64, u64),
    array_at: u64,
    guid: &[u8; 16],
    array: &[u8],
) -> Vec<u8> {
    let mut header = [0u8; HEADER_SIZE];
    header[0..8].copy_from_slice(b"EFI PART");
    header[8..12].copy_from_slice(&0x0001_0000u32.to_le_bytes());
    header[12..16].copy_from_slice(&(HEADER_SIZE as u32).to_le_bytes());
    header[24..32].copy_from_slice(&own.to_le_bytes());
    header[32..40].copy_from_slice(&other.to_le_bytes());
    header[40..48].copy_from_slice(&(2 + place.array).to_le_bytes());
    header[48..56].copy_from_slice(&(place.last - place.array - 1).to_le_bytes());
    header[56..72].copy_from_slice(guid);
    header[72..80].copy_from_slice(&array_at.to_le_bytes());
    header[80..84].copy_from_slice(&(ENTRIES as u32).to_le_bytes());
    header[84..88].copy_from_slice(&(ENTRY_SIZE as u32).to_le_bytes());
    header[88..92].copy_from_slice(&crc32(array).to_le_bytes());
    let sum = crc32(&header);
    header[16..20].copy_from_slice(&sum.to_le_bytes());
    let mut sector = header.to_vec();
    sector.resize(place.sector as usize, 0);
    sector
}

/// One partition of type 0xee over the whole disk, as far as 32 bits go.
fn protective_mbr(last: u64) -> [u8; 512] {
    let mut entry = [0u8; 16];
    entry[1..4].copy_from_slice(&[0x00, 0x02, 0x00]);
    entry[4] = 0xee;
    entry[5..8].copy_from_slice(&chs(last));
    entry[8..12].copy_from_slice(&1u32.to_le_bytes());
    let length = u32::try_from(last).unwrap_or(u32::MAX);
    entry[12..16].copy_from_slice(&length.to_le_bytes());
    let mut sector = [0u8; 512];
    sector[446..462].copy_from_slice(&entry);
    sector[510..512].copy_from_slice(&[0x55, 0xaa]);
    sector
}

/// Head, sector, cylinder of a sector, with 255 heads of 63 sectors; all ones
/// beyond cylinder 1023.
fn chs(lba: u64) -> [u8; 3] {
    let cylinder = lba / (255 * 63);
    if cylinder > 1023 {
        return [0xff; 3];
    }
    let sector = lba % 63 + 1;
    [
        (lba / 63 % 255) as u8,
        (sector | (cylinder >> 2 & 0xc0)) as u8,
        cylinder as u8,
    ]
}

/// CRC-32 as in zlib: 16 KiB a disk need no table.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}
