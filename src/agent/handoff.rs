//! Moving a build from one appliance to another: files in the output directory,
//! which both see.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::context::Context;
use super::error::Error;
use super::spawn::Invocation;
use super::{mounts, pack};
use crate::output::archive;
use crate::plan::TreePlace;

/// The target's tree.
const TREE: &str = ".handoff-tree.tar";
/// What is known of the build.
const FACTS: &str = ".handoff.json";
/// In `TMP_BUILD_DIR`: places of the target, which moves by itself.
const TREES: [&str; 3] = ["mnt", "built", "filesystems"];

/// What the next appliance cannot find out by itself.
#[derive(Debug, Serialize, Deserialize)]
struct Facts {
    size_kib: Option<u64>,
}

fn place(context: &Context, tree: TreePlace) -> PathBuf {
    match tree {
        TreePlace::Target => context.target(),
        TreePlace::Built => context.built(),
        TreePlace::Handoff => context.output_dir.join(TREE),
    }
}

/// Packs the tree.
///
/// # Errors
/// As [`archive::pack_whole`].
pub(crate) fn pack_tree(context: &mut Context, from: TreePlace) -> Result<(), Error> {
    context.say("Packing the tree for the next appliance")?;
    let tree = place(context, from);
    let output = place(context, TreePlace::Handoff);
    Ok(archive::pack_whole(&tree, &output, &[], &pack::nodes()?)?)
}

/// Brings a tree to the target, where its filesystems are mounted; the source
/// is removed to make room.
///
/// # Errors
/// The copy fails: a full disk, mostly.
pub(crate) fn fill_target(context: &mut Context, from: TreePlace) -> Result<(), Error> {
    let (source, target) = (place(context, from), context.target());
    let copy = match from {
        TreePlace::Handoff => whole_extraction(context, &source, &target),
        TreePlace::Built | TreePlace::Target => context
            .outside("cp")
            .args(["--archive"])
            .args([source.join("."), target.clone()]),
    };
    context.run_tool(&copy)?;
    let removed = match from {
        TreePlace::Handoff => fs::remove_file(&source),
        TreePlace::Built | TreePlace::Target => fs::remove_dir_all(&source),
    };
    removed.map_err(Error::io("remove", &source))
}

/// Takes an archive apart, with the owners and modes that it has.
fn extraction(context: &Context, archive: &Path, to: &Path) -> Invocation {
    context
        .outside("tar")
        .args(["--extract", "--preserve-permissions", "--same-owner"])
        .args(["--numeric-owner", "--force-local"])
        .args(["--file".as_ref(), archive.as_os_str()])
        .args(["--directory".as_ref(), to.as_os_str()])
}

/// Takes an archive of a whole tree apart, with all that files have.
pub(super) fn whole_extraction(context: &Context, archive: &Path, to: &Path) -> Invocation {
    extraction(context, archive, to).args([
        "--xattrs",
        "--xattrs-include=*",
        "--delay-directory-restore",
    ])
}

/// Takes an archive apart over a directory that is this appliance's: owner and mode of
/// the directory stay, and so does what is mounted below it.
pub(super) fn extraction_over(
    context: &Context,
    archive: &Path,
    directory: &Path,
) -> Result<Invocation, Error> {
    Ok(extraction_through(context, archive, directory)
        .args(["--anchored", "--no-wildcards"])
        .args(mounted_below(directory)?))
}

/// The same, through what is mounted there.
pub(super) fn extraction_through(
    context: &Context,
    archive: &Path,
    directory: &Path,
) -> Invocation {
    extraction(context, archive, directory).args(["--no-overwrite-dir"])
}

/// The directories that move, with the names of their archives.
fn directories(context: &Context, scratch: Vec<PathBuf>) -> Vec<(PathBuf, PathBuf)> {
    let mut all = vec![context.build_dir.clone(), context.image_dir.clone()];
    all.extend(scratch);
    let archive = |index| context.output_dir.join(format!(".handoff-{index}.tar"));
    all.into_iter()
        .enumerate()
        .map(|(index, directory)| (directory, archive(index)))
        .collect()
}

/// Packs the work directories, those of `scratch` and what is known.
///
/// # Errors
/// As [`archive::pack_whole`], and writing.
pub(crate) fn pack(context: &mut Context, scratch: Vec<PathBuf>) -> Result<(), Error> {
    let facts = Facts {
        size_kib: context.size_kib,
    };
    let path = context.output_dir.join(FACTS);
    serde_json::to_vec(&facts)
        .map_err(io::Error::from)
        .and_then(|bytes| fs::write(&path, bytes))
        .map_err(Error::io("write", &path))?;
    for (directory, archive) in directories(context, scratch) {
        let except: &[&str] = match directory == context.build_dir {
            true => &TREES,
            false => &[],
        };
        if directory.is_dir() {
            archive::pack_whole(&directory, &archive, except, &pack::nodes()?)?;
        }
    }
    Ok(())
}

/// Takes what [`pack`] of another appliance has packed.
///
/// # Errors
/// It is not there, or cannot be unpacked.
pub(crate) fn unpack(context: &mut Context, scratch: Vec<PathBuf>) -> Result<(), Error> {
    let path = context.output_dir.join(FACTS);
    let facts: Facts = fs::read(&path)
        .and_then(|bytes| Ok(serde_json::from_slice(&bytes)?))
        .map_err(Error::io("read", &path))?;
    for (directory, archive) in directories(context, scratch) {
        if !archive.exists() {
            continue;
        }
        fs::create_dir_all(&directory).map_err(Error::io("create", &directory))?;
        let unpack = extraction_over(context, &archive, &directory)?;
        context.run_tool(&unpack)?;
        remove(&archive)?;
    }
    remove(&path)?;
    if let Some(size) = facts.size_kib {
        context.set_size(size);
    }
    Ok(())
}

/// What is mounted below a directory is another share of the host's: the
/// archive has an empty place for it, and tar would set that one's mode.
fn mounted_below(directory: &Path) -> Result<Vec<OsString>, Error> {
    let real = fs::canonicalize(directory).map_err(Error::io("resolve", directory))?;
    let excluded = |mount: PathBuf| {
        let mut option = OsString::from("--exclude=./");
        option.push(mount.strip_prefix(&real).ok()?);
        Some(option)
    };
    let mounts = mounts::mounts_below(&real)?;
    Ok(mounts.into_iter().filter_map(excluded).collect())
}

fn remove(path: &Path) -> Result<(), Error> {
    fs::remove_file(path).map_err(Error::io("remove", path))
}
