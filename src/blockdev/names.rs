//! Names of devices and paths of files that follow from names of nodes.

/// The device of a partition as `kpartx` names it, for `/dev/loop0` and 1
/// `/dev/mapper/loop0p1`.
pub fn partition_device(loop_device: &str, number: u32) -> String {
    let name = loop_device.strip_prefix("/dev/").unwrap_or(loop_device);
    format!("/dev/mapper/{name}p{number}")
}

/// The device of a logical volume. Device-mapper doubles hyphens within names;
/// upstream does not, and looks for a device that is not there.
pub fn volume_device(group: &str, volume: &str) -> String {
    let escape = |name: &str| name.replace('-', "--");
    format!("/dev/mapper/{}-{}", escape(group), escape(volume))
}

/// The path of a disk's image file.
pub fn image_path(directory: &str, disk: &str) -> String {
    join(directory, &format!("{disk}.raw"))
}

/// Where the filesystem of a mount point is while the image is made.
pub(super) fn mount_path(mount_base: &str, mount_point: &str) -> String {
    join(mount_base, mount_point.trim_start_matches('/'))
}

/// Python's `os.path.join` for a relative second part.
fn join(directory: &str, name: &str) -> String {
    match directory {
        "" => name.into(),
        directory if directory.ends_with('/') => format!("{directory}{name}"),
        directory => format!("{directory}/{name}"),
    }
}
