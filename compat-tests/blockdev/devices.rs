//! The commands that make and release devices, compared with upstream's.

use safedib::blockdev::devices::{rehearse, Order};
use safedib::blockdev::graph::{Kind, Node};
use safedib::blockdev::state::Created;
use safedib::blockdev::Graph;

use super::{equal, same, Upstream};

/// What upstream calls and we do without a command, or have no use for: tables
/// and directories are made here, no udev runs.
const UPSTREAM_ONLY: [&str; 4] = ["sgdisk", "sync", "mkdir", "udevadm"];
/// What upstream leaves to udev.
const OURS_ONLY: [&str; 1] = ["modprobe"];

type Commands = Vec<Vec<String>>;

fn without(commands: &Commands, programs: &[&str]) -> Commands {
    let other = |words: &&Vec<String>| !programs.contains(&words[0].as_str());
    commands.iter().filter(other).cloned().collect()
}

/// From mounts to disks. Upstream goes back node by node, which mixes what does
/// not depend on each other; only mounts have an order among themselves.
fn by_kind(commands: Commands) -> Commands {
    let kinds = ["fstrim umount", "lvchange", "vgchange", "kpartx", "losetup"];
    let kind = |words: &Vec<String>| {
        let found = kinds.iter().position(|kind| kind.contains(&words[0]));
        found.expect("a command that releases")
    };
    let mut commands = commands;
    commands.sort_by_key(|words| match kind(words) {
        0 => (0, Vec::new()),
        other => (other, words.clone()),
    });
    commands
}

fn is_physical_volume(node: &Node) -> bool {
    matches!(node.kind, Kind::PhysicalVolume { .. })
}

pub fn compare(graph: &Graph, created: &Created, upstream: &Upstream) -> Result<(), String> {
    let order = Order {
        graph,
        image0_medium: None,
        populated: false,
        image_bytes: created.image_bytes,
        image_dir: &created.image_dir,
        mount_base: &created.mount_base,
        block_size: created.block_size,
    };
    let ours = rehearse(&order).map_err(|error| error.to_string())?;
    let theirs = without(&upstream.commands, &UPSTREAM_ONLY);
    equal("create", without(&ours.create, &OURS_ONLY), theirs)?;
    let nothing = Ok(String::new());
    same("umount", &nothing, upstream.umount.as_ref().unwrap())?;
    let theirs = without(&upstream.umount_commands, &UPSTREAM_ONLY);
    equal("umount", by_kind(ours.umount), by_kind(theirs))?;
    same("cleanup", &nothing, upstream.cleanup.as_ref().unwrap())?;
    // Once for each lvm entry, with or without volumes.
    let mut theirs = upstream.cleanup_commands.clone();
    theirs.dedup();
    if !graph.nodes.iter().any(is_physical_volume) {
        theirs.clear();
    }
    equal("cleanup", ours.cleanup, theirs)
}
