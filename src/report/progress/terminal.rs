//! The terminal itself: its size, whose it is, and what happens to the block when
//! a signal or a panic comes in between. No mode of the terminal is changed, so
//! there is none to restore.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use nix::errno::Errno;
use nix::libc::{self, c_int};
use nix::sys::signal::{raise, sigaction, SaFlags, SigAction, SigHandler, SigSet, Signal};
use nix::unistd::{getpgrp, tcgetpgrp};

use super::paint::{Size, ERASE};

nix::ioctl_read_bad!(window_size, libc::TIOCGWINSZ, libc::winsize);

/// Where a block is on the screen, if one is: the descriptor, else -1.
static SHOWN_ON: AtomicI32 = AtomicI32::new(-1);

/// The block was erased by somebody else than its painter.
static ERASED: AtomicBool = AtomicBool::new(false);

/// What a terminal says if it does not know its size.
const USUAL: Size = Size {
    columns: 80,
    rows: 24,
};

/// What a view is painted on.
pub(super) trait Surface: Send {
    /// Its size now.
    fn size(&self) -> Size;

    /// Whether this process may paint there: it is in the foreground.
    fn is_ours(&self) -> bool;

    /// Writes as much as it takes; what it does not take is lost, because a view
    /// is no reason to end a build.
    fn write(&mut self, text: &[u8]);

    /// Tells whether a block is there from now on.
    fn block(&self, shown: bool);

    /// Whether the block has been erased since the last call.
    fn was_erased(&self) -> bool;
}

/// Standard output.
pub(super) struct Terminal(File);

impl Terminal {
    /// Standard output, if it is a terminal that obeys escape sequences.
    ///
    /// # Errors
    /// It cannot be duplicated.
    pub(super) fn of_stdout() -> io::Result<Option<Terminal>> {
        let stdout = io::stdout();
        let term = std::env::var_os("TERM").unwrap_or_default();
        if !stdout.is_terminal() || term.is_empty() || term == "dumb" {
            return Ok(None);
        }
        let own = stdout.as_fd().try_clone_to_owned()?;
        Ok(Some(Terminal(File::from(own))))
    }
}

impl Surface for Terminal {
    fn size(&self) -> Size {
        // SAFETY: all zeros is a winsize, and the kernel writes no more than one.
        let (size, known) = unsafe {
            let mut size: libc::winsize = std::mem::zeroed();
            let known = window_size(self.0.as_raw_fd(), &mut size);
            (size, known.is_ok())
        };
        match known && size.ws_col > 0 && size.ws_row > 0 {
            true => Size {
                columns: size.ws_col,
                rows: size.ws_row,
            },
            false => USUAL,
        }
    }

    fn is_ours(&self) -> bool {
        // ENOTTY: not our controlling terminal, so nobody shares it with us.
        tcgetpgrp(&self.0).map_or(true, |group| group == getpgrp())
    }

    fn write(&mut self, text: &[u8]) {
        let _lost = self.0.write_all(text);
    }

    fn block(&self, shown: bool) {
        let number = if shown { self.0.as_raw_fd() } else { -1 };
        SHOWN_ON.store(number, Ordering::SeqCst);
    }

    fn was_erased(&self) -> bool {
        ERASED.swap(false, Ordering::SeqCst)
    }
}

/// Erases the block that is on the screen, if one is, for whoever is about to
/// write there or to end the process. Safe in a signal handler.
pub fn erase_view() {
    let number = SHOWN_ON.swap(-1, Ordering::SeqCst);
    if number >= 0 {
        ERASED.store(true, Ordering::SeqCst);
        // SAFETY: write(2) is async-signal-safe; the descriptor is open for as long
        // as it stands there, and the text is a constant.
        let _lost = unsafe { libc::write(number, ERASE.as_ptr().cast(), ERASE.len()) };
    }
}

/// Has panics, and the signals of a terminal's keys that end or stop a process
/// there and then, erase the block first.
pub(super) fn guard() {
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        erase_view();
        previous(panic);
    }));
    handle(Signal::SIGQUIT, end);
    handle(Signal::SIGTSTP, stop);
}

fn handle(signal: Signal, handler: extern "C" fn(c_int)) {
    let handler = SigHandler::Handler(handler);
    // Without SA_NODEFER the signal that stops us would wait until we go on.
    let flags = SaFlags::SA_RESTART | SaFlags::SA_NODEFER;
    let action = SigAction::new(handler, flags, SigSet::empty());
    // SAFETY: both handlers call nothing that is not async-signal-safe.
    let before = unsafe { sigaction(signal, &action) };
    if let Ok(before) = before {
        if before.handler() == SigHandler::SigIgn {
            // SAFETY: SIG_IGN runs no code of ours.
            let _ = unsafe { sigaction(signal, &before) };
        }
    }
}

/// Takes what the signal does by default; returns if that does not end us.
fn by_default(signal: Signal) {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: SIG_DFL runs no code of ours.
    let _ = unsafe { sigaction(signal, &default) };
    let _ = raise(signal);
}

extern "C" fn end(_: c_int) {
    erase_view();
    by_default(Signal::SIGQUIT);
}

extern "C" fn stop(_: c_int) {
    let errno = Errno::last_raw();
    erase_view();
    by_default(Signal::SIGTSTP);
    handle(Signal::SIGTSTP, stop);
    Errno::set_raw(errno);
}
