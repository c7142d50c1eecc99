//! The serial console of a machine: at the caller's terminal, or in a talk.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{fcntl, FcntlArg, OFlag};
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{read, write};

use super::machine::Machine;
use super::plain::Plain;
use super::script::{shown, Script};
use super::{Error, Options};
use crate::signals;
use crate::tty::{self, Raw, Terminal};

/// Ctrl-], which ends the machine.
const ESCAPE: u8 = 0x1d;
/// Bytes of qemu's own messages that are kept.
const SAID: usize = 8 << 10;
const CHUNK: usize = 8 << 10;

/// How it was over.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// All that was expected was seen.
    Seen,
    /// It was not.
    NotSeen {
        /// Why not, in words.
        why: String,
        /// The last lines of the console.
        tail: Vec<String>,
    },
    /// The machine has switched itself off.
    Off,
    /// The caller has had enough.
    Left,
    /// A signal has ended it.
    Signal(i32),
}

/// Carries the console until it is over.
///
/// # Errors
/// qemu gives up, or the caller cannot be shown anything.
pub(super) fn talk(machine: Machine, options: &Options) -> Result<Ended, Error> {
    let signals = block_signals()?;
    let scripted = !options.script.is_empty();
    let keyboard = match scripted {
        true => Keyboard::None,
        false => Keyboard::open()?,
    };
    let mut console = Console {
        machine,
        signals,
        keyboard,
        script: scripted.then(|| Script::new(&options.script)),
        plain: Plain::default(),
        keys: Vec::new(),
        said: Vec::new(),
        deadline: scripted.then(|| Instant::now() + options.timeout),
        limit: options.timeout,
    };
    console.run()
}

/// Who types.
enum Keyboard {
    /// Nobody, or nobody any more.
    None,
    /// Whatever standard input is.
    Stream,
    /// Somebody at a terminal.
    Terminal(Raw),
}

impl Keyboard {
    fn open() -> Result<Keyboard, Error> {
        Ok(match Terminal::of_caller() {
            Some(terminal) => {
                let raw = terminal.raw();
                Keyboard::Terminal(raw.map_err(Error::io("take the terminal"))?)
            }
            None => Keyboard::Stream,
        })
    }

    /// What has been typed; `None` at the end.
    fn read(&self) -> io::Result<Option<Vec<u8>>> {
        let bytes = match self {
            Keyboard::None => return Ok(None),
            Keyboard::Terminal(raw) => raw.terminal().read()?,
            Keyboard::Stream => {
                let mut buffer = [0u8; 4096];
                let count = read(io::stdin(), &mut buffer)?;
                buffer.iter().take(count).copied().collect()
            }
        };
        Ok((!bytes.is_empty()).then_some(bytes))
    }
}

struct Console {
    machine: Machine,
    signals: SignalFd,
    keyboard: Keyboard,
    script: Option<Script>,
    plain: Plain,
    /// What the machine has not taken yet.
    keys: Vec<u8>,
    /// The end of qemu's messages.
    said: Vec<u8>,
    deadline: Option<Instant>,
    limit: Duration,
}

/// What woke us.
#[derive(Debug, Default)]
struct Woken {
    output: bool,
    messages: bool,
    typed: bool,
    takes: bool,
}

impl Console {
    fn run(&mut self) -> Result<Ended, Error> {
        self.unblock()?;
        if let Some(ended) = self.react(&[]) {
            return Ok(ended);
        }
        loop {
            let woken = self.wait()?;
            if let Ok(Some(signal)) = self.signals.read_signal() {
                let number = i32::try_from(signal.ssi_signo).unwrap_or(1);
                return Ok(Ended::Signal(number));
            }
            if woken.messages {
                self.hear();
            }
            if woken.output {
                match self.output()? {
                    None => return self.off(),
                    Some(bytes) => {
                        let shown = self.show(bytes)?;
                        if let Some(ended) = self.react(&shown) {
                            return Ok(ended);
                        }
                    }
                }
            }
            if woken.typed && self.typed()? {
                return Ok(Ended::Left);
            }
            if woken.takes {
                self.type_keys();
            }
            if let Some(ended) = self.react(&[]) {
                return Ok(ended);
            }
            if self.deadline.is_some_and(|at| Instant::now() >= at) {
                let why = format!("within {} s", self.limit.as_secs());
                return Ok(self.not_seen(&why));
            }
        }
    }

    /// Nothing that we write to, or read from, the machine may keep us waiting.
    fn unblock(&self) -> Result<(), Error> {
        let child = &self.machine.child;
        let ends: [Option<BorrowedFd>; 3] = [
            child.stdin.as_ref().map(AsFd::as_fd),
            child.stdout.as_ref().map(AsFd::as_fd),
            child.stderr.as_ref().map(AsFd::as_fd),
        ];
        for end in ends.into_iter().flatten() {
            fcntl(end, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))
                .map_err(|errno| Error::io("watch the machine")(errno.into()))?;
        }
        Ok(())
    }

    fn wait(&self) -> Result<Woken, Error> {
        let child = &self.machine.child;
        let stdin = io::stdin();
        let mut watched = vec![(0, self.signals.as_fd(), PollFlags::POLLIN)];
        watched.extend(
            child
                .stdout
                .as_ref()
                .map(|fd| (1, fd.as_fd(), PollFlags::POLLIN)),
        );
        watched.extend(
            child
                .stderr
                .as_ref()
                .map(|fd| (2, fd.as_fd(), PollFlags::POLLIN)),
        );
        match (&self.keyboard, &child.stdin) {
            // One after the other, so that nothing piles up here.
            (_, Some(fd)) if !self.keys.is_empty() => {
                watched.push((3, fd.as_fd(), PollFlags::POLLOUT));
            }
            (Keyboard::Terminal(raw), _) => {
                watched.push((4, raw.terminal().input(), PollFlags::POLLIN));
            }
            (Keyboard::Stream, _) => watched.push((4, stdin.as_fd(), PollFlags::POLLIN)),
            (Keyboard::None, _) => {}
        }
        let mut fds: Vec<PollFd> = watched
            .iter()
            .map(|(_, fd, flags)| PollFd::new(*fd, *flags))
            .collect();
        let left = self
            .deadline
            .map(|at| at.saturating_duration_since(Instant::now()));
        // A millisecond more: the timeout is cut to whole ones.
        let left = left.map(|left| left.saturating_add(Duration::from_millis(1)));
        let timeout = left.and_then(|left| PollTimeout::try_from(left).ok());
        match poll(&mut fds, timeout.unwrap_or(PollTimeout::NONE)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(Error::io("wait for the machine")(errno.into())),
        }
        let mut woken = Woken::default();
        for ((what, ..), fd) in watched.iter().zip(&fds) {
            let ready = fd.revents().is_some_and(|flags| !flags.is_empty());
            match what {
                1 => woken.output = ready,
                2 => woken.messages = ready,
                3 => woken.takes = ready,
                4 => woken.typed = ready,
                _ => {}
            }
        }
        Ok(woken)
    }

    /// The next bytes of the console; `None` at its end.
    fn output(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let Some(stdout) = &mut self.machine.child.stdout else {
            return Ok(None);
        };
        let mut buffer = vec![0u8; CHUNK];
        match stdout.read(&mut buffer) {
            Ok(0) => Ok(None),
            Ok(count) => {
                buffer.truncate(count);
                Ok(Some(buffer))
            }
            Err(error) if is_passing(&error) => Ok(Some(Vec::new())),
            Err(error) => Err(Error::io("read the console")(error)),
        }
    }

    /// Keeps what qemu itself says.
    fn hear(&mut self) {
        let Some(stderr) = &mut self.machine.child.stderr else {
            return;
        };
        let mut buffer = [0u8; 1024];
        match stderr.read(&mut buffer) {
            Ok(count @ 1..) => {
                self.said.extend(buffer.iter().take(count));
                let surplus = self.said.len().saturating_sub(SAID);
                self.said.drain(..surplus);
            }
            Err(error) if is_passing(&error) => {}
            // The pipe has hung up, and would wake us for ever.
            _ => self.machine.child.stderr = None,
        }
    }

    /// Shows bytes as they are, because the terminal is the machine's; in a talk it
    /// is not, and they come as text. Gives what the talk takes.
    fn show(&mut self, bytes: Vec<u8>) -> Result<Vec<u8>, Error> {
        let shown = match self.script {
            None => bytes,
            Some(_) => self.plain.text(&bytes),
        };
        let stdout = io::stdout();
        tty::write_all(stdout.as_fd(), &shown).map_err(Error::io("show the console"))?;
        Ok(shown)
    }

    /// Has the script see what the console shows; how it is over, if it is.
    fn react(&mut self, bytes: &[u8]) -> Option<Ended> {
        let script = self.script.as_mut()?;
        let reaction = script.take(bytes);
        self.keys.extend(reaction.keys);
        if script.is_over() && self.keys.is_empty() {
            return Some(Ended::Seen);
        }
        let end = reaction.dead_end?;
        Some(self.not_seen(&format!("but '{end}'")))
    }

    /// Takes what was typed; whether the caller wants to leave.
    fn typed(&mut self) -> Result<bool, Error> {
        let typed = self
            .keyboard
            .read()
            .map_err(Error::io("read the keyboard"))?;
        let Some(typed) = typed else {
            let left = matches!(self.keyboard, Keyboard::Terminal(_));
            self.keyboard = Keyboard::None;
            return Ok(left);
        };
        if matches!(self.keyboard, Keyboard::Terminal(_)) && typed.contains(&ESCAPE) {
            return Ok(true);
        }
        self.keys.extend(typed);
        self.type_keys();
        Ok(false)
    }

    fn type_keys(&mut self) {
        let Some(stdin) = &self.machine.child.stdin else {
            return self.keys.clear();
        };
        while !self.keys.is_empty() {
            match write(stdin, &self.keys) {
                Ok(count) => drop(self.keys.drain(..count)),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return,
                // It has ended, and its output will tell.
                Err(_) => self.keys.clear(),
            }
        }
    }

    /// The machine has ended by itself.
    fn off(&mut self) -> Result<Ended, Error> {
        while self.machine.child.stderr.is_some() {
            let before = self.said.len();
            self.hear();
            if self.said.len() == before {
                break;
            }
        }
        let status = self.machine.end(true);
        match status {
            Some(status) if !status.success() => Err(Error::Qemu {
                how: status.to_string(),
                said: self.messages(),
            }),
            _ if self.script.is_some() => {
                Ok(self.not_seen("before the machine switched itself off"))
            }
            _ => Ok(Ended::Off),
        }
    }

    fn not_seen(&self, why: &str) -> Ended {
        let script = self.script.as_ref();
        let text = script.and_then(Script::expected).unwrap_or_default();
        let mut why = format!("no '{text}' {why}");
        let said = self.messages();
        if !said.is_empty() {
            why.push_str(&format!("; qemu: {said}"));
        }
        Ended::NotSeen {
            why,
            tail: script.map(Script::tail).unwrap_or_default(),
        }
    }

    fn messages(&self) -> String {
        let lines = self.said.split(|byte| *byte == b'\n');
        let lines: Vec<String> = lines.map(shown).filter(|line| !line.is_empty()).collect();
        lines.join("; ")
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

fn block_signals() -> Result<SignalFd, Error> {
    let set = signals::wanted();
    let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
    set.thread_block()
        .and_then(|()| SignalFd::with_flags(&set, flags))
        .map_err(|errno| Error::io("watch for signals")(errno.into()))
}
