//! What this version does not build, found before any work starts.

use crate::blockdev::Layout;
use crate::elements::{self, Hook};

use super::Error;

/// Filesystems that can be made from a tree without mounting them.
const POPULATED_OFFLINE: [&str; 7] = ["ext2", "ext3", "ext4", "vfat", "fat", "btrfs", "swap"];

/// Refuses hooks that read or make a block device: there is none without a
/// kernel of our own.
pub(super) fn block_device_hooks<'a>(
    hooks: impl IntoIterator<Item = &'a Hook>,
) -> Result<(), Error> {
    for hook in hooks {
        if let Some(found) = elements::reads_block_device(hook)? {
            return Err(Error::NeedsBlockDevice(found));
        }
    }
    Ok(())
}

/// Refuses filesystems whose mkfs cannot be given a tree.
pub(super) fn unpopulatable_filesystems(layout: &Layout) -> Result<(), Error> {
    match layout
        .filesystems
        .iter()
        .find(|filesystem| !POPULATED_OFFLINE.contains(&filesystem.fstype.as_str()))
    {
        Some(filesystem) => Err(Error::UnpopulatableFilesystem {
            node: filesystem.node.clone(),
            fstype: filesystem.fstype.clone(),
        }),
        None => Ok(()),
    }
}
