//! The view: what is known of the build, a terminal, and a thread that paints the
//! one on the other.

use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, SigmaskHow};

use super::paint::{frame, paint, Row, Size};
use super::state::Progress;
use super::terminal::Surface;
use super::text::clean;

/// Time between two looks at the state: a screen is not read faster.
const TICK: Duration = Duration::from_millis(100);

/// Lines that wait for the next look, bytes; more are written at once.
const WAITING: usize = 64 << 10;

/// A line of which no end has come, bytes; what is longer is cut.
const OPEN: usize = 64 << 10;

/// A view that is painted until it is dropped.
pub(super) struct View {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    canvas: Mutex<Canvas>,
    ended: Condvar,
}

/// What a view works with, one thread at a time.
pub(super) struct Canvas {
    pub(super) progress: Progress,
    surface: Box<dyn Surface>,
    colours: bool,
    began: Instant,
    /// Cleaned lines that go above the block.
    above: String,
    /// A line of which no end has come.
    open: Vec<u8>,
    drawn: Vec<Row>,
    size: Size,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Painting,
    /// Somebody else has the terminal: what is written goes there as it is.
    Suspended,
    Ended,
}

impl View {
    /// Paints a build that begins now.
    ///
    /// # Errors
    /// There is no room for a thread.
    pub(super) fn start(surface: Box<dyn Surface>, colours: bool) -> io::Result<View> {
        let shared = Arc::new(Shared {
            canvas: Mutex::new(Canvas::new(surface, colours)),
            ended: Condvar::new(),
        });
        let painted = shared.clone();
        // A signal to the process goes to any thread that does not block it, and
        // would end the build there and then. A new thread has our mask.
        let mask = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
        let thread = thread::Builder::new().spawn(move || painted.paint());
        let restored = mask.thread_set_mask();
        let view = View {
            shared,
            thread: Some(thread?),
        };
        restored?;
        Ok(view)
    }

    /// The canvas, for as long as nobody else paints.
    pub(super) fn canvas(&self) -> MutexGuard<'_, Canvas> {
        self.shared.lock()
    }

    /// Something to write lines to: they go above the block.
    pub(super) fn sink(&self) -> Sink {
        Sink(self.shared.clone())
    }
}

impl Drop for View {
    fn drop(&mut self) {
        self.canvas().end();
        self.shared.ended.notify_all();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said why.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// A panic elsewhere leaves nothing half done that would matter.
    fn lock(&self) -> MutexGuard<'_, Canvas> {
        self.canvas.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn paint(&self) {
        let mut canvas = self.lock();
        while canvas.state != State::Ended {
            let waited = self.ended.wait_timeout(canvas, TICK);
            canvas = waited.unwrap_or_else(PoisonError::into_inner).0;
            canvas.draw();
        }
    }
}

impl Canvas {
    fn new(surface: Box<dyn Surface>, colours: bool) -> Canvas {
        Canvas {
            progress: Progress::default(),
            size: surface.size(),
            surface,
            colours,
            began: Instant::now(),
            above: String::new(),
            open: Vec::new(),
            drawn: Vec::new(),
            state: State::Painting,
        }
    }

    /// Seconds since the beginning of the build.
    pub(super) fn now(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// Puts a line above the block, cleaned, and in its colour if it is a warning.
    pub(super) fn print(&mut self, line: &[u8]) {
        let line = clean(line);
        let (begin, end) = match self.colours && line.contains("WARNING") {
            true => ("\x1b[33m", "\x1b[0m"),
            false => ("", ""),
        };
        self.above.push_str(&format!("{begin}{line}{end}\r\n"));
        if self.above.len() > WAITING {
            self.draw();
        }
    }

    /// Gives the terminal to somebody else, without a block.
    pub(super) fn suspend(&mut self) {
        self.finish_open();
        if self.state == State::Painting {
            self.state = State::Suspended;
            self.draw_rows(Vec::new());
        }
    }

    /// Takes it back.
    pub(super) fn resume(&mut self) {
        if self.state == State::Suspended {
            self.state = State::Painting;
        }
    }

    /// The last lines, and no block any more.
    fn end(&mut self) {
        self.finish_open();
        self.state = State::Ended;
        self.draw_rows(Vec::new());
    }

    fn write(&mut self, bytes: &[u8]) {
        if self.state != State::Painting {
            return self.surface.write(bytes);
        }
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = OPEN.saturating_sub(self.open.len());
            self.open.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                self.finish_open();
            }
        }
    }

    fn finish_open(&mut self) {
        if !self.open.is_empty() {
            let line = mem::take(&mut self.open);
            self.print(&line);
        }
    }

    fn draw(&mut self) {
        if self.state != State::Painting {
            return;
        }
        if !self.surface.is_ours() {
            // What was there has been scrolled away by somebody who is in front.
            self.forget_block();
            if !self.above.is_empty() {
                let lines = mem::take(&mut self.above);
                self.surface.write(lines.as_bytes());
            }
            return;
        }
        let size = self.surface.size();
        let rows = paint(&self.progress, self.now(), size);
        let same = rows == self.drawn && size == self.size && self.above.is_empty();
        self.size = size;
        if self.surface.was_erased() || !same {
            self.draw_rows(rows);
        }
    }

    /// Puts these rows in place of those that are there, and lines above them.
    fn draw_rows(&mut self, rows: Vec<Row>) {
        let lines = mem::take(&mut self.above);
        let bytes = match self.drawn.is_empty() && rows.is_empty() {
            true => lines,
            false => frame(&lines, &rows, self.colours),
        };
        self.surface.write(bytes.as_bytes());
        self.surface.block(!rows.is_empty());
        self.drawn = rows;
    }

    fn forget_block(&mut self) {
        self.drawn.clear();
        self.surface.block(false);
    }
}

/// Takes lines, cut anywhere, for the place above the block.
pub(super) struct Sink(Arc<Shared>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().write(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
