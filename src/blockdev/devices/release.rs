//! The way back: from mounts to disks.

use std::path::Path;
use std::time::Duration;

use super::command;
use super::made::{Made, MadeDisk, MadeMount};
use super::{Error, Hands};
use crate::blockdev::state::State;

/// Upstream's attempts to unmount, and its time between them.
const ATTEMPTS: usize = 9;
const PAUSE: Duration = Duration::from_secs(3);

/// What is gone already, after an earlier attempt, is left out.
pub(super) fn umount(state: &State, hands: &mut Hands) -> Result<(), Error> {
    let made = Made::of(state);
    for mount in made.mounts.iter().rev() {
        unmount(mount, hands)?;
    }
    let attached: Vec<&MadeDisk> = made
        .disks
        .iter()
        .rev()
        .filter(|disk| is_attached(&disk.device, hands))
        .collect();
    if !attached.is_empty() {
        for group in made.groups.iter().rev() {
            for volume in &group.volumes {
                let command = command::deactivate_volume(&group.name, volume);
                hands.run(volume, &command)?;
            }
            hands.run(&group.name, &command::deactivate_group(&group.name))?;
        }
    }
    for disk in &attached {
        if disk.has_partitions {
            let command = command::unmap_partitions(&disk.device);
            hands.run(&disk.name, &command)?;
        }
    }
    for disk in attached {
        detach(disk, hands);
    }
    // A machine is switched off, not shut down.
    hands.system.sync();
    Ok(())
}

/// While the loop device has a backing file, the kernel shows which.
fn is_attached(device: &str, hands: &Hands) -> bool {
    let name = device.strip_prefix("/dev/").unwrap_or(device);
    hands.system.exists(&format!("/sys/block/{name}/loop"))
}

pub(super) fn unmount(mount: &MadeMount, hands: &mut Hands) -> Result<(), Error> {
    let mounted = hands.system.is_mounted(&mount.path);
    if !mounted.map_err(Error::io(&mount.name, "look for", &mount.path))? {
        return Ok(());
    }
    hands.say(&format!("Called for [{}]", mount.name));
    // Blocks of files that were just removed are free once that is written.
    hands.system.sync();
    if mount.fstype != "vfat" {
        match hands.run(&mount.name, &command::trim(&mount.path)) {
            // Not every device below an image can give blocks back; the image
            // takes more room then, and is as good.
            Err(Error::Tool { output, .. }) if output.contains("not supported") => {
                hands.say(&format!("Not trimmed: {output}"));
            }
            result => drop(result?),
        }
    }
    unmount_patiently(&mount.name, &mount.path, hands)
}

/// A hook's process may take a while to end.
pub(super) fn unmount_patiently(node: &str, path: &str, hands: &mut Hands) -> Result<(), Error> {
    let command = command::unmount(path);
    for _ in 1..ATTEMPTS {
        match hands.run(node, &command) {
            Err(Error::Tool { output, .. }) => {
                hands.say(&format!("umount failed ({})", output.trim()));
                hands.system.pause(PAUSE);
            }
            result => return result.map(drop),
        }
    }
    hands.run(node, &command).map(drop)
}

/// Failures are told, no more: what comes after can still be released.
fn detach(disk: &MadeDisk, hands: &mut Hands) {
    hands.say("loopdev detach");
    for _ in 0..ATTEMPTS {
        match hands.run(&disk.name, &command::detach(&disk.device)) {
            Ok(_) => return,
            Err(error) => hands.say(&format!("loopdev detach failed ({error})")),
        }
    }
}

pub(super) fn cleanup(state: &State, hands: &mut Hands) {
    if let Some(volume) = Made::of(state).physical_volumes.first() {
        if let Err(error) = hands.run(volume, &command::forget_volumes()) {
            hands.say(&format!("pvscan call failed [{error}]"));
        }
    }
}

pub(super) fn delete(state: &State, hands: &mut Hands) -> Result<(), Error> {
    let mut result = umount(state, hands);
    for disk in Made::of(state).disks.iter().rev() {
        hands.say(&format!("Remove image file [{}]", disk.image));
        let path = Path::new(&disk.image);
        let removed = hands.system.remove_image(path);
        result = result.and(removed.map_err(Error::io(&disk.name, "remove", path)));
    }
    result
}
