//! Devices for chroot before the engine has mounted its own `/dev`.
//!
//! While root.d runs, the target has the device nodes that a bootstrap tool
//! made; where mknod(2) is refused they are placeholders, and a chroot that
//! opens `/dev/null` would write to a file. The chroot shim binds our nodes over
//! the placeholders. A root without any `/dev/null` gets all of our `/dev`. The
//! agent takes that away when the phase is over.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

use super::context::Context;
use super::error::Error;
use super::{devnodes, mounts, paths};

/// A mount that was made to give a root directory devices.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Provided {
    path: PathBuf,
    created: bool,
}

/// The nodes that programs in a fresh root open.
const NODES: &[&str] = &[
    "null", "zero", "full", "random", "urandom", "tty", "ptmx", "console",
];

/// Where device nodes are real, a root directory has its own. Else gives `root` devices: our nodes in the place of empty files of their names,
/// or our whole `/dev` where there is no `dev/null`.
///
/// # Errors
/// A mount fails, or the note for the agent cannot be written.
pub(crate) fn provide(root: &Path) -> io::Result<()> {
    let Ok(root) = fs::canonicalize(root) else {
        return Ok(()); // chroot itself says what is wrong with its argument
    };
    if root == Path::new("/") || devnodes::are_real() {
        return Ok(());
    }
    let dev = root.join("dev");
    // two chroot calls at once must not mount twice
    let lock = lock()?;
    if fs::symlink_metadata(dev.join("null")).is_err() {
        return provide_directory(&lock, &dev);
    }
    for name in NODES {
        let (ours, theirs) = (Path::new("/dev").join(name), dev.join(name));
        let is_placeholder =
            fs::symlink_metadata(&theirs).is_ok_and(|found| found.is_file() && found.len() == 0);
        let is_device = fs::metadata(&ours).is_ok_and(|node| node.file_type().is_char_device());
        if is_placeholder && is_device {
            mounts::bind(&ours, &theirs)?;
            note(&lock, &theirs, false)?;
        }
    }
    Ok(())
}

fn provide_directory(lock: &File, dev: &Path) -> io::Result<()> {
    let created = match fs::symlink_metadata(dev) {
        Ok(metadata) if metadata.is_dir() => false,
        Ok(_) => return Ok(()),
        Err(_) => {
            fs::create_dir(dev)?;
            true
        }
    };
    mounts::bind_recursive(Path::new("/dev"), dev)?;
    note(lock, dev, created)
}

fn note(mut notes: &File, path: &Path, created: bool) -> io::Result<()> {
    let mut note = vec![if created { b'+' } else { b' ' }];
    note.extend_from_slice(path.as_os_str().as_bytes());
    note.push(0);
    notes.write_all(&note)
}

fn lock() -> io::Result<Flock<File>> {
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(paths::CHROOT_DEVICES)?;
    Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, error)| error.into())
}

/// Takes every mount away that [`provide`] made.
///
/// # Errors
/// The notes cannot be read; a mount that is gone already is none.
pub(crate) fn release(context: &mut Context) -> Result<(), Error> {
    let notes = match fs::read(paths::CHROOT_DEVICES) {
        Ok(notes) => notes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::io("read", paths::CHROOT_DEVICES)(error)),
    };
    for provided in parse(&notes).iter().rev() {
        if let Err(error) = mounts::detach(&provided.path) {
            // EINVAL: the hook has unmounted it
            if error.raw_os_error() != Some(nix::libc::EINVAL) {
                context.say(format!("umount: {}: {error}", provided.path.display()))?;
            }
        } else if provided.created {
            // stays if a hook has put something into it
            let _ = fs::remove_dir(&provided.path);
        }
    }
    fs::remove_file(paths::CHROOT_DEVICES).map_err(Error::io("remove", paths::CHROOT_DEVICES))
}

fn parse(notes: &[u8]) -> Vec<Provided> {
    notes
        .split(|byte| *byte == 0)
        .filter_map(|note| note.split_first())
        .map(|(mark, path)| Provided {
            path: PathBuf::from(std::ffi::OsString::from_vec(path.to_vec())),
            created: *mark == b'+',
        })
        .collect()
}
