//! A terminal inside that the caller's is connected to, by way of the channel.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::mpsc::{channel, Receiver, Sender};

use nix::errno::Errno;
use nix::fcntl::{fcntl, FcntlArg, FdFlag, OFlag};
use nix::libc;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::pty::{openpty, Winsize};
use nix::unistd::{read, write};

use super::error::Error;
use super::output::{Drain, Log};
use super::spawn::{self, Invocation};
use crate::protocol::{self, FromAgent, Size};

nix::ioctl_write_ptr_bad!(set_size, libc::TIOCSWINSZ, Winsize);

/// Size of a read from the inner terminal, bytes.
const READ_SIZE: usize = 16 << 10;
/// Reads between two looks at the keyboard.
const READS: usize = 4;
/// Reads of what an ended process has left to be shown: processes that it has
/// started may print for ever.
const LAST_READS: usize = 64;

/// What comes from the caller's terminal.
enum Input {
    Typed(Vec<u8>),
    Resized(Size),
}

/// Where the channel's reader puts what comes from the caller's terminal. It never
/// waits: the reader has to notice the driver's end.
pub(crate) struct Typist {
    sender: Sender<Input>,
    wake: OwnedFd,
}

impl Typist {
    /// Keys.
    pub(crate) fn typed(&self, bytes: Vec<u8>) {
        self.send(Input::Typed(bytes));
    }

    /// Another size.
    pub(crate) fn resized(&self, size: Size) {
        self.send(Input::Resized(size));
    }

    fn send(&self, input: Input) {
        // Nobody takes it where there is no terminal.
        if self.sender.send(input).is_ok() {
            // A pipe that is full wakes as well.
            let _ = write(&self.wake, b".");
        }
    }
}

/// What has come.
pub(crate) struct Keyboard {
    receiver: Receiver<Input>,
    wake: Drain,
}

impl Keyboard {
    /// A keyboard and who types there.
    pub(crate) fn pair() -> io::Result<(Typist, Keyboard)> {
        let (sender, receiver) = channel();
        let (drain, wake) = Drain::pipe()?;
        fcntl(&wake, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok((
            Typist { sender, wake },
            Keyboard {
                receiver,
                wake: drain,
            },
        ))
    }

    fn take(&mut self) -> io::Result<Vec<Input>> {
        self.wake.read(|_| Ok(()))?;
        Ok(self.receiver.try_iter().collect())
    }
}

/// The caller's terminal as the agent knows it.
pub(crate) struct Terminal {
    keyboard: Keyboard,
    size: Size,
    name: Option<OsString>,
}

impl Terminal {
    /// The one of a session.
    pub(crate) fn new(keyboard: Keyboard, told: protocol::Terminal) -> Terminal {
        Terminal {
            keyboard,
            size: told.size,
            name: told.name,
        }
    }

    /// Runs a process at a terminal of its own, to which this one is connected; its
    /// exit status. What it leaves running loses the terminal.
    ///
    /// # Errors
    /// It cannot be started, or the driver is gone.
    pub(crate) fn run(&mut self, log: &mut Log, invocation: &Invocation) -> Result<i32, Error> {
        let failed = invocation.failed();
        log.send(&FromAgent::ShellStarted)?;
        let ended = self.connect(log, invocation, &failed);
        log.send(&FromAgent::ShellEnded)?;
        ended
    }

    /// Shells leave no history, which would be a file of the image.
    fn of_terminal(&self, invocation: &Invocation) -> Invocation {
        let invocation = invocation.clone().env("HISTFILE", "/dev/null");
        match &self.name {
            Some(name) => invocation.env("TERM", name),
            None => invocation,
        }
    }

    fn connect(
        &mut self,
        log: &mut Log,
        invocation: &Invocation,
        failed: &dyn Fn(io::Error) -> Error,
    ) -> Result<i32, Error> {
        // What was typed at a shell before is not for this one.
        self.keyboard.take().map_err(failed)?;
        let pair = openpty(&Winsize::from(self.size), None)
            .map_err(io::Error::from)
            .map_err(failed)?;
        // Before anything is started that would have our end as well.
        let mut screen = Screen::new(pair.master, &pair.slave).map_err(failed)?;
        let invocation = self.of_terminal(invocation);
        let child = invocation.spawn_at(pair.slave).map_err(failed)?;
        let (done, waiter) = spawn::wait_in_thread(child).map_err(failed)?;
        loop {
            let ended = screen.wait(&self.keyboard, &done).map_err(failed)?;
            for input in self.keyboard.take().map_err(failed)? {
                match input {
                    Input::Typed(bytes) => screen.keys.extend(bytes),
                    Input::Resized(size) => {
                        self.size = size;
                        screen.resize(size);
                    }
                }
            }
            screen.type_keys();
            // Who prints without end can still be interrupted.
            for _ in 0..if ended { LAST_READS } else { READS } {
                match screen.shown().map_err(failed)? {
                    Some(bytes) => log.terminal(&bytes)?,
                    None => break,
                }
            }
            if ended {
                break;
            }
        }
        match waiter.join() {
            Ok(status) => Ok(spawn::shell_status(status.map_err(failed)?)),
            Err(_) => Ok(1),
        }
    }
}

/// Our end of the inner terminal.
struct Screen {
    master: OwnedFd,
    /// What it has not taken yet.
    keys: Vec<u8>,
    /// Nobody has the other end.
    closed: bool,
}

impl Screen {
    fn new(master: OwnedFd, slave: &OwnedFd) -> io::Result<Screen> {
        // Keys that nobody reads must not keep us from showing something.
        fcntl(&master, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        for end in [&master, slave] {
            fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        }
        Ok(Screen {
            master,
            keys: Vec::new(),
            closed: false,
        })
    }

    /// Waits until there is something to do; whether the process has ended.
    fn wait(&self, keyboard: &Keyboard, done: &Drain) -> io::Result<bool> {
        let mut fds = vec![
            PollFd::new(done.as_fd(), PollFlags::POLLIN),
            PollFd::new(keyboard.wake.as_fd(), PollFlags::POLLIN),
        ];
        if !self.closed {
            let mut wanted = PollFlags::POLLIN;
            wanted.set(PollFlags::POLLOUT, !self.keys.is_empty());
            fds.push(PollFd::new(self.master.as_fd(), wanted));
        }
        loop {
            match poll(&mut fds, PollTimeout::NONE) {
                Ok(_) => break,
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        let ended = fds.first().and_then(PollFd::revents);
        Ok(ended.is_some_and(|flags| !flags.is_empty()))
    }

    fn type_keys(&mut self) {
        while !self.closed && !self.keys.is_empty() {
            match write(&self.master, &self.keys) {
                Ok(count) => drop(self.keys.drain(..count)),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return,
                // Nobody reads any more.
                Err(_) => self.keys.clear(),
            }
        }
    }

    /// The next of what is to be shown.
    fn shown(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut buffer = [0u8; READ_SIZE];
        while !self.closed {
            match read(&self.master, &mut buffer) {
                Ok(count @ 1..) => return Ok(Some(buffer[..count].to_vec())),
                Ok(_) | Err(Errno::EIO) => self.closed = true,
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Ok(None),
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(None)
    }

    fn resize(&self, size: Size) {
        // SAFETY: TIOCSWINSZ reads the structure that it is given. It fails only
        // where nobody has the other end any more.
        let _ = unsafe { set_size(self.master.as_raw_fd(), &Winsize::from(size)) };
    }
}

#[cfg(test)]
#[path = "terminal_tests.rs"]
mod tests;
