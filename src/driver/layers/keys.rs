//! Keys: what a state of the target stands for.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use walkdir::WalkDir;

use crate::driver::error::Error;
use crate::elements::Hook;
use crate::output::checksum::hexadecimal;
use crate::plan::{Phase, Plan, Step};
use crate::protocol::LayerPoint;

use super::inputs::{add, content_of, Inputs};

/// Every hook after which the state of the target can be told by a key, in running
/// order. Those of the first appliance: another one gets the hooks tree as it is.
///
/// # Errors
/// A hook cannot be read.
pub(super) fn points(plan: &Plan, inputs: &Inputs) -> Result<Vec<LayerPoint>, Error> {
    let mut chain = Chain::new(inputs)?;
    let mut points = Vec::new();
    let first = plan.stages().into_iter().next().map(|stage| stage.steps);
    for planned in plan
        .steps
        .get(first.unwrap_or_default())
        .unwrap_or_default()
    {
        match &planned.step {
            Step::MoveTargetToBuilt => break,
            // Each phase has its own hooks; what else there is belongs to elements.
            Step::MergeHooks { .. } => {}
            Step::RunHooks { phase } => chain.phase(plan, *phase, &mut points)?,
            other => chain.step(other)?,
        }
    }
    Ok(points)
}

/// A digest that grows.
struct Chain(String);

impl Chain {
    fn new(inputs: &Inputs) -> Result<Chain, Error> {
        let text = serde_json::to_string(&inputs.digests).map_err(not_json)?;
        Ok(Chain(hexadecimal(Sha256::digest(text))))
    }

    fn step(&mut self, step: &Step) -> Result<(), Error> {
        let text = serde_json::to_string(step).map_err(not_json)?;
        self.0 = hexadecimal(Sha256::digest(format!("{} {text}", self.0)));
        Ok(())
    }

    /// Hooks one by one; what they may find beside them, and which hooks may enable,
    /// counts from the beginning.
    fn phase(
        &mut self,
        plan: &Plan,
        phase: Phase,
        points: &mut Vec<LayerPoint>,
    ) -> Result<(), Error> {
        let hooks: Vec<&Hook> = plan.hooks_of(phase).collect();
        let mut state = Sha256::new();
        state.update(format!("{} {}", self.0, phase.name()));
        for path in beside(plan, phase, &hooks)? {
            add(&mut state, path.as_os_str(), &content_of(&path)?);
        }
        self.0 = hexadecimal(state.finalize());
        for hook in hooks {
            let mut state = Sha256::new();
            state.update(&self.0);
            add(&mut state, OsStr::new(&hook.name), &content_of(&hook.path)?);
            self.0 = hexadecimal(state.finalize());
            points.push(LayerPoint {
                phase,
                hook: hook.name.clone(),
                key: self.0.clone(),
            });
        }
        Ok(())
    }
}

/// What elements have in the phase's directory that is no hook, sorted.
fn beside(plan: &Plan, phase: Phase, hooks: &[&Hook]) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    for element in &plan.elements.elements {
        let directory = element.path.join(phase.directory());
        if !directory.is_dir() {
            continue;
        }
        for entry in WalkDir::new(&directory).min_depth(1).sort_by_file_name() {
            let path = entry
                .map_err(|error| unreadable(&directory, error))?
                .into_path();
            let is_hook =
                |hook: &&Hook| fs::canonicalize(&path).is_ok_and(|p| same(&p, &hook.path));
            if !hooks.iter().any(is_hook) {
                found.push(path);
            }
        }
    }
    Ok(found)
}

fn same(real: &Path, hook: &Path) -> bool {
    real == hook || fs::canonicalize(hook).is_ok_and(|hook| real == hook)
}

fn unreadable(path: &Path, error: walkdir::Error) -> Error {
    Error::Host {
        what: format!("read {}", path.display()),
        source: error.into(),
    }
}

fn not_json(error: serde_json::Error) -> Error {
    Error::Host {
        what: "write what a layer stands for".into(),
        source: error.into(),
    }
}
