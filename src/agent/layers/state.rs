//! What belongs to a layer beside the directories of the build.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::{self, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use walkdir::WalkDir;

use crate::agent::error::Error;
use crate::agent::hooks::IN_TARGET;
use crate::agent::{mounts, paths};
use crate::plan::Phase;
use crate::protocol::USR_CHANGES;

/// What is ours, or the kernel's.
const NOT_OUTSIDE: [&str; 4] = ["/run/safedib", "/proc", "/sys", "/dev"];
/// Mounted by us below the target once there is a root.
const KERNEL: [&str; 3] = ["proc", "sys", "dev"];

/// What the archives do not tell.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Facts {
    /// Files that hooks removed from the hooks tree.
    pub(super) removed_hooks: Vec<PathBuf>,
    /// What hooks have bound below the target.
    pub(super) binds: Vec<Bind>,
}

/// A directory that a hook has bound on one of the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Bind {
    /// As the hook named it.
    pub(super) source: PathBuf,
    /// Below the target.
    pub(super) target: PathBuf,
}

/// How things were before hooks ran.
pub(super) struct Before {
    /// Seconds and nanoseconds.
    began: (i64, i64),
    hooks: HashMap<PathBuf, Stamp>,
}

/// Changes with every change to a file.
#[derive(PartialEq, Eq)]
struct Stamp {
    inode: u64,
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Stamp {
        Stamp {
            inode: metadata.ino(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl Before {
    /// Looks at the hooks tree.
    pub(super) fn now(hooks: &Path, time: SystemTime) -> io::Result<Before> {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Before {
            began: (since.as_secs() as i64, i64::from(since.subsec_nanos())),
            hooks: listing(hooks)?,
        })
    }

    /// Files, links and directories of the hooks tree that are new or changed, and
    /// those that are gone; relative to it.
    pub(super) fn hooks_changed(&self, hooks: &Path) -> io::Result<(Vec<PathBuf>, Vec<PathBuf>)> {
        let now = listing(hooks)?;
        let changed = now
            .iter()
            .filter(|(path, stamp)| self.hooks.get(*path) != Some(stamp));
        let gone = self.hooks.keys().filter(|path| !now.contains_key(*path));
        let sorted = |mut paths: Vec<PathBuf>| {
            paths.sort();
            paths
        };
        Ok((
            sorted(changed.map(|(path, _)| path.clone()).collect()),
            sorted(gone.cloned().collect()),
        ))
    }

    /// What hooks have written to the appliance's own filesystems, relative to its
    /// root, sorted; what is in `except` is not looked at.
    pub(super) fn outside_changed(&self, except: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
        let skipped = |path: &Path| {
            NOT_OUTSIDE.iter().any(|ours| path.starts_with(ours))
                || except.iter().any(|other| path.starts_with(other))
        };
        let root = Path::new("/");
        let mounted: HashSet<PathBuf> = mounts::mounts_below(root)?.into_iter().collect();
        let tops = mounted.iter().map(PathBuf::as_path).chain([root]);
        let mut changed = BTreeSet::new();
        for top in tops.filter(|top| !skipped(top)) {
            // walkdir's own test for other filesystems does not go with a filter.
            // The host's /usr is large.
            let apart = top == Path::new("/usr") && Path::new(USR_CHANGES).is_dir();
            let walked = if apart { Path::new(USR_CHANGES) } else { top };
            let entries = WalkDir::new(walked).into_iter().filter_entry(|entry| {
                let path = entry.path();
                entry.depth() == 0 || apart || !(skipped(path) || mounted.contains(path))
            });
            // What cannot be looked at is no hook's.
            for entry in entries.flatten() {
                let below = entry.path().strip_prefix(walked).unwrap_or(entry.path());
                let seen = top.join(below);
                // What a hook has removed leaves a mark there.
                let Ok(found) = seen.symlink_metadata() else {
                    continue;
                };
                if entry.depth() > 0 && (found.ctime(), found.ctime_nsec()) > self.began {
                    changed.extend(seen.strip_prefix(root).map(Path::to_owned));
                }
            }
        }
        Ok(changed.into_iter().collect())
    }
}

fn listing(tree: &Path) -> io::Result<HashMap<PathBuf, Stamp>> {
    let mut found = HashMap::new();
    for entry in WalkDir::new(tree).min_depth(1) {
        let entry = entry?;
        let path = entry.path().strip_prefix(tree).unwrap_or(entry.path());
        found.insert(path.to_owned(), Stamp::of(&entry.metadata()?));
    }
    Ok(found)
}

/// Notes that a hook is about to bind a directory.
///
/// # Errors
/// The note cannot be written.
pub(crate) fn note_bind(source: &Path, target: &Path) -> io::Result<()> {
    let (Ok(source), Ok(target)) = (std::path::absolute(source), fs::canonicalize(target)) else {
        return Ok(()); // mount itself says what is wrong
    };
    let mut note = Vec::new();
    for path in [source, target] {
        note.extend_from_slice(path.as_os_str().as_bytes());
        note.push(0);
    }
    let mut notes = OpenOptions::new();
    notes.append(true).create(true);
    notes.open(paths::BINDS)?.write_all(&note)
}

/// What hooks have bound below the target, outermost first; the inner error is a
/// mount that is none of these, nor ours.
pub(super) fn binds(target: &Path, phase: Phase) -> Result<Result<Vec<Bind>, PathBuf>, Error> {
    let real = fs::canonicalize(target).map_err(Error::io("resolve", target))?;
    let noted = match fs::read(paths::BINDS) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        notes => notes.map_err(Error::io("read", paths::BINDS))?,
    };
    let provided = fs::read(paths::CHROOT_DEVICES).unwrap_or_default();
    let mut binds = Vec::new();
    // What is mounted over another mount is seen, and noted, once more.
    let mut mounted = mounts::mounts_below(&real)?;
    mounted.reverse();
    for path in mounted {
        let below = path.strip_prefix(&real).unwrap_or(&path);
        let kernel = KERNEL.iter().any(|name| below.starts_with(name));
        if below == Path::new(IN_TARGET)
            || (kernel && phase != Phase::Root)
            || is_provided(&provided, &path)
        {
            continue;
        }
        match source_of(&noted, &path) {
            Some(source) => binds.push(Bind {
                source,
                target: below.to_owned(),
            }),
            None => return Ok(Err(path)),
        }
    }
    Ok(Ok(binds))
}

/// Whether the chroot shim has mounted it, or what it is in.
fn is_provided(notes: &[u8], path: &Path) -> bool {
    let noted = notes
        .split(|byte| *byte == 0)
        .filter_map(|note| note.get(1..));
    let mut noted = noted.filter(|note| !note.is_empty()).map(to_path);
    noted.any(|note| path.starts_with(note))
}

/// The last source that was noted for a target.
fn source_of(notes: &[u8], target: &Path) -> Option<PathBuf> {
    let words: Vec<&[u8]> = notes.split(|byte| *byte == 0).collect();
    let pairs = words.chunks_exact(2).rev();
    let mut found = pairs.filter(|pair| to_path(pair[1]) == target);
    found.next().map(|pair| to_path(pair[0]))
}

fn to_path(bytes: &[u8]) -> PathBuf {
    std::ffi::OsString::from_vec(bytes.to_vec()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_to_hooks_are_found() {
        let top = tempfile::tempdir().unwrap();
        let hooks = top.path();
        fs::create_dir(hooks.join("install.d")).unwrap();
        for name in ["install.d/10-a", "install.d/20-b", "plain"] {
            fs::write(hooks.join(name), "old").unwrap();
        }
        let before = Before::now(hooks, SystemTime::now()).unwrap();
        assert_eq!(before.hooks_changed(hooks).unwrap(), (vec![], vec![]));
        fs::remove_file(hooks.join("install.d/10-a")).unwrap();
        fs::write(hooks.join("plain.new"), "new").unwrap();
        fs::rename(hooks.join("plain.new"), hooks.join("plain")).unwrap();
        std::os::unix::fs::symlink("x", hooks.join("link")).unwrap();
        let (changed, gone) = before.hooks_changed(hooks).unwrap();
        let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(changed, paths(&["install.d", "link", "plain"]));
        assert_eq!(gone, paths(&["install.d/10-a"]));
    }

    #[test]
    fn the_last_bind_of_a_target_counts() {
        let notes = b"/a\0/t/x\0/b\0/t/y\0/c\0/t/x\0";
        assert_eq!(source_of(notes, Path::new("/t/x")), Some("/c".into()));
        assert_eq!(source_of(notes, Path::new("/t/y")), Some("/b".into()));
        assert_eq!(source_of(notes, Path::new("/a")), None);
        assert!(is_provided(b"+/t/dev\0", Path::new("/t/dev/null")));
        assert!(!is_provided(b"", Path::new("/t/dev/null")));
    }
}
