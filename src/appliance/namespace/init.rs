//! The processes of the sandbox: this binary, executed anew by the driver.
//!
//! ```text
//! driver (may have threads)
//!  `- sandbox-init: outer user and mount namespace; takes shares; waits
//!      `- pid 1: hooks' namespaces; makes the root; reaps
//!          `- agent
//! ```
//! A fork of a process with threads may do next to nothing, so the driver
//! executes `safedib sandbox-init` and sends it what to do. The hooks'
//! namespaces lie in a second user namespace because the kernel locks the
//! flags of mounts that a user namespace inherits: what is shared read-only
//! cannot be made writable by inner root.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use nix::libc;
use nix::sched::{unshare, CloneFlags};
use nix::sys::wait::{waitpid, WaitStatus};
use nix::unistd::{setgroups, setresgid, setresuid, setsid, Gid, Pid, Uid};

use super::error::{Fault, FaultKind};
use super::ids::write_maps;
use super::ops::SandboxOp;
use super::pid1::pid1;
use super::sys;
use super::wire::{control_from, need, read_order, report, Ending, Event, Setup, ToSandbox};
use super::{confine, execute};

/// The hidden command `safedib sandbox-init FD`: prints only with
/// `SAFEDIB_DEBUG_SANDBOX`; failures go to the driver through FD.
pub(super) fn sandbox_init(arguments: &[OsString]) -> i32 {
    let Some(mut control) = control_from(arguments) else {
        return 2;
    };
    match outer(&mut control) {
        Ok(status) => status,
        Err(fault) => {
            report(&mut control, &Event::Failed(fault));
            1
        }
    }
}
fn outer(control: &mut UnixStream) -> Result<i32, Fault> {
    let doing = "binding to the driver";
    need(FaultKind::Namespace, doing, sys::die_with_parent())?;
    let setup = match read_order(control)? {
        ToSandbox::Setup(setup) => setup,
        ToSandbox::Mapped => return Ok(1),
    };
    // An own session: Ctrl-C is the driver's to handle.
    let _ = setsid();
    let keep = [control.as_raw_fd(), setup.channel];
    need(
        FaultKind::File,
        "closing what is not ours",
        sys::close_all_but(&keep),
    )?;
    enter_outer(&setup, control)?;
    need(FaultKind::Namespace, doing, sys::die_with_parent())?;
    let idmap = idmap_namespace(&setup)?;
    execute::stage(
        &setup.layout.outer,
        idmap.as_ref().map(|fd| fd.as_fd()),
        setup.debug,
    )?;
    drop(idmap);
    let ending = run_inner(*setup, control)?;
    report(control, &Event::Ended(ending));
    Ok(0)
}

/// Makes a mount namespace of our own; root needs no user namespace for that.
fn enter_outer(setup: &Setup, control: &mut UnixStream) -> Result<(), Fault> {
    if setup.mapping.is_root() {
        let result = unshare(CloneFlags::CLONE_NEWNS);
        return need(
            FaultKind::Privilege,
            "making a mount namespace as root",
            result,
        );
    }
    let flags = CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS;
    need(
        FaultKind::Namespace,
        "making a user namespace",
        unshare(flags),
    )?;
    report(control, &Event::Unshared);
    read_order::<ToSandbox>(control)?;
    become_root()
}

/// Forks pid 1 into the hooks' namespaces, gives it its ids, and waits for it.
fn run_inner(setup: Setup, control: &mut UnixStream) -> Result<Ending, Fault> {
    let kind = FaultKind::Namespace;
    need(kind, "limiting what hooks may use", confine::limit())?;
    let (gate, mut go) = need(FaultKind::File, "making a pipe", pipe())?;
    let namespaces = libc::CLONE_NEWUSER
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWNET;
    let pid = need(
        kind,
        "making the hooks' namespaces",
        sys::fork_into(namespaces),
    )?;
    if pid == 0 {
        drop(go);
        pid1(setup, control, gate);
    }
    drop(gate);
    // SAFETY: the channel's end came to us by number and nobody uses it here;
    // held open it would hide the agent's end from the driver.
    drop(unsafe { OwnedFd::from_raw_fd(setup.channel) });
    let (uid_map, gid_map) = setup.mapping.inner_lines();
    let mapped = write_maps(pid, &uid_map, &gid_map);
    need(kind, "writing the id maps of the hooks' namespace", mapped)?;
    need(kind, "starting pid 1", go.write_all(&pid.to_le_bytes()))?;
    need(kind, "waiting for pid 1", wait_for(Pid::from_raw(pid)))
}

/// Takes inner id 0 and gives up the caller's supplementary groups: files that
/// only a group may read are no business of a hook.
pub(super) fn become_root() -> Result<(), Fault> {
    need(
        FaultKind::Namespace,
        "leaving the caller's groups",
        setgroups(&[]),
    )?;
    let (gid, uid) = (Gid::from_raw(0), Uid::from_raw(0));
    need(
        FaultKind::Namespace,
        "becoming inner group 0",
        setresgid(gid, gid, gid),
    )?;
    need(
        FaultKind::Namespace,
        "becoming inner root",
        setresuid(uid, uid, uid),
    )
}

/// The reading and the writing end of a pipe, which close on exec.
pub(super) fn pipe() -> io::Result<(File, File)> {
    let (read, write) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    Ok((read.into(), write.into()))
}

/// A user namespace with the hooks' ids, for idmapped mounts: it stays after
/// the process that it was made with.
fn idmap_namespace(setup: &Setup) -> Result<Option<OwnedFd>, Fault> {
    let wanted = |op: &SandboxOp| matches!(op, SandboxOp::Stage { idmapped: true, .. });
    if !setup.layout.outer.iter().any(wanted) {
        return Ok(None);
    }
    let make = || -> io::Result<OwnedFd> {
        let (mut gate, hold) = pipe()?;
        let pid = sys::fork_into(libc::CLONE_NEWUSER)?;
        if pid == 0 {
            drop(hold);
            let _ = gate.read(&mut [0]);
            // SAFETY: ends this copy of the process without running anything of it.
            unsafe { libc::_exit(0) };
        }
        drop(gate);
        let (uid_map, gid_map) = setup.mapping.lines();
        let namespace = write_maps(pid, &uid_map, &gid_map)
            .and_then(|()| File::open(format!("/proc/{pid}/ns/user")));
        drop(hold);
        wait_for(Pid::from_raw(pid))?;
        namespace.map(OwnedFd::from)
    };
    need(
        FaultKind::Idmap,
        "making the id map for root's files",
        make(),
    )
    .map(Some)
}

/// Waits for one child.
fn wait_for(pid: Pid) -> io::Result<Ending> {
    loop {
        match waitpid(pid, None) {
            Ok(WaitStatus::Exited(_, status)) => return Ok(Ending::Status(status)),
            Ok(WaitStatus::Signaled(_, signal, _)) => return Ok(Ending::Signal(signal as i32)),
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}
