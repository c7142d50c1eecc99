//! The steps that make the disk, and bring the tree to it.

use super::{hand_over, List, Parts};
use crate::plan::route::DiskMaking;
use crate::plan::{DeviceLine, RawDisk, SfdiskUnits, Step, TreePlace};
use crate::request::Generation;

/// Gives the target its filesystems: trees of their own, or real ones.
pub(super) fn disk_steps<'a>(parts: &Parts<'a>, list: &mut List<'a>) {
    let (route, storage) = (parts.route, parts.storage);
    let layout = storage.layout.clone();
    let fstab = storage.writes_fstab;
    let populated = match route.disk {
        DiskMaking::Offline => return list.push(Step::SplitFilesystems { layout, fstab }),
        DiskMaking::Devices { populated } => populated,
        DiskMaking::Hooks => false,
    };
    let moves = route.tree.kind != route.device.kind;
    if populated {
        list.extend([
            Step::SplitFilesystems {
                layout: layout.clone(),
                fstab,
            },
            Step::AssembleDisk {
                layout: layout.clone(),
                disk: RawDisk::OutputDirectory,
            },
        ]);
    } else {
        list.push(Step::PrepareTree {
            layout: layout.clone(),
            fstab,
        });
    }
    if moves && !populated {
        list.extend([
            Step::CreateRawDisk {
                layout: layout.clone(),
            },
            Step::PackTree {
                from: TreePlace::Built,
            },
        ]);
    }
    if moves {
        hand_over(parts, list, &route.device);
    }
    match route.disk {
        DiskMaking::Hooks => device_hook_steps(parts, list),
        _ => list.push(Step::CreateDevices {
            graph: storage.graph.clone(),
            layout,
            block_size: storage.block_size,
            populated,
        }),
    }
    if !populated {
        let from = if moves {
            TreePlace::Handoff
        } else {
            TreePlace::Built
        };
        list.push(Step::FillTarget { from });
    }
    if moves {
        list.push(Step::RenewResolvConf);
    }
}

/// The disk of elements that divide it by hooks.
fn device_hook_steps(parts: &Parts, list: &mut List) {
    let (request, storage) = (parts.request, parts.storage);
    list.extend([
        Step::AttachDisk {
            layout: storage.layout.clone(),
            units: match request.generation.generation {
                Generation::V0 => SfdiskUnits::Cylinders,
                _ => SfdiskUnits::Sectors,
            },
        },
        Step::RunDeviceHooks {
            line: match request.log.messages {
                Some(_) => DeviceLine::Single,
                None => DeviceLine::Evaluated,
            },
        },
    ]);
    list.extend(
        storage
            .layout
            .filesystems
            .first()
            .map(|root| Step::MakeRootFilesystem {
                fstype: root.fstype.clone(),
                options: root.options.clone(),
                label: root.label.clone(),
                uuid: root.uuid.clone(),
            }),
    );
}
