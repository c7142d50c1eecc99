//! The microvm appliance: a virtual machine with a kernel of its own.
//!
//! qemu runs a root that supermin makes from the host's own packages
//! ([`root`](self), cached) and the host's newest kernel. The agent is started
//! by our pid 1, which the kernel has from an initramfs; a scratch disk is made
//! for each build and holds the work directories; the channel is a virtio-serial
//! port. Shares come through 9p. qemu runs in a user namespace with the ids of the namespace
//! appliance, where the host allows that: the caller's files are root's inside,
//! and a root caller's qemu has no privilege on the host.
//! The way out is passt, which is told not to map any address to the host; where
//! the user asks for that, it is qemu's own.

mod accel;
mod cache;
mod console;
mod cpio;
mod disk;
mod error;
mod ids;
mod initrd;
mod kernel;
mod network;
mod packages;
mod qemu;
mod requirements;
mod root;
mod running;
mod setup;

use std::path::PathBuf;

pub use accel::{Kvm, DEVICE as KVM_DEVICE};
pub use cache::find_program;
pub use disk::SIZE as SCRATCH_BYTES;
pub use error::Error;
pub use network::Network;
pub use qemu::pass_descriptors;
pub use requirements::{check, kvm, requirements, Requirement};
pub use running::{start_watched, try_kvm};

/// What the machine is like, beside what every appliance is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Do not try KVM, and who said so.
    pub force_tcg: Option<&'static str>,
    /// Its network is qemu's own instead of passt's, which needs user namespaces;
    /// hooks then reach the host's loopback, too.
    pub user_net: bool,
    /// Memory, MiB.
    pub memory_mib: u64,
    /// Processors; by default as many as the host has, up to 8, and one under TCG.
    pub processors: Option<u32>,
    /// Further installed packages of the host.
    pub packages: Vec<String>,
    /// Directory with further input for supermin.
    pub supermin_d: Option<PathBuf>,
    /// Where appliances are kept.
    pub cache: PathBuf,
    /// The qemu to use instead of the one on the PATH.
    pub hypervisor: Option<PathBuf>,
}

impl Machine {
    /// The directory for appliances: `$XDG_CACHE_HOME/safedib`, else below the home.
    pub fn cache_dir(home: &std::path::Path) -> PathBuf {
        std::env::var_os("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
            .unwrap_or_else(|| home.join(".cache"))
            .join("safedib")
    }
}

/// The packages of the host that the appliance is made of.
///
/// # Errors
/// [`Error::NoDpkg`], or a package of `machine` is missing.
pub fn packages(machine: &Machine) -> Result<Vec<String>, Error> {
    packages::Installed::read()?.choose(&machine.packages)
}
