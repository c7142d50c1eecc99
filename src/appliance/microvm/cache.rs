//! Names and locks of what is kept between builds.

use std::fs::{self, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

use super::Error;

/// Makes the directory of the cache, for its owner alone.
pub(super) fn create(directory: &Path) -> Result<(), Error> {
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory);
    made.map_err(Error::io(format!("making {}", directory.display())))
}

/// Locks the cache: shared for finding something in it, else for changing it.
pub(super) fn lock(directory: &Path, exclusive: bool) -> Result<Flock<File>, Error> {
    let path = directory.join("lock");
    let doing = format!("locking {}", path.display());
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(Error::io(doing.clone()))?;
    let kind = match exclusive {
        true => FlockArg::LockExclusive,
        false => FlockArg::LockShared,
    };
    Flock::lock(file, kind).map_err(|(_, errno)| Error::io(doing)(errno.into()))
}

/// Keeps a directory of the cache for as long as the lock is held. The caller
/// holds the lock of the cache, so that nobody is about to remove it.
pub(super) fn keep(directory: &Path) -> Result<Flock<File>, Error> {
    let doing = format!("locking {}", directory.display());
    let file = File::open(directory).map_err(Error::io(doing.clone()))?;
    Flock::lock(file, FlockArg::LockShared).map_err(|(_, errno)| Error::io(doing)(errno.into()))
}

/// Removes a directory of the cache unless somebody [`keep`]s it; the caller
/// holds the lock of the cache for changing it.
pub(super) fn remove_unless_kept(directory: &Path) -> std::io::Result<()> {
    let file = File::open(directory)?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(_lock) => fs::remove_dir_all(directory),
        Err((_, nix::errno::Errno::EWOULDBLOCK)) => Ok(()),
        Err((_, errno)) => Err(errno.into()),
    }
}

/// Collects what a cached thing depends on into its name.
#[derive(Default)]
pub(super) struct Stamp(DefaultHasher);

impl Stamp {
    /// Adds a value.
    pub(super) fn add(&mut self, value: impl Hash) {
        value.hash(&mut self.0);
    }

    /// Adds a file by size and time of change; also that it does not exist.
    pub(super) fn add_file(&mut self, path: &Path) {
        let metadata = fs::metadata(path).ok();
        let facts =
            metadata.map(|found| (found.len(), found.mtime(), found.mtime_nsec(), found.ino()));
        self.add((path, facts));
    }

    /// Sixteen hexadecimal digits. Another version of the compiler may give
    /// others, which costs nothing but making the thing anew.
    pub(super) fn name(&self) -> String {
        format!("{:016x}", self.0.finish())
    }
}

/// Looks a program up where root's programs are too.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(PathBuf::from))
        .map(|directory| directory.join(name))
        .find(|file| file.is_file())
}

/// The same, as an error that names the package.
pub(super) fn need_program(
    program: &'static str,
    package: &'static str,
    why: &'static str,
) -> Result<PathBuf, Error> {
    find_program(program).ok_or(Error::MissingProgram {
        program,
        package,
        why,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_keeps_is_not_removed() {
        let top = tempfile::tempdir().unwrap();
        let directory = top.path().join("appliance-1");
        fs::create_dir(&directory).unwrap();
        let (one, other) = (keep(&directory).unwrap(), keep(&directory).unwrap());
        for lock in [one, other] {
            remove_unless_kept(&directory).unwrap();
            assert!(directory.exists());
            drop(lock);
        }
        remove_unless_kept(&directory).unwrap();
        assert!(!directory.exists());
    }
}
