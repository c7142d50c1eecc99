//! What a machine needs of the host, looked up without starting one.

use std::path::PathBuf;

use nix::unistd::geteuid;

use super::accel::{self, Kvm};
use super::ids::Ids;
use super::packages::Installed;
use super::{cache, disk, kernel, network, qemu, root, Error, Machine};

/// One thing that machines need.
#[derive(Debug)]
pub struct Requirement {
    /// What it is.
    pub name: &'static str,
    /// What was found: the program, the kernel, the number of packages.
    pub found: Result<String, Error>,
}

/// Everything that machines need, what is missing included; `network`: they
/// have one.
pub fn requirements(machine: &Machine, network: bool) -> Vec<Requirement> {
    let shown = |path: PathBuf| path.display().to_string();
    let packages = Installed::read().and_then(|installed| installed.choose(&machine.packages));
    let supermin = cache::need_program("supermin", "supermin", "to make its root filesystem");
    let mut list = vec![
        ("qemu", qemu::find(machine).map(shown)),
        ("supermin", supermin.map(shown)),
        (
            "packages",
            packages.map(|list| format!("{} installed ones make the root", list.len())),
        ),
        ("kernel", kernel::of_host().map(shown)),
        ("scratch disk", disk::find_mkfs().map(shown)),
    ];
    if network && !machine.user_net {
        list.push(("network", network::find().map(shown)));
    }
    if geteuid().is_root() {
        let refused = Ids::CallerOnly.works().map_err(Error::RootWithoutNamespace);
        let found = refused.map(|()| "in a user namespace, without privilege".to_owned());
        list.push(("qemu's ids", found));
    }
    list.into_iter()
        .map(|(name, found)| Requirement { name, found })
        .collect()
}

/// Whether machines could be started here.
///
/// # Errors
/// The first thing that is missing.
pub fn check(machine: &Machine, network: bool) -> Result<(), Error> {
    requirements(machine, network)
        .into_iter()
        .try_for_each(|requirement| requirement.found.map(drop))
}

/// What is known about KVM without starting a machine.
pub fn kvm(machine: &Machine) -> Kvm {
    let qemu = qemu::find(machine).unwrap_or_default();
    accel::known(machine, || root::kernel_in_cache(machine), &qemu)
}
