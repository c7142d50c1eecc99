//! The caller's terminal while a shell in an appliance has it.

use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use crate::protocol::{self, Size, ToAgent};
use crate::report::LogWriter;
use crate::tty::{Raw, Terminal};

use super::Error;

/// How long an agent may take to take keys. It reads at all times.
const PATIENCE: Duration = Duration::from_secs(10);
/// Ctrl-], so many times within this, ends the build: a shell may be deaf.
const ESCAPE: u8 = 0x1d;
const ESCAPES: u8 = 3;
const ESCAPE_TIME: Duration = Duration::from_secs(1);

/// Said by nobody inside: what is typed from here on, the appliance reads.
const BEGINNING: &[u8] =
    b"safedib: the appliance has this terminal from here on; Ctrl-] three times ends the build\r\n";
const END: &[u8] = b"safedib: the terminal is the build's again\r\n";

/// The terminal of a shell. Dropping it gives the terminal back.
pub(super) struct Shell {
    raw: Raw,
    size: Option<Size>,
    escapes: u8,
    last_escape: Instant,
}

impl Shell {
    /// Gives the terminal to a shell. Its bytes go to the terminal as they are: that
    /// is what the caller has asked for, and lasts until its end only.
    ///
    /// # Errors
    /// There is none, or not any more.
    pub(super) fn begin(channel: &UnixStream, log: &mut LogWriter) -> Result<Shell, Error> {
        // Whatever else shows something on the terminal ends it here.
        log.flush_line();
        let terminal = Terminal::of_caller().ok_or(Error::NoTerminal { what: "a shell" })?;
        terminal.show(BEGINNING).map_err(failed)?;
        let raw = terminal.raw().map_err(failed)?;
        channel.set_write_timeout(Some(PATIENCE)).map_err(failed)?;
        let mut shell = Shell {
            raw,
            size: None,
            escapes: 0,
            last_escape: Instant::now(),
        };
        // It may have changed since the session began.
        shell.resize(channel).map_err(failed)?;
        Ok(shell)
    }

    /// Descriptors to wait for: keys, and a change of size.
    pub(super) fn watched(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let keys = self.raw.terminal().input();
        [keys].into_iter().chain(self.raw.resized())
    }

    /// Sends what has been typed, or the new size; whether the caller wants the
    /// build to end.
    ///
    /// # Errors
    /// The agent takes nothing, or the terminal is gone.
    pub(super) fn relay(&mut self, channel: &UnixStream, keys: bool) -> io::Result<bool> {
        self.raw.note_resize();
        self.resize(channel)?;
        if !keys {
            return Ok(false);
        }
        let typed = self.raw.terminal().read()?;
        if typed.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        protocol::send_terminal(&mut &*channel, &typed)?;
        Ok(self.escaped(&typed))
    }

    /// Takes the terminal back.
    pub(super) fn end(self) {
        // Who asked for it may be gone; the build goes on.
        let _ = self.raw.terminal().show(END);
    }

    /// Shows what the shell prints.
    ///
    /// # Errors
    /// The terminal is gone.
    pub(super) fn show(&self, bytes: &[u8]) -> Result<(), Error> {
        self.raw.terminal().show(bytes).map_err(failed)
    }

    fn resize(&mut self, channel: &UnixStream) -> io::Result<()> {
        let size = self.raw.terminal().size();
        if self.size.replace(size) == Some(size) {
            return Ok(());
        }
        protocol::send(&mut &*channel, &ToAgent::Resized { size })
    }

    fn escaped(&mut self, typed: &[u8]) -> bool {
        for byte in typed {
            let late = self.last_escape.elapsed() > ESCAPE_TIME;
            self.escapes = match (*byte == ESCAPE, late) {
                (true, false) => self.escapes.saturating_add(1),
                (true, true) => 1,
                (false, _) => 0,
            };
            if self.escapes == 1 {
                self.last_escape = Instant::now();
            }
        }
        self.escapes >= ESCAPES
    }
}

fn failed(source: io::Error) -> Error {
    Error::Host {
        what: "give the terminal to a shell".to_owned(),
        source,
    }
}
