//! btrfs: `mkfs.btrfs --rootdir`, which keeps owners, modes, xattrs and hard
//! links, but (6.2) neither device numbers nor anything of the root directory.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use crate::output::error::io_error;
use crate::output::nodes::{walk_error, NodeRegistry};
use crate::output::Error;

use super::Job;

pub(super) fn make(job: &Job, image: &Path, nodes: &NodeRegistry) -> Result<(), Error> {
    let Some(tree) = job.tree else {
        return job.make_empty(image);
    };
    check_root(job, tree)?;
    check_devices(job, tree, nodes)?;
    let made = job
        .mkfs("btrfs-progs")?
        .arg("-L")
        .arg(&job.filesystem.label)
        .arg("--rootdir")
        .arg(tree)
        .arg(image)
        .run();
    job.explain(made)?;
    // mkfs.btrfs makes the file larger when the tree does not fit.
    let grown = image.metadata().map_err(io_error("stat", image))?.len();
    match grown > job.size {
        true => job.too_small(format!("mkfs.btrfs needs {grown} bytes")),
        false => Ok(()),
    }
}

/// mkfs.btrfs gives the root directory mode 0755 and root as the owner, and
/// there is no tool that changes it in the image.
fn check_root(job: &Job, tree: &Path) -> Result<(), Error> {
    let root = tree.symlink_metadata().map_err(io_error("stat", tree))?;
    if root.mode() & 0o7777 == 0o755 && root.uid() == 0 && root.gid() == 0 {
        return Ok(());
    }
    let what = "a root directory whose mode is not 0755 or whose owner is not root";
    Err(job.unrepresentable(what, Path::new("/")))
}

/// mkfs.btrfs writes every device with the number 0:0.
fn check_devices(job: &Job, tree: &Path, nodes: &NodeRegistry) -> Result<(), Error> {
    let refuse = |path: &Path| job.unrepresentable("device nodes without a mount", path);
    if let Some(node) = nodes.locate(tree)?.first() {
        return Err(refuse(&node.path));
    }
    for item in walkdir::WalkDir::new(tree) {
        let item = item.map_err(|error| walk_error(tree, error))?;
        let kind = item.file_type();
        if kind.is_block_device() || kind.is_char_device() {
            return Err(refuse(item.path()));
        }
    }
    Ok(())
}
