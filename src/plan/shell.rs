//! A plan that ends with a shell in place of outputs.

use crate::elements::{Location, Phase};
use crate::request::ShellPlace;

use super::{Error, PlannedStep, Step};

/// Ends the steps at a place, with a shell there.
///
/// # Errors
/// [`Error::NoSuchPlace`] if no step runs the phase.
pub(super) fn end_with_shell(
    mut steps: Vec<PlannedStep>,
    place: &ShellPlace,
) -> Result<Vec<PlannedStep>, Error> {
    let unknown = || Error::NoSuchPlace {
        phase: place.phase.clone(),
    };
    let named = |phase: &Phase| phase.name() == place.phase;
    let phase = Phase::ALL.into_iter().find(named).ok_or_else(unknown)?;
    let runs = |planned: &PlannedStep| match planned.step {
        Step::RunHooks { phase: other } => other == phase,
        Step::RunDeviceHooks { .. } => phase == Phase::BlockDevice,
        _ => false,
    };
    let at = steps.iter().position(runs).ok_or_else(unknown)?;
    let like = steps.get(at).cloned().ok_or_else(unknown)?;
    let kept = if place.before {
        at
    } else {
        at.saturating_add(1)
    };
    steps.truncate(kept);
    steps.push(PlannedStep {
        step: Step::OpenShell {
            phase,
            location: match place.outside {
                true => Location::Outside,
                false => phase.location(),
            },
            before: place.before,
        },
        ..like
    });
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::ApplianceKind;

    fn steps() -> Vec<PlannedStep> {
        let steps = [
            Step::CreateTarget,
            Step::RunHooks { phase: Phase::Root },
            Step::RunHooks {
                phase: Phase::Install,
            },
            Step::UnmountTarget,
        ];
        let planned = |step| PlannedStep {
            step,
            appliance: ApplianceKind::Namespace,
            why: "test".into(),
        };
        steps.map(planned).to_vec()
    }

    fn place(phase: &str, before: bool, outside: bool) -> ShellPlace {
        ShellPlace {
            phase: phase.into(),
            before,
            outside,
        }
    }

    #[test]
    fn nothing_follows_the_shell() {
        for (before, kept) in [(true, 2), (false, 3)] {
            let cut = end_with_shell(steps(), &place("install", before, false)).unwrap();
            assert_eq!(cut[..kept], steps()[..kept]);
            assert_eq!(cut.len(), kept + 1);
            let expected = Step::OpenShell {
                phase: Phase::Install,
                location: Location::InTarget,
                before,
            };
            assert_eq!(cut[kept].step, expected);
        }
        let outside = end_with_shell(steps(), &place("install", false, true)).unwrap();
        assert!(matches!(
            outside[3].step,
            Step::OpenShell {
                location: Location::Outside,
                ..
            }
        ));
    }

    #[test]
    fn a_phase_that_does_not_run_is_no_place() {
        for phase in ["finalise", "none", ""] {
            let found = end_with_shell(steps(), &place(phase, false, false));
            assert!(matches!(found, Err(Error::NoSuchPlace { .. })), "{phase}");
        }
    }
}
