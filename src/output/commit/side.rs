//! What hooks wrote beside the image.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::super::beneath;
use super::super::error::{io_error, Error};
use super::Moves;

/// A directory whose content goes beside the image: files replace files,
/// directories are merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// The directory.
    pub from: PathBuf,
    /// The image's directory.
    pub to: PathBuf,
    /// Name of the image without a suffix. Nothing else in `to` is hooks' to
    /// replace.
    pub image: String,
}

impl Side {
    /// Whether something of that name is the image's, and none of `outputs`.
    pub fn takes(image: &str, name: &str, outputs: &[String]) -> bool {
        name.strip_prefix(image)
            .is_some_and(|rest| rest.starts_with(['.', '-']))
            && !outputs.iter().any(|output| output == name)
    }

    /// Brings all but what is in `ours` already.
    pub(super) fn merge(
        &self,
        ours: &BTreeSet<&PathBuf>,
        moves: &mut Moves<'_>,
    ) -> Result<(), Error> {
        if !beneath::is_directory(&self.from)? {
            return Ok(());
        }
        for name in sorted_names(&self.from)? {
            let (from, to) = (self.from.join(&name), self.to.join(&name));
            if ours.contains(&to) {
                continue;
            }
            if !Side::takes(&self.image, &name.to_string_lossy(), &[]) {
                return Err(Error::Planted {
                    path: from,
                    expected: "named after the image",
                });
            }
            for entry in WalkDir::new(&from) {
                let entry = entry.map_err(|error| io_error("read", &from)(error.into()))?;
                if entry.file_type().is_file() {
                    let below = entry.path().strip_prefix(&self.from);
                    beneath::take_privilege(&self.from, below.unwrap_or(entry.path()))?;
                }
            }
            merge(&from, &to, moves)?;
        }
        Ok(())
    }
}

/// Puts `from`, or all files below it, to `to`.
fn merge(from: &Path, to: &Path, moves: &mut Moves<'_>) -> Result<(), Error> {
    let kind = from.symlink_metadata().map_err(io_error("stat", from))?;
    if !kind.is_dir() {
        return moves.replace(from, to);
    }
    if !to.is_dir() {
        return moves.rename(from, to);
    }
    for name in sorted_names(from)? {
        merge(&from.join(&name), &to.join(&name), moves)?;
    }
    Ok(())
}

fn sorted_names(directory: &Path) -> Result<Vec<OsString>, Error> {
    let names = std::fs::read_dir(directory).and_then(|entries| {
        let names = entries.map(|entry| Ok(entry?.file_name()));
        names.collect::<io::Result<Vec<_>>>()
    });
    let mut names = names.map_err(io_error("read", directory))?;
    names.sort();
    Ok(names)
}
