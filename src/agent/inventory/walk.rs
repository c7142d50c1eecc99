//! What takes the space in a tree.

use std::collections::{HashMap, HashSet};
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use walkdir::WalkDir;

use super::short;
use crate::protocol::Space;

/// Whatever takes less than this part of its directory is not told by itself, nor
/// what takes less than that part of the whole.
const PART: u64 = 1000;
const PART_OF_ALL: u64 = 4000;
/// Depth below which nothing is told by itself.
const MAX_DEPTH: usize = 10;
/// Most children of a directory that are told; and that wait for that.
const MAX_CHILDREN: usize = 200;
const MAX_WAITING: usize = 4096;
/// Most paths that have an owner.
const MAX_OWNED: usize = 4_000_000;

/// Which package owns a path: paths relative to the root, numbers of packages.
#[derive(Default)]
pub(super) struct Owners(HashMap<Box<[u8]>, u32>);

impl Owners {
    /// Notes an owner; the first one counts.
    pub(super) fn add(&mut self, path: &[u8], package: usize) {
        if self.0.len() < MAX_OWNED {
            let package = u32::try_from(package).unwrap_or(u32::MAX);
            self.0.entry(path.into()).or_insert(package);
        }
    }

    fn of(&self, path: &[u8]) -> Option<usize> {
        self.0
            .get(path)
            .and_then(|package| (*package).try_into().ok())
    }
}

/// What was found.
#[derive(Default)]
pub(super) struct Walked {
    pub(super) tree: Space,
    pub(super) unowned: Space,
    pub(super) files: u64,
    pub(super) directories: u64,
    /// Bytes and number of files, for each package.
    pub(super) packages: Vec<(u64, u64)>,
    pub(super) unreadable: u64,
}

/// Walks a tree of which `count` packages own files. Filesystems that are mounted
/// in it belong to it: those of the image are the only ones by then.
pub(super) fn walk(root: &Path, owners: &Owners, count: usize) -> Walked {
    let mut walked = Walked {
        packages: vec![(0, 0); count],
        ..Walked::default()
    };
    let mut open: Vec<[Open; 2]> = Vec::new();
    let mut seen = HashSet::new();
    for entry in WalkDir::new(root).follow_links(false) {
        let found = entry
            .ok()
            .and_then(|entry| Some((entry.metadata().ok()?, entry)));
        let Some((metadata, entry)) = found else {
            walked.unreadable += 1;
            continue;
        };
        while open.len() > entry.depth() {
            close(&mut open, &mut walked);
        }
        let name = match entry.depth() {
            0 => String::new(),
            _ => short(&entry.file_name().to_string_lossy()),
        };
        if metadata.is_dir() {
            walked.directories += 1;
            let own = metadata.blocks() * 512;
            open.push([Open::new(&name, own), Open::new(&name, 0)]);
            continue;
        }
        walked.files += 1;
        let path = entry.path().strip_prefix(root).unwrap_or(entry.path());
        let owner = owners.of(path.as_os_str().as_bytes());
        let file = file(name, &metadata, &mut seen);
        if let Some((bytes, files)) = owner.and_then(|owner| walked.packages.get_mut(owner)) {
            *bytes += file.bytes;
            *files += 1;
        }
        if let Some([all, unowned]) = open.last_mut() {
            if owner.is_none() {
                unowned.add(file.clone());
            }
            all.add(file);
        }
    }
    while !open.is_empty() {
        close(&mut open, &mut walked);
    }
    let least = walked.tree.bytes / PART_OF_ALL;
    prune(&mut walked.tree, least);
    prune(&mut walked.unowned, least);
    walked
}

fn prune(space: &mut Space, least: u64) {
    space.children.retain(|child| child.bytes >= least);
    for child in &mut space.children {
        prune(child, least);
    }
}

fn file(name: String, metadata: &Metadata, seen: &mut HashSet<(u64, u64)>) -> Space {
    let first = metadata.nlink() == 1 || seen.insert((metadata.dev(), metadata.ino()));
    Space {
        name,
        bytes: if first { metadata.blocks() * 512 } else { 0 },
        apparent: if first { metadata.len() } else { 0 },
        files: 1,
        ..Space::default()
    }
}

/// Brings the innermost directory to the one that it is in.
fn close(open: &mut Vec<[Open; 2]>, walked: &mut Walked) {
    let Some([all, unowned]) = open.pop() else {
        return;
    };
    let depth = open.len();
    let (all, unowned) = (all.close(depth), unowned.close(depth));
    match open.last_mut() {
        Some([parent, of_unowned]) => {
            parent.add(all);
            of_unowned.add(unowned);
        }
        None => (walked.tree, walked.unowned) = (all, unowned),
    }
}

/// A directory of which not all is known yet.
struct Open(Space);

impl Open {
    fn new(name: &str, bytes: u64) -> Open {
        Open(Space {
            name: name.to_owned(),
            bytes,
            directory: true,
            ..Space::default()
        })
    }

    fn add(&mut self, child: Space) {
        let Open(space) = self;
        space.bytes += child.bytes;
        space.apparent += child.apparent;
        space.files += child.files;
        if child.bytes > 0 {
            space.children.push(child);
        }
        if space.children.len() > MAX_WAITING {
            keep_largest(&mut space.children);
        }
    }

    fn close(self, depth: usize) -> Space {
        let Open(mut space) = self;
        if depth >= MAX_DEPTH {
            space.children.clear();
        }
        let least = space.bytes / PART;
        space.children.retain(|child| child.bytes >= least);
        keep_largest(&mut space.children);
        space.children.shrink_to_fit();
        space
    }
}

fn keep_largest(children: &mut Vec<Space>) {
    children.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.name.cmp(&b.name)));
    children.truncate(MAX_CHILDREN);
}
