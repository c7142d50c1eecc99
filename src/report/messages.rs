//! Messages as the tools of libguestfs write them: progress with the time since
//! the start, information, errors, each as a line of JSON too where one is asked for.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use thiserror::Error;

use super::clock::utc_stamp;
use crate::error::Explain;
use crate::request::{MachineReadable, MessageStyle};

/// Column before which wrapped lines end.
const WIDTH: usize = 76;

const GREEN: &str = "\x1b[0;32m";
const MAGENTA: &str = "\x1b[1;35m";
const RED: &str = "\x1b[1;31m";
const RESTORE: &str = "\x1b[0m";

/// `--machine-readable` names a place that cannot be written.
#[derive(Debug, Error)]
#[error("cannot write machine-readable output to {place}: {source}")]
pub struct MessagesError {
    place: String,
    source: io::Error,
}

impl Explain for MessagesError {}

/// The messages of one run of a command.
#[derive(Clone)]
pub struct Messages {
    program: String,
    style: MessageStyle,
    start: Instant,
    json: Option<Arc<Mutex<Box<dyn Write + Send>>>>,
}

impl Messages {
    /// Opens the place for machine-readable output.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn open(program: &str, style: MessageStyle) -> Result<Messages, MessagesError> {
        let json = style.machine_readable.as_ref().map(open).transpose()?;
        Ok(Messages {
            program: program.to_owned(),
            start: Instant::now(),
            json: json.map(|sink| Arc::new(Mutex::new(sink))),
            style,
        })
    }

    /// Messages with no place for machine-readable output, and no style.
    pub fn plain(program: &str) -> Messages {
        Messages {
            program: program.to_owned(),
            style: MessageStyle::default(),
            start: Instant::now(),
            json: None,
        }
    }

    /// A progress message: its line for standard output, if there is one.
    pub fn progress(&self, text: &str) -> Option<String> {
        self.log("message", text);
        if self.style.quiet {
            return None;
        }
        let text = self.coloured(GREEN, text, io::stdout().is_terminal());
        let seconds = format!("{:.1}", self.start.elapsed().as_secs_f64());
        Some(format!("[{seconds:>6}] {text}"))
    }

    /// Information, which `-q` does not silence: its line for standard output.
    pub fn info(&self, text: &str) -> String {
        self.log("info", text);
        let terminal = io::stdout().is_terminal();
        let line = self.wrapped(&format!("{}: {text}", self.program), terminal);
        self.coloured(MAGENTA, &line, terminal)
    }

    /// The last words of a failed run, for standard error; `advice` asks for
    /// what a report should have.
    pub fn error(&self, text: &str, advice: bool) -> String {
        self.log("error", text);
        let program = &self.program;
        let terminal = io::stderr().is_terminal();
        let mut whole = self.wrapped(&format!("{program}: error: {text}"), terminal);
        if advice {
            let advice = format!(
                "When you report a bug, run {program} once more with -v -x and send all that it says:\n\n  {program} -v -x [...]"
            );
            whole = format!("{whole}\n\n{}", self.wrapped(&advice, terminal));
        }
        self.coloured(RED, &whole, terminal)
    }

    /// Writes text where machine-readable output goes.
    ///
    /// # Errors
    /// Whatever writing gives.
    pub fn machine_readable(&self, text: &str) -> Result<(), MessagesError> {
        let Some(json) = &self.json else {
            return Ok(());
        };
        let mut sink = json.lock().unwrap_or_else(PoisonError::into_inner);
        let written = sink.write_all(text.as_bytes()).and_then(|()| sink.flush());
        written.map_err(|source| MessagesError {
            place: place(self.style.machine_readable.as_ref()),
            source,
        })
    }

    fn log(&self, kind: &str, text: &str) {
        if self.json.is_none() {
            return;
        }
        let stamp = utc_stamp(SystemTime::now()).replacen(' ', "T", 1);
        let line = serde_json::json!({
            "message": text,
            "timestamp": format!("{stamp}+00:00"),
            "type": kind,
        });
        // A reader that has gone must not end a build.
        let _gone = self.machine_readable(&format!("{line}\n"));
    }

    fn coloured(&self, colour: &str, text: &str, terminal: bool) -> String {
        // https://no-color.org: the variable outweighs the terminal, options outweigh it.
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        match self.style.colours || (terminal && !refused) {
            true => format!("{colour}{text}{RESTORE}"),
            false => text.to_owned(),
        }
    }

    fn wrapped(&self, text: &str, terminal: bool) -> String {
        match self.style.wrap || terminal {
            true => wrap(text),
            false => text.to_owned(),
        }
    }
}

/// Breaks lines at blanks; a word that is too long stays whole.
fn wrap(text: &str) -> String {
    let mut wrapped = String::new();
    let mut column = 0;
    let mut first = true;
    for piece in text.split_inclusive([' ', '\n']) {
        let word = piece.trim_end_matches([' ', '\n']);
        let width = word.chars().count();
        if !first && column + width >= WIDTH {
            while wrapped.ends_with(' ') {
                wrapped.pop();
            }
            wrapped.push('\n');
            column = 0;
        }
        first = false;
        wrapped.push_str(piece);
        column = match piece.ends_with('\n') {
            true => 0,
            false => column + piece.chars().count(),
        };
    }
    wrapped
}

fn place(target: Option<&MachineReadable>) -> String {
    match target {
        Some(MachineReadable::File(path)) => path.display().to_string(),
        Some(MachineReadable::Fd(number)) => format!("descriptor {number}"),
        Some(MachineReadable::Stderr) => "standard error".to_owned(),
        _ => "standard output".to_owned(),
    }
}

fn open(target: &MachineReadable) -> Result<Box<dyn Write + Send>, MessagesError> {
    let failed = |source| MessagesError {
        place: place(Some(target)),
        source,
    };
    Ok(match target {
        MachineReadable::Stdout => Box::new(io::stdout()),
        MachineReadable::Stderr => Box::new(io::stderr()),
        MachineReadable::File(path) => Box::new(File::create(path).map_err(failed)?),
        MachineReadable::Fd(number) => {
            // SAFETY: the number is not negative (the parser refuses those), and
            // dup(2), the only use of it, says EBADF if it is not open.
            let given = unsafe { BorrowedFd::borrow_raw(*number) };
            let own = given.try_clone_to_owned().map_err(failed)?;
            Box::new(File::from(own))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(style: MessageStyle) -> Messages {
        Messages::open("virt-dib", style).unwrap()
    }

    #[test]
    fn words_wrap_before_the_edge() {
        let text = "word ".repeat(40);
        let wrapped = wrap(&text);
        assert!(wrapped.lines().all(|line| line.len() < WIDTH), "{wrapped}");
        assert_eq!(wrapped.split_whitespace().count(), 40);
        let long = "x".repeat(100);
        assert_eq!(wrap(&long), long);
        assert_eq!(wrap("a\n\n  b"), "a\n\n  b");
    }

    #[test]
    fn every_message_is_a_line_of_json_too() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let style = MessageStyle {
            quiet: true,
            machine_readable: Some(MachineReadable::File(file.path().into())),
            ..MessageStyle::default()
        };
        let messages = messages(style);
        assert_eq!(messages.progress("one \"two\""), None);
        assert_eq!(messages.info("three"), "virt-dib: three");
        assert!(messages
            .error("four", true)
            .starts_with("virt-dib: error: four\n\n"));
        let text = std::fs::read_to_string(file.path()).unwrap();
        let seen: Vec<(String, String)> = text
            .lines()
            .map(|line| {
                let line: serde_json::Value = serde_json::from_str(line).unwrap();
                let stamp = line["timestamp"].as_str().unwrap();
                assert!(stamp.contains('T') && stamp.ends_with("+00:00"), "{stamp}");
                let text = |key: &str| line[key].as_str().unwrap().to_owned();
                (text("type"), text("message"))
            })
            .collect();
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(
            seen,
            [
                pair("message", "one \"two\""),
                pair("info", "three"),
                pair("error", "four")
            ]
        );
    }

    #[test]
    fn colours_and_places() {
        let plain = messages(MessageStyle::default());
        let line = plain.progress("x").unwrap();
        assert!(
            line.starts_with("[   0.") && line.ends_with("] x"),
            "{line}"
        );
        let coloured = messages(MessageStyle {
            colours: true,
            ..MessageStyle::default()
        });
        assert_eq!(
            coloured.error("x", false),
            format!("{RED}virt-dib: error: x{RESTORE}")
        );
        let closed = MessageStyle {
            machine_readable: Some(MachineReadable::Fd(1000)),
            ..MessageStyle::default()
        };
        let error = Messages::open("virt-dib", closed).err().unwrap();
        assert!(error.to_string().contains("descriptor 1000"), "{error}");
    }
}
