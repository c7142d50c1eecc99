//! Writing `etc/fstab` into a tree that others made.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{open, openat, OFlag};
use nix::sys::stat::{mkdirat, Mode};

/// Writes `built/etc/fstab` below `build_dir`, with the directories that are
/// missing. No symbolic link of the tree is followed: an absolute one would
/// lead out of it, to the host's own files.
pub(super) fn write(build_dir: &Path, content: &str) -> io::Result<()> {
    let directory = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC | OFlag::O_RDONLY;
    let mut inner = open(build_dir, directory, Mode::empty())?;
    for name in ["built", "etc"] {
        match mkdirat(&inner, name, Mode::from_bits_truncate(0o777)) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(error) => return Err(error.into()),
        }
        inner = openat(&inner, name, directory | OFlag::O_NOFOLLOW, Mode::empty())?;
    }
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC;
    let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let file = openat(&inner, "fstab", flags, Mode::from_bits_truncate(0o666))?;
    File::from(file).write_all(content.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_no_link_of_the_tree() {
        let base = tempfile::tempdir().unwrap();
        let outside = base.path().join("outside");
        std::fs::create_dir(&outside).unwrap();
        write(base.path(), "a\n").unwrap();
        let etc = base.path().join("built/etc");
        write(base.path(), "b\n").unwrap();
        assert_eq!(std::fs::read_to_string(etc.join("fstab")).unwrap(), "b\n");
        std::fs::remove_file(etc.join("fstab")).unwrap();
        std::os::unix::fs::symlink(outside.join("fstab"), etc.join("fstab")).unwrap();
        assert!(write(base.path(), "c\n").is_err());
        std::fs::remove_dir_all(&etc).unwrap();
        std::os::unix::fs::symlink(&outside, &etc).unwrap();
        assert!(write(base.path(), "d\n").is_err());
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
    }
}
