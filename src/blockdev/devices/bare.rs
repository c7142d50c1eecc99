//! A disk that hooks divide as they like: upstream's way before its
//! configuration, when a hook named the device that the root filesystem is made on.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::command;
use super::made::MadeMount;
use super::{release, Error, Hands, Kernel};

/// What errors call the disk, after the file that it is upstream.
const NODE: &str = "image.raw";

/// The filesystem that the tree goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RootFilesystem<'a> {
    /// `ext4`, `xfs`, ...
    pub fstype: &'a str,
    /// Further arguments of mkfs.
    pub options: &'a [String],
    /// Its label.
    pub label: &'a str,
    /// Its UUID, if it is an ext filesystem and not to have a random one.
    pub uuid: Option<&'a str>,
}

/// Attaches `bytes` of a disk to a loop device, whose name it gives. Hooks may
/// use the device mapper from then on.
///
/// # Errors
/// The disk is smaller, or a tool fails.
pub fn attach(medium: &Path, bytes: u64, log: &mut dyn FnMut(&str)) -> Result<String, Error> {
    with_hands(log, |hands| {
        let has = hands.system.size(medium);
        let has = has.map_err(Error::io(NODE, "find the size of", medium))?;
        if has < bytes {
            return Err(Error::SmallMedium {
                node: NODE.into(),
                path: medium.into(),
                has,
                needs: bytes,
            });
        }
        hands.run(NODE, &command::load_device_mapper())?;
        let device = hands.run(NODE, &command::attach(medium, SECTOR, Some(bytes)))?;
        Ok(device.trim().to_owned())
    })
}

const SECTOR: u32 = 512;

/// Makes the filesystem on a device and mounts it at a directory.
///
/// # Errors
/// A tool fails.
pub fn make_and_mount(
    device: &str,
    filesystem: &RootFilesystem,
    path: &Path,
    log: &mut dyn FnMut(&str),
) -> Result<(), Error> {
    with_hands(log, |hands| {
        hands.run(NODE, &command::make_root(device, filesystem))?;
        hands.run(NODE, &command::mount(device, &path.display().to_string()))?;
        Ok(())
    })
}

/// Unmounts the filesystem, removes all that the device mapper has over the
/// loop device, and detaches that.
///
/// # Errors
/// What could not be released.
pub fn release(
    device: &str,
    fstype: &str,
    path: &Path,
    log: &mut dyn FnMut(&str),
) -> Result<(), Error> {
    with_hands(log, |hands| {
        let mount = MadeMount {
            name: NODE.into(),
            path: path.display().to_string(),
            fstype: fstype.into(),
        };
        release::unmount(&mount, hands)?;
        let name = device.strip_prefix("/dev/").unwrap_or(device);
        let maps = maps_over(Path::new("/sys/class/block"), name);
        let maps = maps.map_err(Error::io(NODE, "look for what is over", device))?;
        for map in maps {
            hands.run(NODE, &command::remove_map(&map))?;
        }
        hands.run(NODE, &command::detach(device))?;
        // A machine is switched off, not shut down.
        hands.system.sync();
        Ok(())
    })
}

fn with_hands<T>(log: &mut dyn FnMut(&str), act: impl FnOnce(&mut Hands) -> T) -> T {
    let mut kernel = Kernel;
    act(&mut Hands {
        system: &mut kernel,
        log,
    })
}

/// The device mapper's names for what lies over a block device and over its
/// partitions, the uppermost first. `block` is sysfs' directory of all block devices.
fn maps_over(block: &Path, name: &str) -> io::Result<Vec<String>> {
    let directory = block.join(name);
    let mut maps = Vec::new();
    for holder in names_in(&directory.join("holders"))? {
        maps.extend(maps_over(block, &holder)?);
        let known = fs::read_to_string(block.join(&holder).join("dm/name"));
        maps.extend(known.map(|text| text.trim().to_owned()).ok());
    }
    for partition in names_in(&directory)? {
        if directory.join(&partition).join("partition").exists() {
            maps.extend(maps_over(block, &partition)?);
        }
    }
    // What lies over several of them is removed once.
    let mut seen = std::collections::BTreeSet::new();
    maps.retain(|map| seen.insert(map.clone()));
    Ok(maps)
}

/// The names in a directory, sorted; none where there is no such directory.
fn names_in(directory: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let name: PathBuf = entry?.file_name().into();
        names.push(name.display().to_string());
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_over_a_device_is_removed_from_above() {
        let top = tempfile::tempdir().unwrap();
        let make = |path: &str, text: &str| {
            let path = top.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        make("loop0/loop0p2/partition", "2");
        make("loop0/holders/dm-0", "");
        make("loop0/holders/dm-1", "");
        make("loop0p2/holders/dm-2", "");
        make("dm-0/dm/name", "loop0p1\n");
        make("dm-0/holders/dm-3", "");
        make("dm-1/dm/name", "loop0p3\n");
        make("dm-1/holders/dm-3", "");
        make("dm-2/dm/name", "over-partition\n");
        make("dm-3/dm/name", "vg-lv\n");
        make("dm-3/holders/md0", "");
        assert_eq!(
            maps_over(top.path(), "loop0").unwrap(),
            ["vg-lv", "loop0p1", "loop0p3", "over-partition"]
        );
        assert!(maps_over(top.path(), "loop7").unwrap().is_empty());
    }
}
