//! The machine's disks, by what the appliance called them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::protocol::machine::IMAGE_DISK;

/// The device of the image's disk.
///
/// Found by its serial number, since the order of devices is qemu's business.
///
/// # Errors
/// `NotFound` if this is no machine or it was started without such a disk, else
/// whatever sysfs gives.
pub fn image_disk() -> io::Result<PathBuf> {
    let name = by_serial(Path::new("/sys/block"), IMAGE_DISK)?;
    Ok(Path::new("/dev").join(name))
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
