//! What the host is able to do, and the virtual machine of a build.

use std::path::Path;

use crate::appliance::microvm::{self, Machine};
use crate::appliance::namespace::{AgentCommand, Janitor};
use crate::appliance::{self, ApplianceSpec, Running};
use crate::error::{reason, Setting, Syntax};
use crate::plan::{Abilities, ApplianceKind, Plan, PlannedTool};
use crate::report::LogWriter;
use crate::request::{ApplianceChoice, BuildRequest};

use super::{host, own_binary, session, Error};

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
/// Our own binary cannot be found. What the host lacks is an answer.
pub(super) fn abilities(
    request: &BuildRequest,
    kvm: Kvm,
    say: &mut dyn FnMut(&str),
) -> Result<Abilities, Error> {
    let binary = own_binary()?;
    let network = match request.appliance {
        // Only for conversions, which need none.
        ApplianceChoice::Microvm => false,
        _ => !request.no_network,
    };
    let no_namespace = match request.appliance {
        ApplianceChoice::Namespace => None,
        _ => appliance::probe_namespace(&binary, network).err(),
    };
    Ok(Abilities {
        no_namespace: no_namespace.map(|error| reason(&error)),
        kvm: request.appliance == ApplianceChoice::Auto && kvm_works(request, &binary, kvm, say),
    })
}

/// Whether a machine would run with KVM. A host that cannot run a machine at
/// all, for want of supermin or qemu, has no use for it.
fn kvm_works(request: &BuildRequest, binary: &Path, how: Kvm, say: &mut dyn FnMut(&str)) -> bool {
    let machine = options(request);
    let known = microvm::kvm(&machine);
    let untried = known == microvm::Kvm::Untried && how == Kvm::Probe;
    if !(untried || known == microvm::Kvm::Works)
        || microvm::check(&machine, !request.no_network).is_err()
    {
        return false;
    }
    if !untried {
        return true;
    }
    say("safedib: trying KVM, once for each boot of this host");
    match appliance::prove_kvm(binary, &machine, &request.tmp_dir, say) {
        Ok(found) => found == microvm::Kvm::Works,
        Err(error) => {
            say(&format!("safedib: KVM was not tried: {}", reason(&error)));
            false
        }
    }
}

/// The machine that a request gets.
pub fn options(request: &BuildRequest) -> Machine {
    Machine {
        force_tcg: request.machine.force_tcg,
        user_net: request.machine.user_net,
        memory_mib: request.machine.memory_mib,
        processors: request.machine.processors,
        packages: request.machine.packages.clone(),
        supermin_d: request.machine.supermin_d.clone(),
        cache: match &request.machine.cache {
            Some(cache) => cache.join("safedib"),
            None => Machine::cache_dir(&request.home),
        },
        hypervisor: request.machine.hypervisor.clone(),
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
    let machine = options(request);
    microvm::check(&machine, plan.network)?;
    let packages = microvm::packages(&machine)?;
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
    let signals = session::signals()?;
    let interrupted = || session::waits(&signals);
    let say = &mut |text: &str| log.say(text);
    microvm::start_watched(spec, agent, &machine, janitor, &interrupted, say).or_else(|error| {
        // Ctrl-C at a terminal also ends what makes the machine.
        session::check_signals()?;
        Err(error.into())
    })
}

/// What to try when an appliance has died.
pub(super) fn hint_on_death(kind: ApplianceKind) -> String {
    match kind {
        ApplianceKind::Microvm => format!(
            "this is not a failed hook: if it ran out of memory give it more with --memsize; \
             its disk is in {}, which must have room",
            Setting::TmpDir
        ),
        ApplianceKind::Namespace => {
            let look = "this is not a failed hook: look for the out-of-memory killer (dmesg)";
            match Syntax::spoken() {
                Syntax::DiskImageCreate => {
                    format!("{look}, or set DIB_NO_TMPFS=1 to build on disk")
                }
                Syntax::VirtDib => look.to_owned(),
            }
        }
    }
}
