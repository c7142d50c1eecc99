//! KVM or TCG, by what builds on this host have found out about KVM.

use std::path::PathBuf;

use super::{Arch, Error, Options};
use crate::appliance::microvm::{self, Kvm, Machine};
use crate::appliance::prove_kvm;
use crate::error::reason;

/// What the caller wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccelChoice {
    /// KVM where it works.
    Auto,
    /// KVM.
    Kvm,
    /// No KVM.
    Tcg,
}

/// What executes the machine's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accel {
    Kvm,
    Tcg,
}

impl Accel {
    /// As qemu spells it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Accel::Kvm => "kvm",
            Accel::Tcg => "tcg",
        }
    }

    /// Processors by default. qemu emulates several in threads that lose each
    /// other's interrupts now and then.
    pub(super) fn processors(self) -> usize {
        match self {
            Accel::Kvm => {
                std::thread::available_parallelism().map_or(1, |count| count.get().min(4))
            }
            Accel::Tcg => 1,
        }
    }
}

/// Chooses, and says why.
pub(super) fn choose(options: &Options, say: &mut dyn FnMut(&str)) -> Result<Accel, Error> {
    let (accel, why) = match options.accel {
        AccelChoice::Kvm => (Accel::Kvm, "--accel says so".to_owned()),
        AccelChoice::Tcg => (Accel::Tcg, "--accel says so".to_owned()),
        AccelChoice::Auto if Arch::of_host() != Some(options.arch) => (
            Accel::Tcg,
            "this host is of another architecture".to_owned(),
        ),
        AccelChoice::Auto => match kvm(say)? {
            Kvm::Works => (Accel::Kvm, "it was tried and works".to_owned()),
            Kvm::Fails(why) => (
                Accel::Tcg,
                format!("KVM does not work since this boot: {why}"),
            ),
            Kvm::Closed(why) => (
                Accel::Tcg,
                format!("cannot open {}: {why}", microvm::KVM_DEVICE),
            ),
            Kvm::Untried | Kvm::Forbidden(_) => (
                Accel::Tcg,
                "KVM was not tried, for want of the microvm appliance (safedib doctor); \
                 --accel kvm uses it"
                    .to_owned(),
            ),
        },
    };
    say(&format!("{}: {why}", accel.name().to_uppercase()));
    Ok(accel)
}

/// Whether KVM works, which builds find out by starting their own machine.
fn kvm(say: &mut dyn FnMut(&str)) -> Result<Kvm, Error> {
    let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from);
    let machine = Machine {
        force_tcg: None,
        memory_mib: 2048,
        processors: None,
        packages: Vec::new(),
        supermin_d: None,
        cache: Machine::cache_dir(&home),
        user_net: false,
        hypervisor: None,
    };
    let known = microvm::kvm(&machine);
    if known != Kvm::Untried || microvm::check(&machine, false).is_err() {
        return Ok(known);
    }
    say("trying KVM, once for each boot of this host");
    let binary = std::env::current_exe().map_err(Error::io("find our own binary"))?;
    match prove_kvm(&binary, &machine, &std::env::temp_dir(), say) {
        Ok(found) => Ok(found),
        Err(error) => {
            say(&format!("KVM was not tried: {}", reason(&error)));
            Ok(Kvm::Untried)
        }
    }
}
