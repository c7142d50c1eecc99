//! What has to be done after a build that ends without doing it: the janitor's
//! duties, and the file in which they outlive the janitor.
//!
//! A build and its janitor hold a lock on the file of the build, so that
//! whoever gets the lock knows that both are dead.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use nix::libc;
use serde::{Deserialize, Serialize};

use super::error::{Error, Fault, FaultKind};
use super::ids::Mapping;
use super::ops::raw_path;
use super::remove::remove_tree;

/// What a build tells its janitor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Order {
    /// Remove this path at the end.
    Add(#[serde(with = "raw_path")] PathBuf),
    /// Leave this path alone.
    Forget(#[serde(with = "raw_path")] PathBuf),
    /// Wait for the end of this process first.
    Watch(libc::pid_t),
    /// Undo a rename, unless [`Order::Settle`] follows.
    PutBack(PutBack),
    /// All renames are meant to stay.
    Settle,
}

/// How a rename is undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutBack {
    /// Where the file is after the rename.
    #[serde(with = "raw_path")]
    pub from: PathBuf,
    /// Where it goes back to.
    #[serde(with = "raw_path")]
    pub to: PathBuf,
    /// `from` is an old file's second name: it replaces what is at `to`, and
    /// goes when the renames stay.
    pub backup: bool,
}

/// What is to be done at the end.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Duties {
    paths: Vec<PathBuf>,
    renames: Vec<PutBack>,
}

impl Duties {
    /// Takes an order that is not about processes.
    pub(super) fn take(&mut self, order: Order) {
        match order {
            Order::Add(path) => self.paths.push(path),
            Order::Forget(path) => self.paths.retain(|other| *other != path),
            Order::PutBack(rename) => self.renames.push(rename),
            Order::Settle => {
                let renames = std::mem::take(&mut self.renames);
                let backups = renames.into_iter().filter(|rename| rename.backup);
                self.paths.extend(backups.map(|rename| rename.from));
            }
            Order::Watch(_) => {}
        }
    }

    /// Paths to remove at which something is.
    pub(super) fn paths_there(&self) -> Vec<PathBuf> {
        let paths = self.paths.iter();
        let there = paths.filter(|path| path.symlink_metadata().is_ok());
        there.cloned().collect()
    }

    /// What of it there is to do, for messages.
    fn there(&self) -> Vec<PathBuf> {
        let renamed = self.renames.iter().map(|rename| &rename.from);
        let all = self.paths.iter().chain(renamed);
        all.filter(|path| path.symlink_metadata().is_ok())
            .cloned()
            .collect()
    }

    /// Does it, the last first.
    ///
    /// # Errors
    /// What could not be done; everything else has been.
    pub(super) fn carry_out(&self) -> Result<(), Fault> {
        let mut result = Ok(());
        for rename in self.renames.iter().rev() {
            result = result.and(put_back(rename));
        }
        if self.paths.is_empty() {
            return result;
        }
        let paths: Vec<PathBuf> = self.paths.iter().rev().cloned().collect();
        let fault = |text: String| Fault::new(FaultKind::File, text, &io::ErrorKind::Other.into());
        // Users without subordinate ids have no trees of such ids.
        let mapping = Mapping::of_caller().unwrap_or(Mapping::none());
        let removed = remove_tree(Path::new("/proc/self/exe"), &mapping, &paths);
        result.and(removed.map_err(|error| fault(crate::error::Error::from(error).render())))
    }
}

fn put_back(rename: &PutBack) -> Result<(), Fault> {
    let there = |path: &Path| path.symlink_metadata().is_ok();
    if !there(&rename.from) || (!rename.backup && there(&rename.to)) {
        return Ok(());
    }
    let moved = fs::rename(&rename.from, &rename.to).and_then(|()| {
        // rename(2) of one name of a file to another of its names does nothing.
        match rename.backup && there(&rename.from) {
            true => fs::remove_file(&rename.from),
            false => Ok(()),
        }
    });
    let doing = || format!("putting {} back", rename.to.display());
    moved.map_err(|error| Fault::new(FaultKind::File, doing(), &error))
}

/// The file of a build.
#[derive(Debug)]
pub(super) struct Journal {
    file: Flock<File>,
    path: PathBuf,
}

impl Journal {
    /// Makes the file `name` in `directory`, and the directory.
    ///
    /// # Errors
    /// It cannot be made there.
    pub(super) fn create(directory: &Path, name: &str) -> io::Result<Journal> {
        let private = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory);
        private?;
        let path = directory.join(name);
        loop {
            let mut options = OpenOptions::new();
            let file = options
                .append(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)?;
            let locked = Flock::lock(file, FlockArg::LockExclusive);
            let file = locked.map_err(|(_, errno)| io::Error::from(errno))?;
            // Before the lock it looks like the file of a dead build, and another
            // build may have cleared it away.
            if file.metadata()?.nlink() > 0 {
                return Ok(Journal { file, path });
            }
        }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What has the lock; a child that inherits it shares the lock.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Writes an order down, before what it is about happens.
    ///
    /// # Errors
    /// Of the write.
    pub(super) fn write(&mut self, order: &Order) -> io::Result<()> {
        let mut line = serde_json::to_vec(order)?;
        line.push(b'\n');
        self.file.write_all(&line)
    }
}

/// Does what builds that were killed together with their janitors have left
/// undone, and says so. `directory` has the files of all builds of a user.
///
/// Only what such a file names is touched, and only where its name has the
/// build's own in it.
pub fn recover(directory: &Path, say: &mut dyn FnMut(&str)) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let Some(file) = dead(&path) else {
            continue;
        };
        let duties = read(&file, &entry.file_name().to_string_lossy());
        let there = duties.there();
        let done = duties.carry_out().map_err(Error::Sandbox).and_then(|()| {
            fs::remove_file(&path).map_err(|source| Error::Io {
                doing: format!("removing {}", path.display()),
                source,
            })
        });
        let names: Vec<String> = there
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        match done {
            Ok(()) if names.is_empty() => {}
            Ok(()) => say(&format!(
                "safedib: a build was killed together with its janitor: cleared {}",
                names.join(", ")
            )),
            Err(error) => say(&format!(
                "WARNING safedib: cannot clear what a killed build has left: {}",
                crate::error::Error::from(error).render()
            )),
        }
    }
}

/// The file of a build, locked, if the build and its janitor are dead.
fn dead(path: &Path) -> Option<Flock<File>> {
    let file = File::open(path).ok()?;
    let file = Flock::lock(file, FlockArg::LockExclusiveNonblock).ok()?;
    let metadata = file.metadata().ok()?;
    // Whoever had the lock until now may have removed it. No build makes directories.
    (metadata.is_file() && metadata.nlink() > 0).then_some(file)
}

/// The duties in a file; the last line may be cut.
fn read(file: &File, build: &str) -> Duties {
    let own = |path: &Path| {
        let name = path.file_name().unwrap_or_default();
        name.to_string_lossy().contains(build)
    };
    let mut duties = Duties::default();
    for line in BufReader::new(file).lines().map_while(Result::ok) {
        match serde_json::from_str(&line) {
            Ok(Order::Add(path)) if !own(&path) => {}
            Ok(order) => duties.take(order),
            Err(_) => {}
        }
    }
    duties
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUILD: &str = "SUFFIX12";

    struct Place(tempfile::TempDir);

    impl Place {
        fn new() -> Place {
            let place = Place(tempfile::tempdir().unwrap());
            fs::create_dir(place.path(".img.safedib-SUFFIX12")).unwrap();
            fs::write(place.path("img.tar"), "old").unwrap();
            fs::write(place.path(".img.safedib-SUFFIX12/img.tar"), "new").unwrap();
            place
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn journals(&self) -> PathBuf {
            self.path("journals")
        }

        /// Writes orders of a build that is dead then.
        fn killed(&self, orders: &[Order]) {
            let mut journal = Journal::create(&self.journals(), BUILD).unwrap();
            for order in orders {
                journal.write(order).unwrap();
            }
            journal.file.write_all(b"{\"add\":\"/cut").unwrap();
        }

        fn recover(&self) -> Vec<String> {
            let mut said = Vec::new();
            recover(&self.journals(), &mut |line| said.push(line.into()));
            said
        }

        /// Names in the directory, with what is in the files.
        fn content(&self) -> Vec<(String, String)> {
            let entries = fs::read_dir(self.0.path()).unwrap().flatten();
            let files = entries.filter(|entry| entry.file_name() != "journals");
            let mut all: Vec<_> = files
                .map(|entry| {
                    let text = fs::read_to_string(entry.path()).unwrap_or_default();
                    (entry.file_name().into_string().unwrap(), text)
                })
                .collect();
            all.sort();
            all
        }

        fn renames(&self) -> [Order; 2] {
            let put_back = |from: &str, to: &str, backup| {
                Order::PutBack(PutBack {
                    from: self.path(from),
                    to: self.path(to),
                    backup,
                })
            };
            [
                put_back(".img.tar.1.old", "img.tar", true),
                put_back("img.tar", ".img.safedib-SUFFIX12/img.tar", false),
            ]
        }
    }

    fn only(text: &str) -> Vec<(String, String)> {
        vec![("img.tar".to_owned(), text.to_owned())]
    }

    #[test]
    fn a_build_that_was_killed_is_cleared_at_every_point_of_its_renames() {
        for done in 0..=2 {
            let place = Place::new();
            let staged = place.path(".img.safedib-SUFFIX12");
            let [backup, rename] = place.renames();
            place.killed(&[Order::Add(staged.clone()), backup, rename]);
            if done > 0 {
                fs::hard_link(place.path("img.tar"), place.path(".img.tar.1.old")).unwrap();
            }
            if done > 1 {
                fs::rename(staged.join("img.tar"), place.path("img.tar")).unwrap();
            }
            let said = place.recover();
            assert_eq!(place.content(), only("old"), "{done}");
            assert!(said[0].contains(staged.to_str().unwrap()), "{said:?}");
            assert!(place.recover().is_empty(), "once is enough");
        }
    }

    #[test]
    fn settled_renames_stay() {
        let place = Place::new();
        let staged = place.path(".img.safedib-SUFFIX12");
        let [backup, rename] = place.renames();
        place.killed(&[Order::Add(staged.clone()), backup, rename, Order::Settle]);
        fs::hard_link(place.path("img.tar"), place.path(".img.tar.1.old")).unwrap();
        fs::rename(staged.join("img.tar"), place.path("img.tar")).unwrap();
        place.recover();
        assert_eq!(place.content(), only("new"));
    }

    #[test]
    fn builds_that_live_and_paths_of_others_are_left_alone() {
        let place = Place::new();
        let other = place.path("dib_build.OTHER123");
        fs::create_dir(&other).unwrap();
        let before = place.content();
        place.killed(&[Order::Add(other.clone())]);
        assert!(place.recover().is_empty());
        assert_eq!(place.content(), before);

        let mut journal = Journal::create(&place.journals(), "LIVING12").unwrap();
        let living = place.path("dib_build.LIVING12");
        fs::create_dir(&living).unwrap();
        journal.write(&Order::Add(living.clone())).unwrap();
        assert!(place.recover().is_empty());
        assert!(living.exists());
        drop(journal);
        assert_eq!(place.recover().len(), 1);
        assert!(!living.exists());
    }
}
