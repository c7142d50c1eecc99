//! A place that lines of the log go to.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::LogError;

/// Standard output, or a file.
pub(super) struct Channel {
    sink: Box<dyn Write + Send>,
    pub(super) buffer: Vec<u8>,
    pub(super) stamped: bool,
    /// The log file's path; `None` for standard output.
    path: Option<PathBuf>,
    /// Nobody has asked for it: its loss is no failure.
    pub(super) spare: bool,
}

impl Channel {
    pub(super) fn new(
        sink: Box<dyn Write + Send>,
        stamped: bool,
        path: Option<PathBuf>,
    ) -> Channel {
        Channel {
            sink,
            buffer: Vec::new(),
            stamped,
            path,
            spare: false,
        }
    }

    /// A file that has the log because standard output has not.
    pub(super) fn spare(sink: Box<dyn Write + Send>, path: PathBuf) -> Channel {
        Channel {
            spare: true,
            ..Channel::new(sink, true, Some(path))
        }
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        let result = self.sink.write_all(&self.buffer);
        self.buffer.clear();
        result.and_then(|()| self.sink.flush())
    }

    /// What the loss of this channel means; nothing if its reader went away.
    pub(super) fn lost(&self, source: io::Error) -> Option<LogError> {
        match &self.path {
            Some(path) => Some(LogError::Write {
                path: path.clone(),
                source,
            }),
            None if source.kind() == io::ErrorKind::BrokenPipe => None,
            None => Some(LogError::Stdout { source }),
        }
    }
}

/// Opens the file of `--logfile`, which is appended to.
///
/// # Errors
/// [`LogError::Open`].
pub(super) fn open_log(path: &Path) -> Result<File, LogError> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .map_err(|source| LogError::Open {
            path: path.to_owned(),
            source,
        })
}
