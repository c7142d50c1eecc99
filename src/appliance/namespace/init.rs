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

use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::UnixStream;

use nix::libc;
use nix::sched::{unshare, CloneFlags};
use nix::sys::signal::{sigprocmask, SigSet, SigmaskHow};
use nix::sys::wait::{waitpid, WaitStatus};
use nix::unistd::{setgroups, setresgid, setresuid, setsid, Gid, Pid, Uid};
use serde::{Deserialize, Serialize};

use super::error::{Fault, FaultKind};
use super::execute;
use super::ids::{write_maps, Mapping};
use super::layout::Layout;
use super::ops::SandboxOp;
use super::{network, sys};
use crate::protocol;

/// Everything that the processes of the sandbox must know.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Setup {
    pub(super) mapping: Mapping,
    pub(super) layout: Layout,
    pub(super) arguments: Vec<OsString>,
    pub(super) environment: Vec<(OsString, OsString)>,
    pub(super) network: bool,
    pub(super) channel: RawFd,
    pub(super) debug: bool,
}

/// What the driver says while the sandbox starts.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ToSandbox {
    Setup(Box<Setup>),
    /// The outer user namespace has its ids.
    Mapped,
}

/// What the sandbox's processes report.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Event {
    /// The outer user namespace waits for its ids.
    Unshared,
    /// The hooks' namespaces exist.
    Namespaces {
        /// Their pid 1, as the host numbers it.
        pid: libc::pid_t,
    },
    /// The agent was executed.
    Ready,
    /// Something failed; the sandbox ends.
    Failed(Fault),
    /// The agent ended.
    Exited(Ending),
    /// pid 1 ended.
    Ended(Ending),
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Ending {
    Status(i32),
    Signal(i32),
}

impl Ending {
    /// In words; `None` for a normal exit.
    pub(super) fn describe(self) -> Option<String> {
        match self {
            Ending::Status(0) => None,
            Ending::Status(status) => Some(format!("exit status {status}")),
            Ending::Signal(signal) => Some(format!("killed by signal {signal}")),
        }
    }
}

/// Number of the channel's descriptor in the agent.
const AGENT_CHANNEL: RawFd = 3;

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

/// Tells the driver; if it has died there is nobody left to tell.
fn report(control: &mut UnixStream, event: &Event) {
    let _ = protocol::send(control, event);
}

/// The socket that the driver passed, by the number in the first argument.
pub(super) fn control_from(arguments: &[OsString]) -> Option<UnixStream> {
    let number = arguments
        .first()
        .and_then(|text| text.to_str())
        .and_then(|text| text.parse::<RawFd>().ok())
        .filter(|fd| *fd > 2);
    let Some(fd) = number else {
        eprintln!("safedib: this command is for safedib's own use");
        return None;
    };
    // It was passed over exec, and must not be once more.
    sys::cloexec_from(fd).ok()?;
    // SAFETY: the driver passes this descriptor to us alone; a wrong number
    // gives EBADF.
    Some(UnixStream::from(unsafe { OwnedFd::from_raw_fd(fd) }))
}

/// The driver's next order.
pub(super) fn read_order<T: serde::de::DeserializeOwned>(
    control: &mut UnixStream,
) -> Result<T, Fault> {
    match protocol::receive(control) {
        Ok(Some(protocol::Frame::Message(message))) => Ok(message),
        Ok(_) => Err(Fault::new(
            FaultKind::File,
            "listening to the driver",
            &io::ErrorKind::UnexpectedEof.into(),
        )),
        Err(error) => Err(Fault::new(
            FaultKind::File,
            "listening to the driver",
            &error,
        )),
    }
}

/// A step that must work, named for the fault.
pub(super) fn need<T, E: Into<io::Error>>(
    kind: FaultKind,
    doing: &str,
    result: Result<T, E>,
) -> Result<T, Fault> {
    result.map_err(|error| Fault::new(kind, doing, &error.into()))
}

fn outer(control: &mut UnixStream) -> Result<i32, Fault> {
    need(
        FaultKind::Namespace,
        "binding to the driver",
        sys::die_with_parent(),
    )?;
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
    if setup.mapping.is_root() {
        need(
            FaultKind::Namespace,
            "making a mount namespace as root",
            unshare(CloneFlags::CLONE_NEWNS),
        )?;
    } else {
        let flags = CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS;
        need(
            FaultKind::Namespace,
            "making a user namespace",
            unshare(flags),
        )?;
        report(control, &Event::Unshared);
        read_order::<ToSandbox>(control)?;
        become_root()?;
    }
    need(
        FaultKind::Namespace,
        "binding to the driver",
        sys::die_with_parent(),
    )?;
    let idmap = idmap_namespace(&setup)?;
    execute::stage(
        &setup.layout.outer,
        idmap.as_ref().map(|fd| fd.as_fd()),
        setup.debug,
    )?;
    drop(idmap);

    let (mut go, gate) = need(FaultKind::File, "making a pipe", pipe())?.swap();
    let namespaces = libc::CLONE_NEWUSER
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWNET;
    let pid = need(
        FaultKind::Namespace,
        "making the hooks' namespaces",
        sys::fork_into(namespaces),
    )?;
    if pid == 0 {
        drop(go);
        pid1(*setup, control, gate);
    }
    drop(gate);
    // SAFETY: the channel's end came to us by number and nobody uses it here;
    // held open it would hide the agent's end from the driver.
    drop(unsafe { OwnedFd::from_raw_fd(setup.channel) });
    let (uid_map, gid_map) = setup.mapping.inner_lines();
    need(
        FaultKind::Namespace,
        "writing the id maps of the hooks' namespace",
        write_maps(pid, &uid_map, &gid_map),
    )?;
    need(
        FaultKind::Namespace,
        "starting pid 1",
        go.write_all(&pid.to_le_bytes()),
    )?;
    let ending = need(
        FaultKind::Namespace,
        "waiting for pid 1",
        wait_for(Pid::from_raw(pid)),
    )?;
    report(control, &Event::Ended(ending));
    Ok(0)
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

/// A pipe whose ends close on exec.
struct Pipe(File, File);

impl Pipe {
    fn swap(self) -> (File, File) {
        (self.1, self.0)
    }
}

fn pipe() -> io::Result<Pipe> {
    let (read, write) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    Ok(Pipe(read.into(), write.into()))
}

/// A user namespace with the hooks' ids, for idmapped mounts: it stays after
/// the process that it was made with.
fn idmap_namespace(setup: &Setup) -> Result<Option<OwnedFd>, Fault> {
    let wanted = |op: &SandboxOp| matches!(op, SandboxOp::Stage { idmapped: true, .. });
    if !setup.layout.outer.iter().any(wanted) {
        return Ok(None);
    }
    let make = || -> io::Result<OwnedFd> {
        let Pipe(mut gate, hold) = pipe()?;
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

/// pid 1 of the hooks' namespace. `gate` gives its pid as the host numbers it,
/// once the ids are mapped, and hangs up when the outer process dies.
fn pid1(setup: Setup, control: &mut UnixStream, gate: File) -> ! {
    let status = match inner(&setup, control, gate) {
        Ok(agent) => reap(agent, control),
        Err(fault) => {
            report(control, &Event::Failed(fault));
            1
        }
    };
    // SAFETY: ends the process, and with it every process of the namespace.
    unsafe { libc::_exit(status) }
}

fn inner(setup: &Setup, control: &mut UnixStream, mut gate: File) -> Result<Pid, Fault> {
    let mut pid = [0; 4];
    need(
        FaultKind::Namespace,
        "waiting for ids",
        gate.read_exact(&mut pid),
    )?;
    become_root()?;
    need(
        FaultKind::Namespace,
        "binding to the outer process",
        sys::die_with_parent(),
    )?;
    if need(
        FaultKind::Namespace,
        "watching the outer process",
        sys::wait_readable(&[gate.as_fd()], 0),
    )?[0]
    {
        return Err(Fault::new(
            FaultKind::Namespace,
            "watching the outer process",
            &io::ErrorKind::BrokenPipe.into(),
        ));
    }
    // A change of uid hides our namespaces in /proc from the network helper.
    need(
        FaultKind::Namespace,
        "showing our namespaces",
        sys::prctl(libc::PR_SET_DUMPABLE, 1),
    )?;
    report(
        control,
        &Event::Namespaces {
            pid: libc::pid_t::from_le_bytes(pid),
        },
    );
    need(FaultKind::Namespace, "making a session", setsid())?;
    sys::leave_session_keyring();
    // SAFETY: umask cannot fail and touches no memory.
    unsafe { libc::umask(0o022) };
    execute::enter_new_root()?;
    execute::execute_all(&setup.layout.inner, setup.debug)?;
    execute::leave_old_root()?;
    need(FaultKind::Network, "bringing lo up", sys::loopback_up())?;
    if setup.network {
        network::wait_for_route()?;
    }
    // From here on hooks may look at us: /proc/1/exe is a file of the host.
    need(
        FaultKind::Namespace,
        "hiding from hooks",
        sys::prctl(libc::PR_SET_DUMPABLE, 0),
    )?;
    let agent = start_agent(setup)?;
    // SAFETY: as in the outer process: the driver sees the agent's end only
    // when no copy is held here.
    drop(unsafe { OwnedFd::from_raw_fd(setup.channel) });
    report(control, &Event::Ready);
    Ok(agent)
}

/// Forks and executes the agent; returns once that has worked.
fn start_agent(setup: &Setup) -> Result<Pid, Fault> {
    let c_string = |text: &OsString| CString::new(text.clone().into_vec()).unwrap_or_default();
    let arguments: Vec<CString> = setup.arguments.iter().map(c_string).collect();
    let mut environment: Vec<CString> = setup
        .environment
        .iter()
        .map(|(name, value)| {
            let mut text = name.clone();
            text.push("=");
            text.push(value);
            c_string(&text)
        })
        .collect();
    environment.push(c_string(
        &format!("{}={AGENT_CHANNEL}", super::CHANNEL_VARIABLE).into(),
    ));
    let program = setup
        .arguments
        .first()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let doing = format!("executing {program} inside");

    let Pipe(mut failure, mut told) = need(FaultKind::File, "making a pipe", pipe())?;
    let pid = need(FaultKind::Exec, "forking the agent", sys::fork_into(0))?;
    if pid == 0 {
        let error = become_agent(setup.channel, &arguments, &environment);
        let _ = told.write_all(&error.raw_os_error().unwrap_or(0).to_le_bytes());
        // SAFETY: ends this copy of pid 1 without running anything of it.
        unsafe { libc::_exit(127) };
    }
    drop(told);
    let mut errno = [0; 4];
    // A successful exec closes the pipe with nothing in it.
    match failure.read_exact(&mut errno) {
        Ok(()) => {
            let error = io::Error::from_raw_os_error(i32::from_le_bytes(errno));
            Err(Fault::new(FaultKind::Exec, doing, &error))
        }
        Err(_) => Ok(Pid::from_raw(pid)),
    }
}

/// Returns only if something failed.
fn become_agent(channel: RawFd, arguments: &[CString], environment: &[CString]) -> io::Error {
    let prepare = || -> io::Result<()> {
        sys::die_with_parent()?;
        // SAFETY: dup2 onto a number that only this copy of the process uses.
        if channel != AGENT_CHANNEL && unsafe { libc::dup2(channel, AGENT_CHANNEL) } < 0 {
            return Err(io::Error::last_os_error());
        }
        sys::cloexec_from(AGENT_CHANNEL + 1)?;
        sys::keep_over_exec(AGENT_CHANNEL)?;
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
        // SAFETY: only resets a disposition that Rust's runtime had set to "ignore".
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        sys::prctl(libc::PR_SET_NO_NEW_PRIVS, 1)
    };
    if let Err(error) = prepare() {
        return error;
    }
    match arguments
        .first()
        .map(|program| nix::unistd::execve(program, arguments, environment))
    {
        Some(Err(errno)) => errno.into(),
        _ => io::ErrorKind::InvalidInput.into(),
    }
}

/// Reaps whatever ends until the agent has; gives pid 1's exit status.
fn reap(agent: Pid, control: &mut UnixStream) -> i32 {
    loop {
        let (pid, ending) = match waitpid(None, None) {
            Ok(WaitStatus::Exited(pid, status)) => (pid, Ending::Status(status)),
            Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, Ending::Signal(signal as i32)),
            Ok(_) | Err(nix::errno::Errno::EINTR) => continue,
            Err(_) => return 1,
        };
        if pid == agent {
            report(control, &Event::Exited(ending));
            return match ending {
                Ending::Status(status) => status,
                Ending::Signal(signal) => 128 + signal,
            };
        }
    }
}
