//! Running processes: output to the log, hook events, exit statuses.

use std::ffi::{CString, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use nix::fcntl::{fcntl, FcntlArg, FdFlag, OFlag};
use nix::libc;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::unistd::{pipe2, write};

use crate::helpers::{HOOK_EVENTS, HOOK_REPLIES};

use super::error::Error;
use super::output::{Drain, Log};
use super::variables::Environment;

/// A process to run.
#[derive(Debug, Clone)]
pub(crate) struct Invocation {
    program: OsString,
    arguments: Vec<OsString>,
    environment: Environment,
    cwd: PathBuf,
    root: Option<PathBuf>,
    capture: bool,
    /// Most bytes that are kept of what is not logged.
    unlogged: Option<u64>,
    python_signals: bool,
    reports: bool,
    waits: bool,
}

/// What dib-run-parts reports.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum HookEvent {
    /// A hook began.
    Started(String),
    /// A hook ended.
    Finished {
        name: String,
        seconds: f64,
        status: i32,
    },
}

impl Invocation {
    /// `program` with exactly this environment; cwd is `/`.
    pub(crate) fn new(program: impl Into<OsString>, environment: Environment) -> Self {
        Invocation {
            program: program.into(),
            arguments: Vec::new(),
            environment,
            cwd: "/".into(),
            root: None,
            capture: false,
            unlogged: None,
            python_signals: false,
            reports: false,
            waits: false,
        }
    }

    /// Adds arguments.
    pub(crate) fn args<A: Into<OsString>>(mut self, more: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(more.into_iter().map(Into::into));
        self
    }

    /// Sets the working directory, seen from the new root if there is one.
    pub(crate) fn cwd(mut self, cwd: impl Into<PathBuf>) -> Self {
        self.cwd = cwd.into();
        self
    }

    /// Changes the root directory first.
    pub(crate) fn root(mut self, root: impl Into<PathBuf>) -> Self {
        self.root = Some(root.into());
        self
    }

    /// Sets a variable of its environment.
    pub(crate) fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// Keeps what it prints on standard output, beside logging it.
    pub(crate) fn capture(mut self) -> Self {
        self.capture = true;
        self
    }

    /// Keeps the first `limit` bytes that it prints on standard output, and logs none.
    pub(crate) fn capture_only(mut self, limit: u64) -> Self {
        self.capture = true;
        self.unlogged = Some(limit);
        self
    }

    /// Whether it starts with [`ignore_python_signals`].
    pub(crate) fn python_signals(mut self, ignored: bool) -> Self {
        self.python_signals = ignored;
        self
    }

    /// Gives it the descriptor on which dib-run-parts reports hooks.
    pub(crate) fn reports(mut self) -> Self {
        self.reports = true;
        self
    }

    /// Has dib-run-parts wait after each hook until that has been seen to.
    pub(crate) fn waits(mut self, waits: bool) -> Self {
        self.waits = waits;
        self
    }

    fn spawn(
        &self,
        stdout: OwnedFd,
        stderr: OwnedFd,
        events: Option<&OwnedFd>,
        replies: Option<&OwnedFd>,
    ) -> io::Result<Child> {
        let mut command = self.command()?;
        command
            .stdout(Stdio::from(stdout))
            .stderr(Stdio::from(stderr));
        for (variable, descriptor) in [(HOOK_EVENTS, events), (HOOK_REPLIES, replies)] {
            if let Some(descriptor) = descriptor {
                fcntl(descriptor, FcntlArg::F_SETFD(FdFlag::empty()))?;
                command.env(variable, descriptor.as_raw_fd().to_string());
            }
        }
        command.spawn()
    }

    /// Starts it in a session of its own with this terminal.
    pub(crate) fn spawn_at(&self, terminal: OwnedFd) -> io::Result<Child> {
        let mut command = self.command()?;
        command
            .stdin(Stdio::from(terminal.try_clone()?))
            .stdout(Stdio::from(terminal.try_clone()?))
            .stderr(Stdio::from(terminal));
        // SAFETY: only system calls between fork and exec.
        unsafe {
            command.pre_exec(|| {
                nix::unistd::setsid()?;
                match libc::ioctl(0, libc::TIOCSCTTY, 0) {
                    -1 => Err(io::Error::last_os_error()),
                    _ => Ok(()),
                }
            });
        }
        command.spawn()
    }

    /// Everything but the standard descriptors.
    fn command(&self) -> io::Result<Command> {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env_clear()
            .envs(&self.environment);
        let c_path = |path: &Path| CString::new(path.as_os_str().as_bytes());
        let root = self.root.as_deref().map(c_path).transpose()?;
        let cwd = c_path(&self.cwd)?;
        let python_signals = self.python_signals;
        // SAFETY: between fork and exec the closure only makes system calls on
        // strings that were made before the fork; it allocates nothing.
        unsafe {
            command.pre_exec(move || {
                if let Some(root) = &root {
                    nix::unistd::chroot(root.as_c_str())?;
                }
                nix::unistd::chdir(cwd.as_c_str())?;
                if python_signals {
                    ignore_python_signals();
                }
                Ok(())
            });
        }
        Ok(command)
    }

    /// The error of what keeps it from being started, or watched.
    pub(crate) fn failed(&self) -> impl Fn(io::Error) -> Error {
        let program = self.program.to_string_lossy().into_owned();
        move |source| Error::Spawn {
            program: program.clone(),
            source,
        }
    }
}

/// Ignores the signals that Python ignores when it starts, and that everything
/// below upstream's launcher therefore does: a write to a pipe that nobody
/// reads fails, and kills nobody. To be called between fork and exec, because
/// `Command` gives children the default action of SIGPIPE.
pub(crate) fn ignore_python_signals() {
    for signal in [libc::SIGPIPE, libc::SIGXFSZ] {
        // SAFETY: no handler is installed.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Exit status, 128+N for signal N, as a shell gives it.
    pub(crate) status: i32,
    /// What it printed, if that was captured.
    pub(crate) stdout: Vec<u8>,
}

/// A shell's `$?` for an exit status.
pub(crate) fn shell_status(status: ExitStatus) -> i32 {
    match (status.code(), status.signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        (None, None) => 1,
    }
}

/// Runs a process to its end. What it prints goes to the log, what
/// dib-run-parts reports to `on_event`. Background processes that it leaves
/// behind are not waited for.
///
/// # Errors
/// It cannot be started, or the driver is gone.
pub(crate) fn run(
    log: &mut Log,
    invocation: &Invocation,
    mut on_event: impl FnMut(&mut Log, HookEvent) -> Result<(), Error>,
) -> Result<Outcome, Error> {
    let failed = invocation.failed();
    log.flush()?;
    let stderr = log.writer().map_err(&failed)?;
    let (mut captured, stdout) = if invocation.capture {
        let (drain, write) = Drain::pipe().map_err(&failed)?;
        (Some(drain), write)
    } else {
        (None, log.writer().map_err(&failed)?)
    };
    let (mut events, events_write) = Drain::pipe().map_err(&failed)?;
    let (replies_read, replies) = pipe2(OFlag::O_CLOEXEC)
        .map_err(io::Error::from)
        .map_err(&failed)?;
    let reports = invocation.reports.then_some(&events_write);
    let waits = invocation.waits.then_some(&replies_read);
    let child = invocation
        .spawn(stdout, stderr, reports, waits)
        .map_err(&failed)?;
    drop((events_write, replies_read));
    let mut on_event = |log: &mut Log, event: HookEvent| {
        let ended = matches!(event, HookEvent::Finished { .. });
        on_event(log, event)?;
        if ended && invocation.waits {
            // EPIPE: it has ended meanwhile.
            let _ = write(&replies, b"\n");
        }
        Ok(())
    };
    let (done, waiter) = wait_in_thread(child).map_err(&failed)?;

    let mut pending = Vec::new();
    let mut stdout = Vec::new();
    loop {
        let ended = wait_for_any(log, captured.as_ref(), &events, &done).map_err(&failed)?;
        take_events(log, &mut events, &mut pending, &mut on_event)?;
        if let Some(drain) = &mut captured {
            let from = stdout.len();
            drain
                .read(|bytes| {
                    let full = |limit| stdout.len() as u64 >= limit;
                    if !invocation.unlogged.is_some_and(full) {
                        stdout.extend_from_slice(bytes);
                    }
                    Ok(())
                })
                .map_err(&failed)?;
            if invocation.unlogged.is_none() {
                log.forward(&stdout[from..])?;
            }
        }
        log.flush()?;
        if ended {
            break;
        }
    }
    let status = match waiter.join() {
        Ok(status) => shell_status(status.map_err(&failed)?),
        Err(_) => 1,
    };
    Ok(Outcome { status, stdout })
}

/// Runs a process that reports no events; its status must be 0.
///
/// # Errors
/// As [`run`], and [`Error::Tool`] for another status.
pub(crate) fn run_tool(log: &mut Log, invocation: &Invocation) -> Result<Vec<u8>, Error> {
    let outcome = run(log, invocation, |_, _| Ok(()))?;
    if outcome.status == 0 {
        return Ok(outcome.stdout);
    }
    Err(Error::Tool {
        program: invocation.program.to_string_lossy().into_owned(),
        status: outcome.status,
    })
}

pub(crate) type Waiter = thread::JoinHandle<io::Result<ExitStatus>>;

/// A thread that waits for the child, and a pipe that hangs up when it is done.
pub(crate) fn wait_in_thread(mut child: Child) -> io::Result<(Drain, Waiter)> {
    let (done, hold) = Drain::pipe()?;
    let waiter = thread::spawn(move || {
        let status = child.wait();
        drop(hold);
        status
    });
    Ok((done, waiter))
}

/// Waits until there is something to read; whether the child has ended.
fn wait_for_any(
    log: &Log,
    captured: Option<&Drain>,
    events: &Drain,
    done: &Drain,
) -> io::Result<bool> {
    // A pipe that has hung up would wake us for ever, so those of which the
    // child holds the only other end are left to the end of the child.
    let mut fds = vec![
        PollFd::new(done.as_fd(), PollFlags::POLLIN),
        PollFd::new(log.reader(), PollFlags::POLLIN),
        PollFd::new(events.as_fd(), PollFlags::POLLIN),
    ];
    if let Some(drain) = captured {
        fds.push(PollFd::new(drain.as_fd(), PollFlags::POLLIN));
    }
    loop {
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) => {}
            Err(nix::errno::Errno::EINTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let woken = |fd: &PollFd| fd.revents().is_some_and(|flags| !flags.is_empty());
        let readable = |fd: &PollFd| {
            fd.revents()
                .is_some_and(|flags| flags.contains(PollFlags::POLLIN))
        };
        if woken(&fds[0]) {
            return Ok(true);
        }
        if fds[1..].iter().any(readable) {
            return Ok(false);
        }
        fds.retain(|fd| !woken(fd));
    }
}

fn take_events(
    log: &mut Log,
    events: &mut Drain,
    pending: &mut Vec<u8>,
    on_event: &mut impl FnMut(&mut Log, HookEvent) -> Result<(), Error>,
) -> Result<(), Error> {
    events
        .read(|bytes| {
            pending.extend_from_slice(bytes);
            Ok(())
        })
        .map_err(Error::Channel)?;
    while let Some(at) = pending.iter().position(|byte| *byte == b'\n') {
        let line: Vec<u8> = pending.drain(..=at).collect();
        if let Some(event) = parse_event(&String::from_utf8_lossy(&line[..at])) {
            on_event(log, event)?;
        }
    }
    Ok(())
}

/// `start NAME` or `end NAME MICROSECONDS STATUS`; a name may have blanks.
fn parse_event(line: &str) -> Option<HookEvent> {
    if let Some(name) = line.strip_prefix("start ") {
        return Some(HookEvent::Started(name.to_owned()));
    }
    let mut words = line.strip_prefix("end ")?.rsplitn(3, ' ');
    let status = words.next()?.parse().ok()?;
    let micros = words.next()?.parse().ok()?;
    let name = words.next()?.to_owned();
    Some(HookEvent::Finished {
        name,
        seconds: Duration::from_micros(micros).as_secs_f64(),
        status,
    })
}

#[cfg(test)]
mod tests;
