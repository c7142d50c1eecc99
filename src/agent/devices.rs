//! A usable `/dev` for chroot before the engine has mounted one.
//!
//! While root.d runs, the target has the device nodes that a bootstrap tool
//! made; where mknod(2) is refused they are placeholders, and a chroot that
//! opens `/dev/null` would fail. The chroot shim lays our own `/dev` over them;
//! the agent takes it away when the phase is over.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

use super::context::Context;
use super::error::Error;
use super::{mounts, paths};

/// What was done to give a root directory devices.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Provided {
    dev: PathBuf,
    created: bool,
}

/// Lays our `/dev` over that of `root`, unless its `dev/null` is a device.
///
/// # Errors
/// The mount fails, or the note for the agent cannot be written.
pub(crate) fn provide(root: &Path) -> io::Result<()> {
    let Ok(root) = fs::canonicalize(root) else {
        return Ok(()); // chroot itself says what is wrong with its argument
    };
    let dev = root.join("dev");
    // two chroot calls at once must not mount twice
    let lock = lock()?;
    let has_device =
        fs::symlink_metadata(dev.join("null")).is_ok_and(|null| null.file_type().is_char_device());
    if root == Path::new("/") || has_device {
        return Ok(());
    }
    let created = match fs::symlink_metadata(&dev) {
        Ok(metadata) if metadata.is_dir() => false,
        Ok(_) => return Ok(()),
        Err(_) => {
            fs::create_dir(&dev)?;
            true
        }
    };
    mounts::bind_recursive(Path::new("/dev"), &dev)?;
    let mut note = vec![if created { b'+' } else { b' ' }];
    note.extend_from_slice(dev.as_os_str().as_bytes());
    note.push(0);
    (&*lock).write_all(&note)
}

fn lock() -> io::Result<Flock<File>> {
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(paths::CHROOT_DEVICES)?;
    Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, error)| error.into())
}

/// Takes every `/dev` away that [`provide`] laid over one.
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
        if let Err(error) = mounts::detach(&provided.dev) {
            // EINVAL: the hook has unmounted it
            if error.raw_os_error() != Some(nix::libc::EINVAL) {
                context.say(format!("umount: {}: {error}", provided.dev.display()))?;
            }
        } else if provided.created {
            // stays if a hook has put something into it
            let _ = fs::remove_dir(&provided.dev);
        }
    }
    fs::remove_file(paths::CHROOT_DEVICES).map_err(Error::io("remove", paths::CHROOT_DEVICES))
}

fn parse(notes: &[u8]) -> Vec<Provided> {
    notes
        .split(|byte| *byte == 0)
        .filter_map(|note| note.split_first())
        .map(|(mark, path)| Provided {
            dev: PathBuf::from(std::ffi::OsString::from_vec(path.to_vec())),
            created: *mark == b'+',
        })
        .collect()
}
