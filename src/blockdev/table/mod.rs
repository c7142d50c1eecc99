//! Partition tables on a disk, be it an image file or a loop device.

use std::fs::File;
use std::io;
use std::path::Path;

use super::{place, Disk, Error, Extent, TableLabel};

mod gpt;
mod mbr;

#[cfg(test)]
mod tests;

/// Writes the partition table of `disk`, if it has one, into `file`, which is
/// at `path` and has `size` bytes; returns where its partitions lie.
///
/// # Errors
/// Partitions that do not fit, a GPT type that nobody knows, a failing write.
pub fn write(disk: &Disk, file: &File, path: &Path, size: u64) -> Result<Vec<Extent>, Error> {
    let extents = place(disk, size)?;
    let Some(table) = &disk.table else {
        return Ok(extents);
    };
    let written = match table.label {
        TableLabel::Mbr => mbr::write(file, table, &extents, size),
        TableLabel::Gpt => {
            gpt::check(table)?;
            gpt::write(file, table, &extents, size, disk.block_size.into())
        }
    };
    written.map_err(|source| Error::Table {
        path: path.into(),
        source,
    })?;
    Ok(extents)
}

/// A random UUID (RFC 9562, version 4) in lower case.
///
/// # Errors
/// The kernel gives no random bytes.
pub fn random_uuid() -> io::Result<String> {
    let mut bytes = [0u8; 16];
    // Containers mask /proc/sys, where the kernel makes UUIDs.
    io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut bytes)?;
    let bits = u128::from_be_bytes(bytes);
    let bits = bits & !(0xf << 76) | 4 << 76;
    let bits = bits & !(0b11 << 62) | 0b10 << 62;
    let part = |low: u32, digits: u32| bits >> low & ((1 << (4 * digits)) - 1);
    Ok(format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        part(96, 8),
        part(80, 4),
        part(64, 4),
        part(48, 4),
        part(0, 12)
    ))
}
