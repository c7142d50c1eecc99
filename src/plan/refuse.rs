//! What this version does not build, found before any work starts.

use std::ffi::OsStr;

use crate::blockdev::Layout;
use crate::elements::{self, ElementSet, Hook};
use crate::request::BuildRequest;

use super::Error;

/// Filesystems that can be made from a tree without mounting them.
const POPULATED_OFFLINE: [&str; 7] = ["ext2", "ext3", "ext4", "vfat", "fat", "btrfs", "swap"];

/// Those that can also hold a whole system: mkfs.btrfs (6.2) loses the numbers
/// of device nodes and cannot set the root directory's owner, vfat has neither
/// links nor owners.
const HOLDS_A_ROOT: [&str; 3] = ["ext2", "ext3", "ext4"];

/// Refuses hooks that read or make a block device: there is none without a
/// kernel of our own.
pub(super) fn block_device_hooks<'a>(
    hooks: impl IntoIterator<Item = &'a Hook>,
    set: &ElementSet,
) -> Result<(), Error> {
    for hook in hooks {
        if let Some(found) = elements::reads_block_device(hook)? {
            return Err(Error::NeedsBlockDevice {
                asked_by: set.askers(&found.element),
                found: Box::new(found),
            });
        }
    }
    Ok(())
}

/// Refuses filesystems whose mkfs cannot be given the tree that they get.
pub(super) fn unpopulatable_filesystems(layout: &Layout) -> Result<(), Error> {
    let refused = layout.filesystems.iter().find(|filesystem| {
        let fitting: &[&str] = match filesystem.mount_point.as_deref() {
            Some("/") => &HOLDS_A_ROOT,
            _ => &POPULATED_OFFLINE,
        };
        !fitting.contains(&filesystem.fstype.as_str())
    });
    match refused {
        Some(filesystem) => Err(Error::UnpopulatableFilesystem {
            node: filesystem.node.clone(),
            fstype: filesystem.fstype.clone(),
            mount_point: filesystem.mount_point.clone().unwrap_or_default(),
        }),
        None => Ok(()),
    }
}

/// Refuses disks of other than 512-byte sectors (`DIB_BLOCK_SIZE`).
pub(super) fn block_size(request: &BuildRequest) -> Result<(), Error> {
    match request.environment.get(OsStr::new("DIB_BLOCK_SIZE")) {
        Some(size) if !size.is_empty() && size != "512" => {
            Err(Error::BlockSize(size.to_string_lossy().into_owned()))
        }
        _ => Ok(()),
    }
}

/// Refuses what a layout can say but no step of this version makes: several
/// disks, disks elsewhere or of larger sectors, LVM.
pub(super) fn beyond_offline(layout: &Layout) -> Result<(), Error> {
    match layout.beyond_offline() {
        Some((node, what)) => Err(Error::BeyondOffline {
            node: node.into(),
            what,
        }),
        None => Ok(()),
    }
}
