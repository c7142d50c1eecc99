//! Which appliance runs which part of a build, and why: all policy about it.

use std::ffi::OsStr;

use serde::Serialize;

use crate::blockdev::Layout;
use crate::elements::{self, BlockDeviceUse, ElementSet, Hook, Phase};
use crate::request::{ApplianceChoice, BuildRequest};

use super::{ApplianceKind, Error, Lack, PlannedOutput};

/// What works on this host. Whoever asks for a plan has found it out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Abilities {
    /// Why the namespace appliance does not work, if it does not.
    pub no_namespace: Option<String>,
    /// A virtual machine was started with KVM, and its agent spoke.
    pub kvm: bool,
}

/// An appliance for a part of a build, and why that one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub kind: ApplianceKind,
    pub why: String,
}

/// How the disk is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DiskMaking {
    /// From the trees of its filesystems, when all hooks have run.
    Offline,
    /// With block devices, which hooks see.
    Devices {
        /// Assembled from the trees before, so that nothing is copied.
        populated: bool,
    },
    /// By hooks of block-device.d, with block devices.
    Hooks,
}

/// Where the parts of a build run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    /// Everything up to the end of root.d.
    pub root: Place,
    /// From there to the measured tree.
    pub tree: Place,
    /// From the disk's making to the packed archives.
    pub device: Place,
    pub disk: DiskMaking,
    /// Compression and conversion of what is done.
    pub convert: Place,
}

/// What a route follows from.
pub(super) struct Case<'a> {
    pub request: &'a BuildRequest,
    pub abilities: &'a Abilities,
    pub set: &'a ElementSet,
    pub hooks: Vec<&'a Hook>,
    pub layout: &'a Layout,
    /// What brought the layout, if anything did.
    pub configured_by: Option<&'a str>,
    pub outputs: &'a [PlannedOutput],
}

impl Route {
    /// Decides.
    ///
    /// # Errors
    /// What no appliance does; and what the namespace appliance does not do, if
    /// the user wants no other.
    pub(super) fn choose(case: &Case) -> Result<Route, Error> {
        case.refuse_everywhere()?;
        let uses = case.uses()?;
        let lack = uses.device.clone().or_else(|| case.lack_of_layout());
        let disk = match &lack {
            None => DiskMaking::Offline,
            Some(_) if case.device_hook().is_some() => DiskMaking::Hooks,
            Some(_) => DiskMaking::Devices { populated: false },
        };
        match case.request.appliance {
            ApplianceChoice::Namespace => match uses.root.or(uses.tree).or(lack) {
                Some(lack) => Err(lack.into()),
                None => Ok(Route::whole(ApplianceKind::Namespace, "asked for", disk)),
            },
            ApplianceChoice::Microvm => {
                let mut route = Route::whole(ApplianceKind::Microvm, "asked for", disk);
                route.convert_outside(case.abilities);
                Ok(route)
            }
            ApplianceChoice::Auto if case.abilities.kvm => {
                Ok(Route::whole(ApplianceKind::Microvm, "KVM works", disk))
            }
            ApplianceChoice::Auto => Ok(match &case.abilities.no_namespace {
                Some(reason) => {
                    let why = format!("no user namespaces: {reason}");
                    Route::whole(ApplianceKind::Microvm, &why, disk)
                }
                None => Route::split(&uses, lack, case),
            }),
        }
    }

    /// Whether a disk is made, for an output or for hooks.
    pub(super) fn makes_disk(&self, outputs: &[PlannedOutput]) -> bool {
        self.disk != DiskMaking::Offline || outputs.iter().any(PlannedOutput::needs_disk)
    }

    fn whole(kind: ApplianceKind, why: &str, disk: DiskMaking) -> Route {
        let place = Place {
            kind,
            why: why.into(),
        };
        Route {
            root: place.clone(),
            tree: place.clone(),
            device: place.clone(),
            disk,
            convert: place,
        }
    }

    /// Conversion only reads the disk's file. A machine of TCG takes eight
    /// times as long for it.
    fn convert_outside(&mut self, abilities: &Abilities) {
        if self.disk != DiskMaking::Offline && abilities.no_namespace.is_none() {
            self.convert = needs_no_device();
        }
    }

    /// In the namespace appliance, but for what needs a block device.
    fn split(uses: &Uses, lack: Option<Lack>, case: &Case) -> Route {
        let machine = |lack: &Lack| Place {
            kind: ApplianceKind::Microvm,
            why: lack.reason(),
        };
        let tree = uses.tree.as_ref().map_or_else(needs_no_device, machine);
        let root = uses.root.as_ref().map_or_else(|| tree.clone(), machine);
        let (device, disk) = match &lack {
            // Devices of hooks in earlier phases are their own.
            None => (tree.clone(), DiskMaking::Offline),
            Some(lack) if case.device_hook().is_some() => (machine(lack), DiskMaking::Hooks),
            Some(lack) => {
                let assembled = tree.kind == ApplianceKind::Namespace;
                let populated = assembled && case.lack_of_layout().is_none();
                (machine(lack), DiskMaking::Devices { populated })
            }
        };
        let convert = match disk {
            DiskMaking::Offline => device.clone(),
            DiskMaking::Devices { .. } | DiskMaking::Hooks => needs_no_device(),
        };
        Route {
            root,
            tree,
            device,
            disk,
            convert,
        }
    }
}

fn needs_no_device() -> Place {
    Place {
        kind: ApplianceKind::Namespace,
        why: "needs no block device".into(),
    }
}

/// The first hook of each part that needs a block device.
#[derive(Debug, Default)]
struct Uses {
    root: Option<Lack>,
    tree: Option<Lack>,
    device: Option<Lack>,
}

impl Case<'_> {
    fn uses(&self) -> Result<Uses, Error> {
        let mut uses = Uses::default();
        for hook in &self.hooks {
            let Some(found) = elements::reads_block_device(hook)? else {
                continue;
            };
            let slot = match hook.phase {
                Phase::Root => &mut uses.root,
                Phase::ExtraData
                | Phase::PreInstall
                | Phase::Install
                | Phase::PostInstall
                | Phase::PostRoot => &mut uses.tree,
                _ => &mut uses.device,
            };
            if slot.is_none() {
                *slot = Some(self.lack_of(found));
            }
        }
        // Between two parts in a machine nothing is handed over.
        if uses.tree.is_some() {
            uses.root = uses.tree.clone();
        }
        Ok(uses)
    }

    fn lack_of(&self, found: BlockDeviceUse) -> Lack {
        Lack::BlockDevice {
            asked_by: self.set.askers(&found.element),
            found: Box::new(found),
        }
    }

    /// Why the disk cannot be assembled from trees, if one is wanted.
    fn lack_of_layout(&self) -> Option<Lack> {
        if !self.outputs.iter().any(PlannedOutput::needs_disk) {
            return None;
        }
        match self.layout.beyond_offline() {
            Some((node, what)) => Some(Lack::BeyondOffline {
                node: node.into(),
                what,
            }),
            None => unpopulatable(self.layout),
        }
    }

    /// The first hook that makes the block device itself.
    fn device_hook(&self) -> Option<&Hook> {
        let mut hooks = self.hooks.iter();
        hooks.find(|hook| hook.phase == Phase::BlockDevice).copied()
    }

    fn refuse_device_hook(&self, hook: &Hook) -> Result<(), Error> {
        let generation = self.request.generation.generation;
        if !generation.has_device_hooks() {
            return Err(Error::BlockDeviceHook {
                element: hook.element.clone(),
                asked_by: self.set.askers(&hook.element),
                path: hook.path.clone(),
                generation,
            });
        }
        match self.configured_by {
            Some(configuration) => Err(Error::TwoDisks {
                path: hook.path.clone(),
                configuration: configuration.into(),
            }),
            None => Ok(()),
        }
    }

    fn refuse_everywhere(&self) -> Result<(), Error> {
        if let Some(hook) = self.device_hook() {
            self.refuse_device_hook(hook)?;
        }
        let elsewhere = |disk: &&crate::blockdev::Disk| disk.directory.is_some();
        if let Some(disk) = self.layout.disks.iter().find(elsewhere) {
            return Err(Error::DiskElsewhere {
                node: disk.name.clone(),
                directory: disk.directory.clone().unwrap_or_default(),
            });
        }
        match self.request.environment.get(OsStr::new("DIB_BLOCK_SIZE")) {
            Some(size) if !size.is_empty() && !SECTORS.iter().any(|s| *s == size) => {
                Err(Error::BlockSize(size.to_string_lossy().into_owned()))
            }
            _ => Ok(()),
        }
    }
}

/// Sizes that the loop device takes (`losetup --sector-size`).
const SECTORS: [&str; 4] = ["512", "1024", "2048", "4096"];

/// Filesystems that can be made from a tree without mounting them.
const POPULATED_OFFLINE: [&str; 7] = ["ext2", "ext3", "ext4", "vfat", "fat", "btrfs", "swap"];

/// Those that can also hold a whole system: mkfs.btrfs (6.2) loses the numbers
/// of device nodes and cannot set the root directory's owner, vfat has neither
/// links nor owners.
const HOLDS_A_ROOT: [&str; 3] = ["ext2", "ext3", "ext4"];

/// The first filesystem whose mkfs cannot be given the tree that it gets.
fn unpopulatable(layout: &Layout) -> Option<Lack> {
    let found = layout.filesystems.iter().find(|filesystem| {
        let fitting: &[&str] = match filesystem.mount_point.as_deref() {
            Some("/") => &HOLDS_A_ROOT,
            _ => &POPULATED_OFFLINE,
        };
        !fitting.contains(&filesystem.fstype.as_str())
    })?;
    Some(Lack::UnpopulatableFilesystem {
        node: found.node.clone(),
        fstype: found.fstype.clone(),
        mount_point: found.mount_point.clone().unwrap_or_default(),
    })
}

#[cfg(test)]
#[path = "route_tests.rs"]
mod tests;
