//! Removes what is on disk when the driver ends, however it ends.
//!
//! A process of the caller's that outlives the driver: it notices the end by
//! the hang-up of a socket that nobody else holds.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Child;

use nix::libc;
use nix::sys::signal::{SigHandler, Signal};

use super::error::{Error, Fault, FaultKind};
use super::journal::{Duties, Journal, Order, PutBack};
use super::remove::{read_answer, spawn_helper};
use super::sys;
use super::wire::{control_from, read_order};
use crate::error::tell;
use crate::protocol;

/// How long the processes of a sandbox may take to die before the files that
/// they may still write to are removed anyway.
const PATIENCE_MS: i32 = 10_000;

/// Paths that are removed when the build ends, killed or not, and renames that
/// are undone unless they are settled.
#[derive(Debug)]
pub struct Janitor {
    control: UnixStream,
    child: Child,
    journal: Option<Journal>,
    /// Why there is no journal any more.
    lost: Option<io::Error>,
    /// The same list: should the janitor be killed, the build cleans up itself.
    duties: Duties,
    closed: bool,
}

impl Janitor {
    /// Starts the janitor, a process of `binary` (safedib), with nothing to do.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be executed.
    pub fn start(binary: &Path) -> Result<Janitor, Error> {
        Janitor::start_with(binary, None)
    }

    /// As [`start`](Janitor::start), for a build with this name. What there is to
    /// do is also written to a file in `directory`, where [`recover`] finds it if
    /// the janitor is killed, too.
    ///
    /// # Errors
    /// As [`start`](Janitor::start). The second value tells why there is no file.
    ///
    /// [`recover`]: super::recover
    pub fn of_build(
        binary: &Path,
        directory: &Path,
        name: &str,
    ) -> Result<(Janitor, Option<io::Error>), Error> {
        let (journal, trouble) = match Journal::create(directory, name) {
            Ok(journal) => (Some(journal), None),
            Err(error) => (None, Some(error)),
        };
        Ok((Janitor::start_with(binary, journal)?, trouble))
    }

    fn start_with(binary: &Path, journal: Option<Journal>) -> Result<Janitor, Error> {
        let passed = journal
            .as_ref()
            .map(|journal| (journal.path(), journal.file().as_raw_fd()));
        let (control, child) = spawn_helper(binary, "sandbox-janitor", passed)?;
        let mut janitor = Janitor {
            control,
            child,
            journal,
            lost: None,
            duties: Duties::default(),
            closed: false,
        };
        read_answer(&mut janitor.control)?;
        Ok(janitor)
    }

    /// Puts an absolute path on the list. Best called before the path is made.
    pub fn add(&mut self, path: &Path) {
        self.tell(&Order::Add(path.to_owned()));
    }

    /// Takes a path from the list.
    pub fn forget(&mut self, path: &Path) {
        self.tell(&Order::Forget(path.to_owned()));
    }

    /// Paths on the list at which something is.
    pub fn there(&self) -> Vec<PathBuf> {
        self.duties.paths_there()
    }

    /// Has a rename undone if the build ends before [`settle`](Janitor::settle).
    /// To be called before the rename.
    pub fn put_back(&mut self, rename: PutBack) {
        self.tell(&Order::PutBack(rename));
    }

    /// Has all renames stay.
    pub fn settle(&mut self) {
        self.tell(&Order::Settle);
    }

    /// Has the janitor wait for the end of this process before it removes anything.
    pub(in crate::appliance) fn watch(&mut self, pid: libc::pid_t) {
        self.tell(&Order::Watch(pid));
    }

    /// Removes what is on the list, waits until that is done and ends the janitor.
    ///
    /// # Errors
    /// The first path that could not be removed.
    pub fn finish(mut self) -> Result<(), Error> {
        self.close()
    }

    /// Why nothing is written to the journal since the last call, if it once was:
    /// its filesystem is full, for instance.
    pub fn lost_journal(&mut self) -> Option<io::Error> {
        self.lost.take()
    }

    fn tell(&mut self, order: &Order) {
        if let Some(journal) = &mut self.journal {
            if let Err(error) = journal.write(order) {
                // Half of the duties, carried out, would leave half of the outputs.
                let _ = fs::remove_file(journal.path());
                self.journal = None;
                self.lost = Some(error);
            }
        }
        self.duties.take(order.clone());
        // Fails if the janitor was killed; then there is the list.
        let _ = protocol::send(&mut self.control, order);
    }

    fn close(&mut self) -> Result<(), Error> {
        self.closed = true;
        // Fails if the janitor was killed.
        let _ = self.control.shutdown(Shutdown::Write);
        let result = read_answer(&mut self.control);
        let _ = self.child.wait();
        match result {
            Err(Error::Died { .. }) => {
                let journal = self.journal.as_ref().map(Journal::path);
                finish(&self.duties, journal).map_err(Error::Sandbox)
            }
            result => result,
        }
    }
}

impl Drop for Janitor {
    fn drop(&mut self) {
        // An error or a panic: what the janitor cannot remove it prints.
        if !self.closed {
            let _ = self.close();
        }
    }
}

/// Does what there is to do, and removes the file that says so.
fn finish(duties: &Duties, journal: Option<&Path>) -> Result<(), Fault> {
    duties.carry_out()?;
    let Some(path) = journal else {
        return Ok(());
    };
    match fs::remove_file(path) {
        // Somebody has cleared the cache: there is nothing to be cleared later.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => {
            let doing = format!("removing {}", path.display());
            Err(Fault::new(FaultKind::File, doing, &error))
        }
        Ok(()) => Ok(()),
    }
}

/// The hidden command `safedib sandbox-janitor FD [JOURNAL]`.
pub(super) fn sandbox_janitor(arguments: &[OsString]) -> i32 {
    let Some(mut control) = control_from(arguments) else {
        return 2;
    };
    let journal = arguments.get(1).map(PathBuf::from);
    // It ends with the build, not before: who signals a whole session means that.
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        // SAFETY: SIG_IGN runs no code of ours.
        let _ = unsafe { nix::sys::signal::signal(signal, SigHandler::SigIgn) };
    }
    let mut duties = Duties::default();
    let mut watched: Vec<OwnedFd> = Vec::new();
    if protocol::send(&mut control, &None::<Fault>).is_err() {
        return 1;
    }
    while let Ok(order) = read_order(&mut control) {
        match order {
            // A process that cannot be opened has ended.
            Order::Watch(pid) => watched.extend(sys::pidfd_open(pid).ok()),
            order => duties.take(order),
        }
    }
    for process in &watched {
        // Without an answer in time the removal itself tells what is wrong.
        let _ = sys::wait_readable(&[process.as_fd()], PATIENCE_MS);
    }
    let result = finish(&duties, journal.as_deref());
    if let Err(error) = &result {
        tell!("safedib: {}", error.doing);
    }
    let failed = result.is_err();
    // A dead driver hears nothing.
    let _ = protocol::send(&mut control, &result.err());
    i32::from(failed)
}
