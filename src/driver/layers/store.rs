//! The directory of layers.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use crate::driver::error::Error;
use crate::output::beneath;
use crate::plan::Phase;
use crate::protocol::{LayerPoint, FAILED};

use super::inputs::Inputs;

/// Of [`Meta`]; others are not used.
pub const VERSION: u32 = 1;
/// [`Meta`], in the directory of a layer.
const META: &str = "layer.json";
/// Directories of builds that run begin so.
const NEW: &str = ".new-";
/// Most bytes of a [`Meta`].
const MAX_META: u64 = 4 << 20;

/// What is known of a layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Meta {
    /// [`VERSION`].
    pub version: u32,
    /// What it stands for.
    pub key: String,
    /// The phase that goes on with it.
    pub phase: Phase,
    /// Hooks of that phase that have run.
    pub done: Vec<String>,
    /// The hook that failed.
    pub failed: Option<String>,
    /// When it was kept, seconds since 1970.
    pub made: u64,
    /// When the first of its hooks ran: what was fetched is not older.
    pub since: u64,
    /// `DIB_IMAGE_ROOT_FS_UUID` of its hooks.
    pub root_uuid: String,
    /// Names of the elements that were asked for.
    pub elements: Vec<String>,
    /// What went in, to tell what has changed.
    pub inputs: BTreeMap<String, String>,
    /// Size of its files.
    pub bytes: u64,
}

impl Meta {
    /// The last hook that has run, in words.
    pub fn place(&self) -> String {
        let directory = self.phase.directory();
        match (&self.failed, self.done.last()) {
            (Some(failed), _) => format!("{directory}/{failed} (failed)"),
            (None, Some(done)) => format!("{directory}/{done}"),
            (None, None) => directory,
        }
    }

    /// Whether its content may be a day old, or how old it may be at most.
    fn is_fresh(&self, oldest: u64) -> bool {
        self.version == VERSION && self.since >= oldest
    }
}

/// A layer that a build begins with.
pub struct Found {
    /// What is known of it.
    pub meta: Meta,
    /// Where it is.
    pub directory: PathBuf,
    /// Nobody removes it while this is held.
    _used: Option<Flock<File>>,
}

impl Found {
    /// Notes that a build uses it; a cache that cannot be written has no such times.
    pub(super) fn note_use(&self) {
        if let Ok(file) = File::open(self.directory.join(META)) {
            let _ = file.set_modified(SystemTime::now());
        }
    }
}

/// A layer as `safedib cache list` shows it.
pub struct Listed {
    /// What is known of it.
    pub meta: Meta,
    /// Where it is.
    pub directory: PathBuf,
    /// Seconds since it was used last.
    pub unused: u64,
}

/// A directory of layers; it may not exist.
pub struct Store {
    directory: PathBuf,
}

impl Store {
    /// The layers in a directory.
    pub fn at(directory: &Path) -> Store {
        Store {
            directory: directory.into(),
        }
    }

    /// Makes the directory, for its owner only: layers are whole systems.
    ///
    /// # Errors
    /// Whatever the filesystem gives.
    pub fn create(&self) -> io::Result<()> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(&self.directory)
    }

    /// The last of `points` for which there is a layer that began at `oldest` or
    /// later; with `failed` also what a failed hook has left.
    ///
    /// # Errors
    /// A layer cannot be locked.
    pub fn find(
        &self,
        points: &[LayerPoint],
        failed: bool,
        oldest: u64,
    ) -> Result<Option<Found>, Error> {
        for point in points.iter().rev() {
            let suffixes: &[&str] = if failed { &[FAILED, ""] } else { &[""] };
            for suffix in suffixes {
                let directory = self.directory.join(format!("{}{suffix}", point.key));
                if let Some(found) = open(&directory, oldest) {
                    return Ok(Some(found));
                }
            }
        }
        Ok(None)
    }

    /// What has changed since the newest layer of the same elements, in words.
    pub(super) fn why_none(&self, inputs: &Inputs) -> Option<String> {
        let listed = self.list().ok()?.into_iter();
        let same = listed.filter(|listed| listed.meta.elements == inputs.elements);
        let newest = same.max_by_key(|listed| listed.meta.made)?.meta;
        let mut names: Vec<&str> = Vec::new();
        for (one, other) in [
            (&inputs.digests, &newest.inputs),
            (&newest.inputs, &inputs.digests),
        ] {
            let changed = one
                .iter()
                .filter(|(name, digest)| other.get(*name) != Some(digest));
            names.extend(changed.map(|(name, _)| name.as_str()));
        }
        names.sort_unstable();
        names.dedup();
        Some(match names.as_slice() {
            [] => "its first hooks have changed, or what they fetched is too old".into(),
            [some @ .., _] if some.len() > 2 => {
                format!(
                    "{} and {} more have changed",
                    names[..2].join(", "),
                    names.len() - 2
                )
            }
            few => format!("{} has changed", few.join(", ")),
        })
    }

    /// Takes what an agent has written to a directory in `new`; its size.
    ///
    /// # Errors
    /// Something else is there, or it cannot be moved.
    pub(super) fn take(&self, new: &Path, mut meta: Meta) -> Result<u64, crate::output::Error> {
        let suffix = if meta.failed.is_some() { FAILED } else { "" };
        let name = format!("{}{suffix}", meta.key);
        let from = new.join(&name);
        beneath::is_directory(&from)?;
        let failed = |source| crate::output::Error::Io {
            action: "keep",
            path: from.clone(),
            source,
        };
        for entry in fs::read_dir(&from).map_err(failed)? {
            let file = beneath::open_file(&from, entry.map_err(failed)?.file_name())?;
            meta.bytes += file.metadata().map_err(failed)?.len();
        }
        let text = serde_json::to_vec(&meta).map_err(|error| failed(error.into()))?;
        beneath::write_file(&from, META, &text)?;
        let to = self.directory.join(&name);
        // Of a failed hook the last state counts; else both are the same.
        let _ = remove(&to);
        match fs::rename(&from, &to) {
            // Somebody uses the one that is there.
            Err(_) if to.is_dir() => fs::remove_dir_all(&from).map_err(failed)?,
            moved => moved.map_err(failed)?,
        }
        Ok(meta.bytes)
    }

    /// All layers, those used last first.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn list(&self) -> io::Result<Vec<Listed>> {
        let entries = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut all = Vec::new();
        for entry in entries {
            let directory = entry?.path();
            let Some((meta, file)) = read(&directory) else {
                continue;
            };
            let used = file.metadata().and_then(|found| found.modified())?;
            let unused = SystemTime::now().duration_since(used).unwrap_or_default();
            all.push(Listed {
                meta,
                directory,
                unused: unused.as_secs(),
            });
        }
        all.sort_by_key(|listed| listed.unused);
        Ok(all)
    }

    /// Removes layers, those unused for longest first, until they take no more than
    /// `max` bytes; how many. One that a build uses stays.
    ///
    /// # Errors
    /// One cannot be removed.
    pub fn shrink(&self, max: u64) -> io::Result<usize> {
        let listed = self.list()?;
        let mut sum: u64 = listed.iter().map(|listed| listed.meta.bytes).sum();
        let mut count = 0;
        for old in listed.iter().rev() {
            if sum <= max {
                break;
            }
            if remove(&old.directory)? {
                sum = sum.saturating_sub(old.meta.bytes);
                count += 1;
            }
        }
        Ok(count)
    }
}

/// A layer that is whole, fresh and in nobody's way.
fn open(directory: &Path, oldest: u64) -> Option<Found> {
    let (meta, file) = read(directory)?;
    if !meta.is_fresh(oldest) {
        return None;
    }
    let used = Flock::lock(file, FlockArg::LockSharedNonblock);
    let used = match used {
        Ok(lock) => Some(lock),
        // It is being removed.
        Err((_, nix::errno::Errno::EWOULDBLOCK)) => return None,
        // A filesystem without locks.
        Err(_) => None,
    };
    // Between the look and the lock it may have gone.
    directory.join(META).exists().then(|| Found {
        meta,
        directory: directory.into(),
        _used: used,
    })
}

fn read(directory: &Path) -> Option<(Meta, File)> {
    let name = directory.file_name()?.to_str()?;
    if name.starts_with(NEW) {
        return None;
    }
    let file = beneath::open_file(directory, META).ok()?;
    let mut text = Vec::new();
    (&file).take(MAX_META).read_to_end(&mut text).ok()?;
    Some((serde_json::from_slice(&text).ok()?, file))
}

/// Removes a layer unless somebody uses it; whether it is gone.
fn remove(directory: &Path) -> io::Result<bool> {
    let Some((_, file)) = read(directory) else {
        return Ok(false);
    };
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Err((_, nix::errno::Errno::EWOULDBLOCK)) => Ok(false),
        // Held until it is gone.
        _lock => fs::remove_dir_all(directory).map(|()| true),
    }
}

/// Seconds as people say them.
pub fn age(seconds: u64) -> impl fmt::Display {
    let duration = Duration::from_secs(seconds).as_secs();
    match duration {
        0..=119 => format!("{duration} s"),
        120..=7199 => format!("{} min", duration / 60),
        7200..=172_799 => format!("{} h", duration / 3600),
        _ => format!("{} days", duration / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(key: &str) -> LayerPoint {
        LayerPoint {
            phase: Phase::Install,
            hook: format!("10-{key}"),
            key: key.into(),
        }
    }

    fn keep(store: &Store, key: &str, failed: Option<&str>, since: u64) {
        let new = store.directory.join(".new-test");
        let suffix = failed.map_or("", |_| FAILED);
        let layer = new.join(format!("{key}{suffix}"));
        fs::create_dir_all(&layer).unwrap();
        fs::write(layer.join("tree.tar"), [0; 1000]).unwrap();
        let meta = Meta {
            version: VERSION,
            key: key.into(),
            phase: Phase::Install,
            done: vec![format!("10-{key}")],
            failed: failed.map(str::to_owned),
            made: since,
            since,
            root_uuid: "u".into(),
            elements: vec!["vm".into()],
            inputs: BTreeMap::from([("variable A".to_owned(), key.to_owned())]),
            bytes: 0,
        };
        assert_eq!(store.take(&new, meta).unwrap(), 1000);
    }

    fn found(store: &Store, failed: bool, oldest: u64) -> Option<String> {
        let points = [point("aa"), point("bb"), point("cc")];
        let found = store.find(&points, failed, oldest).unwrap()?;
        Some(found.directory.file_name()?.to_str()?.to_owned())
    }

    #[test]
    fn the_last_state_that_is_fresh_is_found() {
        let top = tempfile::tempdir().unwrap();
        let store = Store::at(&top.path().join("layers"));
        assert_eq!(found(&store, true, 0), None);
        store.create().unwrap();
        keep(&store, "aa", None, 300);
        keep(&store, "bb", None, 200);
        keep(&store, "bb", Some("20-x"), 200);
        assert_eq!(found(&store, false, 0).as_deref(), Some("bb"));
        assert_eq!(found(&store, true, 0).as_deref(), Some("bb.failed"));
        assert_eq!(found(&store, true, 250).as_deref(), Some("aa"));
        assert_eq!(found(&store, false, 301), None);
    }

    #[test]
    fn what_is_used_stays_and_the_oldest_goes_first() {
        let top = tempfile::tempdir().unwrap();
        let store = Store::at(top.path());
        for (key, unused) in [("aa", 30), ("bb", 20), ("cc", 10)] {
            keep(&store, key, None, 1);
            let file = File::open(top.path().join(key).join(META)).unwrap();
            let then = SystemTime::now() - Duration::from_secs(unused);
            file.set_modified(then).unwrap();
        }
        let used = store.find(&[point("aa")], false, 0).unwrap().unwrap();
        assert_eq!(store.shrink(1000).unwrap(), 2);
        assert_eq!(found(&store, false, 0).as_deref(), Some("aa"));
        assert_eq!(store.shrink(0).unwrap(), 0);
        drop(used);
        assert_eq!(store.shrink(0).unwrap(), 1);
        assert_eq!(store.list().unwrap().len(), 0);
    }

    #[test]
    fn what_hooks_plant_is_no_layer() {
        let top = tempfile::tempdir().unwrap();
        let store = Store::at(top.path());
        keep(&store, "aa", None, 1);
        let new = top.path().join(".new-test");
        fs::create_dir_all(new.join("bb")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", new.join("bb/tree.tar")).unwrap();
        let mut meta = store.list().unwrap().remove(0).meta;
        meta.key = "bb".into();
        assert!(store.take(&new, meta).is_err());
        assert_eq!(found(&store, false, 0).as_deref(), Some("aa"));
    }

    #[test]
    fn a_miss_is_explained() {
        let top = tempfile::tempdir().unwrap();
        let store = Store::at(top.path());
        keep(&store, "aa", None, 1);
        let inputs = |value: &str| Inputs {
            elements: vec!["vm".into()],
            digests: BTreeMap::from([("variable A".to_owned(), value.to_owned())]),
        };
        let why = store.why_none(&inputs("bb")).unwrap();
        assert_eq!(why, "variable A has changed");
        assert!(store.why_none(&inputs("aa")).unwrap().contains("too old"));
    }
}
