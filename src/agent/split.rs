//! The target becomes a tree for each filesystem of its disk.
//!
//! Upstream mounts the new filesystems at `mnt` and copies `built/*` there.
//! Here nothing is copied: the tree of the root filesystem is `built` itself,
//! what is below another mount point moves into a directory of its own, and all
//! are bound together at `mnt`. What the copy does to the tree besides is done
//! here, too: hidden names of the top level do not arrive, and mkfs has made a
//! root directory of mode 0755 and, for ext2/3/4, a `lost+found`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{chown, DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::context::Context;
use super::error::Error;
use super::mounts;
use crate::blockdev::{Filesystem, Layout};

/// Splits the tree and writes its `etc/fstab`, if that is to be.
///
/// # Errors
/// The layout has no root filesystem, or a mount point is no directory.
pub(crate) fn split(
    context: &mut Context,
    layout: &Layout,
    writes_fstab: bool,
) -> Result<(), Error> {
    prepare(context, layout, writes_fstab)?;
    let built = context.built();
    let mounted: Vec<(&Filesystem, &str)> = layout
        .filesystems
        .iter()
        .filter(|filesystem| filesystem.fstype != "swap")
        .filter_map(|filesystem| Some((filesystem, filesystem.mount_point.as_deref()?)))
        .collect();
    if !mounted.iter().any(|(_, point)| *point == "/") {
        return Err(Error::NoRootFilesystem);
    }
    let target = context.target();
    fs::create_dir(&target).map_err(Error::io("create", &target))?;
    let mut trees: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
    for (filesystem, point) in mounted {
        let relative = Path::new(point.trim_start_matches('/'));
        let tree = if relative.as_os_str().is_empty() {
            built.clone()
        } else {
            let tree = context.build_dir.join("filesystems").join(&filesystem.node);
            let (parent, rest) = parent_tree(&trees, relative);
            take_out(&parent.join(rest), &tree, point)?;
            tree
        };
        if matches!(filesystem.fstype.as_str(), "ext2" | "ext3" | "ext4") {
            lost_and_found(&tree).map_err(Error::io("create lost+found in", &tree))?;
        }
        let at = target.join(relative);
        mounts::bind(&tree, &at).map_err(Error::io("bind a filesystem's tree to", &at))?;
        trees.insert(relative.to_owned(), tree.clone());
        context.trees.insert(filesystem.node.clone(), tree);
    }
    Ok(())
}

/// Writes `etc/fstab` into the built tree, if that is to be, and removes what upstream's copy leaves
/// behind; its directory becomes what mkfs makes of a root directory.
///
/// # Errors
/// Whatever the filesystem gives.
pub(crate) fn prepare(
    context: &mut Context,
    layout: &Layout,
    writes_fstab: bool,
) -> Result<(), Error> {
    let built = context.built();
    if writes_fstab {
        write_fstab(&built, layout).map_err(Error::io("write", built.join("etc/fstab")))?;
    }
    drop_hidden(context, &built)?;
    root_directory(&built).map_err(Error::io("set the mode of", &built))
}

/// The tree that holds a mount point, and the path of the point in it.
fn parent_tree(trees: &BTreeMap<PathBuf, PathBuf>, relative: &Path) -> (PathBuf, PathBuf) {
    trees
        .iter()
        .filter_map(|(point, tree)| {
            let rest = relative.strip_prefix(point).ok()?;
            Some((point.components().count(), tree.clone(), rest.to_owned()))
        })
        .max_by_key(|(depth, ..)| *depth)
        .map_or_else(Default::default, |(_, tree, rest)| (tree, rest))
}

/// Moves the directory at a mount point to `tree`, with its attributes: the
/// copy gives them to the root of the filesystem. A plain directory stays, as
/// upstream's `mkdir -p` makes it on the filesystem below.
fn take_out(at: &Path, tree: &Path, point: &str) -> Result<(), Error> {
    let holder = tree.parent().unwrap_or(tree);
    make_directories(holder).map_err(Error::io("create", holder))?;
    match fs::symlink_metadata(at) {
        Ok(metadata) if metadata.is_dir() => {
            fs::rename(at, tree).map_err(Error::io("move", at))?;
        }
        Ok(_) => return Err(Error::NotADirectory(point.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_directories(tree).map_err(Error::io("create", tree))?;
        }
        Err(error) => return Err(Error::io("look at", at)(error)),
    }
    make_directories(at).map_err(Error::io("create", at))
}

fn make_directories(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(path)
}

fn root_directory(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, PermissionsExt::from_mode(0o755))?;
    chown(path, Some(0), Some(0))
}

/// mkfs makes this, root's alone, in the root of each ext2/3/4.
fn lost_and_found(tree: &Path) -> io::Result<()> {
    let path = tree.join("lost+found");
    match fs::DirBuilder::new().mode(0o700).create(&path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result,
    }
}

/// Removes what upstream's `cp -ra built/*` does not copy.
fn drop_hidden(context: &mut Context, built: &Path) -> Result<(), Error> {
    let entries = fs::read_dir(built).map_err(Error::io("read", built))?;
    for entry in entries {
        let entry = entry.map_err(Error::io("read", built))?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = entry.path();
        context.say(format!(
            "Leaving out /{}: upstream does not copy hidden names of the top level",
            entry.file_name().to_string_lossy()
        ))?;
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let removed = match is_dir {
            true => fs::remove_dir_all(&path),
            false => fs::remove_file(&path),
        };
        removed.map_err(Error::io("remove", &path))?;
    }
    Ok(())
}

/// Replaces the content of `etc/fstab`; the mode of one that is there stays, as
/// with `cp`. A link is replaced, so that it leads nowhere else.
fn write_fstab(built: &Path, layout: &Layout) -> io::Result<()> {
    make_directories(&built.join("etc"))?;
    let path = built.join("etc/fstab");
    if fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_symlink()) {
        fs::remove_file(&path)?;
    }
    fs::write(&path, fstab(layout))
}

/// The lines of fstab (`cmd_writefstab`): only filesystems that have an entry.
fn fstab(layout: &Layout) -> String {
    let line = |filesystem: &Filesystem| {
        let entry = filesystem.fstab.as_ref()?;
        let point = match filesystem.fstype.as_str() {
            "swap" => "none",
            _ => filesystem.mount_point.as_deref()?,
        };
        Some(format!(
            "LABEL={} {point} {} {} {} {}\n",
            filesystem.label, filesystem.fstype, entry.options, entry.dump_freq, entry.fsck_passno
        ))
    };
    layout.filesystems.iter().filter_map(line).collect()
}

#[cfg(test)]
mod tests;
