//! The one pipe that everything that runs in the appliance prints to.
//!
//! It lives as long as the session, so a background process that outlives its
//! hook neither holds a phase up nor dies of a closed pipe; what it prints
//! appears when the pipe is read the next time.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::fcntl::{fcntl, FcntlArg, OFlag};
use nix::unistd::pipe2;

use super::channel::Channel;
use super::error::Error;

/// Lines of output that a failure is reported with.
const TAIL_LINES: usize = 20;
/// Bytes of a line that are kept for that.
const TAIL_WIDTH: usize = 4096;

/// The read end of a pipe, which never blocks.
pub(crate) struct Drain(File);

impl Drain {
    /// A pipe: the end that is drained, and the one to write to. Both are
    /// closed on exec.
    pub(crate) fn pipe() -> io::Result<(Drain, OwnedFd)> {
        let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
        // O_NONBLOCK belongs to the open file, of which each end has its own
        fcntl(&read, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok((Drain(File::from(read)), write))
    }

    /// Gives all that is there to `take`, in pieces.
    pub(crate) fn read(&mut self, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut buffer = [0u8; 65536];
        loop {
            match self.0.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => take(&buffer[..count])?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl AsFd for Drain {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The last lines of what was printed.
#[derive(Default)]
pub(crate) struct Tail {
    lines: VecDeque<Vec<u8>>,
    open: bool,
}

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, complete) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            if !self.open {
                if self.lines.len() == TAIL_LINES {
                    self.lines.pop_front();
                }
                self.lines.push_back(Vec::new());
            }
            if let Some(line) = self.lines.back_mut() {
                let room = TAIL_WIDTH.saturating_sub(line.len());
                line.extend_from_slice(&text[..text.len().min(room)]);
            }
            self.open = !complete;
        }
    }

    /// The lines after the last one that is `marker`, or all.
    fn after(&self, marker: Option<&str>) -> Vec<String> {
        let from = marker
            .and_then(|marker| {
                self.lines
                    .iter()
                    .rposition(|line| line == marker.as_bytes())
            })
            .map_or(0, |at| at + 1);
        self.lines
            .iter()
            .skip(from)
            .map(|line| String::from_utf8_lossy(line).into_owned())
            .collect()
    }
}

/// The log: the session's pipe and the channel that it is forwarded to.
pub(crate) struct Log {
    channel: Channel,
    drain: Drain,
    write: OwnedFd,
    tail: Tail,
}

impl Log {
    /// A log that goes to `channel`.
    pub(crate) fn new(channel: Channel) -> io::Result<Log> {
        let (drain, write) = Drain::pipe()?;
        Ok(Log {
            channel,
            drain,
            write,
            tail: Tail::default(),
        })
    }

    /// Forwards what has been printed so far.
    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        let Log {
            channel,
            drain,
            tail,
            ..
        } = self;
        drain
            .read(|bytes| {
                tail.push(bytes);
                channel.log(bytes)
            })
            .map_err(Error::Channel)
    }

    /// Forwards bytes that did not come through the pipe.
    pub(crate) fn forward(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.tail.push(bytes);
        self.channel.log(bytes).map_err(Error::Channel)
    }

    /// Forwards what a terminal shows, which is no part of the log.
    pub(crate) fn terminal(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.channel.terminal(bytes).map_err(Error::Channel)
    }

    /// Prints a line of our own, after all that has been printed before.
    pub(crate) fn say(&mut self, text: impl AsRef<str>) -> Result<(), Error> {
        self.flush()?;
        self.forward(format!("{}\n", text.as_ref()).as_bytes())
    }

    /// The channel; output of processes is lost from now on.
    pub(crate) fn into_channel(self) -> Channel {
        self.channel
    }

    /// Sends a message, after all that has been printed before.
    pub(crate) fn send(&mut self, message: &crate::protocol::FromAgent) -> Result<(), Error> {
        self.flush()?;
        self.channel.send(message).map_err(Error::Channel)
    }

    /// The last lines of the output, from the last line that is `marker` on.
    pub(crate) fn tail(&self, marker: Option<&str>) -> Vec<String> {
        self.tail.after(marker)
    }

    /// The write end, for processes to print to.
    pub(crate) fn writer(&self) -> io::Result<OwnedFd> {
        self.write.try_clone()
    }

    /// The read end, to poll.
    pub(crate) fn reader(&self) -> BorrowedFd<'_> {
        self.drain.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_has_whole_last_lines() {
        let mut tail = Tail::default();
        tail.push(b"start\nfi");
        tail.push(b"rst\n");
        tail.push(b"\nlast");
        assert_eq!(tail.after(None), ["start", "first", "", "last"]);
        assert_eq!(tail.after(Some("first")), ["", "last"]);
        assert_eq!(tail.after(Some("none")).len(), 4);
        tail.push(&[b'\n'; 100]);
        assert_eq!(tail.after(None).len(), TAIL_LINES);
        tail.push(&[b'x'; 3 * TAIL_WIDTH]);
        assert_eq!(tail.after(None)[TAIL_LINES - 1].len(), TAIL_WIDTH);
    }
}
