//! The GUID partition table, as `sgdisk -n N:0:+SIZEM -t N:TYPE -c N:NAME`
//! makes it on an empty disk.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::blockdev::{Extent, PartitionTable, SECTOR};
use crate::output::error::io_error;
use crate::output::Error;

use super::random_uuid;

const ENTRIES: usize = 128;
const ENTRY_SIZE: usize = 128;
/// Sectors of the array of entries.
const ARRAY_SECTORS: u64 = 32;
const HEADER_SIZE: usize = 92;
/// Characters (UTF-16 units) of a partition's name.
const NAME_UNITS: usize = 36;

/// Codes of sgdisk and the types that they stand for; a test asks sgdisk.
pub(super) const TYPES: [(&str, &str); 20] = [
    ("0700", "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"),
    ("0C01", "E3C9E316-0B5C-4DB8-817D-F92DF00215AE"),
    ("4100", "9E1A2D38-C612-4316-AA26-8B49521E5A8B"),
    ("8200", "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F"),
    ("8300", "0FC63DAF-8483-4772-8E79-3D69D8477DE4"),
    ("8301", "8DA63339-0007-60C0-C436-083AC8230908"),
    ("8302", "933AC7E1-2EB4-4F13-B844-0E14E2AEF915"),
    ("8303", "44479540-F297-41B2-9AF7-D131D5F0458A"),
    ("8304", "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709"),
    ("8305", "B921B045-1DF0-41C3-AF44-4C6F280D3FAE"),
    ("8306", "3B8F8425-20E0-4F3B-907F-1A25A76F98E8"),
    ("8307", "69DAD710-2CE4-4E3C-B16C-21A1D49ABED3"),
    ("8308", "7FFEC5C9-2D00-49B7-8941-3EA10A5586B7"),
    ("8309", "CA7D7CCB-63ED-4C53-861C-1742536059CC"),
    ("8310", "4D21B016-B534-45C2-A9FB-5C16E091FD2D"),
    ("8E00", "E6D6D379-F507-44C2-A23C-238F2A3DF928"),
    ("EF00", "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"),
    ("EF01", "024DEE41-33E7-11D3-9D69-0008C781F39F"),
    ("EF02", "21686148-6449-6E6F-744E-656564454649"),
    ("FD00", "A19D880F-05FC-4D3B-A006-743F0F84911E"),
];

/// Writes both copies of the table of a disk of `size` bytes, and the MBR that
/// protects it.
pub(super) fn write(
    disk: &File,
    path: &Path,
    table: &PartitionTable,
    extents: &[Extent],
    size: u64,
) -> Result<(), Error> {
    let array = entries(table, extents)?;
    let guid = guid_bytes(&random_uuid()?).unwrap_or_default();
    let last = size / SECTOR - 1;
    let primary = header(1, last, 2, last, &guid, &array);
    let backup = header(last, 1, last - ARRAY_SECTORS, last, &guid, &array);
    let writes = || -> io::Result<()> {
        disk.write_all_at(&protective_mbr(last), 0)?;
        disk.write_all_at(&primary, SECTOR)?;
        disk.write_all_at(&array, 2 * SECTOR)?;
        disk.write_all_at(&array, (last - ARRAY_SECTORS) * SECTOR)?;
        disk.write_all_at(&backup, last * SECTOR)
    };
    writes().map_err(io_error("write", path))
}

fn entries(table: &PartitionTable, extents: &[Extent]) -> Result<Vec<u8>, Error> {
    let mut array = vec![0u8; ENTRIES * ENTRY_SIZE];
    for (entry, extent) in array.chunks_mut(ENTRY_SIZE).zip(extents) {
        let Some(partition) = table.partitions.get(extent.partition) else {
            continue;
        };
        let kind = type_guid(&partition.kind).ok_or_else(|| Error::PartitionType {
            partition: partition.name.clone(),
            kind: partition.kind.clone(),
        })?;
        entry[0..16].copy_from_slice(&kind);
        entry[16..32].copy_from_slice(&guid_bytes(&random_uuid()?).unwrap_or_default());
        entry[32..40].copy_from_slice(&(extent.start / SECTOR).to_le_bytes());
        entry[40..48].copy_from_slice(&(extent.end() / SECTOR - 1).to_le_bytes());
        let name = partition.name.encode_utf16().take(NAME_UNITS);
        for (place, unit) in entry[56..].chunks_mut(2).zip(name) {
            place.copy_from_slice(&unit.to_le_bytes());
        }
    }
    Ok(array)
}

/// The bytes of a type: a code with or without `0x`, or a full GUID.
fn type_guid(kind: &str) -> Option<[u8; 16]> {
    if let Some(bytes) = guid_bytes(kind) {
        return Some(bytes);
    }
    let code = kind.strip_prefix("0x").unwrap_or(kind).to_uppercase();
    let guid = TYPES
        .iter()
        .find_map(|(name, guid)| (*name == code).then_some(*guid))?;
    guid_bytes(guid)
}

/// A GUID as it is stored: the first three groups little-endian.
fn guid_bytes(text: &str) -> Option<[u8; 16]> {
    let groups: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    if lengths != [8, 4, 4, 4, 12] || !text.is_ascii() {
        return None;
    }
    let mut bytes = [0u8; 16];
    let digits = groups.concat();
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    bytes[0..4].reverse();
    bytes[4..6].reverse();
    bytes[6..8].reverse();
    Some(bytes)
}

fn header(
    own: u64,
    other: u64,
    array_at: u64,
    last: u64,
    guid: &[u8; 16],
    array: &[u8],
) -> Vec<u8> {
    let mut header = vec![0u8; SECTOR as usize];
    header[0..8].copy_from_slice(b"EFI PART");
    header[8..12].copy_from_slice(&0x0001_0000u32.to_le_bytes());
    header[12..16].copy_from_slice(&(HEADER_SIZE as u32).to_le_bytes());
    header[24..32].copy_from_slice(&own.to_le_bytes());
    header[32..40].copy_from_slice(&other.to_le_bytes());
    header[40..48].copy_from_slice(&(2 + ARRAY_SECTORS).to_le_bytes());
    header[48..56].copy_from_slice(&(last - ARRAY_SECTORS - 1).to_le_bytes());
    header[56..72].copy_from_slice(guid);
    header[72..80].copy_from_slice(&array_at.to_le_bytes());
    header[80..84].copy_from_slice(&(ENTRIES as u32).to_le_bytes());
    header[84..88].copy_from_slice(&(ENTRY_SIZE as u32).to_le_bytes());
    header[88..92].copy_from_slice(&crc32(array).to_le_bytes());
    let sum = crc32(&header[..HEADER_SIZE]);
    header[16..20].copy_from_slice(&sum.to_le_bytes());
    header
}

/// One partition of type 0xee over the whole disk, as far as 32 bits go.
fn protective_mbr(last: u64) -> Vec<u8> {
    let mut sector = vec![0u8; SECTOR as usize];
    let entry = &mut sector[446..462];
    entry[1..4].copy_from_slice(&[0x00, 0x02, 0x00]);
    entry[4] = 0xee;
    entry[5..8].copy_from_slice(&chs(last));
    entry[8..12].copy_from_slice(&1u32.to_le_bytes());
    let length = u32::try_from(last).unwrap_or(u32::MAX);
    entry[12..16].copy_from_slice(&length.to_le_bytes());
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
