//! The machine's disks, by what the appliance called them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::protocol::machine::{HELPER_DRIVE, IMAGE_DISK};

const BLOCK: &str = "/sys/block";

/// The device of the image's disk.
///
/// Found by its serial number, since the order of devices is qemu's business.
///
/// # Errors
/// `NotFound` if this is no machine or it was started without such a disk, else
/// whatever sysfs gives.
pub fn image_disk() -> io::Result<PathBuf> {
    let name = by_serial(Path::new(BLOCK), IMAGE_DISK)?;
    Ok(Path::new("/dev").join(name))
}

/// The first partition of the helper drive; the drive if it has none.
///
/// # Errors
/// As [`image_disk`].
pub(in crate::agent) fn helper_drive() -> io::Result<HelperDevice> {
    let name = by_serial(Path::new(BLOCK), HELPER_DRIVE)?;
    let first = first_partition(&Path::new(BLOCK).join(&name))?;
    Ok(HelperDevice {
        path: Path::new("/dev").join(first.as_ref().unwrap_or(&name)),
        partition: first.is_some(),
    })
}

/// What of the helper drive has its filesystem.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::agent) struct HelperDevice {
    pub(in crate::agent) path: PathBuf,
    /// It is a partition.
    pub(in crate::agent) partition: bool,
}

/// The partition with the smallest number of the disk with this directory.
fn first_partition(disk: &Path) -> io::Result<Option<std::ffi::OsString>> {
    let mut found: Option<(u32, std::ffi::OsString)> = None;
    for entry in fs::read_dir(disk)? {
        let entry = entry?;
        let Ok(number) = fs::read_to_string(entry.path().join("partition")) else {
            continue;
        };
        let Ok(number) = number.trim_end().parse() else {
            continue;
        };
        if found.as_ref().is_none_or(|(least, _)| number < *least) {
            found = Some((number, entry.file_name()));
        }
    }
    Ok(found.map(|(_, name)| name))
}

/// Name of the block device with that serial number. Devices without one, loop
/// devices for example, have no such file.
pub(super) fn by_serial(block: &Path, serial: &str) -> io::Result<std::ffi::OsString> {
    for device in fs::read_dir(block)? {
        let device = device?;
        match fs::read_to_string(device.path().join("serial")) {
            // virtio-blk ends the text with or without a newline, by kernel.
            Ok(text) if text.trim_end() == serial => return Ok(device.file_name()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::new(
        io::ErrorKind::NotFound,
        format!("no block device with the serial number {serial:?}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_partition_is_that_with_the_smallest_number() {
        let top = tempfile::tempdir().unwrap();
        let disk = top.path();
        fs::create_dir(disk.join("queue")).unwrap();
        assert_eq!(first_partition(disk).unwrap(), None);
        for (name, number) in [("vdd10", "10\n"), ("vdd2", "2\n"), ("vdd3", "3\n")] {
            fs::create_dir(disk.join(name)).unwrap();
            fs::write(disk.join(name).join("partition"), number).unwrap();
        }
        assert_eq!(first_partition(disk).unwrap().unwrap(), "vdd2");
    }

    #[test]
    fn disks_are_found_by_their_serial_number_alone() {
        let top = tempfile::tempdir().unwrap();
        for (name, serial) in [
            ("loop0", None),
            ("vda", Some("root")),
            ("vdc", Some("image\n")),
        ] {
            let device = top.path().join(name);
            fs::create_dir(&device).unwrap();
            if let Some(serial) = serial {
                fs::write(device.join("serial"), serial).unwrap();
            }
        }
        assert_eq!(by_serial(top.path(), "image").unwrap(), "vdc");
        let error = by_serial(top.path(), "imag").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().contains("imag"), "{error}");
    }
}
