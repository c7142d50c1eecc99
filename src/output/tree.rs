//! Facts about a tree on disk.

use std::collections::HashSet;
use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::disk::data_ranges;
use super::error::io_error;
use super::nodes::walk_error;
use super::Error;

/// Bytes of a block of ext4, and of a page of tmpfs.
const BLOCK: u64 = 4096;
/// Bytes of a symbolic link that ext4 keeps in the inode.
const SHORT_LINK: u64 = 60;

/// Bytes that a tree takes on disk, each inode once.
///
/// # Errors
/// If the tree cannot be read.
pub fn disk_usage(tree: &Path) -> Result<u64, Error> {
    let mut seen = HashSet::new();
    let mut blocks = 0;
    for item in walkdir::WalkDir::new(tree) {
        let item = item.map_err(|error| walk_error(tree, error))?;
        let metadata = item.metadata().map_err(|error| walk_error(tree, error))?;
        if metadata.nlink() == 1
            || metadata.is_dir()
            || seen.insert((metadata.dev(), metadata.ino()))
        {
            blocks += metadata.blocks();
        }
    }
    Ok(blocks * 512)
}

/// Bytes that a tree would take on ext4 with blocks of 4096 bytes, whatever it is
/// on: by the names and the data that there are.
///
/// # Errors
/// If the tree cannot be read.
pub fn content_size(tree: &Path) -> Result<u64, Error> {
    let mut seen = HashSet::new();
    let mut bytes = 0;
    for item in walkdir::WalkDir::new(tree) {
        let item = item.map_err(|error| walk_error(tree, error))?;
        let metadata = item.metadata().map_err(|error| walk_error(tree, error))?;
        let linked = metadata.nlink() > 1 && !metadata.is_dir();
        if !linked || seen.insert((metadata.dev(), metadata.ino())) {
            bytes += inode_size(item.path(), &metadata)?;
        }
    }
    Ok(bytes)
}

fn inode_size(path: &Path, metadata: &Metadata) -> Result<u64, Error> {
    let kind = metadata.file_type();
    if kind.is_dir() {
        // An entry is a name, padded to four bytes, after eight bytes.
        let entries = std::fs::read_dir(path).map_err(io_error("read", path))?;
        let mut bytes = 24;
        for entry in entries {
            let name = entry.map_err(io_error("read", path))?.file_name();
            bytes += (8 + name.len() as u64).next_multiple_of(4);
        }
        return Ok(bytes.next_multiple_of(BLOCK));
    }
    if kind.is_symlink() {
        return Ok(if metadata.len() < SHORT_LINK {
            0
        } else {
            BLOCK
        });
    }
    if !kind.is_file() || metadata.len() <= BLOCK {
        return Ok(metadata.len().next_multiple_of(BLOCK));
    }
    let file = File::open(path).map_err(io_error("open", path))?;
    let ranges = data_ranges(&file, metadata.len()).map_err(io_error("read", path))?;
    let blocks = |(start, stop): &(u64, u64)| stop.next_multiple_of(BLOCK) - start / BLOCK * BLOCK;
    Ok(ranges.iter().map(blocks).sum())
}

/// Paths of what is in a directory, in no order.
pub(super) fn children(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    std::fs::read_dir(directory)
        .and_then(|entries| {
            entries
                .map(|entry| entry.map(|entry| entry.path()))
                .collect()
        })
        .map_err(io_error("read", directory))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::testing::bash;

    #[test]
    fn the_content_is_measured_not_the_filesystem() {
        let sizes = ["/dev/shm", "/var/tmp"].map(|place| {
            let directory = tempfile::tempdir_in(place).unwrap();
            bash(
                directory.path(),
                "mkdir tree; cd tree; echo x > a; ln a b; ln -s a c; mkfifo d; : > e; mkdir f
                 ln -s $(printf %070d 1) g; truncate -s 1M h; printf x | dd of=h seek=200000 bs=1 \
                 conv=notrunc status=none; head -c 5000 /dev/zero > i
                 for n in $(seq 100 399); do : > f/a-name-of-sixteen-$n; done",
            );
            content_size(&directory.path().join("tree")).unwrap()
        });
        // tree, a, f of 300 * 28 + 24 bytes, g, a block of h, two of i
        assert_eq!(sizes, [(1 + 1 + 3 + 1 + 1 + 2) * BLOCK; 2]);
    }
}
