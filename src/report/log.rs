//! The log of a build: what upstream's `lib/outfilter.py` does to the merged
//! output of engine and hooks, without a second process.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use regex::bytes::Regex;
use thiserror::Error;

use super::clock::utc_stamp;
use super::messages::Messages;
use super::progress::Live;
use super::LogPlace;
use crate::error::{tell, Explain, Setting};
use crate::request::LogOptions;
use channel::{open_log, Channel};

mod channel;
mod live;

/// A line is judged by so many bytes; what is longer is passed on in pieces,
/// so that output without newlines does not stay in memory.
const LINE_LIMIT: usize = 64 << 10;
/// Warnings that are kept for a report.
const MAX_WARNINGS: usize = 1000;

/// Lines that `outfilter.py` drops. The pattern is a constant: tests compile it.
#[allow(clippy::unwrap_used)]
static NOISE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(?-u)set \+o|xtrace").unwrap());

/// The log cannot be written.
#[derive(Debug, Error)]
pub enum LogError {
    /// The file of `--logfile` cannot be opened.
    #[error("cannot open the log file {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file of `--logfile` took no more.
    #[error("cannot write to the log file {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Standard output took no more, though somebody still reads it.
    #[error("cannot write to standard output")]
    Stdout {
        /// Why.
        source: io::Error,
    },
}

impl Explain for LogError {
    fn hint(&self) -> Option<String> {
        match self {
            LogError::Open { path, .. } => Some(format!(
                "give --logfile a file that you may write, in a directory that exists (now: {})",
                path.parent().unwrap_or(Path::new("/")).display()
            )),
            LogError::Write { source, .. } | LogError::Stdout { source }
                if source.kind() == io::ErrorKind::FileTooLarge =>
            {
                Some(Setting::larger_files())
            }
            LogError::Write { path, .. } => Some(format!(
                "free space on the filesystem of {}, or give --logfile a file elsewhere",
                path.display()
            )),
            LogError::Stdout { .. } => {
                Some("free space where standard output goes, or send it elsewhere".to_owned())
            }
        }
    }
}

/// Where in a line the stream stands.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Position {
    /// What came of the line so far, if anything, is in `pending`.
    Undecided,
    /// The beginning is written; the rest follows it.
    Passing,
    /// The line is noise; the rest is dropped too.
    Dropping,
}

/// Cuts raw output into lines, drops the noise, stamps the rest, and writes it
/// to standard output and the log file as [`LogOptions`] say.
///
/// Lines go out as soon as they are complete. Bytes that are not UTF-8 pass
/// unchanged. Memory stays bounded whatever is fed.
pub struct LogWriter {
    stdout: Option<Channel>,
    file: Option<Channel>,
    copy: Option<Channel>,
    pending: Vec<u8>,
    position: Position,
    error: Option<LogError>,
    stamp: (u128, String),
    messages: Option<Messages>,
    options: LogOptions,
    place: LogPlace,
    live: Option<Live>,
    warnings: Vec<String>,
}

impl LogWriter {
    /// Opens the log file, if one is asked for: created, or appended to, never
    /// truncated (8.004).
    ///
    /// # Errors
    /// [`LogError::Open`].
    pub fn new(
        options: &LogOptions,
        stdout: impl Write + Send + 'static,
    ) -> Result<LogWriter, LogError> {
        let file = match &options.file {
            Some(path) => {
                let file = open_log(path)?;
                Some(Channel::new(Box::new(file), true, Some(path.clone())))
            }
            None => None,
        };
        let stdout =
            (!options.quiet).then(|| Channel::new(Box::new(stdout), !options.no_timestamp, None));
        Ok(LogWriter {
            stdout,
            file,
            copy: None,
            pending: Vec::new(),
            position: Position::Undecided,
            error: None,
            stamp: (u128::MAX, String::new()),
            messages: None,
            options: options.clone(),
            place: LogPlace::from(options),
            live: None,
            warnings: Vec::new(),
        })
    }

    /// Makes the engine's own lines messages, and passes hooks' output on whole.
    #[must_use]
    pub fn with_messages(mut self, messages: Messages) -> LogWriter {
        self.messages = Some(messages);
        self
    }

    /// Writes what follows to this file, too, which must not exist; until
    /// [`LogWriter::close_copy`].
    ///
    /// # Errors
    /// [`LogError::Open`].
    pub fn open_copy(&mut self, path: &Path) -> Result<(), LogError> {
        let file = File::create_new(path).map_err(|source| LogError::Open {
            path: path.to_owned(),
            source,
        })?;
        self.copy = Some(Channel::new(Box::new(file), true, Some(path.to_owned())));
        Ok(())
    }

    /// Writes a line to the file of [`LogWriter::open_copy`] only.
    pub fn record_in_copy(&mut self, text: &str) {
        self.close_line();
        self.flush();
        let others = (self.stdout.take(), self.file.take());
        for line in text.split('\n') {
            self.begin_line();
            self.put(line.as_bytes());
            self.put(b"\n");
        }
        self.flush();
        (self.stdout, self.file) = others;
    }

    /// Ends what [`LogWriter::open_copy`] began.
    pub fn close_copy(&mut self) {
        self.close_line();
        self.flush();
        self.copy = None;
    }

    /// Says something on standard error, above the view if that is on the same screen.
    pub fn tell(&self, text: &str) {
        match &self.live {
            Some(live) if !live.suspended && io::stderr().is_terminal() => {
                text.lines().for_each(|line| live.print(line));
            }
            _ => tell!("{text}"),
        }
    }

    /// Says on standard error what an appliance is told to do, if that is asked for.
    pub fn trace(&self, text: &str) {
        if self.options.trace {
            self.tell(&format!("safedib: trace: {text}"));
        }
    }

    /// Takes the next bytes of the build's output, cut anywhere.
    ///
    /// Never fails: a reader of standard output that went away must not end a
    /// build, and other errors are kept for [`LogWriter::check`].
    pub fn feed(&mut self, bytes: &[u8]) {
        if let Some(live) = &self.live {
            live.feed(bytes);
        }
        self.with_hooks(|log| {
            for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
                log.feed_piece(piece);
            }
            log.flush();
        });
    }

    /// Writes a line of the engine's own. It is never dropped, and starts a new
    /// line if a hook left one open.
    pub fn say(&mut self, text: &str) {
        self.note_warning(text);
        self.close_line();
        self.flush();
        let line = match &self.messages {
            Some(messages) => match messages.progress(text) {
                Some(line) => line,
                None => return,
            },
            None => text.to_owned(),
        };
        for line in line.split('\n') {
            self.begin_line();
            self.put(line.as_bytes());
            self.put(b"\n");
        }
        self.flush();
    }

    /// Ends a line that a hook left open, and writes everything: somebody else is
    /// about to have the terminal.
    pub fn flush_line(&mut self) {
        self.close_line();
        self.flush();
    }

    /// Writes a line of the engine's own to the log file only: for what goes to
    /// standard error anyway.
    pub fn record(&mut self, text: &str) {
        self.close_line();
        let stdout = self.stdout.take();
        self.say(text);
        self.stdout = stdout;
    }

    /// What the engine has warned of, without the word itself.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn note_warning(&mut self, text: &str) {
        let warning = text.strip_prefix("WARNING").map(|text| {
            let text = text.strip_prefix(" safedib").unwrap_or(text);
            // Upstream's warnings name a module first.
            let text = text.split_once("[-] ").map_or(text, |(_, text)| text);
            text.trim_start_matches([':', ' '])
        });
        if self.warnings.len() < MAX_WARNINGS {
            self.warnings.extend(warning.map(str::to_owned));
        }
    }

    /// Fails once if the log has met an error: a build whose log is lost should
    /// not go on. What comes after goes to where it still can.
    ///
    /// # Errors
    /// The first error that any write met, but for a closed standard output.
    pub fn check(&mut self) -> Result<(), LogError> {
        self.error.take().map_or(Ok(()), Err)
    }

    /// Writes what is left of a line without a newline, as it is, and ends the view.
    ///
    /// # Errors
    /// As [`check`](LogWriter::check).
    pub fn finish(mut self) -> Result<(), LogError> {
        self.with_hooks(LogWriter::release_pending);
        self.flush();
        self.end_view();
        self.check()
    }

    fn feed_piece(&mut self, piece: &[u8]) {
        let ends = piece.ends_with(b"\n");
        if self.position == Position::Undecided {
            let room = LINE_LIMIT - self.pending.len();
            if !ends && piece.len() < room {
                self.pending.extend_from_slice(piece);
                return;
            }
            let (head, rest) = piece.split_at(piece.len().min(room));
            self.pending.extend_from_slice(head);
            self.release_pending();
            self.put_if_passing(rest);
        } else {
            self.put_if_passing(piece);
        }
        if ends {
            self.position = Position::Undecided;
        }
    }

    /// Decides about the line by what is pending, and writes it.
    fn release_pending(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let head = std::mem::take(&mut self.pending);
        if self.messages.is_none() && NOISE.is_match(&head) {
            self.position = Position::Dropping;
        } else {
            self.position = Position::Passing;
            self.begin_line();
            self.put(&head);
        }
        self.pending = head;
        self.pending.clear();
    }

    fn put_if_passing(&mut self, bytes: &[u8]) {
        if self.position == Position::Passing {
            self.put(bytes);
        }
    }

    /// Ends a line that the stream left open, so that another can start.
    fn close_line(&mut self) {
        self.with_hooks(|log| {
            log.release_pending();
            log.put_if_passing(b"\n");
        });
        self.position = Position::Undecided;
    }

    fn begin_line(&mut self) {
        let now = SystemTime::now();
        let millis = now.duration_since(UNIX_EPOCH).map_or(0, |t| t.as_millis());
        if self.stamp.0 != millis {
            self.stamp = (millis, format!("{} | ", utc_stamp(now)));
        }
        for channel in [&mut self.stdout, &mut self.file, &mut self.copy]
            .into_iter()
            .flatten()
        {
            if channel.stamped {
                channel.buffer.extend_from_slice(self.stamp.1.as_bytes());
            }
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(LINE_LIMIT) {
            let mut full = false;
            for channel in [&mut self.stdout, &mut self.file, &mut self.copy]
                .into_iter()
                .flatten()
            {
                channel.buffer.extend_from_slice(chunk);
                full |= channel.buffer.len() >= LINE_LIMIT;
            }
            if full {
                self.flush();
            }
        }
    }

    fn flush(&mut self) {
        let mut spare = None;
        for slot in [&mut self.stdout, &mut self.file, &mut self.copy] {
            let Some(channel) = slot else { continue };
            if let Err(error) = channel.flush() {
                let (lost, is_spare) = (channel.lost(error), channel.spare);
                *slot = None;
                match lost {
                    Some(LogError::Write { path, source }) if is_spare => {
                        spare = Some((path, source));
                    }
                    lost => self.error = self.error.take().or(lost),
                }
            }
        }
        if let Some((path, error)) = spare {
            self.lose_spare(path, &error);
        }
    }
}

impl Drop for LogWriter {
    /// A writer that an error path forgot to finish keeps the last line.
    fn drop(&mut self) {
        self.with_hooks(LogWriter::release_pending);
        self.flush();
        self.end_view();
    }
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
