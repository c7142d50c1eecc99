//! The caller's terminal while somebody else reads it: a shell in an appliance,
//! or the console of a machine.
//!
//! Whatever ends this process, the terminal gets its mode back: by [`Raw`]'s drop,
//! or, if nothing of ours runs any more, by a child that notices the end.

use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::fcntl::{fcntl, FcntlArg, OFlag};
use nix::libc;
use nix::pty::Winsize;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::termios::{cfmakeraw, tcgetattr, tcsetattr, SetArg, Termios};
use nix::sys::wait::waitpid;
use nix::unistd::{fork, pipe2, ForkResult, Pid};
use serde::{Deserialize, Serialize};

/// The ioctl; the macro makes it public.
mod size {
    use super::{libc, Winsize};
    nix::ioctl_read_bad!(get_size, libc::TIOCGWINSZ, Winsize);
}

/// Size of a terminal, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Lines.
    pub rows: u16,
    /// Characters of a line.
    pub columns: u16,
}

impl From<Size> for Winsize {
    fn from(size: Size) -> Winsize {
        Winsize {
            ws_row: size.rows,
            ws_col: size.columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        }
    }
}

/// A terminal at which somebody can be asked.
#[derive(Debug)]
pub struct Terminal {
    input: OwnedFd,
    output: OwnedFd,
}

impl Terminal {
    /// The caller's; `None` if standard input is none, or nothing can be shown.
    pub fn of_caller() -> Option<Terminal> {
        let stdin = io::stdin();
        if !stdin.is_terminal() {
            return None;
        }
        let input = stdin.as_fd().try_clone_to_owned().ok()?;
        let (stdout, stderr) = (io::stdout(), io::stderr());
        let output = if stdout.is_terminal() {
            stdout.as_fd().try_clone_to_owned().ok()?
        } else if stderr.is_terminal() {
            stderr.as_fd().try_clone_to_owned().ok()?
        } else {
            // A login's terminal is open for both.
            let flags = OFlag::from_bits_truncate(fcntl(&input, FcntlArg::F_GETFL).ok()?);
            if flags & OFlag::O_ACCMODE != OFlag::O_RDWR {
                return None;
            }
            input.try_clone().ok()?
        };
        Some(Terminal { input, output })
    }

    /// Its size; what every terminal once had if it does not tell.
    pub fn size(&self) -> Size {
        let mut size = Winsize::from(Size {
            rows: 0,
            columns: 0,
        });
        // SAFETY: TIOCGWINSZ fills the structure that it is given.
        let told = unsafe { size::get_size(self.output.as_raw_fd(), &mut size) };
        match told {
            Ok(_) if size.ws_row > 0 && size.ws_col > 0 => Size {
                rows: size.ws_row,
                columns: size.ws_col,
            },
            _ => Size {
                rows: 24,
                columns: 80,
            },
        }
    }

    /// What is typed.
    pub fn input(&self) -> BorrowedFd<'_> {
        self.input.as_fd()
    }

    /// Reads what has been typed; nothing at the end of a terminal that is gone.
    ///
    /// # Errors
    /// Whatever the terminal gives, but for `EINTR` and that it is gone.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        let mut buffer = [0u8; 4096];
        loop {
            match nix::unistd::read(&self.input, &mut buffer) {
                Ok(count) => return Ok(buffer.iter().take(count).copied().collect()),
                Err(nix::errno::Errno::EINTR) => {}
                Err(nix::errno::Errno::EIO) => return Ok(Vec::new()),
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Shows bytes as they are.
    ///
    /// # Errors
    /// Whatever the terminal gives.
    pub fn show(&self, bytes: &[u8]) -> io::Result<()> {
        write_all(self.output.as_fd(), bytes)
    }

    /// Has keys come as they are typed, without echo, signals or lines, and what
    /// is shown go out unchanged, until the value is dropped.
    ///
    /// # Errors
    /// It is no terminal any more, or no process can be made that watches over it.
    pub fn raw(self) -> io::Result<Raw> {
        let saved = tcgetattr(&self.input)?;
        let guard = Guard::start(self.input.as_raw_fd(), saved.clone().into())?;
        let mut raw = saved.clone();
        cfmakeraw(&mut raw);
        tcsetattr(&self.input, SetArg::TCSANOW, &raw)?;
        Ok(Raw {
            terminal: self,
            saved,
            resized: Resized::watch(),
            _guard: guard,
        })
    }
}

/// Writes all bytes, also to a descriptor that does not block.
///
/// # Errors
/// Whatever the descriptor gives, but for `EINTR` and `EAGAIN`.
pub fn write_all(to: BorrowedFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match nix::unistd::write(to, bytes) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(nix::errno::Errno::EINTR) => {}
            Err(nix::errno::Errno::EAGAIN) => {
                let mut wanted = [nix::poll::PollFd::new(to, nix::poll::PollFlags::POLLOUT)];
                let _woken = nix::poll::poll(&mut wanted, nix::poll::PollTimeout::NONE);
            }
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// A terminal in raw mode.
#[derive(Debug)]
pub struct Raw {
    terminal: Terminal,
    saved: Termios,
    resized: Option<Resized>,
    _guard: Guard,
}

impl Raw {
    /// The terminal.
    pub fn terminal(&self) -> &Terminal {
        &self.terminal
    }

    /// Becomes readable when the size has changed, if the kernel tells.
    pub fn resized(&self) -> Option<BorrowedFd<'_>> {
        self.resized.as_ref().map(|resized| resized.signals.as_fd())
    }

    /// Takes note that the size has changed.
    pub fn note_resize(&self) {
        if let Some(resized) = &self.resized {
            while let Ok(Some(_)) = resized.signals.read_signal() {}
        }
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // It is gone if this fails, and has no mode any more.
        let _ = tcsetattr(&self.terminal.input, SetArg::TCSANOW, &self.saved);
    }
}

/// SIGWINCH, which is ignored unless it is blocked.
#[derive(Debug)]
struct Resized {
    signals: SignalFd,
    was_blocked: bool,
}

impl Resized {
    fn watch() -> Option<Resized> {
        let mut set = SigSet::empty();
        set.add(Signal::SIGWINCH);
        let before = SigSet::thread_get_mask().ok()?;
        set.thread_block().ok()?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        Some(Resized {
            signals: SignalFd::with_flags(&set, flags).ok()?,
            was_blocked: before.contains(Signal::SIGWINCH),
        })
    }
}

impl Drop for Resized {
    fn drop(&mut self) {
        if !self.was_blocked {
            let mut set = SigSet::empty();
            set.add(Signal::SIGWINCH);
            let _ = set.thread_unblock();
        }
    }
}

/// A process that gives the terminal its mode back when this one is killed.
#[derive(Debug)]
struct Guard {
    /// Closed by the kernel when this process ends.
    hold: OwnedFd,
    child: Pid,
}

impl Guard {
    fn start(terminal: RawFd, saved: libc::termios) -> io::Result<Guard> {
        let (end, hold) = pipe2(OFlag::O_CLOEXEC)?;
        let watched = end.as_raw_fd();
        // SAFETY: the child makes system calls that are async-signal-safe, on
        // numbers and on memory of its own, and never returns.
        match unsafe { fork() }? {
            ForkResult::Parent { child } => Ok(Guard { hold, child }),
            ForkResult::Child => guard(watched, terminal, &saved),
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // A byte says that there is nothing to do.
        let _ = nix::unistd::write(&self.hold, b".");
        let _ = waitpid(self.child, None);
    }
}

/// The guard's whole life.
fn guard(watched: RawFd, terminal: RawFd, saved: &libc::termios) -> ! {
    let every = [
        libc::SIGINT,
        libc::SIGTERM,
        libc::SIGHUP,
        libc::SIGQUIT,
        libc::SIGTSTP,
        libc::SIGTTOU,
        libc::SIGPIPE,
    ];
    // SAFETY: as in `Guard::start`; both numbers are above 2, so that neither is
    // lost when it becomes 0 or 1, and nothing else stays open: locks are held for
    // as long as anybody has their descriptors.
    unsafe {
        // Of a session of its own it may set the mode of a terminal from the
        // background, and signals to the caller's group do not reach it.
        libc::setsid();
        for signal in every {
            libc::signal(signal, libc::SIG_IGN);
        }
        libc::dup2(watched, 0);
        libc::dup2(terminal, 1);
        libc::syscall(libc::SYS_close_range, 2, libc::c_uint::MAX, 0);
        let mut byte = 0u8;
        let count = loop {
            let count = libc::read(0, (&raw mut byte).cast(), 1);
            if count >= 0 || *libc::__errno_location() != libc::EINTR {
                break count;
            }
        };
        if count != 1 {
            libc::tcsetattr(1, libc::TCSANOW, saved);
        }
        libc::_exit(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::pty::openpty;
    use nix::sys::termios::LocalFlags;

    fn terminal() -> (OwnedFd, Terminal, OwnedFd) {
        let size = Winsize::from(Size {
            rows: 33,
            columns: 99,
        });
        let pair = openpty(&size, None).unwrap();
        let terminal = Terminal {
            input: pair.slave.try_clone().unwrap(),
            output: pair.slave.try_clone().unwrap(),
        };
        (pair.master, terminal, pair.slave)
    }

    fn echoes(slave: &OwnedFd) -> bool {
        let flags = tcgetattr(slave).unwrap().local_flags;
        flags.contains(LocalFlags::ECHO)
    }

    #[test]
    fn raw_mode_ends_with_the_value() {
        let (master, terminal, slave) = terminal();
        assert_eq!(
            terminal.size(),
            Size {
                rows: 33,
                columns: 99
            }
        );
        assert!(echoes(&slave));
        let raw = terminal.raw().unwrap();
        assert!(!echoes(&slave));
        write_all(master.as_fd(), b"\x03\r").unwrap();
        assert_eq!(raw.terminal().read().unwrap(), b"\x03\r");
        raw.terminal().show(b"a\n").unwrap();
        let mut shown = [0u8; 8];
        let count = nix::unistd::read(&master, &mut shown).unwrap();
        assert_eq!(&shown[..count], b"a\n");
        drop(raw);
        assert!(echoes(&slave));
    }
}
