//! The tools that make and release devices: their command lines, as data.

use std::fmt;
use std::path::Path;

use super::bare::RootFilesystem;
use crate::blockdev::graph::MkfsNode;
use crate::blockdev::LogicalVolume;

/// A command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Command {
    pub(super) program: &'static str,
    /// Settings that belong to the appliance; the log does not repeat them.
    pub(super) settings: &'static [&'static str],
    pub(super) arguments: Vec<String>,
    /// Debian's package of it.
    pub(super) package: &'static str,
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.program)?;
        self.arguments
            .iter()
            .try_for_each(|argument| write!(f, " {argument}"))
    }
}

impl Command {
    fn new(package: &'static str, program: &'static str, arguments: &[&str]) -> Command {
        Command {
            program,
            settings: &[],
            arguments: arguments.iter().map(|word| (*word).to_owned()).collect(),
            package,
        }
    }

    fn and<I: IntoIterator<Item = W>, W: Into<String>>(mut self, words: I) -> Command {
        self.arguments.extend(words.into_iter().map(Into::into));
        self
    }
}

/// Attaches a file or device to a free loop device, whose name it prints.
/// `bytes` says how much of it the loop device has.
pub(super) fn attach(path: &Path, block_size: u32, bytes: Option<u64>) -> Command {
    let command =
        Command::new("mount", "losetup", &["--sector-size"]).and([block_size.to_string()]);
    let command = match bytes {
        Some(bytes) => command.and(["--sizelimit".to_owned(), bytes.to_string()]),
        None => command,
    };
    command.and(["--show".into(), "-f".into(), path.display().to_string()])
}

pub(super) fn detach(device: &str) -> Command {
    Command::new("mount", "losetup", &["-d", device])
}

/// Maps all partitions of a loop device as linear devices: hooks and grub-probe
/// know them under these names.
pub(super) fn map_partitions(device: &str) -> Command {
    Command::new("kpartx", "kpartx", &["-uvs", device])
}

pub(super) fn unmap_partitions(device: &str) -> Command {
    Command::new("kpartx", "kpartx", &["-d", device])
}

/// Device-mapper does not load itself where no udev listens.
pub(super) fn load_device_mapper() -> Command {
    Command::new("kmod", "modprobe", &["dm_mod"])
}

/// What LVM's own configuration takes for granted and the appliance lacks: udev,
/// and dmeventd to watch over pools. Volumes may lie on volumes. Other disks of the machine are none of its
/// business, a disk below a loop device would be a duplicate of it.
const LVM_SETTINGS: [&str; 2] = [
    "--config",
    "activation { udev_sync = 0 udev_rules = 0 monitoring = 0 } \
    backup { backup = 0 archive = 0 } \
    devices { obtain_device_list_from_udev = 0 use_devicesfile = 0 scan_lvs = 1 \
    global_filter = [ \"a|^/dev/loop|\", \"a|^/dev/mapper/|\", \"a|^/dev/dm-|\", \"r|.*|\" ] }",
];

fn lvm(program: &'static str, arguments: &[&str]) -> Command {
    Command {
        settings: &LVM_SETTINGS,
        ..Command::new("lvm2", program, arguments)
    }
}

pub(super) fn make_physical_volume(device: &str, options: &Option<Vec<String>>) -> Command {
    lvm("pvcreate", &[device]).and(options.iter().flatten().cloned())
}

pub(super) fn make_group(
    name: &str,
    devices: Vec<String>,
    options: &Option<Vec<String>>,
) -> Command {
    let command = lvm("vgcreate", &[name]).and(devices);
    command.and(options.iter().flatten().cloned())
}

pub(super) fn make_volume(volume: &LogicalVolume) -> Command {
    lvm("lvcreate", &[]).and(volume.arguments())
}

pub(super) fn deactivate_volume(group: &str, volume: &str) -> Command {
    lvm("lvchange", &["-an", &format!("/dev/{group}/{volume}")])
}

pub(super) fn activate_group(name: &str) -> Command {
    lvm("vgchange", &["-ay", name])
}

pub(super) fn deactivate_group(name: &str) -> Command {
    lvm("vgchange", &["-an", name])
}

pub(super) fn remove_volume(group: &str, volume: &str) -> Command {
    lvm("lvremove", &["--yes", &format!("/dev/{group}/{volume}")])
}

pub(super) fn remove_group(name: &str) -> Command {
    lvm("vgremove", &["--yes", "--force", name])
}

pub(super) fn forget_volumes() -> Command {
    lvm("pvscan", &["--cache"])
}

/// Debian's package of the tools for filesystems of a type.
fn package_of(fstype: &str) -> &'static str {
    match fstype {
        "ext2" | "ext3" | "ext4" => "e2fsprogs",
        "xfs" => "xfsprogs",
        "btrfs" => "btrfs-progs",
        "vfat" | "fat" => "dosfstools",
        _ => "util-linux",
    }
}

/// The root filesystem as upstream's 1.x made it, before its configuration.
pub(super) fn make_root(device: &str, filesystem: &RootFilesystem) -> Command {
    let package = package_of(filesystem.fstype);
    let uuid = filesystem.uuid.into_iter().flat_map(|uuid| ["-U", uuid]);
    Command::new(package, "mkfs", &["-t", filesystem.fstype])
        .and(filesystem.options.iter().cloned())
        .and(uuid)
        .and(["-L", filesystem.label, device])
}

/// Removes a device of the device mapper.
pub(super) fn remove_map(name: &str) -> Command {
    Command::new("dmsetup", "dmsetup", &["--noudevsync", "remove", name])
}

/// `mkfs`, or `mkswap`, which gets no options.
pub(super) fn make_filesystem(mkfs: &MkfsNode, uuid: &str, device: &str) -> Command {
    let fstype = mkfs.fstype.as_str();
    let package = package_of(fstype);
    let command = match fstype {
        "swap" => Command::new(package, "mkswap", &[]),
        _ => Command::new(package, "mkfs", &["-t", fstype])
            .and(mkfs.options.iter().flatten().cloned()),
    };
    let label = if matches!(fstype, "vfat" | "fat") {
        "-n"
    } else {
        "-L"
    };
    let command = command.and([label, &mkfs.label]);
    let command = match fstype {
        "ext2" | "ext3" | "ext4" | "swap" => command.and(["-U", uuid]),
        "xfs" => command.and(["-m".to_owned(), format!("uuid={uuid}")]),
        _ => command,
    };
    let quiet = matches!(fstype, "ext2" | "ext3" | "ext4" | "xfs");
    command.and(quiet.then_some("-q")).and([device])
}

/// Whether [`make_filesystem`] gives a filesystem of the type its UUID.
pub(super) fn writes_uuid(fstype: &str) -> bool {
    matches!(fstype, "ext2" | "ext3" | "ext4" | "swap" | "xfs")
}

pub(super) fn read_uuid(device: &str) -> Command {
    let arguments = ["-c", "/dev/null", "-o", "value", "-s", "UUID", device];
    Command::new("util-linux", "blkid", &arguments)
}

pub(super) fn mount(device: &str, path: &str) -> Command {
    Command::new("mount", "mount", &[device, path])
}

pub(super) fn trim(path: &str) -> Command {
    Command::new("util-linux", "fstrim", &["--verbose", path])
}

pub(super) fn unmount(path: &str) -> Command {
    Command::new("mount", "umount", &[path])
}
