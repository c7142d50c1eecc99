//! Signals before the first session. Until then they end the process there and
//! then, because whoever waits for a machine to start does not look for them; the
//! janitor, a process of its own, clears up.

use nix::libc::{self, c_int};
use nix::sys::signal::{raise, sigaction, SaFlags, SigAction, SigHandler, SigSet, Signal};

use crate::report::erase_view;
use crate::signals;

/// Has these signals say what becomes of the build before they end it. The first
/// session blocks them for good.
pub(super) fn tell_of_signals() {
    for signal in signals::wanted().iter() {
        let handler = SigHandler::Handler(end);
        let action = SigAction::new(handler, SaFlags::SA_RESTART, SigSet::empty());
        // SAFETY: the handler calls nothing that is not async-signal-safe.
        let _ = unsafe { sigaction(signal, &action) };
    }
}

macro_rules! text {
    ($name:literal) => {
        concat!(
            "safedib: interrupted by ",
            $name,
            " before the first step: no hook has run and no output was touched; \
             what the build had begun is removed by its janitor\n"
        )
    };
}

extern "C" fn end(number: c_int) {
    erase_view();
    let (signal, text) = match number {
        libc::SIGTERM => (Signal::SIGTERM, text!("SIGTERM")),
        libc::SIGHUP => (Signal::SIGHUP, text!("SIGHUP")),
        _ => (Signal::SIGINT, text!("SIGINT")),
    };
    // SAFETY: write(2) is async-signal-safe, and the text is a constant.
    let _lost = unsafe { libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len()) };
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: SIG_DFL runs no code of ours.
    let _ = unsafe { sigaction(signal, &default) };
    // It is blocked in here, and ends the process when we return.
    let _ = raise(signal);
}
