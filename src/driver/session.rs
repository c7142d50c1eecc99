//! The talk with an agent: sends the session, follows its frames, notices
//! signals and the appliance's death.

use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::appliance::Running;
use crate::plan::{Phase, Step};
use crate::protocol::{self, Decoder, Failure, Frame, FromAgent, KeptLayer, Session, ToAgent};
use crate::report::{LogWriter, Timings};
use crate::signals::wanted;

use super::shell::Shell;
use super::Error;

/// Size of a read from the channel, bytes.
const READ_SIZE: usize = 64 << 10;

/// How long a frame may take from its first byte to its last. An agent writes
/// each at once; only garbage announces what never comes.
const FRAME_DEADLINE: Duration = Duration::from_secs(8);

/// How a session ended, other than well.
#[derive(Debug)]
pub(super) enum End {
    /// The agent told why.
    Failed(Failure),
    /// End of file without a last word.
    Died {
        /// Index of the step that ran.
        step: usize,
    },
    /// One of [`ENDING`](crate::signals::ENDING).
    Signal {
        /// Which one.
        signal: Signal,
        /// Index of the step that ran.
        step: usize,
        /// Phase and name of the hook that ran, if one did.
        hook: Option<(Phase, String)>,
    },
}

/// What becomes of a layer that the agent has kept.
pub(super) type OnLayer<'a> = &'a mut dyn FnMut(&KeptLayer, f64, &mut LogWriter);

/// Is told of each step that begins.
pub(super) type OnStep<'a> = &'a mut dyn FnMut(&Step);

/// Runs a session to its end.
///
/// # Errors
/// Protocol errors; how the session itself ended is the inner result.
pub(super) fn run(
    running: &dyn Running,
    session: Session,
    log: &mut LogWriter,
    timings: &mut Timings,
    on_layer: OnLayer,
    on_step: OnStep,
) -> Result<Result<(), End>, Error> {
    let signals = block_signals()?;
    let channel = running.channel();
    let mut follower = Follower {
        steps: session.steps.clone(),
        channel,
        log,
        timings,
        on_layer,
        on_step,
        step: 0,
        hook: None,
        greeted: false,
        may_ask: session.terminal.is_some(),
        shell: None,
    };
    let sent = protocol::send(
        &mut &*channel,
        &ToAgent::Hello {
            version: protocol::VERSION,
        },
    )
    .and_then(|()| {
        protocol::send(
            &mut &*channel,
            &ToAgent::Run {
                session: Box::new(session),
            },
        )
    });
    if sent.is_err() {
        return Ok(Err(End::Died { step: 0 }));
    }
    let mut decoder = Decoder::default();
    let mut buffer = vec![0u8; READ_SIZE];
    let mut begun = None;
    loop {
        match wait(running, &signals, begun, follower.shell.as_ref())? {
            Woken::Signal(signal) => return Ok(Err(follower.signalled(signal))),
            Woken::Terminal { keys } => match follower.relay(keys) {
                Some(end) => return Ok(Err(end)),
                None => continue,
            },
            Woken::NoNetwork => {
                return Ok(Err(End::Died {
                    step: follower.step,
                }))
            }
            Woken::Nothing => continue,
            Woken::Channel => {}
        }
        let count = match (&mut &*channel).read(&mut buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => 0,
        };
        if count == 0 {
            return Ok(Err(End::Died {
                step: follower.step,
            }));
        }
        decoder.push(&buffer[..count]);
        while let Some(frame) = decoder
            .next_frame()
            .map_err(|error| Error::Protocol(error.to_string()))?
        {
            if let Some(end) = follower.frame(frame)? {
                return Ok(end);
            }
            begun = None;
        }
        follower.log.check()?;
        begun = match decoder.is_empty() {
            true => None,
            false => begun.or_else(|| Some(Instant::now())),
        };
        // What was read may be old if this process was stopped meanwhile; a
        // short read is all that there is.
        if count < buffer.len() {
            check_frame(begun)?;
        }
    }
}

/// Fails if one of [`ENDING`](crate::signals::ENDING) has come since the last session, which has blocked
/// them.
pub(super) fn check_signals() -> Result<(), Error> {
    match signal_of(&block_signals()?) {
        Some(signal) => Err(Error::interrupted(signal, Vec::new())),
        None => Ok(()),
    }
}

/// A signal that has come.
fn signal_of(signals: &SignalFd) -> Option<Signal> {
    let info = signals.read_signal().unwrap_or(None)?;
    Signal::try_from(info.ssi_signo as i32).ok()
}

/// Whether a frame that began then may still be waited for.
fn check_frame(begun: Option<Instant>) -> Result<(), Error> {
    match begun {
        Some(begun) if begun.elapsed() >= FRAME_DEADLINE => Err(Error::Protocol(format!(
            "a frame was not complete after {} s",
            FRAME_DEADLINE.as_secs()
        ))),
        _ => Ok(()),
    }
}

/// Signals are blocked only now, after the appliance's processes have started,
/// because a blocked mask is inherited through fork and exec.
fn block_signals() -> Result<SignalFd, Error> {
    let set = wanted();
    set.thread_block().map_err(unwatched)?;
    signals_of(&set)
}

/// Tells of [`ENDING`](crate::signals::ENDING) from when they are blocked.
pub(super) fn signals() -> Result<SignalFd, Error> {
    signals_of(&wanted())
}

fn signals_of(set: &SigSet) -> Result<SignalFd, Error> {
    let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
    SignalFd::with_flags(set, flags).map_err(unwatched)
}

fn unwatched(errno: nix::errno::Errno) -> Error {
    Error::Host {
        what: "watch for signals".into(),
        source: errno.into(),
    }
}

/// Whether a signal has come that nobody has dealt with yet.
pub(super) fn waits(signals: &SignalFd) -> bool {
    let mut watched = [PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
    poll(&mut watched, PollTimeout::ZERO) == Ok(1)
}

/// What there is to see to.
enum Woken {
    /// Not even a signal of ours: another one has ended the wait.
    Nothing,
    /// There is something to read.
    Channel,
    /// Something was typed, if `keys`, or the terminal has another size.
    Terminal {
        keys: bool,
    },
    Signal(Signal),
    /// What carried the network has ended: hooks would fail one after the other.
    NoNetwork,
}

/// Waits for something to read, or a signal, or the deadline of a frame that has
/// begun.
fn wait(
    running: &dyn Running,
    signals: &SignalFd,
    begun: Option<Instant>,
    shell: Option<&Shell>,
) -> Result<Woken, Error> {
    let watch = |fd| PollFd::new(fd, PollFlags::POLLIN);
    let mut watched = vec![watch(running.channel().as_fd()), watch(signals.as_fd())];
    watched.extend(running.network().map(watch));
    let network = running.network().map(|_| 2);
    let terminal = watched.len();
    watched.extend(shell.into_iter().flat_map(Shell::watched).map(watch));
    let timeout = match begun {
        Some(begun) => FRAME_DEADLINE.saturating_sub(begun.elapsed()),
        None => Duration::MAX,
    };
    // A millisecond more: the timeout is cut to whole ones.
    let timeout = timeout.saturating_add(Duration::from_millis(1));
    match poll(
        &mut watched,
        PollTimeout::try_from(timeout).unwrap_or(PollTimeout::NONE),
    ) {
        Ok(0) => check_frame(begun)?,
        Ok(_) => {}
        Err(nix::errno::Errno::EINTR) => return Ok(Woken::Nothing),
        Err(errno) => {
            return Err(Error::Host {
                what: "wait for the appliance".into(),
                source: errno.into(),
            })
        }
    }
    let ready = |index: usize| {
        let flags = watched.get(index).and_then(PollFd::revents);
        flags.is_some_and(|flags| !flags.is_empty())
    };
    Ok(match signal_of(signals) {
        Some(signal) => Woken::Signal(signal),
        // Who prints without end must not keep the keyboard waiting.
        None if ready(terminal) => Woken::Terminal { keys: true },
        None if ready(terminal.saturating_add(1)) => Woken::Terminal { keys: false },
        // A last word of the agent comes first.
        None if network.is_some_and(ready) && !ready(0) => Woken::NoNetwork,
        None if ready(0) => Woken::Channel,
        None => Woken::Nothing,
    })
}

struct Follower<'a> {
    steps: Vec<Step>,
    channel: &'a UnixStream,
    log: &'a mut LogWriter,
    timings: &'a mut Timings,
    on_layer: OnLayer<'a>,
    on_step: OnStep<'a>,
    step: usize,
    hook: Option<(Phase, String)>,
    greeted: bool,
    /// Somebody has asked for a shell.
    may_ask: bool,
    shell: Option<Shell>,
}

impl Follower<'_> {
    /// The end by a signal, here and now.
    fn signalled(&mut self, signal: Signal) -> End {
        End::Signal {
            signal,
            step: self.step,
            hook: self.hook.take(),
        }
    }

    /// Has the shell take what came from the terminal; how the session ends, if
    /// it does.
    fn relay(&mut self, keys: bool) -> Option<End> {
        let shell = self.shell.as_mut()?;
        match shell.relay(self.channel, keys) {
            Ok(false) => None,
            Ok(true) => Some(self.signalled(Signal::SIGINT)),
            // Whoever sat there is gone.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                Some(self.signalled(Signal::SIGHUP))
            }
            Err(_) => Some(End::Died { step: self.step }),
        }
    }

    fn frame(&mut self, frame: Frame<FromAgent>) -> Result<Option<Result<(), End>>, Error> {
        let message = match frame {
            Frame::Log(bytes) => {
                self.log.feed(&bytes);
                return Ok(None);
            }
            Frame::Terminal(bytes) => {
                let Some(shell) = &self.shell else {
                    return Err(Error::Protocol("no shell has the terminal".into()));
                };
                shell.show(&bytes)?;
                return Ok(None);
            }
            Frame::Message(message) => message,
        };
        self.timings.note(&message);
        if message == FromAgent::ShellEnded {
            // The view comes back to a terminal that is as it was.
            if let Some(shell) = self.shell.take() {
                shell.end();
            }
        }
        self.log.note(&message);
        if !self.greeted && !matches!(message, FromAgent::Hello { .. }) {
            return Err(Error::Protocol("no greeting".into()));
        }
        Ok(match message {
            FromAgent::Hello { version } if version != protocol::VERSION => {
                return Err(Error::Protocol(format!(
                    "it has version {version}, we have {}",
                    protocol::VERSION
                )))
            }
            FromAgent::Hello { .. } => {
                self.greeted = true;
                None
            }
            FromAgent::StepStarted { index } => {
                self.step = index;
                if let Some(step) = self.steps.get(index) {
                    self.log.trace(&step.to_string());
                    (self.on_step)(step);
                }
                None
            }
            FromAgent::HookStarted { phase, hook } => {
                self.hook = Some((phase, hook));
                None
            }
            FromAgent::HookFinished { .. } => {
                self.hook = None;
                None
            }
            FromAgent::LayerKept { layer, seconds } => {
                (self.on_layer)(&layer, seconds, self.log);
                None
            }
            FromAgent::ShellStarted if !self.may_ask => {
                return Err(Error::Protocol("nobody has asked for a shell".into()))
            }
            FromAgent::ShellStarted => {
                self.shell = Some(Shell::begin(self.channel, self.log)?);
                None
            }
            FromAgent::Failed { failure } => Some(Err(End::Failed(failure))),
            FromAgent::Finished => Some(Ok(())),
            _ => None,
        })
    }
}
