//! Reaching into the target without being led out of it by its symbolic links.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{open, openat2, OFlag, OpenHow, ResolveFlag};
use nix::sys::stat::Mode;

/// A directory of the target, held open.
pub(crate) struct Directory(OwnedFd);

impl Directory {
    /// Opens the directory `path` of the tree at `root`. Links on the way are
    /// followed as a process in the target would follow them, the last name
    /// must not be one; `None` if there is no such directory.
    ///
    /// # Errors
    /// Whatever the kernel gives but for what is not there.
    pub(crate) fn open(root: &Path, path: &Path) -> io::Result<Option<Directory>> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let root = open(root, flags, Mode::empty())?;
        let how = OpenHow::new()
            .flags(flags | OFlag::O_NOFOLLOW)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        match openat2(&root, path, how) {
            Ok(directory) => Ok(Some(Directory(directory))),
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// A path that leads to the open directory, whatever becomes of its name.
    pub(crate) fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.0.as_raw_fd()).into()
    }

    /// The path of an entry of the directory.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_stay_in_the_tree() {
        let temporary = tempfile::tempdir().unwrap();
        let root = temporary.path().join("root");
        fs::create_dir_all(root.join("data/var/log")).unwrap();
        fs::write(root.join("data/var/log/x"), "here").unwrap();
        symlink("/data/var", root.join("var")).unwrap();
        symlink("../../../..", root.join("up")).unwrap();
        symlink("/etc", root.join("etc")).unwrap();
        let open = |path: &str| Directory::open(&root, Path::new(path)).unwrap();
        assert_eq!(
            fs::read(open("var/log").unwrap().join("x")).unwrap(),
            b"here"
        );
        assert!(open("up/data").is_some());
        for absent in ["etc", "up", "none", "data/var/log/x", "none/x"] {
            assert!(open(absent).is_none(), "{absent}");
        }
    }
}
