//! Times of a reproducible image.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{utimensat, UtimensatFlags};
use nix::sys::time::TimeSpec;
use walkdir::WalkDir;

use super::context::Context;
use super::error::Error;

/// Sets every later time in the trees of the image to `epoch`. A tree by itself
/// has the mount points that another one covers at `mnt`.
///
/// # Errors
/// Whatever the filesystem gives.
pub(crate) fn clamp(context: &mut Context, epoch: u32) -> Result<(), Error> {
    let trees: Vec<PathBuf> = match context.trees.is_empty() {
        true => vec![context.target()],
        false => context.trees.values().cloned().collect(),
    };
    trees.iter().try_for_each(|tree| clamp_tree(tree, epoch))
}

fn clamp_tree(tree: &Path, epoch: u32) -> Result<(), Error> {
    for entry in WalkDir::new(tree) {
        let entry = entry.map_err(|error| Error::io("read", tree)(error.into()))?;
        let path = entry.path();
        let metadata = entry.metadata();
        let metadata = metadata.map_err(|error| Error::io("stat", path)(error.into()))?;
        if is_later(&metadata, epoch) {
            let time = TimeSpec::new(epoch.into(), 0);
            utimensat(
                AT_FDCWD,
                path,
                &time,
                &time,
                UtimensatFlags::NoFollowSymlink,
            )
            .map_err(|errno| Error::io("set the time of", path)(errno.into()))?;
        }
    }
    Ok(())
}

fn is_later(metadata: &Metadata, epoch: u32) -> bool {
    (metadata.mtime(), metadata.mtime_nsec()) > (epoch.into(), 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, SystemTime};

    #[test]
    fn later_times_alone_are_changed() {
        let directory = tempfile::tempdir().unwrap();
        let tree = directory.path().join("tree");
        std::fs::create_dir(&tree).unwrap();
        let outside = directory.path().join("outside");
        std::fs::write(&outside, "").unwrap();
        std::os::unix::fs::symlink(&outside, tree.join("link")).unwrap();
        for (name, millis) in [("old", 999_500), ("same", 1_000_000), ("late", 1_000_001)] {
            let file = std::fs::File::create(tree.join(name)).unwrap();
            let time = SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
            file.set_modified(time).unwrap();
        }
        clamp_tree(&tree, 1000).unwrap();
        let time = |path: &Path| {
            let metadata = path.symlink_metadata().unwrap();
            (metadata.mtime(), metadata.mtime_nsec())
        };
        assert_eq!(time(&tree.join("old")), (999, 500_000_000));
        for name in ["same", "late", "link", ""] {
            assert_eq!(time(&tree.join(name)), (1000, 0), "{name}");
        }
        assert!(time(&outside) > (1_000_000, 0));
    }
}
