//! The database of dpkg: `status`, and the lists of files.

use std::fs;
use std::io;
use std::path::Path;

use super::{read_file, short, Database, MAX_PACKAGES};
use crate::agent::inside::Directory;
use crate::protocol::Package;

/// Most bytes of `status`; that of a desktop has 5 MB.
const MAX_STATUS: u64 = 64 << 20;
/// Most bytes of a list, and of all.
const MAX_LIST: u64 = 16 << 20;
const MAX_LISTS: u64 = 256 << 20;
/// Directories of the root that are links into `/usr` on current systems, while
/// lists may still have the old paths.
const MERGED: [&str; 7] = ["bin", "sbin", "lib", "lib32", "lib64", "libo32", "libx32"];

/// The packages and whose files are whose; `None` without a database.
///
/// # Errors
/// `status` is no file, or too large.
pub(super) fn read(target: &Path) -> io::Result<Option<Database>> {
    let Some(directory) = Directory::open(target, Path::new("var/lib/dpkg"))? else {
        return Ok(None);
    };
    let status = match read_file(&directory, "status", MAX_STATUS) {
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => return Err(error),
        Err(_) => return Ok(None),
        Ok(status) => status,
    };
    let mut database = Database {
        packages: parse(&String::from_utf8_lossy(&status)),
        ..Database::default()
    };
    if database.packages.len() > MAX_PACKAGES {
        database.packages.truncate(MAX_PACKAGES);
        database.note = Some(format!("only {MAX_PACKAGES} packages are told"));
    }
    if let Some(info) = Directory::open(target, Path::new("var/lib/dpkg/info"))? {
        own_files(&mut database, &info, &merged(target));
    }
    Ok(Some(database))
}

/// Takes the lists of files. A package without one owns nothing.
fn own_files(database: &mut Database, info: &Directory, merged: &[&str]) {
    let mut room = MAX_LISTS;
    for (index, package) in database.packages.iter().enumerate() {
        let names = [
            format!("{}:{}.list", package.name, package.arch),
            format!("{}.list", package.name),
        ];
        let limit = MAX_LIST.min(room);
        let list = names
            .iter()
            .find_map(|name| read_file(info, name, limit).ok());
        let list = list.unwrap_or_default();
        room = room.saturating_sub(list.len() as u64);
        for line in list.split(|byte| *byte == b'\n') {
            if let Some(path) = line.strip_prefix(b"/") {
                database.owners.add(&in_usr(path, merged), index);
            }
        }
    }
}

/// The directories of the root that lead to their namesakes in `/usr`.
fn merged(target: &Path) -> Vec<&'static str> {
    let leads = |name: &&&str| {
        let Ok(to) = fs::read_link(target.join(name)) else {
            return false;
        };
        let to = to.strip_prefix("/").unwrap_or(&to);
        to == Path::new("usr").join(name)
    };
    MERGED.iter().filter(leads).copied().collect()
}

/// The path, relative to the root, where the file really is.
fn in_usr(path: &[u8], merged: &[&str]) -> Vec<u8> {
    let first = path.split(|byte| *byte == b'/').next().unwrap_or_default();
    match merged.iter().any(|name| name.as_bytes() == first) {
        true => [b"usr/", path].concat(),
        false => path.to_vec(),
    }
}

/// The packages in `status` of which there are files.
pub(super) fn parse(status: &str) -> Vec<Package> {
    status.split("\n\n").filter_map(stanza).collect()
}

fn stanza(text: &str) -> Option<Package> {
    let field = |name: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let value = line.trim();
        (!value.is_empty()).then(|| short(value))
    };
    let status = field("Status")?;
    let state = status.split_whitespace().nth(2)?;
    if matches!(state, "not-installed" | "config-files") {
        return None;
    }
    Some(Package {
        name: field("Package")?,
        version: field("Version")?,
        arch: field("Architecture").unwrap_or_default(),
        source: field("Source"),
        state: (state != "installed").then(|| state.to_owned()),
        ..Package::default()
    })
}
