//! Removes trees on disk, also those whose owners only exist inside.

use std::ffi::{CString, OsStr, OsString};
use std::fs::{self, Permissions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{openat, renameat, AtFlags, OFlag, AT_FDCWD};
use nix::libc;
use nix::sched::{unshare, CloneFlags};
use nix::sys::stat::{fstat, fstatat, Mode};
use nix::unistd::{unlinkat, UnlinkatFlags};
use serde::{Deserialize, Serialize};

use super::error::{Error, Fault, FaultKind};
use super::ids::Mapping;
use super::init::become_root;
use super::ops::raw_path;
use super::sys;
use super::wire::{control_from, need, read_order};
use crate::protocol;

/// How many directories are open at once. A hook can nest them deeper than any
/// limit on descriptors; what is deeper is moved to the top first.
const DEPTH: usize = 100;

/// Orders to `safedib sandbox-remove`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Order {
    /// The user namespace has its ids.
    Mapped,
    /// Remove this, then answer.
    Remove(#[serde(with = "raw_path")] PathBuf),
}

/// Removes each path and all below it; what does not exist is fine. Symbolic
/// links are removed, never followed, and no other filesystem is entered.
///
/// Trees that `mapping`'s ids own are removed from within a user namespace,
/// by `binary` (safedib).
///
/// # Errors
/// The first path that could not be removed; the others have been tried.
pub fn remove_tree(binary: &Path, mapping: &Mapping, paths: &[PathBuf]) -> Result<(), Error> {
    let mut result = Ok(());
    let mut denied = Vec::new();
    for path in paths {
        match remove(path) {
            Ok(()) => {}
            Err(error) if !mapping.is_root() && is_denied(&error) => denied.push(path),
            Err(source) => {
                result = result.and(Err(Error::Io {
                    doing: removing(path),
                    source,
                }))
            }
        }
    }
    if !denied.is_empty() {
        result = result.and(remove_mapped(binary, mapping, &denied));
    }
    result
}

fn is_denied(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EACCES | libc::EPERM))
}

fn removing(path: &Path) -> String {
    format!("removing {}", path.display())
}

fn remove_mapped(binary: &Path, mapping: &Mapping, paths: &[&PathBuf]) -> Result<(), Error> {
    let (mut control, mut child) = spawn_helper(binary, "sandbox-remove", None)?;
    let died = Error::Died {
        while_: "removing files",
    };
    let talk = || -> Result<(), Error> {
        read_answer(&mut control)?;
        mapping.apply(child.id() as libc::pid_t)?;
        tell(&mut control, &Order::Mapped)?;
        for path in paths {
            tell(&mut control, &Order::Remove(path.to_path_buf()))?;
            read_answer(&mut control)?;
        }
        Ok(())
    };
    let mut talk = talk;
    let result = talk();
    drop(control);
    match child.wait() {
        Ok(_) => result,
        Err(_) => result.and(Err(died)),
    }
}

/// Executes a hidden command of ours with a socket, in an own session: Ctrl-C
/// must not stop those who clean up.
///
/// `passed` is a further argument and a descriptor that stays open in it.
pub(super) fn spawn_helper(
    binary: &Path,
    name: &str,
    passed: Option<(&Path, RawFd)>,
) -> Result<(UnixStream, Child), Error> {
    let fail = |source| Error::Io {
        doing: format!("executing {} {name}", binary.display()),
        source,
    };
    let (control, theirs) = UnixStream::pair().map_err(fail)?;
    let number = theirs.as_raw_fd();
    let mut command = Command::new(binary);
    command.arg0("safedib").arg(name).arg(number.to_string());
    command.args(passed.map(|(argument, _)| argument));
    let passed = passed.map(|(_, fd)| fd);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .current_dir("/");
    // SAFETY: all calls are async-signal-safe and touch no memory of ours.
    unsafe {
        command.pre_exec(move || {
            libc::setsid();
            passed.map_or(Ok(()), sys::keep_over_exec)?;
            sys::keep_over_exec(number)
        })
    };
    Ok((control, command.spawn().map_err(fail)?))
}

fn tell(control: &mut UnixStream, order: &Order) -> Result<(), Error> {
    protocol::send(control, order).map_err(|_| Error::Died {
        while_: "removing files",
    })
}

/// An answer is `None`, or what went wrong.
pub(super) fn read_answer(control: &mut UnixStream) -> Result<(), Error> {
    match protocol::receive::<Option<Fault>>(control) {
        Ok(Some(protocol::Frame::Message(None))) => Ok(()),
        Ok(Some(protocol::Frame::Message(Some(fault)))) => Err(Error::Sandbox(fault)),
        _ => Err(Error::Died {
            while_: "removing files",
        }),
    }
}

/// The hidden command `safedib sandbox-remove FD`.
pub(super) fn sandbox_remove(arguments: &[OsString]) -> i32 {
    let Some(mut control) = control_from(arguments) else {
        return 2;
    };
    let answer = |control: &mut UnixStream, result: Result<(), Fault>| {
        let failed = result.is_err();
        // Without a driver there is nobody to tell.
        let _ = protocol::send(control, &result.err());
        failed
    };
    let unshared = need(
        FaultKind::Namespace,
        "making a user namespace",
        unshare(CloneFlags::CLONE_NEWUSER),
    );
    if answer(&mut control, unshared) || read_order::<Order>(&mut control).is_err() {
        return 1;
    }
    if let Err(fault) = become_root() {
        answer(&mut control, Err(fault));
        return 1;
    }
    while let Ok(Order::Remove(path)) = read_order(&mut control) {
        let result =
            remove(&path).map_err(|error| Fault::new(FaultKind::File, removing(&path), &error));
        answer(&mut control, result);
    }
    0
}

/// Removes `path` and all below it with the ids of the process.
fn remove(path: &Path) -> io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let parent = match openat(AT_FDCWD, parent, flags, Mode::empty()) {
        Ok(parent) => parent,
        Err(Errno::ENOENT) => return Ok(()),
        Err(errno) => return Err(errno.into()),
    };
    match unlink(parent.as_fd(), name) {
        Err(Errno::EISDIR) => {}
        other => return Ok(other?),
    }
    let top = open_dir(parent.as_fd(), name)?;
    let device = fstat(&top)?.st_dev;
    let mut tree = Tree {
        top,
        device,
        moved: 0,
    };
    // Each round removes what the one before moved up.
    loop {
        let moved = tree.moved;
        tree.empty(tree.top.try_clone()?, 0)?;
        if tree.moved == moved {
            break;
        }
    }
    Ok(unlinkat(&parent, name, UnlinkatFlags::RemoveDir)?)
}

fn unlink(parent: BorrowedFd, name: &OsStr) -> nix::Result<()> {
    match unlinkat(parent, name, UnlinkatFlags::NoRemoveDir) {
        Err(Errno::ENOENT) => Ok(()),
        // A read-only filesystem refuses before it looks for the name.
        Err(Errno::EROFS)
            if fstatat(parent, name, AtFlags::AT_SYMLINK_NOFOLLOW) == Err(Errno::ENOENT) =>
        {
            Ok(())
        }
        other => other,
    }
}

/// Opens a directory, which is made accessible to us if it is ours.
fn open_dir(parent: BorrowedFd, name: &OsStr) -> io::Result<OwnedFd> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let handle = openat(parent, name, flags | OFlag::O_PATH, Mode::empty())?;
    if fstat(&handle)?.st_mode & 0o700 != 0o700 {
        // Through the descriptor: the name may be another's by now. A failure
        // shows in the next line.
        let _ = fs::set_permissions(
            format!("/proc/self/fd/{}", handle.as_raw_fd()),
            Permissions::from_mode(0o700),
        );
    }
    Ok(openat(
        &handle,
        ".",
        flags | OFlag::O_RDONLY,
        Mode::empty(),
    )?)
}

struct Tree {
    top: OwnedFd,
    device: libc::dev_t,
    moved: usize,
}

impl Tree {
    fn empty(&mut self, dir: OwnedFd, depth: usize) -> io::Result<()> {
        if fstat(&dir)?.st_dev != self.device {
            return Err(io::Error::from_raw_os_error(libc::EXDEV));
        }
        for name in names(&dir)? {
            let name = OsStr::from_bytes(name.to_bytes());
            match unlink(dir.as_fd(), name) {
                Err(Errno::EISDIR) => {}
                other => {
                    other?;
                    continue;
                }
            }
            if depth >= DEPTH {
                self.move_up(&dir, name)?;
                continue;
            }
            let below = open_dir(dir.as_fd(), name)?;
            self.empty(below, depth + 1)?;
            unlinkat(&dir, name, UnlinkatFlags::RemoveDir)?;
        }
        Ok(())
    }

    fn move_up(&mut self, dir: &OwnedFd, name: &OsStr) -> io::Result<()> {
        loop {
            self.moved += 1;
            let place = format!(".safedib-deep-{}", self.moved);
            match renameat(dir, name, &self.top, place.as_str()) {
                Err(Errno::EEXIST | Errno::ENOTEMPTY | Errno::ENOTDIR) => {}
                other => return Ok(other?),
            }
        }
    }
}

/// Names in a directory, without `.` and `..`.
fn names(dir: &OwnedFd) -> io::Result<Vec<CString>> {
    let mut entries = Dir::from_fd(openat(
        dir,
        ".",
        OFlag::O_DIRECTORY | OFlag::O_RDONLY | OFlag::O_CLOEXEC,
        Mode::empty(),
    )?)?;
    let mut names = Vec::new();
    for entry in entries.iter() {
        let name = entry?.file_name().to_owned();
        if !matches!(name.to_bytes(), b"." | b"..") {
            names.push(name);
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_are_not_followed_and_depth_has_no_limit() {
        let base = tempfile::tempdir().unwrap();
        let outside = base.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("kept"), "x").unwrap();
        let tree = base.path().join("tree");
        fs::create_dir_all(tree.join("a/b")).unwrap();
        symlink(&outside, tree.join("a/link")).unwrap();
        fs::set_permissions(tree.join("a/b"), Permissions::from_mode(0o000)).unwrap();
        let mut deep = openat(AT_FDCWD, &tree, OFlag::O_PATH, Mode::empty()).unwrap();
        for _ in 0..1500 {
            nix::sys::stat::mkdirat(&deep, "d", Mode::S_IRWXU).unwrap();
            deep = openat(&deep, "d", OFlag::O_PATH, Mode::empty()).unwrap();
        }
        remove(&tree).unwrap();
        assert!(!tree.exists());
        assert!(outside.join("kept").exists());
        let link = base.path().join("toplink");
        symlink(&outside, &link).unwrap();
        remove(&link).unwrap();
        assert!(outside.join("kept").exists());
        remove(&tree).unwrap();
    }
}
