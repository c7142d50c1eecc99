//! Files in a directory that hooks could write to, for the process that does
//! not share their root: whatever lies there, nothing outside is reached.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{open, openat2, OFlag, OpenHow, ResolveFlag};
use nix::libc;
use nix::sys::stat::{fstat, Mode};
use nix::unistd::{unlinkat, UnlinkatFlags};

use super::error::io_error;
use super::Error;

const A_FILE: &str = "a regular file";

/// Opens a regular file for reading. `name` may lie in directories below.
///
/// # Errors
/// [`Error::Planted`] for anything else in its place, a link in particular.
pub fn open_file(directory: &Path, name: impl AsRef<Path>) -> Result<File, Error> {
    let name = name.as_ref();
    let path = directory.join(name);
    // a pipe would not open before somebody writes to it
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = match open_beneath(directory, name, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::ELOOP | Errno::EXDEV | Errno::ENXIO) => return Err(planted(path, A_FILE)),
        Err(errno) => return Err(io_error("open", &path)(errno.into())),
    };
    match file.metadata().map_err(io_error("stat", &path))?.is_file() {
        true => Ok(file),
        false => Err(planted(path, A_FILE)),
    }
}

/// Whether there is a regular file, reached by no link.
pub fn is_file(directory: &Path, name: &str) -> bool {
    open_file(directory, name).is_ok()
}

/// Whether there is a directory; `false` if nothing is there.
///
/// # Errors
/// [`Error::Planted`] for anything else, a link in particular.
pub fn is_directory(path: &Path) -> Result<bool, Error> {
    match path.symlink_metadata() {
        Ok(found) if found.is_dir() => Ok(true),
        Ok(_) => Err(planted(path.into(), "a directory")),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(io_error("stat", path)(error)),
    }
}

/// Writes a new file, in place of what has its name.
///
/// # Errors
/// A directory has its name; it cannot be written.
pub fn write_file(directory: &Path, name: &str, content: &[u8]) -> Result<(), Error> {
    let path = directory.join(name);
    let failed = |errno: Errno| io_error("write", &path)(errno.into());
    let relative = Path::new(name);
    let parent = relative.parent().filter(|parent| *parent != Path::new(""));
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
    let parent = parent.unwrap_or(Path::new("."));
    let parent = open_beneath(directory, parent, flags, Mode::empty()).map_err(failed)?;
    let last = relative.file_name().unwrap_or_default();
    match unlinkat(&parent, last, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => {}
        Err(errno) => return Err(failed(errno)),
    }
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
    let mode = Mode::from_bits_truncate(0o666);
    let file = nix::fcntl::openat(&parent, last, flags, mode).map_err(failed)?;
    File::from(file)
        .write_all(content)
        .map_err(io_error("write", &path))
}

/// Takes the bits from a regular file that would run it with its owner's rights:
/// the owner is the caller, and the content a hook's. Nothing else is changed.
///
/// # Errors
/// A link is on the way to it; the mode cannot be changed.
pub fn take_privilege(directory: &Path, name: impl AsRef<Path>) -> Result<(), Error> {
    let path = directory.join(name.as_ref());
    let failed = |errno: Errno| io_error("change the mode of", &path)(errno.into());
    // This opens what nobody may read, too, and pipes at once.
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW;
    let file = open_beneath(directory, name.as_ref(), flags, Mode::empty()).map_err(failed)?;
    let mode = fstat(&file).map_err(failed)?.st_mode;
    if mode & libc::S_IFMT != libc::S_IFREG || mode & 0o6000 == 0 {
        return Ok(());
    }
    // fchmod(2) refuses such a descriptor.
    let itself = format!("/proc/self/fd/{}", file.as_raw_fd());
    std::fs::set_permissions(itself, PermissionsExt::from_mode(mode & 0o1777))
        .map_err(io_error("change the mode of", &path))
}

fn planted(path: PathBuf, expected: &'static str) -> Error {
    Error::Planted { path, expected }
}

fn open_beneath(directory: &Path, name: &Path, flags: OFlag, mode: Mode) -> Result<OwnedFd, Errno> {
    let place = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let place = open(directory, place, Mode::empty())?;
    let how = OpenHow::new()
        .flags(flags | OFlag::O_CLOEXEC)
        .mode(mode)
        .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS);
    openat2(&place, name, how)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn nothing_outside_is_reached() {
        let top = tempfile::tempdir().unwrap();
        let (inside, outside) = (top.path().join("in"), top.path().join("out"));
        for directory in [&inside, &outside] {
            fs::create_dir(directory).unwrap();
        }
        fs::write(outside.join("secret"), "secret").unwrap();
        fs::write(inside.join("plain"), "plain").unwrap();
        fs::create_dir(inside.join("side")).unwrap();
        fs::write(inside.join("side/plain"), "plain").unwrap();
        symlink(outside.join("secret"), inside.join("link")).unwrap();
        symlink("plain", inside.join("near")).unwrap();
        symlink(&outside, inside.join("away")).unwrap();
        nix::unistd::mkfifo(&inside.join("pipe"), Mode::S_IRWXU).unwrap();
        for name in ["plain", "side/plain"] {
            assert!(is_file(&inside, name), "{name}");
        }
        for name in [
            "link",
            "near",
            "away/secret",
            "pipe",
            "side",
            "../out/secret",
        ] {
            let error = open_file(&inside, name).unwrap_err();
            assert!(matches!(error, Error::Planted { .. }), "{name}: {error}");
        }
        assert!(!is_file(&inside, "absent"));
        assert!(is_directory(&inside.join("side")).unwrap());
        assert!(!is_directory(&inside.join("absent")).unwrap());
        is_directory(&inside.join("away")).unwrap_err();

        write_file(&inside, "link", b"new").unwrap();
        write_file(&inside, "side/new", b"new").unwrap();
        write_file(&inside, "side", b"new").unwrap_err();
        write_file(&inside, "away/secret", b"new").unwrap_err();
        assert_eq!(fs::read(inside.join("link")).unwrap(), b"new");
        assert_eq!(fs::read(outside.join("secret")).unwrap(), b"secret");
    }
}
