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

/// A random UUID (version 4) in lower case.
///
/// # Errors
/// The kernel gives none.
pub fn random_uuid() -> io::Result<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/uuid")?;
    Ok(text.trim().to_owned())
}
