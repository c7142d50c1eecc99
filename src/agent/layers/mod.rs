//! Layers: states of the inside that are kept between two hooks, for builds that
//! begin with the same hooks.
//!
//! A layer is a directory of archives: the target's tree, the work directories,
//! what hooks changed in the hooks tree, and what they left elsewhere in the
//! appliance. It is kept while the runner of the hooks waits, and only if nothing
//! else runs and all that is mounted below the target can be mounted again.

mod keep;
mod restore;
mod state;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::error::Error;
use super::output::Log;
use crate::plan::Phase;
use crate::protocol::{self, FromAgent, KeptLayer};

pub(crate) use restore::restore;
pub(crate) use state::note_bind;

/// The target's tree.
const TREE: &str = "tree.tar";
/// `TMP_BUILD_DIR`, without what is elsewhere.
const BUILD: &str = "build.tar";
/// `TMP_IMAGE_DIR`.
const IMAGE: &str = "image.tar";
/// What hooks changed in the hooks tree.
const HOOKS: &str = "hooks.tar";
/// What hooks left in the appliance's own directories.
const OUTSIDE: &str = "outside.tar";
/// [`state::Facts`].
const FACTS: &str = "facts.json";
/// In `TMP_BUILD_DIR`: what a layer has by itself, or what each build writes anew.
const NOT_OF_BUILD: [&str; 6] = [
    "mnt",
    "built",
    "filesystems",
    "hooks",
    "block-device",
    "states",
];
/// How many times the cost of keeping a layer the hooks must have worked.
const WORTH: u32 = 4;
/// What keeping a layer is taken to cost before one has been kept.
const FIRST_COST: Duration = Duration::from_secs(1);

fn scratch_name(number: usize) -> String {
    format!("scratch-{number}.tar")
}

/// Keeps layers while hooks run.
pub(crate) struct Keeper {
    wanted: protocol::Layers,
    places: Places,
    /// Since when hooks have worked for the next layer.
    since: Instant,
    cost: Duration,
    phase: Option<Phase>,
    /// Hooks of the phase that have run.
    done: Vec<String>,
    /// Key of the last hook of the plan that has run.
    key: Option<String>,
    before: Option<state::Before>,
    told: bool,
}

/// Where things are in the appliance.
struct Places {
    /// `TMP_BUILD_DIR`.
    build: PathBuf,
    /// `TMP_IMAGE_DIR`.
    image: PathBuf,
    /// Where only the new content of shared directories is seen.
    scratch: Vec<PathBuf>,
    /// What is the host's, or in a layer by itself.
    not_outside: Vec<PathBuf>,
}

impl Places {
    fn target(&self) -> PathBuf {
        self.build.join("mnt")
    }

    fn hooks(&self) -> PathBuf {
        self.build.join("hooks")
    }
}

impl Keeper {
    /// Whoever keeps the layers that a session wants, with its `TMP_BUILD_DIR` and
    /// `TMP_IMAGE_DIR`, and where only the new content of shared directories is seen.
    pub(crate) fn new(
        wanted: protocol::Layers,
        build: &Path,
        image: &Path,
        scratch: &[PathBuf],
    ) -> Self {
        let mut not_outside = wanted.shared.clone();
        not_outside.extend([build.to_owned(), image.to_owned()]);
        Keeper {
            key: wanted.begins_with.clone(),
            wanted,
            places: Places {
                build: build.into(),
                image: image.into(),
                scratch: scratch.into(),
                not_outside,
            },
            since: Instant::now(),
            cost: FIRST_COST,
            phase: None,
            done: Vec::new(),
            before: None,
            told: false,
        }
    }

    /// Takes note of how everything is before a hook has run, or a layer has been
    /// restored.
    ///
    /// # Errors
    /// The hooks tree cannot be read.
    pub(crate) fn look(&mut self) -> Result<(), Error> {
        if self.before.is_none() {
            let before = state::Before::now(&self.places.hooks(), SystemTime::now());
            self.before = Some(before.map_err(Error::io("read", self.places.hooks()))?);
        }
        self.since = Instant::now();
        Ok(())
    }

    /// A phase begins: the hooks that have run in it already.
    ///
    /// # Errors
    /// As [`look`](Keeper::look).
    pub(crate) fn begin(&mut self, phase: Phase) -> Result<Vec<String>, Error> {
        if self.before.is_none() {
            self.look()?;
        }
        self.phase = Some(phase);
        self.done = std::mem::take(&mut self.wanted.done);
        Ok(self.done.clone())
    }

    /// A hook has ended, and its runner waits.
    ///
    /// # Errors
    /// The driver is gone. That a layer cannot be kept is only told.
    pub(crate) fn ended(&mut self, log: &mut Log, hook: &str, status: i32) -> Result<(), Error> {
        if status != 0 {
            return match self.key.clone() {
                Some(key) => self.keep(log, key, Some(hook)),
                None => Ok(()),
            };
        }
        self.done.push(hook.to_owned());
        let points = &self.wanted.points;
        let is_it =
            |point: &&protocol::LayerPoint| Some(point.phase) == self.phase && point.hook == hook;
        let Some(point) = points.iter().find(is_it) else {
            return Ok(());
        };
        let (key, last) = (point.key.clone(), Some(point) == points.last());
        self.key = Some(key.clone());
        match self.is_due(last) {
            true => self.keep(log, key, None),
            false => Ok(()),
        }
    }

    /// Whether enough has been done since the last layer. After the last hook that
    /// counts, all that keeps the next build from running any is worth it.
    fn is_due(&self, last: bool) -> bool {
        let least = match (self.wanted.step, last) {
            (Some(step), _) => Duration::from_secs_f64(step),
            (None, true) => self.cost,
            (None, false) => self.cost * WORTH,
        };
        self.since.elapsed() >= least
    }

    fn keep(&mut self, log: &mut Log, key: String, failed: Option<&str>) -> Result<(), Error> {
        let (Some(phase), Some(before)) = (self.phase, &self.before) else {
            return Ok(());
        };
        let began = Instant::now();
        if let Err(why) = keep::keep(&self.places, before, phase, &self.directory(&key, failed)) {
            // The same will stand in the way of the next one.
            if !std::mem::replace(&mut self.told, true) {
                let done = self.done.last().map_or("", String::as_str);
                log.say(format!(
                    "safedib: no layer is kept after {}/{done}: {why}",
                    phase.directory()
                ))?;
            }
            return Ok(());
        }
        self.cost = began.elapsed();
        self.since = Instant::now();
        let layer = KeptLayer {
            key,
            phase,
            done: self.done.clone(),
            failed: failed.map(str::to_owned),
        };
        let seconds = self.cost.as_secs_f64();
        log.send(&FromAgent::LayerKept { layer, seconds })
    }

    fn directory(&self, key: &str, failed: Option<&str>) -> PathBuf {
        let suffix = if failed.is_some() {
            protocol::FAILED
        } else {
            ""
        };
        Path::new(&self.wanted.directory).join(format!("{key}{suffix}"))
    }
}
