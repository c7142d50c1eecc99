//! The agent's end of the stream to the driver.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use nix::fcntl::{fcntl, FcntlArg, FdFlag};

use crate::error::tell;
use crate::protocol::{self, Frame, FromAgent, Session, ToAgent, VERSION};

use super::terminal::{Keyboard, Typist};

/// Names the descriptor of the connected stream socket.
pub(crate) const FD_VARIABLE: &str = "SAFEDIB_CHANNEL_FD";

/// The session is over, and the driver may go.
static FINISHED: AtomicBool = AtomicBool::new(false);

/// Sends messages and log text to the driver.
pub(crate) struct Channel(UnixStream);

impl Channel {
    /// Takes the descriptor that [`FD_VARIABLE`] names and greets the driver.
    ///
    /// Returns the channel and what its reader thread receives: at most one
    /// session, and what is typed. The thread ends the whole process when the
    /// driver is gone.
    ///
    /// # Errors
    /// No such variable or descriptor, or whatever the stream gives.
    pub(crate) fn open() -> io::Result<(Channel, Receiver<Session>, Keyboard)> {
        let number: RawFd = std::env::var(FD_VARIABLE)
            .ok()
            .and_then(|value| value.parse().ok())
            .filter(|number| *number > 2)
            .ok_or_else(|| invalid(format!("{FD_VARIABLE} names no descriptor")))?;
        // SAFETY: whoever started this agent passed the descriptor for it alone;
        // this runs once, before anything else opens or closes descriptors.
        let fd = unsafe { OwnedFd::from_raw_fd(number) };
        fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        let mut stream = UnixStream::from(fd);
        protocol::send(&mut stream, &FromAgent::Hello { version: VERSION })?;
        let reader = stream.try_clone()?;
        let (sender, sessions) = mpsc::channel();
        let (typist, keyboard) = Keyboard::pair()?;
        thread::spawn(move || {
            receive(reader, &sender, &typist);
            // Without a driver nobody wants the build: hooks end with us, as
            // we are what the appliance's init waits for.
            process::exit(i32::from(!FINISHED.load(Ordering::SeqCst)));
        });
        Ok((Channel(stream), sessions, keyboard))
    }

    /// A channel that is given, for tests.
    #[cfg(test)]
    pub(crate) fn from_stream(stream: UnixStream) -> Channel {
        Channel(stream)
    }

    /// Sends the last message; that the driver then hangs up is no failure.
    pub(crate) fn finish(mut self, message: &FromAgent) -> io::Result<()> {
        FINISHED.store(true, Ordering::SeqCst);
        self.send(message)
    }

    /// Sends a message.
    pub(crate) fn send(&mut self, message: &FromAgent) -> io::Result<()> {
        protocol::send(&mut self.0, message)
    }

    /// Sends what a terminal shows.
    pub(crate) fn terminal(&mut self, bytes: &[u8]) -> io::Result<()> {
        protocol::send_terminal(&mut self.0, bytes)
    }

    /// Sends log text.
    pub(crate) fn log(&mut self, bytes: &[u8]) -> io::Result<()> {
        protocol::send_log(&mut self.0, bytes)
    }
}

/// Hands on what the driver says, until it hangs up.
fn receive(mut reader: UnixStream, sessions: &Sender<Session>, typist: &Typist) {
    while let Ok(Some(frame)) = protocol::receive(&mut reader) {
        match frame {
            Frame::Message(ToAgent::Hello { version }) if version == VERSION => {}
            Frame::Message(ToAgent::Hello { version }) => {
                tell!("agent: driver speaks version {version}, this is {VERSION}");
                return;
            }
            Frame::Message(ToAgent::Run { session }) => {
                if sessions.send(*session).is_err() {
                    return;
                }
            }
            Frame::Message(ToAgent::Resized { size }) => typist.resized(size),
            Frame::Terminal(bytes) => typist.typed(bytes),
            Frame::Log(_) => return,
        }
    }
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}
