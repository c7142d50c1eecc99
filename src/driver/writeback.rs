//! Outputs go to the disk while they are written: at the end each is synced before
//! its name appears, and builds side by side would all wait for the disk then.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{channel, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::libc;

use crate::output::beneath;
use crate::plan::{Plan, Step};

/// How often what is new goes out: a disk writes some megabytes in that time.
const INTERVAL: Duration = Duration::from_millis(10);

/// Starts to write the outputs of a plan to the disk as soon as a step makes one.
pub(super) struct Writeback {
    staging: PathBuf,
    files: Vec<String>,
    worker: Option<(Sender<()>, JoinHandle<usize>)>,
}

impl Writeback {
    /// For the outputs that are files, which lie in `staging` while they are made.
    pub(super) fn new(staging: &Path, plan: &Plan) -> Writeback {
        let files = plan.outputs.iter().filter(|output| output.path.is_some());
        Writeback {
            staging: staging.to_owned(),
            files: files.map(|output| output.staged.clone()).collect(),
            worker: None,
        }
    }

    /// Takes notice of a step that begins.
    pub(super) fn step(&mut self, step: &Step) {
        let writes = matches!(
            step,
            Step::PackArchive { .. }
                | Step::Gzip { .. }
                | Step::ConvertDisk { .. }
                | Step::ConvertToVhd { .. }
                | Step::TakeRawDisk { .. }
        );
        if writes && self.worker.is_none() {
            let (staging, files) = (self.staging.clone(), self.files.clone());
            let (stop, stopped) = channel();
            let thread = thread::spawn(move || write_out(&staging, &files, &stopped));
            self.worker = Some((stop, thread));
        }
    }
}

impl Drop for Writeback {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.worker.take() {
            drop(stop);
            // Nothing depends on what it did: the files are synced later.
            let _ = thread.join();
        }
    }
}

/// Returns how many of the files there were.
fn write_out(staging: &Path, files: &[String], stopped: &Receiver<()>) -> usize {
    let mut open: Vec<(&String, Option<File>)> = files.iter().map(|name| (name, None)).collect();
    while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
        for (name, file) in &mut open {
            if file.is_none() {
                *file = beneath::open_file(staging, name.as_str()).ok();
            }
            if let Some(file) = file {
                begin(file);
            }
        }
    }
    open.iter().filter(|(_, file)| file.is_some()).count()
}

/// Begins to write what is in memory only, and does not wait for it.
fn begin(file: &File) {
    // SAFETY: the descriptor is open; no memory is handed over.
    let _unsupported =
        unsafe { libc::sync_file_range(file.as_raw_fd(), 0, 0, libc::SYNC_FILE_RANGE_WRITE) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_steps_write_goes_out_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| directory.path().join(name);
        fs::write(file("there"), "x").unwrap();
        std::os::unix::fs::symlink("/dev/zero", file("planted")).unwrap();
        let mut writeback = Writeback {
            staging: directory.path().to_owned(),
            files: ["there", "planted", "later"].map(str::to_owned).into(),
            worker: None,
        };
        writeback.step(&Step::Inventory);
        assert!(writeback.worker.is_none());
        writeback.step(&Step::Gzip {
            program: "gzip".into(),
            input: "later".into(),
            output: "there".into(),
            remove_input: true,
        });
        fs::write(file("later"), "x").unwrap();
        thread::sleep(20 * INTERVAL);
        let (stop, thread) = writeback.worker.take().unwrap();
        drop(stop);
        assert_eq!(thread.join().unwrap(), 2);
    }
}
