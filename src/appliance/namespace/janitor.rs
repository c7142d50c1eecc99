//! Removes what is on disk when the driver ends, however it ends.
//!
//! A process of the caller's that outlives the driver: it notices the end by
//! the hang-up of a socket that nobody else holds.

use std::ffi::OsString;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Child;

use nix::libc;
use serde::{Deserialize, Serialize};

use super::error::{Error, Fault, FaultKind};
use super::ids::Mapping;
use super::ops::raw_path;
use super::remove::{read_answer, remove_tree, spawn_helper};
use super::sys;
use super::wire::{control_from, read_order};
use crate::protocol;

/// How long the processes of a sandbox may take to die before the files that
/// they may still write to are removed anyway.
const PATIENCE_MS: i32 = 10_000;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Order {
    Add(#[serde(with = "raw_path")] PathBuf),
    Forget(#[serde(with = "raw_path")] PathBuf),
    Watch(libc::pid_t),
}

/// Paths that are removed when the build ends, killed or not.
#[derive(Debug)]
pub struct Janitor {
    control: UnixStream,
    child: Child,
}

impl Janitor {
    /// Starts the janitor, a process of `binary` (safedib), with nothing to do.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be executed.
    pub fn start(binary: &Path) -> Result<Janitor, Error> {
        let (control, child) = spawn_helper(binary, "sandbox-janitor")?;
        let mut janitor = Janitor { control, child };
        read_answer(&mut janitor.control)?;
        Ok(janitor)
    }

    /// Puts an absolute path on the list. Best called before the path is made.
    ///
    /// # Errors
    /// [`Error::Died`] if the janitor was killed.
    pub fn add(&mut self, path: &Path) -> Result<(), Error> {
        self.tell(&Order::Add(path.to_owned()))
    }

    /// Takes a path from the list.
    ///
    /// # Errors
    /// [`Error::Died`] if the janitor was killed.
    pub fn forget(&mut self, path: &Path) -> Result<(), Error> {
        self.tell(&Order::Forget(path.to_owned()))
    }

    /// Has the janitor wait for the end of this process before it removes anything.
    pub(in crate::appliance) fn watch(&mut self, pid: libc::pid_t) -> Result<(), Error> {
        self.tell(&Order::Watch(pid))
    }

    /// Removes what is on the list, waits until that is done and ends the janitor.
    ///
    /// # Errors
    /// The first path that could not be removed.
    pub fn finish(mut self) -> Result<(), Error> {
        self.close()
    }

    fn tell(&mut self, order: &Order) -> Result<(), Error> {
        protocol::send(&mut self.control, order).map_err(|_| Error::Died {
            while_: "adding to the janitor's list",
        })
    }

    fn close(&mut self) -> Result<(), Error> {
        // Fails only when it has been done already.
        let _ = self.control.shutdown(Shutdown::Write);
        let result = read_answer(&mut self.control);
        let _ = self.child.wait();
        result
    }
}

impl Drop for Janitor {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // What it could not remove it has printed.
            let _ = self.close();
        }
    }
}

/// The hidden command `safedib sandbox-janitor FD`.
pub(super) fn sandbox_janitor(arguments: &[OsString]) -> i32 {
    let Some(mut control) = control_from(arguments) else {
        return 2;
    };
    let mut paths: Vec<PathBuf> = Vec::new();
    let mut watched: Vec<OwnedFd> = Vec::new();
    if protocol::send(&mut control, &None::<Fault>).is_err() {
        return 1;
    }
    while let Ok(order) = read_order(&mut control) {
        match order {
            Order::Add(path) => paths.push(path),
            Order::Forget(path) => paths.retain(|other| *other != path),
            // A process that cannot be opened has ended.
            Order::Watch(pid) => watched.extend(sys::pidfd_open(pid).ok()),
        }
    }
    for process in &watched {
        // Without an answer in time the removal itself tells what is wrong.
        let _ = sys::wait_readable(&[process.as_fd()], PATIENCE_MS);
    }
    paths.reverse();
    let result = clean(&paths);
    if let Err(error) = &result {
        eprintln!("safedib: {}", error.doing);
    }
    let failed = result.is_err();
    // A dead driver hears nothing.
    let _ = protocol::send(&mut control, &result.err());
    i32::from(failed)
}

fn clean(paths: &[PathBuf]) -> Result<(), Fault> {
    if paths.is_empty() {
        return Ok(());
    }
    let fault = |text: String| Fault::new(FaultKind::File, text, &io::ErrorKind::Other.into());
    // Users without subordinate ids have no trees of such ids.
    let mapping = Mapping::of_caller().unwrap_or(Mapping::none());
    remove_tree(Path::new("/proc/self/exe"), &mapping, paths)
        .map_err(|error| fault(crate::error::Error::from(error).render()))
}
