//! What can keep the namespace appliance from starting, and what to do then.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::{Explain, Setting};

use super::confinement::Confinement;

/// Why the namespace appliance cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `/etc/subuid` or `/etc/subgid` gives the caller too few ids.
    #[error("{file} gives user {user} {found} subordinate ids, 65534 are needed")]
    NoSubordinateIds {
        /// The file that was read.
        file: &'static str,
        /// The caller.
        user: String,
        /// How many ids the largest range has.
        found: u32,
        /// First id of a range that nobody has.
        free: u32,
    },
    /// Those that are, or could be, the caller's do not exist in this user namespace.
    #[error("subordinate ids from {start} on do not exist in this container's user namespace")]
    NoSuchIds {
        /// First id of the range.
        start: u32,
    },
    /// Root of a user namespace has too few ids beside its own.
    #[error("this container's user namespace has {found} ids beside root's, 65534 are needed")]
    FewIds {
        /// How many.
        found: u32,
    },
    /// Root may not write id maps.
    #[error("cannot give a user namespace its ids: this root lacks {}", lacks.join(", "))]
    MapsRefused {
        /// Names of capabilities.
        lacks: Vec<&'static str>,
    },
    /// newuidmap or newgidmap cannot be started.
    #[error("cannot run {tool}")]
    NoMapper {
        /// Its name.
        tool: &'static str,
        /// Why.
        source: io::Error,
    },
    /// newuidmap or newgidmap refused.
    #[error("{tool} failed: {message}")]
    MapperFailed {
        /// Its name.
        tool: &'static str,
        /// What it printed.
        message: String,
    },
    /// newuidmap and newgidmap cannot have the privilege that they need.
    #[error("newuidmap can get no privilege here: {0}")]
    NoPrivilege(String),
    /// A setting forbids user namespaces.
    #[error("user namespaces are forbidden: {setting}")]
    Forbidden {
        /// `name=value` of the sysctl.
        setting: String,
        /// The command that allows them.
        fix: String,
    },
    /// The kernel lacks something.
    #[error("the kernel is too old: {what}")]
    OldKernel {
        /// What is missing.
        what: String,
    },
    /// Something inside the sandbox's processes failed.
    #[error("{}: {}", .0.doing, .0.reason())]
    Sandbox(Fault),
    /// A path that should be shared cannot be.
    #[error("cannot share {}: {why}", path.display())]
    Share {
        /// The path.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// Neither pasta nor slirp4netns is installed.
    #[error("no network inside: neither pasta nor slirp4netns is installed")]
    NoNetworkHelper,
    /// pasta or slirp4netns ended before the network was up.
    #[error("{tool} failed: {message}")]
    NetworkHelper {
        /// Its name.
        tool: &'static str,
        /// What it printed.
        message: String,
    },
    /// The sandbox's processes ended without saying why.
    #[error("the sandbox died while it was {while_}")]
    Died {
        /// What was being waited for.
        while_: &'static str,
    },
    /// Anything of the host that failed on our side.
    #[error("{doing} failed")]
    Io {
        /// What was done.
        doing: String,
        /// Why it failed.
        source: io::Error,
    },
}

/// What was tried when something failed inside: decides the hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// Making a user namespace, or what needs its capabilities.
    Namespace,
    /// What only root with all its capabilities may do.
    Privilege,
    /// An idmapped mount.
    Idmap,
    /// Cloning or attaching a mount.
    Mount,
    /// Mounting proc.
    Proc,
    /// Mounting sysfs.
    Sysfs,
    /// Mounting an overlay.
    Overlay,
    /// Files and directories of the new root.
    File,
    /// The network's set-up.
    Network,
    /// Executing the agent.
    Exec,
}

/// A failure inside the sandbox's processes, as it travels to the driver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What was tried.
    pub kind: FaultKind,
    /// The same in words, with the path.
    pub doing: String,
    /// The error's number; 0 if there is none.
    pub errno: i32,
}

impl Fault {
    /// A failure of `doing`.
    pub(super) fn new(kind: FaultKind, doing: impl Into<String>, error: &io::Error) -> Fault {
        Fault {
            kind,
            doing: doing.into(),
            errno: error.raw_os_error().unwrap_or(0),
        }
    }

    fn reason(&self) -> String {
        match self.errno {
            0 => "failed".to_owned(),
            errno => io::Error::from_raw_os_error(errno).to_string(),
        }
    }

    fn hint(&self) -> Option<&'static str> {
        use nix::libc::{EINVAL, ENOSYS, EOPNOTSUPP, EPERM};
        Some(match (self.kind, self.errno) {
            (FaultKind::Namespace, EPERM | ENOSYS) if Confinement::of_self().is_filtered() => {
                "a seccomp filter forbids it, as in a container: use another profile (podman's own allows it; Kubernetes: seccompProfile; docs/fleet.md)"
            }
            (_, ENOSYS) => "Linux 5.12 or newer is needed",
            (FaultKind::Idmap, EINVAL | EOPNOTSUPP | EPERM) => {
                "this filesystem cannot be idmapped: run as an ordinary user, or use a directory on ext4, xfs or btrfs"
            }
            (FaultKind::Proc, _) => {
                "/proc of this system is masked, as in a container: unmask it (podman: --security-opt unmask=ALL, Kubernetes: procMount: Unmasked; docs/fleet.md)"
            }
            (FaultKind::Sysfs, _) => {
                "/sys of this system is masked, as in a container: unmask it (podman: --security-opt unmask=ALL, Kubernetes: procMount: Unmasked; docs/fleet.md)"
            }
            (FaultKind::Overlay, _) => {
                "overlay mounts in user namespaces need Linux 5.11 or newer and a lower directory without mounts below it"
            }
            (FaultKind::Namespace, _) => {
                "allow unprivileged user namespaces on this system"
            }
            (FaultKind::Privilege, _) => {
                "this root lacks CAP_SYS_ADMIN, as in a container: run as an ordinary user"
            }
            (FaultKind::Network, _) => "use --no-network for a build that needs none",
            _ => return None,
        })
    }
}

impl Error {
    /// Whether the caller's limit on the size of files is behind it.
    pub fn is_file_limit(&self) -> bool {
        matches!(self, Error::Sandbox(fault) if fault.errno == nix::libc::EFBIG)
    }

    /// The command that mends it, run as root, where one does.
    pub fn mend(&self) -> Option<String> {
        Some(match self {
            Error::NoSubordinateIds { user, free, .. } => {
                let range = format!("{free}-{}", u64::from(*free) + 65_535);
                format!("usermod --add-subuids {range} --add-subgids {range} {user}")
            }
            Error::NoMapper { .. } => "apt-get install uidmap".to_owned(),
            Error::MapperFailed { .. } => "apt-get install --reinstall uidmap".to_owned(),
            Error::Forbidden { fix, .. } => fix.clone(),
            Error::NoNetworkHelper => "apt-get install passt".to_owned(),
            _ => return None,
        })
    }
}

impl Explain for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Error::NoSubordinateIds { .. } => {
                self.mend().map(|mend| format!("run once as root: {mend}"))
            }
            Error::NoMapper { .. } => Some(
                "install newuidmap and newgidmap (package uidmap, or shadow-utils)".to_owned(),
            ),
            Error::NoSuchIds { .. } => Some(
                "run as user 0 of the container, which is an ordinary user outside of it (docs/fleet.md)"
                    .to_owned(),
            ),
            Error::FewIds { .. } => Some(
                "give the container 65536 ids (Kubernetes: hostUsers: false; docs/fleet.md)".to_owned(),
            ),
            Error::MapsRefused { lacks } => Some(format!(
                "give the container the capabilities {} (docs/fleet.md)",
                lacks.join(", ")
            )),
            Error::NoPrivilege(_) => Some(
                "run as user 0 of a container that has a user namespace of its own (docs/fleet.md)".to_owned(),
            ),
            Error::MapperFailed { tool, .. } => Some(format!(
                "{tool} must be setuid root or have its file capability, as package uidmap installs it, and /etc/subuid and /etc/subgid must hold the ranges"
            )),
            Error::Forbidden { fix, .. } => Some(format!("run as root: {fix}")),
            Error::OldKernel { .. } => Some("Linux 5.12 or newer is needed".to_owned()),
            Error::Sandbox(_) if self.is_file_limit() => Some(Setting::larger_files()),
            Error::Sandbox(fault) => fault.hint().map(str::to_owned),
            Error::NoNetworkHelper => Some(
                "install pasta (package passt) or slirp4netns, or use --no-network".to_owned(),
            ),
            Error::NetworkHelper { .. } => Some(
                "the host needs a route to the outside, and /dev/net/tun; use --no-network for a build that needs no network".to_owned(),
            ),
            Error::Share { path, .. } if path.parent().is_none() => {
                Some(Setting::NOT_IN_ROOT.to_owned())
            }
            Error::Share { .. } | Error::Died { .. } | Error::Io { .. } => None,
        }
    }
}
