//! What a build needs of the host, so that a missing command is found before
//! work starts.

use std::collections::BTreeSet;
use std::ffi::OsStr;

use serde::Serialize;

use crate::blockdev::Layout;
use crate::elements::{self, ElementSet, Hook, Need, Phase};
use crate::request::{BuildRequest, OutputFormat};

use super::route::{DiskMaking, Route};
use super::{ApplianceKind, Error, PlannedOutput};

/// A command or module of the host that a build needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedTool {
    /// What.
    pub need: Need,
    /// The Debian package that has it.
    pub package: &'static str,
    /// The element that needs it; `None` if we do.
    pub element: Option<String>,
    /// The output format that needs it, as upstream's messages name it.
    pub format: Option<String>,
    /// A machine needs it, so its package must be one that the machine is made of.
    pub in_machine: bool,
    /// What for.
    pub why: &'static str,
}

/// Lists what a build needs.
pub(super) fn tools(
    request: &BuildRequest,
    set: &ElementSet,
    outputs: &[PlannedOutput],
    layout: &Layout,
    route: &Route,
) -> Vec<PlannedTool> {
    let in_machine = route.tree.kind == ApplianceKind::Microvm;
    let is_set = |name: &&str| {
        request
            .environment
            .get(OsStr::new(name))
            .is_some_and(|value| !value.is_empty())
    };
    let mut tools: Vec<PlannedTool> = elements::host_tools(set)
        .into_iter()
        .filter(|need| !need.unless_set.iter().any(&is_set))
        .map(|need| PlannedTool {
            need: need.need,
            package: need.package,
            element: Some(need.element),
            format: None,
            in_machine: in_machine || route.root.kind == ApplianceKind::Microvm,
            why: need.why,
        })
        .collect();
    let own = |command, package, why| PlannedTool {
        need: Need::Command(command),
        package,
        element: None,
        format: None,
        in_machine,
        why,
    };
    tools.push(own(&["bash"], "bash", "every build"));
    tools.push(own(&["du"], "coreutils", "the size of the tree"));
    tools.extend(
        outputs
            .iter()
            .filter_map(|output| format_tool(output, route)),
    );
    let devices = route.disk != DiskMaking::Offline;
    if devices {
        let mut commands = device_tools(layout);
        commands.extend((route.disk == DiskMaking::Hooks).then_some(MAPS));
        let made = commands.into_iter().map(|(command, package)| PlannedTool {
            in_machine: true,
            ..own(command, package, "the disk's block devices")
        });
        tools.extend(made);
    }
    if route.makes_disk(outputs) {
        let types: BTreeSet<_> = layout.filesystems.iter().map(|fs| &*fs.fstype).collect();
        for fstype in types {
            for (command, package) in filesystem_tools(fstype) {
                tools.push(PlannedTool {
                    in_machine: in_machine || devices,
                    ..own(command, package, "the filesystems of the disk")
                });
            }
        }
    }
    tools
}

const DEVICES: [Command; 2] = [(&["losetup"], "mount"), (&["mount"], "mount")];
const PARTITIONS: Command = (&["kpartx"], "kpartx");
const LVM: Command = (&["lvm"], "lvm2");
const MAPS: Command = (&["dmsetup"], "dmsetup");

/// What hooks of block-device.d are known to divide a disk with.
const DIVIDERS: [Command; 6] = [
    PARTITIONS,
    (&["parted"], "parted"),
    (&["partprobe"], "parted"),
    (&["sfdisk"], "fdisk"),
    (&["sgdisk"], "gdisk"),
    LVM,
];

/// What the hooks of block-device.d call of [`DIVIDERS`], by their text.
///
/// # Errors
/// A hook that cannot be read.
pub(super) fn device_hook_tools<'a>(
    hooks: impl Iterator<Item = &'a Hook>,
) -> Result<Vec<PlannedTool>, Error> {
    let mut tools = Vec::new();
    for hook in hooks.filter(|hook| hook.phase == Phase::BlockDevice) {
        for (command, package) in DIVIDERS {
            if elements::calls(hook, command)? {
                tools.push(PlannedTool {
                    need: Need::Command(command),
                    package,
                    element: Some(hook.element.clone()),
                    format: None,
                    in_machine: true,
                    why: "block-device.d divides the disk with it",
                });
            }
        }
    }
    Ok(tools)
}

/// What makes the devices that a layout has.
fn device_tools(layout: &Layout) -> Vec<Command> {
    let mut tools = DEVICES.to_vec();
    if layout.disks.iter().any(|disk| disk.table.is_some()) {
        tools.push(PARTITIONS);
    }
    if !layout.lvm.physical_volumes.is_empty() {
        tools.push(LVM);
    }
    tools
}

/// A command that builds of one kind need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownTool {
    /// What.
    pub need: Need,
    /// The Debian package that has it.
    pub package: &'static str,
    /// Which builds need it.
    pub builds: String,
}

/// What builds can need for their formats, filesystems and devices.
pub fn known_tools() -> Vec<KnownTool> {
    let tool = |(command, package): Command, builds: String| KnownTool {
        need: Need::Command(command),
        package,
        builds,
    };
    let formats = [
        OutputFormat::Qcow2,
        OutputFormat::Squashfs,
        OutputFormat::Tar,
    ];
    let mut tools: Vec<KnownTool> = formats
        .iter()
        .filter_map(|format| {
            let builds = format!("output format {}", format.name());
            Some(tool(format_command(format)?, builds))
        })
        .collect();
    for fstype in ["ext4", "vfat", "btrfs", "xfs", "swap"] {
        let commands = filesystem_tools(fstype).iter();
        tools.extend(commands.map(|command| tool(*command, format!("{fstype} filesystems"))));
    }
    let devices = DEVICES.map(|command| tool(command, "block devices".to_owned()));
    tools.extend(devices);
    tools.push(tool(PARTITIONS, "partitions as block devices".to_owned()));
    tools.push(tool(LVM, "LVM".to_owned()));
    let listed = [PARTITIONS, LVM];
    let dividers = DIVIDERS.iter().filter(|it| !listed.contains(it));
    let builds = "disks that hooks of elements of 1.x and before divide";
    tools.extend(
        dividers
            .chain([&MAPS])
            .map(|command| tool(*command, builds.to_owned())),
    );
    tools
}

fn format_command(format: &OutputFormat) -> Option<Command> {
    Some(match format {
        OutputFormat::Squashfs => (&["mksquashfs"], "squashfs-tools"),
        OutputFormat::Tar | OutputFormat::Tgz | OutputFormat::Aci | OutputFormat::Docker => {
            (&["tar"], "tar")
        }
        OutputFormat::Qcow2 | OutputFormat::QemuImg(_) => (&["qemu-img"], "qemu-utils"),
        OutputFormat::Vhd => (&["vhd-util", "qemu-img"], "qemu-utils"),
        OutputFormat::Raw => return None,
    })
}

fn format_tool(output: &PlannedOutput, route: &Route) -> Option<PlannedTool> {
    let (command, package) = format_command(&output.format)?;
    Some(PlannedTool {
        need: Need::Command(command),
        package,
        element: None,
        format: Some(output.format.name().into()),
        in_machine: match output.format.is_packed_from_tree() {
            true => route.device.kind == ApplianceKind::Microvm,
            false => route.convert.kind == ApplianceKind::Microvm,
        },
        why: "the output format",
    })
}

type Command = (&'static [&'static str], &'static str);

fn filesystem_tools(fstype: &str) -> &'static [Command] {
    match fstype {
        "ext2" => &[(&["mkfs.ext2"], "e2fsprogs"), (&["debugfs"], "e2fsprogs")],
        "ext3" => &[(&["mkfs.ext3"], "e2fsprogs"), (&["debugfs"], "e2fsprogs")],
        "ext4" => &[(&["mkfs.ext4"], "e2fsprogs"), (&["debugfs"], "e2fsprogs")],
        "vfat" | "fat" => &[(&["mkfs.vfat"], "dosfstools"), (&["mcopy"], "mtools")],
        "btrfs" => &[(&["mkfs.btrfs"], "btrfs-progs")],
        "xfs" => &[(&["mkfs.xfs"], "xfsprogs")],
        "swap" => &[(&["mkswap"], "util-linux")],
        _ => &[],
    }
}
