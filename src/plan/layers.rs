//! The steps of a build that begins with a layer.

use std::path::PathBuf;

use crate::elements::Phase;

use super::{PlannedStep, Step};

/// The steps that are left when everything up to somewhere in `phase` is taken from
/// a layer; `scratch` are the shared directories as hooks see them. What sets the
/// appliance up stays, in its order. `None` if no step of the plan runs the phase.
pub fn begin_with_layer(
    steps: &[PlannedStep],
    phase: Phase,
    scratch: &[PathBuf],
) -> Option<Vec<PlannedStep>> {
    let runs = |planned: &PlannedStep| planned.step == Step::RunHooks { phase };
    let at = steps.iter().position(runs)?;
    let (before, after) = steps.split_at(at);
    let like = |step: Step| PlannedStep {
        step,
        ..after[0].clone()
    };
    let of = |wanted: fn(&Step) -> bool| before.iter().filter(move |planned| wanted(&planned.step));
    let mut left: Vec<PlannedStep> = of(sets_up).cloned().collect();
    left.push(like(Step::RestoreLayer {
        scratch: scratch.to_vec(),
    }));
    let installed = of(|step| matches!(step, Step::InstallResolvConf));
    left.extend(installed.map(|_| like(Step::RenewResolvConf)));
    left.extend(of(|step| matches!(step, Step::MountKernelFilesystems { .. })).cloned());
    left.extend_from_slice(after);
    Some(left)
}

/// Steps whose effect is not in a layer.
fn sets_up(step: &Step) -> bool {
    matches!(
        step,
        Step::Say { .. }
            | Step::SetVariables { .. }
            | Step::WriteBuildFile { .. }
            | Step::CreateTarget
            | Step::MergeHooks { .. }
            | Step::WriteHookFile { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::ApplianceKind;

    fn planned(steps: &[Step]) -> Vec<PlannedStep> {
        let plan = |step: &Step| PlannedStep {
            step: step.clone(),
            appliance: ApplianceKind::Namespace,
            why: "test".into(),
        };
        steps.iter().map(plan).collect()
    }

    fn run(phase: Phase) -> Step {
        Step::RunHooks { phase }
    }

    #[test]
    fn what_a_layer_does_not_have_is_done_again() {
        let mount = Step::MountKernelFilesystems {
            sysfs_writable: false,
        };
        let file = Step::WriteHookFile {
            path: "x".into(),
            contents: String::new(),
        };
        let steps = planned(&[
            Step::CreateTarget,
            run(Phase::Root),
            Step::CheckRootDeployed,
            Step::InstallResolvConf,
            mount.clone(),
            file.clone(),
            run(Phase::PreInstall),
            run(Phase::Install),
            Step::UnmountTarget,
        ]);
        let scratch = vec![PathBuf::from("/out")];
        let restore = Step::RestoreLayer {
            scratch: scratch.clone(),
        };
        let left = begin_with_layer(&steps, Phase::Install, &scratch);
        let expected = [
            Step::CreateTarget,
            file,
            restore.clone(),
            Step::RenewResolvConf,
            mount,
            run(Phase::Install),
            Step::UnmountTarget,
        ];
        assert_eq!(left, Some(planned(&expected)));
        let early = begin_with_layer(&steps, Phase::Root, &scratch).unwrap();
        assert_eq!(early[..2], planned(&[Step::CreateTarget, restore]));
        assert_eq!(early[2..], steps[1..]);
        assert_eq!(begin_with_layer(&steps, Phase::Finalise, &scratch), None);
    }
}
