//! pid 1 of the hooks' namespaces: makes the root, starts the agent, reaps.

use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::UnixStream;

use nix::libc;
use nix::sys::signal::{sigprocmask, SigSet, SigmaskHow};
use nix::sys::wait::{waitpid, WaitStatus};
use nix::unistd::{setsid, Pid};

use super::error::{Fault, FaultKind};
use super::init::{become_root, pipe};
use super::wire::{need, report, Ending, Event, Setup};
use super::{confine, execute, metadata, network, sys};

/// Number of the channel's descriptor in the agent.
const AGENT_CHANNEL: RawFd = 3;
/// pid 1 of the hooks' namespace. `gate` gives its pid as the host numbers it,
/// once the ids are mapped, and hangs up when the outer process dies.
pub(super) fn pid1(setup: Setup, control: &mut UnixStream, gate: File) -> ! {
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
    if setup.network && !setup.metadata_service {
        let doing = "shutting the cloud's metadata service out";
        need(FaultKind::Network, doing, metadata::refuse())?;
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

    let (mut failure, low) = need(FaultKind::File, "making a pipe", pipe())?;
    // The agent's channel takes over number 3, whatever that is by then.
    let above = nix::fcntl::FcntlArg::F_DUPFD_CLOEXEC(AGENT_CHANNEL + 1);
    let number = need(
        FaultKind::File,
        "making a pipe",
        nix::fcntl::fcntl(&low, above),
    )?;
    drop(low);
    // SAFETY: fcntl has just given us this descriptor, nobody else owns it.
    let mut told = File::from(unsafe { OwnedFd::from_raw_fd(number) });
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
        confine::confine()
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
