//! Layers: states of the target that earlier builds have kept, and that this one
//! keeps. What a layer stands for is told by its key, a digest of all that went in.

mod inputs;
mod keys;
pub mod store;

use std::path::{Path, PathBuf};

use crate::elements::Hook;
use crate::plan::{begin_with_layer, Plan, Share};
use crate::protocol::{self, KeptLayer, LayerPoint};
use crate::report::{now, LayerFacts, LogWriter};
use crate::request::{BuildRequest, LayerOptions};

use super::error::{self, Error};
use inputs::Inputs;
use store::{Found, Meta, Store};

/// What a build has to do with layers.
pub(super) struct Layers {
    options: LayerOptions,
    store: Store,
    points: Vec<LayerPoint>,
    inputs: Inputs,
    found: Option<Found>,
    /// What is kept now gets this.
    root_uuid: String,
    since: u64,
}

impl Layers {
    /// Looks for the layer with which the build of `plan` can begin: a plan without
    /// anything that is chosen at random.
    ///
    /// # Errors
    /// An element, or the directory of layers, cannot be read.
    pub(super) fn find(
        request: &BuildRequest,
        options: &LayerOptions,
        plan: &Plan,
        root_uuid: String,
    ) -> Result<Layers, Error> {
        let inputs = inputs::gather(request, plan)?;
        let points = keys::points(plan, &inputs)?;
        let store = Store::at(&options.directory);
        let now = now();
        let oldest = match plan.network {
            true => now.saturating_sub(options.max_age),
            false => 0,
        };
        let found = store.find(&points, options.resume, oldest)?;
        let meta = found.as_ref().map(|found| &found.meta);
        Ok(Layers {
            root_uuid: meta.map_or(root_uuid, |meta| meta.root_uuid.clone()),
            since: meta.map_or(now, |meta| meta.since),
            options: options.clone(),
            store,
            points,
            inputs,
            found,
        })
    }

    /// The UUID that the image's root gets: a layer may have it in files.
    pub(super) fn root_uuid(&self) -> &str {
        &self.root_uuid
    }

    /// Has the plan begin with the layer, and tell so.
    pub(super) fn change(&self, plan: &mut Plan, scratch: &[PathBuf]) {
        if let Some(Found { meta, .. }) = &self.found {
            if let Some(steps) = begin_with_layer(&plan.steps, meta.phase, scratch) {
                plan.steps = steps;
            }
        }
        plan.messages.push(self.message());
    }

    fn message(&self) -> String {
        let Some(Found { meta, .. }) = &self.found else {
            return match self.store.why_none(&self.inputs) {
                Some(why) => format!("safedib: no layer to begin with: {why}"),
                None => "safedib: no layer to begin with".into(),
            };
        };
        let age = store::age(now().saturating_sub(meta.made));
        match &meta.failed {
            Some(hook) => format!(
                "safedib: resuming at {}/{hook}, which failed {age} ago, with all that it has left",
                meta.phase.directory()
            ),
            None => format!(
                "safedib: beginning with the layer after {}, kept {age} ago",
                meta.place()
            ),
        }
    }

    /// What a report tells of the layer that the build begins with.
    pub(super) fn facts(&self, plan: &Plan) -> Option<LayerFacts> {
        let meta = &self.found.as_ref()?.meta;
        let age = store::age(now().saturating_sub(meta.made));
        let in_it = |hook: &&Hook| {
            hook.phase < meta.phase || hook.phase == meta.phase && meta.done.contains(&hook.name)
        };
        let hooks = plan.hooks.iter().filter(in_it);
        Some(LayerFacts {
            text: format!(
                "The build began with a layer, kept {age} before, after {}",
                meta.place()
            ),
            hooks: hooks
                .map(|hook| format!("{}/{}", hook.phase.directory(), hook.name))
                .collect(),
        })
    }

    /// A directory for new layers, on the filesystem of the others.
    pub(super) fn new_directory(&self, suffix: &str) -> PathBuf {
        self.options.directory.join(format!(".new-{suffix}"))
    }

    /// Makes the directory of layers, for a build that is about to begin.
    ///
    /// # Errors
    /// It cannot be made.
    pub(super) fn create(&self) -> Result<(), Error> {
        self.found.iter().for_each(Found::note_use);
        self.store.create().map_err(|source| Error::Directory {
            what: error::LAYERS,
            directory: self.options.directory.clone(),
            source,
        })
    }

    /// What the first appliance sees of layers.
    pub(super) fn shares(&self, new: &Path) -> Vec<Share> {
        let share = |path: &Path, inside: &str, writable| Share {
            path: path.into(),
            inside: Some(inside.into()),
            writable,
            only_in: None,
            why: "layers".into(),
        };
        let old = self.found.as_ref();
        let old = old.map(|found| share(&found.directory, protocol::LAYER_DIR, false));
        let new = share(new, protocol::NEW_LAYERS_DIR, true);
        old.into_iter().chain([new]).collect()
    }

    /// What the first agent is told; `shared` are paths that it has from the host.
    pub(super) fn session(&self, shared: Vec<PathBuf>) -> protocol::Layers {
        let meta = self.found.as_ref().map(|found| &found.meta);
        // What a failed hook has left is in all that follows.
        let clean = meta.is_none_or(|meta| meta.failed.is_none());
        protocol::Layers {
            directory: protocol::NEW_LAYERS_DIR.into(),
            points: match clean {
                true => self.points.clone(),
                false => Vec::new(),
            },
            step: self.options.step,
            shared,
            done: meta.map(|meta| meta.done.clone()).unwrap_or_default(),
            begins_with: meta.map(|meta| meta.key.clone()),
        }
    }

    /// Takes a layer that an agent has kept to the others. That this fails is only
    /// told: the build goes on.
    pub(super) fn take(&self, new: &Path, kept: &KeptLayer, seconds: f64, log: &mut LogWriter) {
        let meta = Meta {
            version: store::VERSION,
            key: kept.key.clone(),
            phase: kept.phase,
            done: kept.done.clone(),
            failed: kept.failed.clone(),
            made: now(),
            since: self.since,
            root_uuid: self.root_uuid.clone(),
            elements: self.inputs.elements.clone(),
            inputs: self.inputs.digests.clone(),
            bytes: 0,
        };
        let begun_with = self.found.as_ref().map(|found| &found.meta.key);
        let known = self.points.iter().any(|point| point.key == kept.key);
        if !known && begun_with != Some(&kept.key) {
            return log.say("WARNING safedib: an agent names a layer that nobody asked for");
        }
        let place = meta.place();
        log.say(&match self.store.take(new, meta) {
            Ok(bytes) => format!(
                "safedib: kept a layer after {place} ({} MiB, {seconds:.1} s)",
                bytes >> 20
            ),
            Err(error) => format!("WARNING safedib: cannot keep a layer: {error}"),
        });
    }

    /// Removes the layers that have been unused for longest, down to the room that
    /// they may take.
    pub(super) fn finish(self, log: &mut LogWriter) {
        // The layer that was begun with is not used any more.
        drop(self.found);
        match self.store.shrink(self.options.max_bytes) {
            Ok(0) => {}
            Ok(count) => log.say(&format!(
                "safedib: removed {count} old layers (--cache-max)"
            )),
            Err(error) => log.say(&format!("WARNING safedib: {error}")),
        }
    }
}
