//! What the host is able to do, and the virtual machine of a build.

use crate::appliance::microvm::{self, Machine};
use crate::appliance::namespace::{self, AgentCommand, Janitor};
use crate::appliance::{ApplianceSpec, Running};
use crate::plan::{Abilities, ApplianceKind, Plan, PlannedTool};
use crate::report::LogWriter;
use crate::request::{ApplianceChoice, BuildRequest};

use super::{host, Error};

/// How to find out about KVM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kvm {
    /// As an earlier build of this boot has found it.
    AsRemembered,
    /// Start a machine, if nobody has yet.
    Probe,
}

/// What this host is able to do, as far as the choice of an appliance for
/// `request` depends on it.
///
/// # Errors
/// None of the host's lacks: those are answers.
pub(super) fn abilities(
    request: &BuildRequest,
    kvm: Kvm,
    say: &mut dyn FnMut(&str),
) -> Result<Abilities, Error> {
    let no_namespace = match request.appliance {
        ApplianceChoice::Namespace => None,
        _ => namespace::check(!request.no_network).err(),
    };
    let kvm = match (request.appliance, kvm) {
        (ApplianceChoice::Auto, Kvm::Probe) => false,
        (ApplianceChoice::Auto, Kvm::AsRemembered) => false,
        _ => false,
    };
    let _ = say;
    Ok(Abilities {
        no_namespace: no_namespace.map(|error| error.to_string()),
        kvm,
    })
}

/// The machine that a request describes.
pub fn options(request: &BuildRequest) -> Machine {
    Machine {
        force_tcg: request.machine.force_tcg,
        memory_mib: request.machine.memory_mib,
        processors: request.machine.processors,
        packages: request.machine.packages.clone(),
        supermin_d: request.machine.supermin_d.clone(),
        cache: Machine::cache_dir(&request.home),
    }
}

/// Refuses a build that needs a command which the host, or the machine, lacks.
/// A machine has those of packages that it is made of.
///
/// # Errors
/// The first that is lacking.
pub fn check_tools(request: &BuildRequest, plan: &Plan) -> Result<(), Error> {
    host::check_tools(plan)?;
    if !plan.uses(ApplianceKind::Microvm) {
        return Ok(());
    }
    let packages = microvm::packages(&options(request))?;
    let has = |name: &str| packages.iter().any(|package| package == name);
    let lacks = |tool: &&PlannedTool| tool.in_machine && !has(tool.package);
    match plan.tools.iter().find(lacks) {
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

/// What to try when an appliance has died.
pub(super) fn hint_on_death(kind: ApplianceKind) -> &'static str {
    match kind {
        ApplianceKind::Microvm => {
            "this is not a failed hook: if it ran out of memory give it more with --memsize; \
             its disk is in TMP_DIR, which must have room"
        }
        ApplianceKind::Namespace => {
            "this is not a failed hook: look for the out-of-memory killer (dmesg), \
             or set DIB_NO_TMPFS=1 to build on disk"
        }
    }
}
