//! Making one node or placeholder.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::stat::{makedev, mknod, Mode, SFlag};

use crate::agent::paths;
use crate::output::nodes::NodeKind;
use crate::output::NodeRegistry;

/// Makes a device node, or a placeholder where the kernel refuses.
///
/// `mode` is used as it is, whatever the umask.
///
/// # Errors
/// `EEXIST` and its like from either call; an unwritable registry.
pub(crate) fn make(
    path: &Path,
    kind: NodeKind,
    major: u32,
    minor: u32,
    mode: u32,
) -> io::Result<()> {
    let flag = match kind {
        NodeKind::Char => SFlag::S_IFCHR,
        NodeKind::Block => SFlag::S_IFBLK,
    };
    let device = makedev(major.into(), minor.into());
    match mknod(path, flag, Mode::empty(), device) {
        Ok(()) => return fs::set_permissions(path, PermissionsExt::from_mode(mode)),
        Err(Errno::EPERM) => {}
        Err(error) => return Err(error.into()),
    }
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o0)
        .open(path)?;
    file.set_permissions(PermissionsExt::from_mode(mode))?;
    NodeRegistry::append(Path::new(paths::NODES), path, kind, major, minor)
        .map(drop)
        .map_err(io::Error::other)
}
