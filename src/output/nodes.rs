//! Device nodes that a user namespace cannot make.
//!
//! The `mknod` that hooks find makes an empty regular file, and appends a line
//! to a registry. Whoever packs the tree turns such a placeholder into the
//! device. Mode and owner are those of the placeholder when it is packed: what
//! chmod and chown did to it counts.

use std::collections::HashMap;
use std::fs::{Metadata, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::io_error;
use super::Error;

/// Kind of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeKind {
    /// Block device.
    #[serde(rename = "b")]
    Block,
    /// Character device.
    #[serde(rename = "c")]
    Char,
}

impl NodeKind {
    /// `b` or `c`.
    pub fn letter(self) -> char {
        match self {
            NodeKind::Block => 'b',
            NodeKind::Char => 'c',
        }
    }
}

/// A line of the registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeEntry {
    /// `st_dev` of the placeholder.
    pub dev: u64,
    /// Its inode number.
    pub ino: u64,
    /// Kind of the device.
    pub kind: NodeKind,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Mode at creation; informative.
    #[serde(default)]
    pub mode: u32,
    /// Owner at creation; informative.
    #[serde(default)]
    pub uid: u32,
    /// Group at creation; informative.
    #[serde(default)]
    pub gid: u32,
    /// Birth time of the placeholder in nanoseconds, if the filesystem has it:
    /// inode numbers are used again, birth times are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub birth: Option<u64>,
}

/// All placeholders of a build.
#[derive(Debug, Clone, Default)]
pub struct NodeRegistry {
    entries: HashMap<(u64, u64), NodeEntry>,
}

/// A placeholder found in a tree.
#[derive(Debug, Clone)]
pub struct PlacedNode {
    /// Path relative to the tree.
    pub path: PathBuf,
    /// What it stands for.
    pub entry: NodeEntry,
    /// The placeholder's own metadata.
    pub metadata: Metadata,
}

fn birth_of(metadata: &Metadata) -> Option<u64> {
    let since = metadata.created().ok()?;
    let since = since.duration_since(std::time::UNIX_EPOCH).ok()?;
    u64::try_from(since.as_nanos()).ok()
}

impl NodeRegistry {
    /// Reads a registry, a JSON object per line; a missing file is an empty
    /// registry, and of two lines for one inode the later one counts.
    ///
    /// # Errors
    /// An unreadable file, or a line that is no entry.
    pub fn load(path: &Path) -> Result<NodeRegistry, Error> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => return Err(io_error("read", path)(error)),
        };
        let mut registry = NodeRegistry::default();
        for (index, line) in text.lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            let entry: NodeEntry = serde_json::from_str(line).map_err(|error| Error::Registry {
                path: path.into(),
                line: index + 1,
                reason: error.to_string(),
            })?;
            registry.insert(entry);
        }
        Ok(registry)
    }

    /// Appends the entry of the placeholder at `file` to the registry at `path`
    /// with one write, as several mknod may run at a time.
    ///
    /// # Errors
    /// If the placeholder or the registry cannot be accessed.
    pub fn append(
        path: &Path,
        file: &Path,
        kind: NodeKind,
        major: u32,
        minor: u32,
    ) -> Result<NodeEntry, Error> {
        let metadata = file.symlink_metadata().map_err(io_error("stat", file))?;
        let entry = NodeEntry {
            dev: metadata.dev(),
            ino: metadata.ino(),
            kind,
            major,
            minor,
            mode: metadata.mode() & 0o7777,
            uid: metadata.uid(),
            gid: metadata.gid(),
            birth: birth_of(&metadata),
        };
        let mut line = serde_json::to_vec(&entry).map_err(|error| Error::Registry {
            path: path.into(),
            line: 0,
            reason: error.to_string(),
        })?;
        line.push(b'\n');
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .and_then(|mut registry| registry.write_all(&line))
            .map_err(io_error("append to", path))?;
        Ok(entry)
    }

    /// Adds an entry.
    pub fn insert(&mut self, entry: NodeEntry) {
        self.entries.insert((entry.dev, entry.ino), entry);
    }

    /// All entries, in no order.
    pub fn entries(&self) -> impl Iterator<Item = &NodeEntry> {
        self.entries.values()
    }

    /// What a file stands for, if it still is a placeholder.
    pub fn find(&self, metadata: &Metadata) -> Option<&NodeEntry> {
        if !metadata.is_file() || metadata.len() != 0 {
            return None;
        }
        let entry = self.entries.get(&(metadata.dev(), metadata.ino()))?;
        match (entry.birth, birth_of(metadata)) {
            (Some(then), Some(now)) if then != now => None,
            _ => Some(entry),
        }
    }

    /// The placeholder at `path`, relative to `tree`, if there is one.
    ///
    /// # Errors
    /// If it cannot be looked at.
    pub fn at(&self, tree: &Path, path: &Path) -> Result<Option<PlacedNode>, Error> {
        let full = tree.join(path);
        let metadata = full.symlink_metadata().map_err(io_error("stat", &full))?;
        Ok(self.find(&metadata).map(|entry| PlacedNode {
            path: path.into(),
            entry: entry.clone(),
            metadata: metadata.clone(),
        }))
    }

    /// All placeholders below `tree`, sorted by path.
    ///
    /// # Errors
    /// If the tree cannot be read.
    pub fn locate(&self, tree: &Path) -> Result<Vec<PlacedNode>, Error> {
        if self.entries.is_empty() {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        for item in walkdir::WalkDir::new(tree).sort_by_file_name() {
            let item = item.map_err(|error| walk_error(tree, error))?;
            // The directory entry tells the type for free: only files are looked at.
            if !item.file_type().is_file() {
                continue;
            }
            let metadata = item.metadata().map_err(|error| walk_error(tree, error))?;
            if let Some(entry) = self.find(&metadata) {
                found.push(PlacedNode {
                    path: item.path().strip_prefix(tree).unwrap_or(item.path()).into(),
                    entry: entry.clone(),
                    metadata,
                });
            }
        }
        Ok(found)
    }
}

/// A failure of a walk below `tree`.
pub(super) fn walk_error(tree: &Path, error: walkdir::Error) -> Error {
    let path = error.path().unwrap_or(tree).to_path_buf();
    Error::Io {
        action: "read",
        path,
        source: error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_placeholders_only() {
        let directory = tempfile::tempdir().unwrap();
        let tree = directory.path().join("tree");
        std::fs::create_dir_all(tree.join("dev")).unwrap();
        for name in ["dev/null", "dev/grown", "dev/plain"] {
            std::fs::write(tree.join(name), "").unwrap();
        }
        let registry = directory.path().join("nodes");
        assert!(NodeRegistry::load(&registry)
            .unwrap()
            .locate(&tree)
            .unwrap()
            .is_empty());
        NodeRegistry::append(&registry, &tree.join("dev/null"), NodeKind::Char, 1, 3).unwrap();
        NodeRegistry::append(&registry, &tree.join("dev/grown"), NodeKind::Block, 8, 0).unwrap();
        std::fs::write(tree.join("dev/grown"), "x").unwrap();
        let mut loaded = NodeRegistry::load(&registry).unwrap();
        let found = loaded.locate(&tree).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].path, Path::new("dev/null"));
        assert_eq!((found[0].entry.major, found[0].entry.minor), (1, 3));
        let mut reused = found[0].entry.clone();
        if reused.birth.is_some() {
            reused.birth = Some(1);
            loaded.insert(reused);
            assert!(loaded.locate(&tree).unwrap().is_empty());
        }
    }

    #[test]
    fn damaged_lines_are_errors() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "{\"dev\":1}\n").unwrap();
        let error = NodeRegistry::load(file.path()).unwrap_err().to_string();
        assert!(error.contains("line 1: missing field"), "{error}");
        let line = r#"{"dev":1,"ino":2,"kind":"b","major":8,"minor":0,"mode":384,"uid":0,"gid":6}"#;
        std::fs::write(file.path(), line).unwrap();
        assert_eq!(
            NodeRegistry::load(file.path()).unwrap().entries().count(),
            1
        );
    }
}
