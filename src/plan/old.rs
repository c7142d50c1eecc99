//! What a build by the rules of an older generation cannot do, said before it starts.

use std::ffi::OsStr;
use std::path::Path;

use crate::elements::{self, ElementSet, Hook, Location, MergedHooks, Phase};
use crate::request::{BuildRequest, Generation};

use super::Error;

/// Where the appliance's programs are.
const PROGRAMS: [&str; 3] = ["/usr/local/bin", "/usr/bin", "/bin"];

/// Takes out the hooks of phases that the generation does not have.
///
/// A line for each.
pub(super) fn drop_unknown_phases(generation: Generation, merged: &mut MergedHooks) -> Vec<String> {
    if generation.has_late_outside_phases() {
        return Vec::new();
    }
    [Phase::PostRoot, Phase::PreFinalise]
        .iter()
        .filter_map(|phase| merged.hooks.remove(phase))
        .flatten()
        .map(|hook| {
            format!(
                "{}/{} of element {} does not run: generation {generation} has no such phase",
                hook.phase.directory(),
                hook.name,
                hook.element
            )
        })
        .collect()
}

/// Refuses hooks outside whose interpreter the appliance does not have. A line
/// for each hook in the target that needs one which current distributions lack:
/// whether the target has it is known only then.
///
/// # Errors
/// [`Error::NoInterpreter`].
pub(super) fn check_interpreters(
    generation: Generation,
    hooks: &[&Hook],
    exists: &dyn Fn(&Path) -> bool,
) -> Result<Vec<String>, Error> {
    let mut lines = Vec::new();
    for hook in hooks {
        let Some(program) = elements::interpreter(&hook.path) else {
            continue;
        };
        let ours = program == "python" && generation.has_commands_on_path();
        if ours || !(program == "python" || program.starts_with("python2")) {
            continue;
        }
        let here = PROGRAMS
            .iter()
            .any(|directory| exists(&Path::new(directory).join(&program)));
        match hook.phase.location() {
            Location::InTarget => lines.push(format!(
                "{}/{} of element {} needs {program} in the target, which current distributions \
                 do not have",
                hook.phase.directory(),
                hook.name,
                hook.element
            )),
            Location::Outside if here => {}
            Location::Outside => {
                return Err(Error::NoInterpreter {
                    program,
                    element: hook.element.clone(),
                    path: hook.path.clone(),
                })
            }
        }
    }
    Ok(lines)
}

/// A line for each element that reaches for what is gone.
pub(super) fn gone_sources(request: &BuildRequest, set: &ElementSet) -> Vec<String> {
    let generation = request.generation.generation;
    if generation == Generation::V3 {
        return Vec::new();
    }
    let is_set = |name: &str| {
        let value = request.environment.get(OsStr::new(name));
        value.is_some_and(|value| !value.is_empty())
    };
    elements::gone_sources(set, &is_set)
        .iter()
        .map(|gone| {
            format!(
                "element {} of generation {generation} gets {}; {} may lead elsewhere",
                gone.element,
                gone.what,
                gone.unless_set.join(" or ")
            )
        })
        .collect()
}
