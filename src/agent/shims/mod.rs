//! Programs that hooks outside the target find first on their PATH.
//!
//! Elements call `sudo` and, as root, `chroot`, `mknod`, `mount` and `tar`. Inside an
//! appliance they are root already, but of a user namespace, where devices
//! cannot be made and a mount of `/dev` has other mounts in it. The shims make
//! up for that and pass everything else to the real programs. They are this
//! binary, reached through links in [`paths::SHIMS`].

use std::ffi::{OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::ptr;

use nix::libc;

use crate::error::tell;

use super::paths;
use super::spawn::ignore_python_signals;

mod chroot;
mod mknod;
mod mount;
mod partitions;
mod sudo;
pub mod sudo_env;
mod tar;

/// A shim: takes the arguments without the program's name.
pub type Shim = fn(Vec<OsString>) -> ExitCode;

/// The names that the shims are linked to.
pub(crate) const NAMES: &[&str] = &[
    "sudo",
    "chroot",
    "mknod",
    "mount",
    "umount",
    "tar",
    tar::FILTER,
    "kpartx",
    "dmsetup",
    "sfdisk",
    "udevadm",
];

/// The shim of this exact program name; a directory before it does not matter.
/// Only for processes inside an appliance, which [`paths::MARKER`] tells.
pub fn shim_for(argv0: &OsStr) -> Option<Shim> {
    match Path::new(argv0).file_name()?.to_str()? {
        "sudo" => Some(sudo::main),
        "chroot" => Some(chroot::main),
        "mknod" => Some(mknod::main),
        "mount" => Some(mount::mount),
        "umount" => Some(mount::umount),
        "tar" => Some(tar::main),
        tar::FILTER => Some(tar::filter),
        "kpartx" => Some(partitions::kpartx),
        "dmsetup" => Some(partitions::dmsetup),
        "sfdisk" => Some(partitions::sfdisk),
        "udevadm" => Some(partitions::udevadm),
        _ => None,
    }
}

/// A PATH without the directory of the shims.
fn without_shims(path: &OsStr) -> OsString {
    let kept: Vec<&[u8]> = path
        .as_bytes()
        .split(|byte| *byte == b':')
        .filter(|part| *part != paths::SHIMS.as_bytes())
        .collect();
    OsString::from_vec(kept.join(&b':'))
}

/// The first executable file of this name in a PATH; a name with a slash is a
/// path already.
fn find(name: &OsStr, path: &OsStr) -> Option<PathBuf> {
    if name.as_bytes().contains(&b'/') {
        return Some(name.into());
    }
    let runnable = |path: &PathBuf| {
        path.metadata()
            .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    std::env::split_paths(path)
        .map(|directory| directory.join(name))
        .find(runnable)
}

/// The real program of a shim's name.
fn real(name: &str) -> PathBuf {
    let path = without_shims(&std::env::var_os("PATH").unwrap_or_default());
    // a caller may have a PATH without sbin; the real one is found all the same
    let mut searched = path;
    searched.push(":");
    searched.push(sudo_env::SECURE_PATH);
    // Never the shim itself.
    let absent = || Path::new("/usr/sbin").join(name);
    find(OsStr::new(name), &searched).unwrap_or_else(absent)
}

/// Becomes the command, with the signals ignored that the shim was started with;
/// returns only if that fails. Rust's runtime ignores SIGPIPE in any case, so
/// SIGXFSZ tells: hooks have both, or neither.
fn exec(mut command: Command) -> io::Error {
    let mut found = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: without a new action the call only fills in `found`, which is read
    // if it has.
    let ignored = unsafe {
        libc::sigaction(libc::SIGXFSZ, ptr::null(), found.as_mut_ptr()) == 0
            && found.assume_init().sa_sigaction == libc::SIG_IGN
    };
    if ignored {
        // SAFETY: the closure makes two system calls.
        unsafe {
            command.pre_exec(|| {
                ignore_python_signals();
                Ok(())
            });
        }
    }
    command.exec()
}

/// Becomes the real program of a shim's name; returns only if that fails.
fn exec_real(name: &str, arguments: &[OsString]) -> ExitCode {
    let mut command = Command::new(real(name));
    command.arg0(name).args(arguments);
    let error = exec(command);
    complain(name, format_args!("cannot run the real {name}: {error}"));
    ExitCode::from(127)
}

fn complain(name: &str, text: std::fmt::Arguments<'_>) {
    tell!("{name}: {text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shims_have_exact_names() {
        for (argv0, found) in [
            ("sudo", true),
            ("/run/safedib/shims/umount", true),
            ("sudoedit", false),
            ("xsudo", false),
            ("", false),
        ] {
            assert_eq!(shim_for(OsStr::new(argv0)).is_some(), found, "{argv0}");
        }
        for name in NAMES {
            assert!(shim_for(OsStr::new(name)).is_some());
        }
    }

    #[test]
    fn the_shims_leave_a_path() {
        for (path, expected) in [
            ("/run/safedib/shims:/bin", "/bin"),
            ("/a:/run/safedib/shims:/b", "/a:/b"),
            ("/a", "/a"),
        ] {
            assert_eq!(without_shims(OsStr::new(path)), expected);
        }
    }
}
