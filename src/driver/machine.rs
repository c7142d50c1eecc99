//! Which appliance a build gets, and the virtual machine where that is it.

use crate::appliance::microvm::{self, Machine};
use crate::appliance::namespace::{AgentCommand, Janitor};
use crate::appliance::{ApplianceSpec, Running};
use crate::plan::{self, ApplianceKind, Plan};
use crate::report::LogWriter;
use crate::request::BuildRequest;

use super::{host, Error};

/// Whether the steps run in a virtual machine.
pub(super) fn is_asked_for(request: &BuildRequest) -> bool {
    plan::choice(request).0 == ApplianceKind::Microvm
}

/// The log line about the choice.
pub(super) fn announcement(request: &BuildRequest) -> String {
    let (kind, why) = plan::choice(request);
    let why = match kind {
        ApplianceKind::Namespace if why != "asked for" => "no step needs a block device",
        _ => why,
    };
    let name = match kind {
        ApplianceKind::Microvm => "microvm",
        ApplianceKind::Namespace => "namespace",
    };
    format!("safedib: {name} appliance for every step: {why}")
}

fn options(request: &BuildRequest) -> Machine {
    Machine {
        force_tcg: request.machine.force_tcg,
        memory_mib: request.machine.memory_mib,
        processors: request.machine.processors,
        packages: request.machine.packages.clone(),
        supermin_d: request.machine.supermin_d.clone(),
        cache: Machine::cache_dir(&request.home),
    }
}

/// Refuses a build that needs a command which the host has, but not from a
/// package that the machine gets.
pub(super) fn check_tools(request: &BuildRequest, plan: &Plan) -> Result<(), Error> {
    if !is_asked_for(request) {
        return Ok(());
    }
    let packages = microvm::packages(&options(request))?;
    let has = |name: &str| packages.iter().any(|package| package == name);
    match plan.tools.iter().find(|tool| !has(tool.package)) {
        Some(tool) => Err(host::missing(tool)),
        None => Ok(()),
    }
}

/// Starts the machine.
pub(super) fn start(
    request: &BuildRequest,
    spec: &ApplianceSpec,
    agent: &AgentCommand,
    janitor: &mut Janitor,
    log: &mut LogWriter,
) -> Result<Box<dyn Running>, Error> {
    let machine = options(request);
    let say = &mut |text: &str| log.say(text);
    Ok(microvm::start_watched(spec, agent, &machine, janitor, say)?)
}

/// What to try when the appliance has died.
pub(super) fn hint_on_death(request: &BuildRequest) -> &'static str {
    match is_asked_for(request) {
        true => {
            "this is not a failed hook: if it ran out of memory give it more with --memsize; \
             its disk is in TMP_DIR, which must have room"
        }
        false => {
            "this is not a failed hook: look for the out-of-memory killer (dmesg), \
             or set DIB_NO_TMPFS=1 to build on disk"
        }
    }
}
