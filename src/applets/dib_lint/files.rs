//! The files below a directory, and which of them git ignores.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Seek, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use nix::unistd::{access, AccessFlags};
use walkdir::WalkDir;

use crate::lint;

use super::report::Report;

/// Something below a directory; links are neither file nor directory.
pub(super) struct File {
    pub(super) path: PathBuf,
    /// 1 for what lies directly in the directory.
    pub(super) depth: usize,
    pub(super) is_file: bool,
    pub(super) is_dir: bool,
}

impl File {
    pub(super) fn shown(&self) -> &[u8] {
        self.path.as_os_str().as_bytes()
    }

    pub(super) fn linted(&self) -> lint::File<'_> {
        lint::File {
            path: &self.path,
            executable: self.is_executable(),
        }
    }

    pub(super) fn name(&self) -> &[u8] {
        self.path.file_name().map_or(b"", OsStrExt::as_bytes)
    }

    pub(super) fn ends_with(&self, end: &str) -> bool {
        self.name().ends_with(end.as_bytes())
    }

    /// By access(2), as `test -x`.
    pub(super) fn is_executable(&self) -> bool {
        access(&self.path, AccessFlags::X_OK).is_ok()
    }

    pub(super) fn read(&self, report: &mut Report) -> Option<Vec<u8>> {
        match fs::read(&self.path) {
            Ok(content) => Some(content),
            Err(error) => {
                report.trouble(&format!("{}: {error}", self.path.display()));
                None
            }
        }
    }
}

/// Adds everything below `root`, sorted by name.
///
/// # Errors
/// The first directory that cannot be read.
pub(super) fn walk(root: &Path, found: &mut Vec<File>) -> io::Result<()> {
    for entry in WalkDir::new(root).sort_by_file_name() {
        let entry = entry?;
        let kind = entry.file_type();
        found.push(File {
            depth: entry.depth(),
            is_file: kind.is_file(),
            is_dir: kind.is_dir(),
            path: entry.into_path(),
        });
    }
    Ok(())
}

/// The paths that git ignores.
pub(super) struct Ignored(BTreeSet<PathBuf>);

impl Ignored {
    /// Asks git once for all. Without git, or outside of a repository, nothing
    /// is ignored, as upstream has it; a note says so.
    pub(super) fn ask<'a>(
        files: impl Iterator<Item = &'a File> + Clone,
        report: &mut Report,
    ) -> Ignored {
        let mut input = Vec::new();
        for file in files.clone() {
            input.extend_from_slice(file.shown());
            input.push(0);
        }
        let output = match check_ignore(&["-z", "--stdin"], &input) {
            Ok(output) => output,
            Err(error) => {
                report.note(&format!("cannot run git, so nothing is ignored: {error}"));
                return Ignored(BTreeSet::new());
            }
        };
        if matches!(output.status.code(), Some(0 | 1)) {
            let paths = output.stdout.split(|byte| *byte == 0);
            let paths = paths.filter(|path| !path.is_empty());
            return Ignored(paths.map(path_of).collect());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        report.note(&format!("git says: {}", said.trim_end()));
        if !in_repository() {
            return Ignored(BTreeSet::new());
        }
        // One path that git refuses (in a submodule, outside of the repository)
        // spoils all of them.
        let alone = |file: &&File| {
            let mut path = file.shown().to_vec();
            path.push(0);
            check_ignore(&["-z", "--stdin"], &path).is_ok_and(|output| output.status.success())
        };
        Ignored(files.filter(alone).map(|file| file.path.clone()).collect())
    }

    pub(super) fn contains(&self, file: &File) -> bool {
        self.0.contains(&file.path)
    }

    /// Says so if it is ignored.
    pub(super) fn skips(&self, file: &File, report: &mut Report) -> bool {
        let skipped = self.contains(file);
        if skipped {
            report.labelled(b"Skipping ", &file.path);
        }
        skipped
    }
}

fn path_of(bytes: &[u8]) -> PathBuf {
    OsString::from_vec(bytes.to_vec()).into()
}

/// The input comes from a file: both ends of pipes could wait for each other.
fn check_ignore(words: &[&str], input: &[u8]) -> io::Result<Output> {
    let mut file = tempfile::tempfile()?;
    file.write_all(input)?;
    file.rewind()?;
    Command::new("git")
        .arg("check-ignore")
        .args(words)
        .stdin(Stdio::from(file))
        .output()
}

fn in_repository() -> bool {
    Command::new("git")
        .args(["rev-parse", "--git-dir"])
        .output()
        .is_ok_and(|output| output.status.success())
}
