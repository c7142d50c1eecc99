//! The phases of a build, in upstream's order, and where each of them runs.

use serde::{Deserialize, Serialize};

/// Where the hooks of a phase run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Location {
    /// Beside the target, in the appliance's own root ("host hooks" upstream).
    Outside,
    /// Chrooted into the target.
    InTarget,
}

/// A phase: the hooks of every element's `NAME.d`, run together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Creates the root of the target.
    Root,
    /// Brings data from outside into the target.
    ExtraData,
    /// Prepares the target for package installation.
    PreInstall,
    /// Installs software.
    Install,
    /// Runs after all packages are installed.
    PostInstall,
    /// Runs outside, on the whole target, before it moves to its filesystems.
    PostRoot,
    /// The old protocol for making the block device.
    BlockDevice,
    /// Runs outside, on the final filesystems.
    PreFinalise,
    /// Runs in the target, on the final filesystems.
    Finalise,
    /// Last look from outside, before archives are made.
    Cleanup,
}

impl Phase {
    /// All phases in running order (`lib/disk-image-create`, versions 2.18 and later).
    pub const ALL: [Phase; 10] = [
        Phase::Root,
        Phase::ExtraData,
        Phase::PreInstall,
        Phase::Install,
        Phase::PostInstall,
        Phase::PostRoot,
        Phase::BlockDevice,
        Phase::PreFinalise,
        Phase::Finalise,
        Phase::Cleanup,
    ];

    /// The name without `.d`, as in `break=before-NAME`.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Root => "root",
            Phase::ExtraData => "extra-data",
            Phase::PreInstall => "pre-install",
            Phase::Install => "install",
            Phase::PostInstall => "post-install",
            Phase::PostRoot => "post-root",
            Phase::BlockDevice => "block-device",
            Phase::PreFinalise => "pre-finalise",
            Phase::Finalise => "finalise",
            Phase::Cleanup => "cleanup",
        }
    }

    /// The name of its directory in an element, `NAME.d`.
    pub fn directory(self) -> String {
        format!("{}.d", self.name())
    }

    /// The phase whose directory is `directory`, if the engine runs one of that name.
    pub fn from_directory(directory: &str) -> Option<Phase> {
        Phase::ALL
            .into_iter()
            .find(|phase| phase.directory() == directory)
    }

    /// Whether its hooks run outside or chrooted (`run_d` against `run_d_in_target`).
    pub fn location(self) -> Location {
        match self {
            Phase::PreInstall | Phase::Install | Phase::PostInstall | Phase::Finalise => {
                Location::InTarget
            }
            _ => Location::Outside,
        }
    }

    /// Whether `TARGET_ROOT` is set for its hooks: upstream assigns it for these two only.
    pub fn has_target_root(self) -> bool {
        matches!(self, Phase::Root | Phase::Cleanup)
    }
}
