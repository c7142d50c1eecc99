//! A disk image from trees, without a kernel's help: no loop device, no mount.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};

use crate::blockdev::table::{self, Ids};
use crate::blockdev::{place, Backing, Extent, Filesystem, Layout};
use crate::plan::Reproducible;

use super::error::io_error;
use super::nodes::NodeRegistry;
use super::tool::Tool;
use super::tree::disk_usage;
use super::Error;

mod attributes;
mod btrfs;
mod ext;
mod fractions;
mod inode_times;
mod inodes;
mod sparse;
mod vfat;

#[cfg(test)]
mod tests;

pub use sparse::copy_sparse;
pub(super) use sparse::data_ranges;

/// Makes the raw disk image of `layout` at `raw`, of the size that its disk has or else
/// `size_bytes` bytes. `trees` has the content of each mounted filesystem by
/// node name, without what is mounted below it. Placeholders of `nodes` become
/// device nodes. Upstream creates, mounts and fills the same filesystems with
/// the same mkfs arguments (`block_device/level2/mkfs.py`). What is `reproducible`
/// follows from the layout, the size and the trees alone; times in them must
/// not be later than its own.
///
/// # Errors
/// A layout that does not fit, a filesystem that is too small or that cannot
/// hold its tree, a missing or failing tool. Nothing is left at `raw` then.
pub fn assemble(
    layout: &Layout,
    trees: &BTreeMap<String, PathBuf>,
    size_bytes: u64,
    raw: &Path,
    nodes: &NodeRegistry,
    reproducible: Option<&Reproducible>,
) -> Result<(), Error> {
    let mut leftovers = Leftovers(vec![raw.to_path_buf()]);
    if let Some((node, what)) = layout.beyond_offline() {
        return Err(Error::NotOffline {
            node: node.into(),
            what,
        });
    }
    let image0 = layout.image0()?;
    let size = image0.size.unwrap_or(size_bytes);
    let extents = place(image0, size)?;
    let jobs = jobs(layout, &extents, trees, size, reproducible)?;
    let disk = create(raw, size)?;
    for (index, job) in jobs.iter().enumerate() {
        if job.start == 0 && job.size == size {
            job.make(raw, nodes).map_err(|error| error.writing(raw))?;
            continue;
        }
        let mut name = OsString::from(raw);
        name.push(format!(".{index}.part"));
        let part = PathBuf::from(name);
        leftovers.0.push(part.clone());
        create(&part, job.size)?;
        job.make(&part, nodes)
            .map_err(|error| error.writing(&part))?;
        sparse::move_into(&part, &disk, raw, job.start)?;
        std::fs::remove_file(&part).map_err(io_error("remove", &part))?;
    }
    let ids = reproducible.map_or(Ids::Random, |wanted| wanted.ids.clone());
    table::write(image0, &disk, raw, size, &ids)?;
    leftovers.0.clear();
    Ok(())
}

/// Files that must not survive a failure.
struct Leftovers(Vec<PathBuf>);

impl Drop for Leftovers {
    fn drop(&mut self) {
        for path in &self.0 {
            // Some were never created: the first error is the one to report.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// A new sparse file.
fn create(path: &Path, size: u64) -> Result<File, Error> {
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)
        .map_err(io_error("create", path))?;
    file.set_len(size)
        .map_err(io_error("set the size of", path))?;
    Ok(file)
}

/// One filesystem to make.
struct Job<'a> {
    filesystem: &'a Filesystem,
    tree: Option<&'a Path>,
    start: u64,
    size: u64,
    reproducible: Option<&'a Reproducible>,
}

/// All filesystems with their places and trees; refuses what cannot be made
/// before anything is.
fn jobs<'a>(
    layout: &'a Layout,
    extents: &[Extent],
    trees: &'a BTreeMap<String, PathBuf>,
    size: u64,
    reproducible: Option<&'a Reproducible>,
) -> Result<Vec<Job<'a>>, Error> {
    let mut jobs = Vec::new();
    for filesystem in &layout.filesystems {
        let tree = trees.get(&filesystem.node).map(PathBuf::as_path);
        if tree.is_none() && filesystem.mount_point.is_some() {
            return Err(Error::NoTree(filesystem.node.clone()));
        }
        let extent = match filesystem.backing {
            Backing::Partition { partition, .. } => {
                extents.iter().find(|e| e.partition == partition)
            }
            // `beyond_offline` saw to it that there is but one disk.
            Backing::Disk(_) | Backing::Volume(_) => None,
        };
        let (start, size) = extent.map_or((0, size), |extent| (extent.start, extent.size));
        let job = Job {
            filesystem,
            tree,
            start,
            size,
            reproducible,
        };
        job.kind()?;
        jobs.push(job);
    }
    Ok(jobs)
}

/// How a type is made.
enum Kind {
    Ext,
    Vfat,
    Btrfs,
    Swap,
    /// Any other type, empty.
    Empty,
}

impl Job<'_> {
    fn kind(&self) -> Result<Kind, Error> {
        match self.filesystem.fstype.as_str() {
            "ext2" | "ext3" | "ext4" => Ok(Kind::Ext),
            "vfat" | "fat" => Ok(Kind::Vfat),
            "btrfs" => Ok(Kind::Btrfs),
            "swap" => Ok(Kind::Swap),
            _ if self.tree.is_none() => Ok(Kind::Empty),
            other => Err(Error::CannotPopulate {
                node: self.filesystem.node.clone(),
                fstype: other.into(),
            }),
        }
    }

    fn make(&self, image: &Path, nodes: &NodeRegistry) -> Result<(), Error> {
        match self.kind()? {
            Kind::Ext => ext::make(self, image, nodes),
            Kind::Vfat => vfat::make(self, image, nodes),
            Kind::Btrfs => btrfs::make(self, image, nodes),
            Kind::Swap => Tool::new("mkswap", "util-linux")?
                .arg("-L")
                .arg(&self.filesystem.label)
                .arg("-U")
                .arg(self.uuid()?)
                .arg(image)
                .run()
                .map(drop),
            Kind::Empty => self.make_empty(image),
        }
    }

    fn make_empty(&self, image: &Path) -> Result<(), Error> {
        let mut tool = self.mkfs("")?.arg("-L").arg(&self.filesystem.label);
        if self.filesystem.fstype == "xfs" {
            tool = tool
                .arg("-m")
                .arg(format!("uuid={}", self.uuid()?))
                .arg("-q");
        }
        self.explain(tool.arg(image).run())
    }

    /// `mkfs.TYPE` with the configured options.
    fn mkfs(&self, package: &'static str) -> Result<Tool, Error> {
        self.mkfs_with(package, &self.filesystem.options)
    }

    /// `mkfs.TYPE` with these.
    fn mkfs_with(&self, package: &'static str, options: &[String]) -> Result<Tool, Error> {
        let fstype = self.filesystem.fstype.as_str();
        let package = match (package, fstype) {
            ("", "xfs") => "xfsprogs",
            ("", _) => "of its mkfs",
            (package, _) => package,
        };
        // `fat` is no name of a command; mkfs -t fat fails upstream.
        let command = if fstype == "fat" { "vfat" } else { fstype };
        Ok(Tool::new(&format!("mkfs.{command}"), package)?.args(options))
    }

    fn uuid(&self) -> Result<String, Error> {
        match &self.filesystem.uuid {
            Some(uuid) => Ok(uuid.clone()),
            None => self.id("filesystem", |ids, role| ids.uuid(role)),
        }
    }

    /// An identifier of this filesystem.
    fn id<T>(
        &self,
        what: &str,
        make: impl FnOnce(&Ids, &str) -> std::io::Result<T>,
    ) -> Result<T, Error> {
        let role = format!("{what} {}", self.filesystem.node);
        let ids = self.reproducible.map_or(&Ids::Random, |wanted| &wanted.ids);
        make(ids, &role).map_err(io_error("make", Path::new("an identifier")))
    }

    /// Turns a tool's complaint about space into an error with the sizes.
    fn explain(&self, result: Result<String, Error>) -> Result<(), Error> {
        match result {
            Ok(_) => Ok(()),
            Err(Error::Tool { tail, .. }) if says_full(&tail) => self.too_small(tail),
            Err(error) => Err(error),
        }
    }

    fn too_small(&self, tail: String) -> Result<(), Error> {
        Err(Error::TooSmall {
            node: self.filesystem.node.clone(),
            size: self.size,
            tree: self.tree.map_or(Ok(0), disk_usage)?,
            tail,
        })
    }

    fn unrepresentable(&self, what: &'static str, path: &Path) -> Error {
        Error::Unrepresentable {
            node: self.filesystem.node.clone(),
            fstype: self.filesystem.fstype.clone(),
            what,
            path: path.into(),
        }
    }
}

/// What the tools say when a tree does not fit (not when the host's disk is full).
fn says_full(tail: &str) -> bool {
    [
        "Could not allocate block",
        "Could not allocate inode",
        "Not enough space to build proposed filesystem",
        "too small",
        "too big",
        "Disk full",
        "not enough free space",
    ]
    .iter()
    .any(|words| tail.contains(words))
}
