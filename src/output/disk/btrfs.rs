//! btrfs: `mkfs.btrfs --rootdir`, under fakeroot where there are placeholders.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::output::error::io_error;
use crate::output::nodes::{NodeKind, NodeRegistry, PlacedNode};
use crate::output::tool::{find, Tool};
use crate::output::Error;

use super::Job;

pub(super) fn make(job: &Job, image: &Path, nodes: &NodeRegistry) -> Result<(), Error> {
    let Some(tree) = job.tree else {
        return job.make_empty(image);
    };
    check_root(job, tree)?;
    let nodes = nodes.locate(tree)?;
    let state =
        tempfile::NamedTempFile::new().map_err(io_error("create a file in", Path::new("/tmp")))?;
    let tool = if nodes.is_empty() {
        job.mkfs("btrfs-progs")?
    } else {
        std::fs::write(state.path(), fakeroot_state(&nodes))
            .map_err(io_error("write", state.path()))?;
        let mkfs = find("mkfs.btrfs").ok_or_else(|| Error::MissingTool {
            tool: "mkfs.btrfs".into(),
            package: "btrfs-progs",
        })?;
        // -u: all that the state does not name is as it really is.
        Tool::new("fakeroot", "fakeroot")?
            .arg("-u")
            .arg("-i")
            .arg(state.path())
            .arg("--")
            .arg(mkfs)
            .args(&job.filesystem.options)
    };
    let made = tool
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

fn fakeroot_state(nodes: &[PlacedNode]) -> String {
    let mut text = String::new();
    for node in nodes {
        let format = match node.entry.kind {
            NodeKind::Block => 0o060_000,
            NodeKind::Char => 0o020_000,
        };
        text += &format!(
            "dev={:x},ino={},mode={:o},uid={},gid={},nlink={},rdev={}\n",
            node.metadata.dev(),
            node.metadata.ino(),
            format | (node.metadata.mode() & 0o7777),
            node.metadata.uid(),
            node.metadata.gid(),
            node.metadata.nlink(),
            nix::sys::stat::makedev(node.entry.major.into(), node.entry.minor.into()),
        );
    }
    text
}
