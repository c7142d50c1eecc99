//! vfat: mkfs.vfat and mtools. What FAT cannot hold is refused, as upstream's
//! copy into the mounted filesystem fails on it.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use crate::blockdev::table::Ids;
use crate::output::nodes::{walk_error, NodeRegistry};
use crate::output::tool::Tool;
use crate::output::tree::children;
use crate::output::Error;

use super::Job;

pub(super) fn make(job: &Job, image: &Path, nodes: &NodeRegistry) -> Result<(), Error> {
    if let Some(tree) = job.tree {
        check(job, tree, nodes)?;
    }
    let tool = match job.reproducible {
        None => job.mkfs("dosfstools")?,
        Some(_) => {
            // Of several options of one kind, the last counts: the user's.
            let [a, b, c, d] = job.id("volume", Ids::bytes)?;
            let id = format!("{a:02x}{b:02x}{c:02x}{d:02x}");
            let own = ["--invariant".to_owned(), "-i".to_owned(), id];
            job.mkfs_with(
                "dosfstools",
                &[&own, job.filesystem.options.as_slice()].concat(),
            )?
        }
    };
    let made = tool.arg("-n").arg(&job.filesystem.label).arg(image).run();
    job.explain(made)?;
    let Some(tree) = job.tree else {
        return Ok(());
    };
    if let Some(wanted) = job.reproducible {
        return copy_sorted(job, tree, image, wanted.epoch);
    }
    let mut children = children(tree)?;
    if children.is_empty() {
        return Ok(());
    }
    children.sort();
    let copied = mtool("mcopy")?
        .args(["-s", "-p", "-m", "-Q", "-n", "-i"])
        .arg(image)
        .args(children)
        .arg("::")
        .run();
    job.explain(copied)
}

/// mcopy -s (4.0.32) takes the entries of directories as they come: here each
/// directory is a copy of its own.
fn copy_sorted(job: &Job, tree: &Path, image: &Path, epoch: u32) -> Result<(), Error> {
    let epoch = epoch.to_string();
    for item in walkdir::WalkDir::new(tree).sort_by_file_name() {
        let item = item.map_err(|error| walk_error(tree, error))?;
        if !item.file_type().is_dir() {
            continue;
        }
        let directory = item.path();
        let mut inside = OsString::from("::/");
        inside.push(directory.strip_prefix(tree).unwrap_or(directory));
        if directory != tree {
            // A directory's time is the present.
            let tool = mtool("mmd")?.env("SOURCE_DATE_EPOCH", &epoch);
            job.explain(tool.arg("-i").arg(image).arg(&inside).run())?;
        }
        let mut files = children(directory)?;
        files.retain(|path| !path.is_dir());
        files.sort();
        if files.is_empty() {
            continue;
        }
        let copied = mtool("mcopy")?
            .env("SOURCE_DATE_EPOCH", &epoch)
            .args(["-p", "-m", "-Q", "-n", "-i"])
            .arg(image)
            .args(files)
            .arg(&inside)
            .run();
        job.explain(copied)?;
    }
    Ok(())
}

fn mtool(name: &str) -> Result<Tool, Error> {
    // Names are UTF-8; the kernel shows FAT's local times as UTC here.
    Ok(Tool::new(name, "mtools")?
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC")
        .env("MTOOLS_SKIP_CHECK", "1"))
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
