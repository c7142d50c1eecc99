//! Builds as processes: some at the same time, ended together.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::signal::{kill, Signal};
use nix::sys::signalfd::{siginfo, SfdFlags, SignalFd};
use nix::unistd::Pid;

use crate::request::image_yaml::{Arguments, Image};
use crate::request::Environment;
use crate::signals;

use super::relay::{say, Relay};
use super::{announcement, BuilderError};

/// Our own executable, whatever has become of its file.
const OWN_BINARY: &str = "/proc/self/exe";

/// What became of an image.
#[derive(Debug)]
pub(super) enum Report {
    /// Its build was not begun.
    NotStarted,
    /// It could not be begun.
    NoProcess(std::io::Error),
    /// It has ended.
    Ended(ExitStatus, Duration),
}

impl Report {
    pub(super) fn is_built(&self) -> bool {
        matches!(self, Report::Ended(status, _) if status.success())
    }
}

/// What became of all.
#[derive(Debug)]
pub(super) struct Done {
    /// One for each image, in order.
    pub(super) reports: Vec<Report>,
    /// The signal that ended it.
    pub(super) interrupted: Option<Signal>,
    /// From the first beginning to the last end.
    pub(super) took: Duration,
}

struct Running {
    index: usize,
    child: Child,
    relay: Option<Relay>,
    since: Instant,
}

struct Jobs<'a> {
    images: &'a [Image],
    limit: usize,
    no_progress: bool,
    running: Vec<Running>,
    reports: Vec<Report>,
    interrupted: Option<Signal>,
}

/// Builds the images in order, as many at the same time as the user allows.
///
/// # Errors
/// Only what keeps us from watching processes; a build that fails is a report.
pub(super) fn run(images: &[Image], arguments: &Arguments) -> Result<Done, BuilderError> {
    let since = Instant::now();
    let signals = block_signals()?;
    let mut jobs = Jobs {
        images,
        limit: arguments.jobs,
        no_progress: arguments.no_progress,
        running: Vec::new(),
        reports: images.iter().map(|_| Report::NotStarted).collect(),
        interrupted: None,
    };
    let mut next = 0;
    loop {
        let failed = jobs
            .reports
            .iter()
            .any(|report| !matches!(report, Report::NotStarted) && !report.is_built());
        let stop = jobs.interrupted.is_some() || (arguments.stop_on_failure && failed);
        if !stop && next < images.len() && jobs.running.len() < jobs.limit {
            jobs.start(next);
            next += 1;
            continue;
        }
        if jobs.running.is_empty() {
            break;
        }
        match signals.read_signal() {
            Ok(Some(info)) => jobs.react(&info)?,
            Ok(None) | Err(nix::Error::EINTR) => {}
            Err(error) => return Err(system("wait for builds", error)),
        }
    }
    Ok(Done {
        reports: jobs.reports,
        interrupted: jobs.interrupted,
        took: since.elapsed(),
    })
}

impl Jobs<'_> {
    fn start(&mut self, index: usize) {
        let image = &self.images[index];
        let side_by_side = self.limit > 1;
        if side_by_side {
            say(&format!("{}: {image}\n", image.name));
        } else {
            say(&announcement(image));
        }
        let since = Instant::now();
        match command(image, side_by_side, self.no_progress).spawn() {
            Ok(mut child) => {
                let relay = side_by_side.then(|| Relay::start(&image.name, &mut child));
                self.running.push(Running {
                    index,
                    child,
                    relay,
                    since,
                });
            }
            Err(error) => self.reports[index] = Report::NoProcess(error),
        }
    }

    fn react(&mut self, info: &siginfo) -> Result<(), BuilderError> {
        let signal = Signal::try_from(info.ssi_signo as i32);
        match signal {
            Ok(Signal::SIGCHLD) => self.collect(),
            Ok(signal) => {
                self.interrupted.get_or_insert(signal);
                // The terminal's signal has gone to its whole process group, where
                // a single build is; those side by side have groups of their own.
                let from_terminal = info.ssi_code == libc::SI_KERNEL;
                if self.limit > 1 || !from_terminal {
                    self.running.iter().for_each(|build| build.signal(signal));
                }
                Ok(())
            }
            Err(error) => Err(system("understand a signal", error)),
        }
    }

    fn collect(&mut self) -> Result<(), BuilderError> {
        let mut left = Vec::new();
        for mut build in self.running.drain(..) {
            let ended = build.child.try_wait();
            let ended = ended.map_err(|source| BuilderError::System {
                what: "wait for a build",
                source,
            })?;
            match ended {
                Some(status) => {
                    if let Some(relay) = build.relay {
                        relay.finish();
                    }
                    self.reports[build.index] = Report::Ended(status, build.since.elapsed());
                }
                None => left.push(build),
            }
        }
        self.running = left;
        Ok(())
    }
}

impl Running {
    fn signal(&self, signal: Signal) {
        if let Ok(pid) = i32::try_from(self.child.id()) {
            // ESRCH cannot be: the process is ours and has not been waited for.
            let _sent = kill(Pid::from_raw(pid), signal);
        }
    }
}

fn command(image: &Image, side_by_side: bool, no_progress: bool) -> Command {
    let mut command = Command::new(OWN_BINARY);
    command
        .arg0(image.program)
        // It is no word of the image's, and not among those that its hooks see.
        .args(no_progress.then_some("--no-progress"))
        .args(&image.words)
        .envs(image.additions(&Environment::current()));
    if side_by_side {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
    }
    let parent = Pid::this();
    // SAFETY: prctl and getppid are async-signal-safe and touch no memory of ours.
    unsafe {
        command.pre_exec(move || {
            // A build does not outlive us, and ends in good order.
            nix::sys::prctl::set_pdeathsig(Signal::SIGTERM)?;
            match nix::unistd::getppid() == parent {
                true => Ok(()),
                false => Err(std::io::Error::from_raw_os_error(libc::ESRCH)),
            }
        })
    };
    command
}

/// `Command` gives its processes an empty mask again.
fn block_signals() -> Result<SignalFd, BuilderError> {
    let mut set = signals::wanted();
    set.add(Signal::SIGCHLD);
    set.thread_block()
        .and_then(|()| SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC))
        .map_err(|error| system("watch for signals", error))
}

fn system(what: &'static str, error: nix::Error) -> BuilderError {
    BuilderError::System {
        what,
        source: error.into(),
    }
}

/// How a build ended, in words.
pub(super) fn ending(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(0), _) => "built".into(),
        (Some(code), _) => format!("failed ({code})"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "failed".into(),
    }
}
