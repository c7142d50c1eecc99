//! Where builds would run, and whether they would start.

use crate::appliance::microvm::Kvm;
use crate::appliance::Abilities;
use crate::driver;
use crate::error::Error;
use crate::plan::{self, ApplianceKind, Plan};
use crate::request::BuildRequest;

use super::findings::{Build, Place};
use super::room;
use super::subject::{command_lines, Subject};

/// The default build, and the one that needs a block device.
pub(super) fn all(subject: &Subject, abilities: &Abilities) -> Vec<Build> {
    let problem = subject
        .problem
        .as_ref()
        .map(|problem| problem.error.reason());
    std::iter::once(&subject.request)
        .chain(&subject.with_device)
        .zip(command_lines())
        .map(|(request, command)| {
            let mut build = judge(command, request, abilities);
            build.reason = problem.clone().or(build.reason);
            build.works = build.reason.is_none();
            build
        })
        .collect()
}

fn judge(command: String, request: &BuildRequest, abilities: &Abilities) -> Build {
    let able = plan::Abilities {
        no_namespace: abilities.no_namespace(),
        kvm: abilities.kvm == Kvm::Works && abilities.microvm.is_ok(),
    };
    let mut build = Build {
        command,
        works: false,
        reason: None,
        places: Vec::new(),
        tools: Vec::new(),
    };
    match driver::plan_for(request, &able) {
        Ok(plan) => {
            build.places = places(&plan);
            build.reason = obstacle(request, &plan, abilities);
            build.tools = plan.tools;
        }
        Err(error) => build.reason = Some(Error::from(error).reason()),
    }
    build
}

fn places(plan: &Plan) -> Vec<Place> {
    plan.stages()
        .into_iter()
        .map(|stage| Place {
            appliance: stage.kind,
            steps: (stage.steps.start + 1, stage.steps.end),
            why: stage.why.to_owned(),
        })
        .collect()
}

/// What would keep a build from starting.
fn obstacle(request: &BuildRequest, plan: &Plan, abilities: &Abilities) -> Option<String> {
    let lacking = |kind, name, reason: Option<String>| {
        let used = plan.uses(kind).then_some(reason).flatten()?;
        Some(format!("{name} appliance: {used}"))
    };
    let namespace = || {
        lacking(
            ApplianceKind::Namespace,
            "namespace",
            abilities.no_namespace(),
        )
    };
    let microvm = || lacking(ApplianceKind::Microvm, "microvm", abilities.no_microvm());
    let tools = || {
        let error = driver::check_tools(request, plan).err()?;
        Some(Error::from(error).reason())
    };
    namespace()
        .or_else(microvm)
        .or_else(tools)
        .or_else(|| room::obstacle(request, plan))
}
