//! Facts about a tree on disk.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::nodes::walk_error;
use super::Error;

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
