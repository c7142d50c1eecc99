//! The system calls that `nix` has no wrapper for, each as one safe function.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::libc;

/// Last error of the calling thread, if `result` says that the call failed.
fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// A path as the kernel takes it; a NUL inside is `InvalidInput`.
pub(super) fn c_path(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

/// Clones the mount at `path`, with all mounts below it, without attaching it.
///
/// # Errors
/// `ENOSYS` before Linux 5.2; whatever the look-up gives.
pub(super) fn open_tree(path: &Path) -> io::Result<OwnedFd> {
    let path = c_path(path)?;
    let flags =
        libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC | libc::AT_RECURSIVE as libc::c_uint;
    // SAFETY: `path` is NUL-terminated and outlives the call; the result is checked.
    let fd =
        check(unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) })?;
    // SAFETY: the kernel has just given us this descriptor, nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Attaches a detached mount at `path`.
///
/// # Errors
/// Whatever the kernel gives.
pub(super) fn move_mount(tree: BorrowedFd, path: &Path) -> io::Result<()> {
    let path = c_path(path)?;
    // SAFETY: both strings are NUL-terminated and outlive the call.
    check(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_FDCWD,
            path.as_ptr(),
            libc::MOVE_MOUNT_F_EMPTY_PATH,
        )
    })?;
    Ok(())
}

/// Makes a new, detached mount of a filesystem without a device, with these
/// attributes (`MOUNT_ATTR_*`) of the mount.
///
/// # Errors
/// `EPERM` if the kernel shows less of this filesystem to the caller.
pub(super) fn new_mount(filesystem: &CStr, attributes: u64) -> io::Result<OwnedFd> {
    // SAFETY: the string is NUL-terminated and outlives the call.
    let context = descriptor(unsafe {
        libc::syscall(libc::SYS_fsopen, filesystem.as_ptr(), libc::FSOPEN_CLOEXEC)
    })?;
    let nothing = std::ptr::null::<libc::c_char>();
    // SAFETY: this command takes neither key nor value.
    check(unsafe {
        libc::syscall(
            libc::SYS_fsconfig,
            context.as_raw_fd(),
            libc::FSCONFIG_CMD_CREATE,
            nothing,
            nothing,
            0,
        )
    })?;
    // SAFETY: no pointers are passed; the result is checked.
    descriptor(unsafe {
        libc::syscall(
            libc::SYS_fsmount,
            context.as_raw_fd(),
            libc::FSMOUNT_CLOEXEC,
            attributes,
        )
    })
}

/// The descriptor that a call has just made.
fn descriptor(result: libc::c_long) -> io::Result<OwnedFd> {
    let fd = check(result)?;
    // SAFETY: the kernel has just given us this descriptor, nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Sets attributes (`MOUNT_ATTR_*`) on a detached mount and all mounts below
/// it; with `idmap`, ids of files pass through that user namespace's maps.
///
/// # Errors
/// `ENOSYS` before Linux 5.12, `EINVAL` if a filesystem cannot be idmapped.
pub(super) fn set_mount_attributes(
    tree: BorrowedFd,
    attributes: u64,
    idmap: Option<BorrowedFd>,
) -> io::Result<()> {
    let mut attr = libc::mount_attr {
        attr_set: attributes,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    if let Some(userns) = idmap {
        attr.attr_set |= libc::MOUNT_ATTR_IDMAP;
        attr.userns_fd = userns.as_raw_fd() as u64;
    }
    // SAFETY: the path is NUL-terminated; `attr` is of the size that is given.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | libc::AT_RECURSIVE,
            &attr as *const libc::mount_attr,
            std::mem::size_of::<libc::mount_attr>(),
        )
    })?;
    Ok(())
}

/// Forks into new namespaces (`CLONE_NEW*`). `Ok(0)` is the child.
///
/// Only for single-threaded processes: no `atfork` handler runs.
///
/// # Errors
/// Whatever clone(2) gives.
pub(super) fn fork_into(namespaces: libc::c_int) -> io::Result<libc::pid_t> {
    let flags = (namespaces | libc::SIGCHLD) as libc::c_ulong;
    // SAFETY: without CLONE_VM and with no stack given this is fork(2); the
    // callers are single-threaded, so no lock is held by a lost thread.
    let pid =
        check(unsafe { libc::syscall(libc::SYS_clone, flags, 0usize, 0usize, 0usize, 0usize) })?;
    Ok(pid as libc::pid_t)
}

/// A descriptor that refers to a process, and polls readable when it ended.
///
/// # Errors
/// `ESRCH` if there is no such process.
pub(in crate::appliance) fn pidfd_open(pid: libc::pid_t) -> io::Result<OwnedFd> {
    // SAFETY: no pointers are passed; the result is checked.
    let fd = check(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    // SAFETY: the kernel has just given us this descriptor, nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Sends SIGKILL through a pidfd.
///
/// # Errors
/// `ESRCH` if the process has ended and was waited for.
pub(super) fn pidfd_kill(pidfd: BorrowedFd) -> io::Result<()> {
    // SAFETY: a null siginfo is allowed and means what kill(2) does.
    check(unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            libc::SIGKILL,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    })?;
    Ok(())
}

/// Marks every descriptor from `first` on close-on-exec.
///
/// # Errors
/// `ENOSYS`/`EINVAL` before Linux 5.11.
pub(super) fn cloexec_from(first: RawFd) -> io::Result<()> {
    // SAFETY: no pointers are passed.
    check(unsafe {
        libc::syscall(
            libc::SYS_close_range,
            first as libc::c_uint,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    })?;
    Ok(())
}

/// Closes every descriptor above 2 that is not in `keep`.
///
/// # Errors
/// `ENOSYS` before Linux 5.9.
pub(super) fn close_all_but(keep: &[RawFd]) -> io::Result<()> {
    let mut keep: Vec<libc::c_uint> = keep.iter().map(|fd| *fd as libc::c_uint).collect();
    keep.sort_unstable();
    let mut first: libc::c_uint = 3;
    for last in keep.into_iter().chain([libc::c_uint::MAX]) {
        let end = if last == libc::c_uint::MAX {
            last
        } else {
            last.saturating_sub(1)
        };
        if first <= end {
            // SAFETY: no pointers; the callers own nothing in the closed ranges.
            check(unsafe { libc::syscall(libc::SYS_close_range, first, end, 0) })?;
        }
        first = last.saturating_add(1).max(first);
    }
    Ok(())
}

/// Clears close-on-exec. Async-signal-safe.
///
/// # Errors
/// `EBADF`.
pub(super) fn keep_over_exec(fd: RawFd) -> io::Result<()> {
    // SAFETY: no pointers are passed.
    check(unsafe { libc::fcntl(fd, libc::F_SETFD, 0) }.into())?;
    Ok(())
}

/// Has the kernel kill this process when the thread that started it ends.
/// Async-signal-safe.
///
/// The kernel forgets it whenever credentials change, so it is called again
/// after each change.
///
/// # Errors
/// None in practice.
pub(super) fn die_with_parent() -> io::Result<()> {
    prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong)
}

/// prctl(2) with one argument.
///
/// # Errors
/// Whatever the kernel gives.
pub(super) fn prctl(option: libc::c_int, value: libc::c_ulong) -> io::Result<()> {
    let none: libc::c_ulong = 0;
    // SAFETY: the options that this module passes take integers only.
    let result = unsafe { libc::prctl(option, value, none, none, none) };
    check(result.into())?;
    Ok(())
}

/// Leaves the caller's session keyring: its keys are no business of a hook.
pub(super) fn leave_session_keyring() {
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_long = 1;
    // SAFETY: a null name asks for an anonymous keyring. A kernel without
    // keyrings says ENOSYS, and then there is nothing to leave.
    unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            KEYCTL_JOIN_SESSION_KEYRING,
            std::ptr::null::<libc::c_char>(),
        )
    };
}

/// A socket of this family for calls of ioctl(2) that set up the network.
///
/// # Errors
/// Whatever the kernel gives.
pub(super) fn network_socket(family: libc::c_int) -> io::Result<OwnedFd> {
    // SAFETY: no pointers are passed; the result is checked.
    let fd =
        check(unsafe { libc::socket(family, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) }.into())?;
    // SAFETY: the kernel has just given us this descriptor, nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Brings the loopback interface of the own network namespace up.
///
/// # Errors
/// Whatever the kernel gives.
pub(super) fn loopback_up() -> io::Result<()> {
    let socket = network_socket(libc::AF_INET)?;
    // SAFETY: all-zero is a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: `request` is a filled ifreq and lives through the call.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &request) }.into())?;
    Ok(())
}

/// Waits until one of `fds` is readable or hung up, at most `timeout_ms`
/// (negative: for ever); tells which.
///
/// # Errors
/// Whatever poll(2) gives, except `EINTR`, which starts over.
pub(super) fn wait_readable(fds: &[BorrowedFd], timeout_ms: i32) -> io::Result<Vec<bool>> {
    let mut polled: Vec<libc::pollfd> = fds
        .iter()
        .map(|fd| libc::pollfd {
            fd: fd.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        })
        .collect();
    loop {
        // SAFETY: `polled` is an array of that many pollfd structures.
        let count = unsafe {
            libc::poll(
                polled.as_mut_ptr(),
                polled.len() as libc::nfds_t,
                timeout_ms,
            )
        };
        if count >= 0 {
            return Ok(polled.iter().map(|entry| entry.revents != 0).collect());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Whether the other end of a stream is closed, with or without unread bytes.
pub(super) fn is_hung_up(stream: BorrowedFd) -> bool {
    let mut polled = libc::pollfd {
        fd: stream.as_raw_fd(),
        events: 0,
        revents: 0,
    };
    // SAFETY: one pollfd structure, and the count says so.
    let count = unsafe { libc::poll(&mut polled, 1, 0) };
    count > 0 && polled.revents & libc::POLLHUP != 0
}
