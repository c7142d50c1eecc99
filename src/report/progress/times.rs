//! How long the parts of the last build of the same elements took, kept in a
//! directory of the user's for the next one's estimate. Nothing else depends on
//! it: what cannot be read or written is not there.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::plan::{ApplianceKind, Plan};

/// Version of the files; others are not read.
const VERSION: u32 = 1;

/// Largest file that is read, bytes.
const LARGEST: u64 = 1 << 20;

/// Most files that are kept; the oldest go.
const FILES: usize = 200;

/// When the steps and hooks of a build began, and how long they took.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Times {
    pub(super) version: u32,
    /// The whole build, seconds.
    pub(super) total: f64,
    /// By name: seconds from the beginning of the build, and their own.
    pub(super) items: BTreeMap<String, (f64, f64)>,
}

impl Times {
    /// Those of one build, and where they belong.
    pub(super) fn file(directory: &Path, plan: &Plan, arch: &str) -> PathBuf {
        directory.join(format!("{}.json", key(plan, arch)))
    }

    /// Reads a file of [`Times::write`]; `None` if there is none that fits.
    pub(super) fn read(path: &Path) -> Option<Times> {
        let mut text = String::new();
        let file = File::open(path).ok()?;
        file.take(LARGEST).read_to_string(&mut text).ok()?;
        let times: Times = serde_json::from_str(&text).ok()?;
        (times.version == VERSION).then_some(times)
    }

    /// Writes the file as a whole, and removes the oldest if there are many.
    ///
    /// # Errors
    /// Whatever the filesystem gives; an older file is as it was then.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        let directory = path.parent().unwrap_or(Path::new("/"));
        private_directory(directory)?;
        let times = Times {
            version: VERSION,
            ..self.clone()
        };
        let text = serde_json::to_vec(&times)?;
        if text.len() as u64 >= LARGEST {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        file.write_all(&text)?;
        file.persist(path)?;
        keep_newest(directory, FILES, u64::MAX);
        Ok(())
    }
}

/// What makes two builds comparable: the same elements for the same architecture
/// and formats, in the same appliances, from the same layer on.
fn key(plan: &Plan, arch: &str) -> String {
    let mut text = format!("{arch}\n{}\n", plan.elements.names().join(" "));
    for output in &plan.outputs {
        text.push_str(&format!("{:?} ", output.format));
    }
    for stage in plan.stages() {
        let kind = match stage.kind {
            ApplianceKind::Microvm => "microvm",
            ApplianceKind::Namespace => "namespace",
        };
        text.push_str(&format!("\n{kind} {:?}", stage.steps));
    }
    let digest = Sha256::digest(text);
    let half = digest.iter().take(16);
    half.map(|byte| format!("{byte:02x}")).collect()
}

/// Makes a directory that only its owner can enter, and those above it.
///
/// # Errors
/// As [`DirBuilder::create`].
pub(super) fn private_directory(directory: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
}

/// Removes the oldest files of a directory until no more than `count` are left,
/// of `bytes` together. Others may do so at the same time.
pub(super) fn keep_newest(directory: &Path, count: usize, bytes: u64) {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let known = entries.filter_map(|entry| {
        let meta = entry.metadata().ok().filter(fs::Metadata::is_file)?;
        let modified = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        Some((modified, meta.len(), entry.path()))
    });
    let mut files: Vec<(SystemTime, u64, PathBuf)> = known.collect();
    files.sort();
    let mut total = 0u64;
    for (place, (_, length, path)) in files.iter().rev().enumerate() {
        total = total.saturating_add(*length);
        if place >= count || total > bytes {
            let _gone = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times() -> Times {
        Times {
            version: VERSION,
            total: 12.5,
            items: [("install.d/10-x".to_owned(), (1.0, 2.5))].into(),
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/times/x.json");
        assert_eq!(Times::read(&path), None);
        times().write(&path).unwrap();
        assert_eq!(Times::read(&path), Some(times()));
        let names = fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(names, 1);
    }

    #[test]
    fn what_is_no_record_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.json");
        let longer = format!("{}{}", " ".repeat(LARGEST as usize), "{}");
        for text in [
            "",
            "[]",
            "{\"version\":2,\"total\":1,\"items\":{}}",
            &longer,
        ] {
            fs::write(&path, text).unwrap();
            assert_eq!(Times::read(&path), None);
        }
        let mut many = times();
        for number in 0..60_000 {
            many.items
                .insert(format!("install.d/{number:05}"), (0.0, 0.0));
        }
        assert!(many.write(&path).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), longer);
        assert!(times().write(Path::new("/proc/x/y.json")).is_err());
    }

    #[test]
    fn the_oldest_files_go() {
        let directory = tempfile::tempdir().unwrap();
        for number in 0u64..6 {
            let path = directory.path().join(number.to_string());
            fs::write(&path, [0; 10]).unwrap();
            let file = File::options().write(true).open(&path).unwrap();
            let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1000 + number);
            file.set_modified(time).unwrap();
        }
        let left = || {
            let entries = fs::read_dir(directory.path()).unwrap().flatten();
            let mut names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
            names.sort();
            names
        };
        keep_newest(directory.path(), 4, 100);
        assert_eq!(left(), ["2", "3", "4", "5"]);
        keep_newest(directory.path(), 4, 25);
        assert_eq!(left(), ["4", "5"]);
    }
}
