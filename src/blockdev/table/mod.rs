//! Partition tables on a disk, be it an image file or a loop device.

use std::fs::File;
use std::path::Path;

use super::{place, Disk, Error, Extent, TableLabel};

mod gpt;
mod ids;
mod mbr;

#[cfg(test)]
mod tests;

pub use ids::Ids;

/// Writes the partition table of `disk`, if it has one, into `file`, which is
/// at `path` and has `size` bytes; returns where its partitions lie. `ids` gives
/// GUIDs and the disk signature.
///
/// # Errors
/// Partitions that do not fit, a GPT type that nobody knows, a failing write.
pub fn write(
    disk: &Disk,
    file: &File,
    path: &Path,
    size: u64,
    ids: &Ids,
) -> Result<Vec<Extent>, Error> {
    let extents = place(disk, size)?;
    let Some(table) = &disk.table else {
        return Ok(extents);
    };
    let written = match table.label {
        TableLabel::Mbr => mbr::write(file, table, &extents, size, ids),
        TableLabel::Gpt => {
            gpt::check(table)?;
            gpt::write(file, table, &extents, (size, disk.block_size.into()), ids)
        }
    };
    written.map_err(|source| Error::Table {
        path: path.into(),
        source,
    })?;
    Ok(extents)
}
