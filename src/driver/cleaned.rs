//! What an interrupted build tells: where it was, what has ended, what was
//! removed and what is as it was before. Nothing is told that has not been seen.

use std::path::{Path, PathBuf};

use crate::error::reason;
use crate::plan::{Phase, Plan, Stage};
use crate::report::appliance_name;

use super::{finish, Error, Workspace};

/// Where the signal has found a session of `stage`, and that its appliance, which
/// has been waited for, has ended.
pub(super) fn found(
    plan: &Plan,
    stage: &Stage,
    step: usize,
    hook: Option<(Phase, String)>,
) -> Vec<String> {
    let index = stage.steps.start.saturating_add(step);
    let step = plan
        .steps
        .get(index)
        .map(|planned| planned.step.to_string());
    let place = match hook {
        Some((phase, hook)) => {
            let known = plan
                .hooks
                .iter()
                .find(|known| known.phase == phase && known.name == hook);
            let element = known.map(|known| format!(" of element `{}`", known.element));
            format!(
                "it was running hook `{hook}`{} in phase {}",
                element.unwrap_or_default(),
                phase.name()
            )
        }
        None => format!("it was at the step '{}'", step.unwrap_or_default()),
    };
    let network = match plan.network {
        true => ", and its network helper",
        false => "",
    };
    let ended = format!(
        "ended: the {} appliance with all that ran in it{network}",
        appliance_name(stage.kind)
    );
    vec![place, ended]
}

/// What a build had on the host when it was about to be cleared.
pub(super) struct Cleaned {
    paths: Vec<PathBuf>,
    imported: Vec<String>,
    kept: Vec<String>,
}

impl Cleaned {
    /// Looks before the janitor comes; `kept` are outputs that stay on demand.
    pub(super) fn before(workspace: &Workspace, kept: Vec<String>) -> Cleaned {
        Cleaned {
            paths: workspace.janitor.there(),
            imported: workspace.imported.clone(),
            kept,
        }
    }

    /// Completes the message of an interruption when the janitor has been there,
    /// which may have failed to remove something. Other errors stay as they are.
    pub(super) fn tell(
        self,
        error: Error,
        plan: &Plan,
        removed: &Result<(), crate::appliance::namespace::Error>,
    ) -> Error {
        let Error::Interrupted {
            name,
            number,
            mut story,
            ..
        } = error
        else {
            return error;
        };
        let gone = self.paths.iter().filter(|path| !is_there(path));
        let gone: Vec<String> = gone.map(|path| path.display().to_string()).collect();
        if !gone.is_empty() {
            story.push(format!("removed: {}", gone.join(", ")));
        }
        if !self.imported.is_empty() {
            story.push(format!("imported already: {}", self.imported.join(", ")));
        }
        if !self.kept.is_empty() {
            let kept = self.kept.join(", ");
            story.push(format!("kept, as --no-delete-on-failure asks: {kept}"));
        }
        story.extend(outputs(plan, &self.kept));
        Error::Interrupted {
            name,
            number,
            story,
            left: removed.as_ref().err().map(|error| reason(error)),
        }
    }
}

/// What is at the places of the outputs: nothing is put there before the last
/// moment at which a signal counts.
fn outputs(plan: &Plan, kept: &[String]) -> Option<String> {
    let told: Vec<String> = finish::outputs(plan)
        .into_iter()
        .filter(|(shown, _)| !kept.contains(shown))
        .map(|(shown, path)| match is_there(&path) {
            true => format!("{shown} is as it was"),
            false => format!("there is no {shown}"),
        })
        .collect();
    (!told.is_empty()).then(|| format!("no output was touched: {}", told.join(", ")))
}

fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
