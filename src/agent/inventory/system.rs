//! The operating system of the target, by its `os-release`.

use std::path::Path;

use super::{read_file, short};
use crate::agent::inside::Directory;
use crate::protocol::System;

/// Most bytes of the file.
const LIMIT: u64 = 64 << 10;

/// What the target says that it is; nothing if it does not.
pub(super) fn read(target: &Path) -> System {
    // /etc/os-release is a link to the first one.
    let text = ["usr/lib", "etc"].iter().find_map(|directory| {
        let directory = Directory::open(target, Path::new(directory)).ok()??;
        read_file(&directory, "os-release", LIMIT).ok()
    });
    parse(&String::from_utf8_lossy(&text.unwrap_or_default()))
}

pub(super) fn parse(text: &str) -> System {
    let value = |key: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
        let value = line.trim().trim_matches(['"', '\'']);
        (!value.is_empty()).then(|| short(value))
    };
    System {
        id: value("ID"),
        version: value("VERSION_ID"),
        name: value("PRETTY_NAME"),
    }
}
