//! vfat: mkfs.vfat and mtools. What FAT cannot hold is refused, as upstream's
//! copy into the mounted filesystem fails on it.

use std::collections::HashSet;
use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::output::error::io_error;
use crate::output::nodes::{walk_error, NodeRegistry};
use crate::output::tool::Tool;
use crate::output::Error;

use super::Job;

pub(super) fn make(job: &Job, image: &Path, nodes: &NodeRegistry) -> Result<(), Error> {
    if let Some(tree) = job.tree {
        check(job, tree, nodes)?;
    }
    let tool = job.mkfs("dosfstools")?;
    let made = tool.arg("-n").arg(&job.filesystem.label).arg(image).run();
    job.explain(made)?;
    let Some(tree) = job.tree else {
        return Ok(());
    };
    let mut children: Vec<PathBuf> = std::fs::read_dir(tree)
        .and_then(|entries| {
            entries
                .map(|entry| entry.map(|entry| entry.path()))
                .collect()
        })
        .map_err(io_error("read", tree))?;
    if children.is_empty() {
        return Ok(());
    }
    children.sort();
    let copied = Tool::new("mcopy", "mtools")?
        // Names are UTF-8; the kernel shows FAT's local times as UTC here.
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC")
        .env("MTOOLS_SKIP_CHECK", "1")
        .args(["-s", "-p", "-m", "-Q", "-n", "-i"])
        .arg(image)
        .args(children)
        .arg("::")
        .run();
    job.explain(copied)
}

fn check(job: &Job, tree: &Path, nodes: &NodeRegistry) -> Result<(), Error> {
    let mut seen = HashSet::new();
    for item in walkdir::WalkDir::new(tree).min_depth(1).sort_by_file_name() {
        let item = item.map_err(|error| walk_error(tree, error))?;
        let metadata = item.metadata().map_err(|error| walk_error(tree, error))?;
        let path = item.path().strip_prefix(tree).unwrap_or(item.path());
        let refused = refused_type(&metadata, nodes).or_else(|| refused_name(path, &mut seen));
        if let Some(what) = refused {
            return Err(job.unrepresentable(what, path));
        }
    }
    Ok(())
}

fn refused_type(metadata: &Metadata, nodes: &NodeRegistry) -> Option<&'static str> {
    let kind = metadata.file_type();
    if kind.is_symlink() {
        Some("symbolic links")
    } else if kind.is_block_device() || kind.is_char_device() || nodes.find(metadata).is_some() {
        Some("device nodes")
    } else if kind.is_fifo() || kind.is_socket() {
        Some("fifos and sockets")
    } else if !kind.is_dir() && metadata.nlink() > 1 {
        Some("hard links")
    } else if metadata.uid() != 0 || metadata.gid() != 0 {
        Some("owners other than root")
    } else if metadata.len() > u64::from(u32::MAX) && kind.is_file() {
        Some("files of 4 GiB and more")
    } else {
        None
    }
}

/// mcopy would ask or make up another name.
fn refused_name(path: &Path, seen: &mut HashSet<String>) -> Option<&'static str> {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return Some("names that are not UTF-8");
    };
    let reserved = |c: char| c.is_control() || "\"*:<>?\\|".contains(c);
    if name.contains(reserved) || name.ends_with(['.', ' ']) || name.starts_with(' ') {
        return Some("this name");
    }
    if !seen.insert(path.to_string_lossy().to_lowercase()) {
        return Some("names that differ in case only");
    }
    None
}
