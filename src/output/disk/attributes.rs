//! The order of extended attributes in an image of ext4. `mke2fs -d` writes them
//! as llistxattr(2) lists them: tmpfs by name, ext4 as they were set.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::libc;
use tempfile::TempDir;

use crate::output::error::io_error;
use crate::output::nodes::{walk_error, NodeRegistry};
use crate::output::Error;

use super::ext::{command, inside};

/// A script for debugfs that removes attributes and sets them again by name, and
/// the files with their values.
pub(super) struct Sorting {
    pub script: Vec<u8>,
    pub _values: TempDir,
}

impl Sorting {
    /// For all inodes of a tree with more than one attribute. debugfs reads
    /// lines: paths with newlines are left alone.
    pub(super) fn of(tree: &Path, nodes: &NodeRegistry) -> Result<Sorting, Error> {
        let values =
            tempfile::tempdir().map_err(io_error("create a directory in", "/tmp".as_ref()))?;
        let mut script = Vec::new();
        let mut done = std::collections::HashSet::new();
        for item in walkdir::WalkDir::new(tree).sort_by_file_name() {
            let item = item.map_err(|error| walk_error(tree, error))?;
            let metadata = item.metadata().map_err(|error| walk_error(tree, error))?;
            let path = inside(item.path().strip_prefix(tree).unwrap_or(item.path()));
            // A placeholder has become another inode, without attributes.
            if path.contains(&b'\n') || nodes.find(&metadata).is_some() {
                continue;
            }
            let names = names(item.path()).map_err(io_error("list attributes of", item.path()))?;
            if names.len() < 2 || !done.insert(metadata.ino()) {
                continue;
            }
            for name in &names {
                command(&mut script, &[b"ea_rm", &path, name.as_bytes()], "");
            }
            for name in &names {
                let value = value(item.path(), name)
                    .map_err(io_error("read attributes of", item.path()))?;
                let file = values
                    .path()
                    .join(format!("{}-{}", metadata.ino(), script.len()));
                std::fs::write(&file, value).map_err(io_error("write", &file))?;
                let file = file.as_os_str().as_bytes();
                command(
                    &mut script,
                    &[b"ea_set", b"-f", file, &path, name.as_bytes()],
                    "",
                );
            }
        }
        Ok(Sorting {
            script,
            _values: values,
        })
    }
}

fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| io::ErrorKind::InvalidInput.into())
}

/// Names of the attributes of a file, sorted. Filesystems without any have none.
fn names(path: &Path) -> io::Result<Vec<CString>> {
    let path = c_path(path)?;
    // SAFETY: the path ends with a NUL; nothing is written to a buffer of no bytes.
    let list =
        filled(|buffer, size| unsafe { libc::llistxattr(path.as_ptr(), buffer.cast(), size) });
    let list = match list {
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Vec::new(),
        list => list?,
    };
    let mut names: Vec<CString> = list
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .filter_map(|name| CString::new(name).ok())
        .collect();
    names.sort();
    Ok(names)
}

fn value(path: &Path, name: &CString) -> io::Result<Vec<u8>> {
    let path = c_path(path)?;
    // SAFETY: path and name end with a NUL; nothing is written to a buffer of no bytes.
    filled(|buffer, size| unsafe {
        libc::lgetxattr(path.as_ptr(), name.as_ptr(), buffer.cast(), size)
    })
}

/// What a call puts into a buffer: it is asked for the size first. Nothing else
/// writes to the tree by now.
fn filled(call: impl Fn(*mut u8, usize) -> isize) -> io::Result<Vec<u8>> {
    let size = usize::try_from(call(std::ptr::null_mut(), 0));
    let mut buffer = vec![0u8; size.map_err(|_| io::Error::last_os_error())?];
    if !buffer.is_empty() {
        let size = usize::try_from(call(buffer.as_mut_ptr(), buffer.len()));
        buffer.truncate(size.map_err(|_| io::Error::last_os_error())?);
    }
    Ok(buffer)
}
