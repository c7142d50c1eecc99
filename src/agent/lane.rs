//! Archives are packed and compressed beside the making of the disk: both only
//! read the finished tree, and neither keeps two processors busy.

use std::sync::mpsc::{channel, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::output::Error;
use crate::plan::Step;

/// One thread that carries out what it is given, in that order.
#[derive(Default)]
pub(crate) struct Lane {
    worker: Option<Worker>,
    done: Vec<Done>,
}

struct Worker {
    jobs: Sender<Job>,
    thread: JoinHandle<(Vec<Done>, Result<(), Failed>)>,
}

/// Work that is done.
pub(crate) struct Done {
    /// The step that it was for.
    pub(crate) step: usize,
    /// How long it took.
    pub(crate) took: Duration,
    /// When it ended.
    pub(crate) ended: Instant,
}

/// What a step wants done.
type Work = Box<dyn FnOnce() -> Result<(), Error> + Send>;

struct Job {
    step: usize,
    work: Work,
}

/// What failed, and for which step.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) step: usize,
    pub(crate) error: Error,
}

impl Lane {
    /// Whether a step may run while the lane is busy: it neither needs what is
    /// packed there nor changes the tree.
    pub(crate) fn allows(step: &Step) -> bool {
        matches!(
            step,
            Step::PackArchive { .. }
                | Step::Inventory
                | Step::Gzip { .. }
                | Step::CollectSideFiles { .. }
                | Step::AssembleDisk { .. }
                | Step::ConvertDisk { .. }
                | Step::ConvertToVhd { .. }
                | Step::TakeRawDisk { .. }
        )
    }

    /// Has this done for the step with that number, after all that is waiting.
    pub(crate) fn push(
        &mut self,
        step: usize,
        work: impl FnOnce() -> Result<(), Error> + Send + 'static,
    ) {
        let worker = self.worker.get_or_insert_with(|| {
            let (jobs, receiver) = channel();
            let thread = thread::spawn(move || run(receiver));
            Worker { jobs, thread }
        });
        // It has ended if something failed, and `settle` tells.
        let _ = worker.jobs.send(Job {
            step,
            work: Box::new(work),
        });
    }

    /// Whether something has failed already.
    pub(crate) fn has_failed(&self) -> bool {
        let worker = self.worker.as_ref();
        worker.is_some_and(|worker| worker.thread.is_finished())
    }

    /// Waits until all is done.
    ///
    /// # Errors
    /// The first that failed; what came after it was left out.
    pub(crate) fn settle(&mut self) -> Result<(), Failed> {
        let Some(Worker { jobs, thread }) = self.worker.take() else {
            return Ok(());
        };
        drop(jobs);
        let ended = thread.join();
        let (done, ended) = ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        self.done.extend(done);
        ended
    }

    /// What has been done since the last call, as far as it was waited for.
    pub(crate) fn take_done(&mut self) -> Vec<Done> {
        std::mem::take(&mut self.done)
    }
}

fn run(jobs: Receiver<Job>) -> (Vec<Done>, Result<(), Failed>) {
    let mut done = Vec::new();
    for Job { step, work } in jobs {
        let began = Instant::now();
        if let Err(error) = work() {
            return (done, Err(Failed { step, error }));
        }
        done.push(Done {
            step,
            took: began.elapsed(),
            ended: Instant::now(),
        });
    }
    (done, Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[test]
    fn work_is_done_in_order_and_beside() {
        let done = Arc::new(Mutex::new(Vec::new()));
        let (go, wait) = channel::<()>();
        let mut lane = Lane::default();
        let first = done.clone();
        lane.push(3, move || {
            wait.recv().unwrap();
            first.lock().unwrap().push(3);
            Ok(())
        });
        let second = done.clone();
        lane.push(4, move || {
            second.lock().unwrap().push(4);
            Ok(())
        });
        assert!(!lane.has_failed());
        done.lock().unwrap().push(0);
        go.send(()).unwrap();
        lane.settle().unwrap();
        assert_eq!(*done.lock().unwrap(), [0, 3, 4]);
        let steps: Vec<usize> = lane.take_done().iter().map(|done| done.step).collect();
        assert_eq!(steps, [3, 4]);
        lane.settle().unwrap();
        assert!(lane.take_done().is_empty());
    }

    #[test]
    fn the_first_failure_is_told_with_its_step() {
        let mut lane = Lane::default();
        lane.push(7, || Err(Error::Ended));
        lane.push(8, || panic!("this has no archive to compress"));
        let failed = lane.settle().unwrap_err();
        assert_eq!(failed.step, 7);
        assert!(!lane.has_failed());
    }
}
