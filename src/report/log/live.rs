//! A log with a live view: where hooks' output goes then, and what the view is told.

use std::path::{Path, PathBuf};

use super::{Channel, LogWriter};
use crate::plan::Plan;
use crate::protocol::FromAgent;
use crate::report::progress::{Live, ViewPlaces};
use crate::report::LogPlace;

impl LogWriter {
    /// Shows a live view if standard output, to which this log must go, is a
    /// terminal that can have one, and options and environment allow it; else
    /// everything stays as it is.
    ///
    /// The whole log goes above the view if `scroll` asks for that, else to the
    /// file of `--logfile`, or one of its own in the cache. Where that cannot be
    /// opened it is shown.
    #[must_use]
    pub fn with_view(mut self, places: &ViewPlaces) -> LogWriter {
        let mut live = match Live::open(&self.options, places) {
            Ok(Some(live)) => live,
            Ok(None) => return self,
            Err(error) => {
                self.say(&format!("WARNING safedib: no live view: {error}"));
                return self;
            }
        };
        live.doing("prepare the build");
        self.stdout = Some(Channel::new(live.sink(), false, None));
        if !live.scroll && self.file.is_none() {
            match live.open_log(places.image) {
                Ok((file, path)) => {
                    self.place = LogPlace::File(path.clone());
                    self.file = Some(Channel::spare(Box::new(file), path));
                }
                Err((path, error)) => {
                    live.scroll = true;
                    live.print(&format!(
                        "WARNING safedib: cannot keep the log in {} ({error}): showing it here",
                        path.display()
                    ));
                }
            }
        }
        self.live = Some(live);
        self.settle_stamps();
        self
    }

    /// Where the whole log of this build is.
    pub fn place(&self) -> &LogPlace {
        &self.place
    }

    /// Tells the view what there is to do, and what it is for.
    pub fn begin(&mut self, plan: &Plan, arch: &str) {
        if let Some(live) = &mut self.live {
            live.begin(plan, arch);
        }
    }

    /// Tells the view that a session begins, whose first step is that one of the
    /// plan, or none of it, and what is done before its first step.
    pub fn session(&mut self, first: Option<usize>, doing: &str) {
        if let Some(live) = &self.live {
            live.session(first);
            live.doing(doing);
        }
    }

    /// Tells the view what is being done by something that is no step.
    pub fn doing(&mut self, what: &str) {
        if let Some(live) = &self.live {
            live.doing(what);
        }
    }

    /// Tells the view of an event. A debug break or a shell has the terminal for itself.
    pub fn note(&mut self, event: &FromAgent) {
        match event {
            FromAgent::BreakStarted { .. } | FromAgent::ShellStarted => self.suspend_view(),
            FromAgent::BreakEnded | FromAgent::ShellEnded => self.resume_view(),
            event => {
                if let Some(live) = &self.live {
                    live.note(event);
                }
            }
        }
    }

    /// Gives the terminal to somebody else: the view vanishes, and what is logged
    /// goes to standard output as without one, until [`LogWriter::resume_view`].
    pub fn suspend_view(&mut self) {
        if self.live.is_none() {
            return;
        }
        self.close_line();
        self.flush();
        if let Some(live) = &mut self.live {
            live.suspend();
        }
        self.settle_stamps();
    }

    /// Shows the view again.
    pub fn resume_view(&mut self) {
        if self.live.is_none() {
            return;
        }
        self.close_line();
        self.flush();
        if let Some(live) = &mut self.live {
            live.resume();
        }
        self.settle_stamps();
    }

    /// Has the view tell what a build has made, and how long it took.
    pub fn summarise(&mut self, outputs: &[(String, PathBuf)]) {
        self.flush();
        if let Some(live) = &self.live {
            live.summarise(outputs, self.kept());
        }
    }

    /// Tells where the log is, if a view has kept it from the screen.
    pub fn tell_place(&mut self) {
        if let (Some(live), Some(path)) = (&self.live, self.kept()) {
            live.print(&format!("the full log is in {}", path.display()));
        }
    }

    /// Ends the view. Of a build that was refused nobody needs a log.
    pub(super) fn end_view(&mut self) {
        let Some(live) = self.live.take() else {
            return;
        };
        let spare = self.file.as_ref().is_some_and(|file| file.spare);
        if let (LogPlace::File(path), true, false) = (&self.place, spare, live.has_begun()) {
            // One log more is nobody's loss.
            let _left = std::fs::remove_file(path);
        }
    }

    /// The file that has the log because a view is shown.
    fn kept(&self) -> Option<&Path> {
        match &self.place {
            LogPlace::File(path) if self.live.is_some() => Some(path),
            _ => None,
        }
    }

    /// Does something with hooks' output, which a view keeps from the screen.
    pub(super) fn with_hooks<T>(&mut self, work: impl FnOnce(&mut LogWriter) -> T) -> T {
        let hides = self.live.as_ref().is_some_and(Live::hides_hooks);
        let hidden = if hides { self.stdout.take() } else { None };
        let done = work(self);
        if hidden.is_some() {
            self.stdout = hidden;
            // The file may have been lost meanwhile.
            self.settle_stamps();
        }
        done
    }

    /// Goes on without the file that was to have the log: what comes is shown.
    pub(super) fn lose_spare(&mut self, path: PathBuf, error: &std::io::Error) {
        if let Some(live) = &mut self.live {
            live.scroll = true;
            live.print(&format!(
                "WARNING safedib: cannot write to {} ({error}): showing the log here from now on",
                path.display()
            ));
        }
        self.place = LogPlace::Split(path.into());
        self.settle_stamps();
    }

    /// Lines have stamps where the whole log is shown.
    fn settle_stamps(&mut self) {
        let whole = self.live.as_ref().is_none_or(|live| !live.hides_hooks());
        let wanted = !self.options.no_timestamp;
        if let Some(stdout) = &mut self.stdout {
            stdout.stamped = whole && wanted;
        }
    }
}
