//! A live view of a build on a terminal: a block of a few rows at the bottom of
//! the screen, above which lines stay.
//!
//! * `state` is what is known of the build, `tail` the last lines of its output,
//! * `paint` turns them into rows, and rows into bytes,
//! * `terminal` is where those go, `view` the thread that paints,
//! * `times` is what the last build of the same elements took,
//! * `text` keeps from the terminal what it would obey.

mod paint;
mod state;
mod tail;
mod terminal;
mod text;
mod times;
mod view;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::plan::Plan;
use crate::protocol::FromAgent;
use crate::request::{LogOptions, MachineReadable};

use super::clock::utc_stamp;
pub use terminal::erase_view;
use terminal::Terminal;
use times::Times;
use view::View;

/// Most logs that are kept, and their bytes together; the oldest go.
const LOGS: usize = 20;
const LOG_BYTES: u64 = 256 << 20;

/// Longest part of an image's name in that of its log, bytes.
const NAME_BYTES: usize = 100;

/// What a view needs to know beside the options of the log.
#[derive(Debug, Clone, Copy)]
pub struct ViewPlaces<'a> {
    /// The user's cache directory for this program.
    pub cache: &'a Path,
    /// Base name of the image.
    pub image: &'a str,
    /// The whole log goes above the view, in place of a file.
    pub scroll: bool,
}

/// The view of one build.
pub(super) struct Live {
    view: View,
    cache: PathBuf,
    /// Where the times of this build will be.
    times: Option<PathBuf>,
    /// The whole log is shown above the block.
    pub(super) scroll: bool,
    pub(super) suspended: bool,
}

impl Live {
    /// A view, if standard output is a terminal that can have one and nobody has
    /// said otherwise.
    ///
    /// # Errors
    /// There is no room for a thread or a descriptor.
    pub(super) fn open(options: &LogOptions, places: &ViewPlaces) -> io::Result<Option<Live>> {
        if !is_wanted(options) {
            return Ok(None);
        }
        let Some(terminal) = Terminal::of_stdout()? else {
            return Ok(None);
        };
        terminal::guard();
        Ok(Some(Live {
            view: View::start(Box::new(terminal), !is_set("NO_COLOR"))?,
            cache: places.cache.to_owned(),
            times: None,
            scroll: places.scroll,
            suspended: false,
        }))
    }

    /// Opens a file for the whole log: `CACHE/logs/IMAGE.STAMP.PID.log`.
    ///
    /// # Errors
    /// The path, and why it cannot be opened.
    pub(super) fn open_log(&self, image: &str) -> Result<(File, PathBuf), (PathBuf, io::Error)> {
        let directory = self.cache.join("logs");
        let stamp = utc_stamp(SystemTime::now());
        let digits = stamp.chars().filter(char::is_ascii_digit);
        let stamp: String = digits.take("YYYYMMDDhhmmss".len()).collect();
        let mut image = image.to_owned();
        while image.len() > NAME_BYTES {
            image.pop();
        }
        let path = directory.join(format!("{image}.{stamp}.{}.log", std::process::id()));
        let opened = times::private_directory(&directory).and_then(|()| {
            let mut options = OpenOptions::new();
            options
                .append(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)
        });
        match opened {
            Ok(file) => Ok((file, path)),
            Err(error) => Err((path, error)),
        }
    }

    /// Where lines are written that stay.
    pub(super) fn sink(&self) -> Box<dyn Write + Send> {
        Box::new(self.view.sink())
    }

    /// Whether hooks' output is only seen in the block.
    pub(super) fn hides_hooks(&self) -> bool {
        !self.scroll && !self.suspended
    }

    /// Learns what there is to do.
    pub(super) fn begin(&mut self, plan: &Plan, arch: &str) {
        let file = Times::file(&self.cache.join("times"), plan, arch);
        let past = Times::read(&file);
        self.view.canvas().progress.begin(plan, past);
        self.times = Some(file);
        times::keep_newest(&self.cache.join("logs"), LOGS, LOG_BYTES);
    }

    /// Whether there has been anything to do.
    pub(super) fn has_begun(&self) -> bool {
        self.times.is_some()
    }

    /// A session begins; its first step is that one of the plan, or none of it.
    pub(super) fn session(&self, first: Option<usize>) {
        self.view.canvas().progress.session(first);
    }

    /// Something else than a step is being done.
    pub(super) fn doing(&self, what: &str) {
        let mut canvas = self.view.canvas();
        let now = canvas.now();
        canvas.progress.turn_to(what, now);
    }

    /// Takes note of an event.
    pub(super) fn note(&self, event: &FromAgent) {
        let mut canvas = self.view.canvas();
        let now = canvas.now();
        if let Some(line) = canvas.progress.note(event, now) {
            canvas.print(line.as_bytes());
        }
    }

    /// Takes the next bytes of hooks' output.
    pub(super) fn feed(&self, bytes: &[u8]) {
        let mut canvas = self.view.canvas();
        let warnings = canvas.progress.tail.push(bytes);
        if self.hides_hooks() {
            for warning in warnings {
                canvas.print(warning.as_bytes());
            }
        }
    }

    /// Prints a line that stays.
    pub(super) fn print(&self, line: &str) {
        self.view.canvas().print(line.as_bytes());
    }

    /// Gives the terminal away.
    pub(super) fn suspend(&mut self) {
        self.suspended = true;
        self.view.canvas().suspend();
    }

    /// Takes it back.
    pub(super) fn resume(&mut self) {
        self.suspended = false;
        self.view.canvas().resume();
    }

    /// Tells at the end of a build what it has made, as names with their files,
    /// and what took how long; keeps the times for the next build.
    pub(super) fn summarise(&self, outputs: &[(String, PathBuf)], log: Option<&Path>) {
        let mut canvas = self.view.canvas();
        let total = canvas.now();
        let mut lines: Vec<String> = outputs
            .iter()
            .filter_map(|(shown, path)| Some(format!("{shown:<24} {:>12}", size_of(path)?)))
            .collect();
        let past = canvas.progress.past.as_ref();
        let last = past.map(|past| format!("  the last build took {}", text::taken(past.total)));
        let (took, last) = (text::taken(total), last.unwrap_or_default());
        lines.push(format!("{:<24} {took:>12}{last}", "total"));
        let labels = ["slowest hooks"].into_iter().chain(std::iter::repeat(""));
        for (label, (hook, seconds)) in labels.zip(canvas.progress.slowest()) {
            let took = text::taken(seconds);
            lines.push(format!("{label:<24} {took:>12}  {hook}"));
        }
        lines.extend(log.map(|log| format!("log: {}", log.display())));
        for line in lines {
            canvas.print(line.as_bytes());
        }
        canvas.progress.times.total = total;
        if let Some(file) = &self.times {
            // The next build has no estimate then, and nothing else is lost.
            let _unwritten = canvas.progress.times.write(file);
        }
    }
}

/// The size of a file, if it is one.
fn size_of(path: &Path) -> Option<String> {
    let meta = path.metadata().ok().filter(std::fs::Metadata::is_file)?;
    Some(text::size(meta.len()))
}

fn is_wanted(options: &LogOptions) -> bool {
    // Lines of JSON may go to the same terminal.
    let says_little = options.messages.as_ref().is_some_and(|style| {
        let readable = style.machine_readable.as_ref();
        style.quiet || !matches!(readable, None | Some(MachineReadable::File(_)))
    });
    !options.no_progress && !options.quiet && !says_little && !is_set("CI")
}

fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| !value.is_empty())
}
