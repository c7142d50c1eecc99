//! `/etc/resolv.conf` of the target: the appliance's own while hooks run, the
//! target's afterwards. `resolv.conf.ORIG` is an interface of elements.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::context::Context;
use super::error::Error;
use super::inside::Directory;

const NAME: &str = "resolv.conf";
const SAVED: &str = "resolv.conf.ORIG";
/// `FS_IMMUTABLE_FL` of linux/fs.h
const IMMUTABLE: nix::libc::c_long = 0x10;

nix::ioctl_read!(get_flags, b'f', 1, nix::libc::c_long);

fn etc(context: &Context) -> Result<Directory, Error> {
    let target = context.target();
    Directory::open(&target, Path::new("etc"))
        .map_err(Error::io("open", target.join("etc")))?
        .ok_or_else(|| Error::MissingDirectory("etc".to_owned()))
}

/// A regular file or a link, dangling or not: what upstream saves and restores.
fn lstat(path: &Path) -> Option<Metadata> {
    let metadata = fs::symlink_metadata(path).ok()?;
    let leads_to_file = || fs::metadata(path).is_ok_and(|followed| followed.is_file());
    (metadata.is_symlink() || leads_to_file()).then_some(metadata)
}

/// Saves the target's resolv.conf and writes one that resolves here, mode 0777
/// (the second half of `create_base`).
///
/// # Errors
/// The target has no `/etc`, or it cannot be written.
pub(crate) fn install(context: &mut Context) -> Result<(), Error> {
    let etc = etc(context)?;
    let (path, saved) = (etc.join(NAME), etc.join(SAVED));
    let shown = context.target().join("etc").join(NAME);
    if lstat(&path).is_some() {
        fs::rename(&path, &saved).map_err(Error::io("save", &shown))?;
    }
    write(&path).map_err(Error::io("write", &shown))
}

/// Writes this appliance's resolv.conf over the one that another appliance has
/// installed. A link, or an immutable file, is the target's own and stays.
///
/// # Errors
/// The target has no `/etc`, or it cannot be written.
pub(crate) fn renew(context: &mut Context) -> Result<(), Error> {
    let path = etc(context)?.join(NAME);
    let shown = context.target().join("etc").join(NAME);
    let installed =
        fs::symlink_metadata(&path).is_ok_and(|found| found.is_file() && !is_immutable(&path));
    match installed {
        true => write(&path).map_err(Error::io("write", &shown)),
        false => Ok(()),
    }
}

fn write(path: &Path) -> io::Result<()> {
    let contents =
        fs::read("/etc/resolv.conf").unwrap_or_else(|_| b"nameserver 8.8.8.8\n".to_vec());
    fs::write(path, contents)?;
    fs::set_permissions(path, PermissionsExt::from_mode(0o777))
}

/// Puts the saved resolv.conf back, unless the target has meanwhile got a link
/// (if those are kept) or an immutable file, which stays (`finalise_base`). With nothing saved the
/// target ends without one.
///
/// # Errors
/// `/etc` cannot be written. A target without `/etc` is left alone.
pub(crate) fn restore(context: &mut Context, keep_link: bool) -> Result<(), Error> {
    let Ok(etc) = etc(context) else {
        return Ok(());
    };
    let (path, saved) = (etc.join(NAME), etc.join(SAVED));
    let shown = context.target().join("etc").join(NAME);
    let keep = fs::symlink_metadata(&path).is_ok_and(|found| match found.is_symlink() {
        true => keep_link,
        false => found.is_file() && is_immutable(&path),
    });
    let restored = if keep {
        remove(&saved)
    } else {
        remove(&path).and_then(|()| match lstat(&saved) {
            Some(_) => fs::rename(&saved, &path),
            None => Ok(()),
        })
    };
    restored.map_err(Error::io("restore", shown))
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// What `lsattr` shows as `i`; filesystems without attributes have none.
fn is_immutable(path: &Path) -> bool {
    let Ok(file) = File::open(path) else {
        return false;
    };
    let mut flags: nix::libc::c_long = 0;
    // SAFETY: FS_IOC_GETFLAGS writes an int through the pointer, and a long is
    // at least as large; the descriptor is open.
    unsafe { get_flags(file.as_raw_fd(), &mut flags) }.is_ok() && flags & IMMUTABLE != 0
}
