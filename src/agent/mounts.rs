//! Mounts below the target.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use nix::mount::{mount, umount2, MntFlags, MsFlags};
use nix::sys::statvfs::{statvfs, FsFlags};

use super::context::Context;
use super::error::Error;

const NONE: Option<&str> = None;

/// Binds a directory, without what is mounted below it.
pub(crate) fn bind(source: &Path, target: &Path) -> io::Result<()> {
    Ok(mount(Some(source), target, NONE, MsFlags::MS_BIND, NONE)?)
}

/// Binds a directory with all that is mounted below it.
pub(crate) fn bind_recursive(source: &Path, target: &Path) -> io::Result<()> {
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    Ok(mount(Some(source), target, NONE, flags, NONE)?)
}

/// Binds a directory read-only.
pub(crate) fn bind_read_only(source: &Path, target: &Path) -> io::Result<()> {
    bind(source, target)?;
    make_read_only(target)
}

/// Makes a mount read-only, but none that is mounted in it.
pub(crate) fn make_read_only(target: &Path) -> io::Result<()> {
    // MS_RDONLY has no effect on the call that binds. Flags that a more
    // privileged user namespace set must be repeated, or the kernel refuses.
    let mut flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    let present = statvfs(target)?.flags();
    for (flag, repeated) in [
        (FsFlags::ST_NOSUID, MsFlags::MS_NOSUID),
        (FsFlags::ST_NODEV, MsFlags::MS_NODEV),
        (FsFlags::ST_NOEXEC, MsFlags::MS_NOEXEC),
        (FsFlags::ST_NOATIME, MsFlags::MS_NOATIME),
        (FsFlags::ST_NODIRATIME, MsFlags::MS_NODIRATIME),
        (FsFlags::ST_RELATIME, MsFlags::MS_RELATIME),
    ] {
        if present.contains(flag) {
            flags |= repeated;
        }
    }
    Ok(mount(NONE, target, NONE, flags, NONE)?)
}

/// Detaches a mount at once, also while it is busy. `umount -f`, which upstream
/// uses beside that, is refused to all but the real root.
pub(crate) fn detach(target: &Path) -> io::Result<()> {
    Ok(umount2(target, MntFlags::MNT_DETACH)?)
}

/// Mounts proc, dev, devpts and sysfs below the target
/// (`mount_proc_dev_sys`).
///
/// # Errors
/// The target lacks one of the directories, or the kernel refuses.
pub(crate) fn mount_kernel_filesystems(
    context: &mut Context,
    sysfs_writable: bool,
) -> Result<(), Error> {
    let target = context.target();
    for name in ["proc", "dev", "sys"] {
        if !target.join(name).is_dir() {
            return Err(Error::MissingDirectory(name.to_owned()));
        }
    }
    let at = |name: &str| target.join(name);
    mount(
        Some("none"),
        &at("proc"),
        Some("proc"),
        MsFlags::empty(),
        NONE,
    )
    .map_err(|e| Error::io("mount proc on", at("proc"))(e.into()))?;
    // Nodes of /dev are mounts of their own where mknod is not allowed.
    bind_recursive(Path::new("/dev"), &at("dev")).map_err(Error::io("bind /dev to", at("dev")))?;
    let options = "newinstance,ptmxmode=0666,mode=620,gid=5";
    mount(
        Some("devpts"),
        &at("dev/pts"),
        Some("devpts"),
        MsFlags::empty(),
        Some(options),
    )
    .map_err(|e| Error::io("mount devpts on", at("dev/pts"))(e.into()))?;
    mount(
        Some("none"),
        &at("sys"),
        Some("sysfs"),
        match sysfs_writable {
            true => MsFlags::empty(),
            false => MsFlags::MS_RDONLY,
        },
        NONE,
    )
    .map_err(|e| Error::io("mount sysfs on", at("sys"))(e.into()))?;
    Ok(())
}

/// Unmounts everything below the target that the disk layout does not own, and
/// runs `$EXTRA_DETACH` and `$EXTRA_UNMOUNT` (`unmount_image`).
///
/// # Errors
/// One of the two commands fails.
pub(crate) fn unmount_target(context: &mut Context) -> Result<(), Error> {
    let target = context.target();
    unmount_below(context, &target)?;
    for name in ["EXTRA_DETACH", "EXTRA_UNMOUNT"] {
        let command = context.variables.get(name).to_owned();
        if !command.is_empty() {
            let invocation = context
                .outside("bash")
                .args(["-c", "$1", "bash"])
                .args([command]);
            context.run_tool(&invocation)?;
        }
    }
    Ok(())
}

/// Unmounts everything below a directory (`unmount_dir`), as far as the layout
/// does not own it: that is told by how the path ends.
pub(crate) fn unmount_below(context: &mut Context, directory: &Path) -> Result<(), Error> {
    if !directory.is_dir() {
        return context.say(format!("*** {} is not a directory", directory.display()));
    }
    let real = fs::canonicalize(directory).map_err(Error::io("resolve", directory))?;
    let owned = context.variables.get("DIB_MOUNTPOINTS").to_owned();
    let owned: Vec<&[u8]> = owned
        .as_bytes()
        .split(|byte| *byte == b'|')
        .filter(|point| !point.is_empty() && *point != b"/")
        .collect();
    for path in mounts_below(&real)? {
        if owned
            .iter()
            .any(|point| path.as_os_str().as_bytes().ends_with(point))
        {
            let path = path.display();
            context.say(format!(
                "Mountpoint {path} managed by block device; skipping"
            ))?;
            continue;
        }
        // the many files of a bound /dev are not worth a line each
        if path.is_dir() {
            context.say(format!("Unmount {}", path.display()))?;
        }
        if let Err(error) = detach(&path) {
            context.say(format!("umount: {}: {error}", path.display()))?;
        }
    }
    Ok(())
}

/// Mount points below a real path, those last in byte order first.
pub(crate) fn mounts_below(real: &Path) -> Result<Vec<PathBuf>, Error> {
    let table = fs::read("/proc/self/mounts").map_err(Error::io("read", "/proc/self/mounts"))?;
    Ok(parse_mounts(&table, real))
}

fn parse_mounts(table: &[u8], real: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = table
        .split(|byte| *byte == b'\n')
        .filter_map(|line| line.split(|byte| *byte == b' ').nth(1))
        .map(unescape)
        .filter(|path| path != real && path.starts_with(real))
        .collect();
    found.sort_by(|a, b| b.as_os_str().cmp(a.as_os_str()));
    found
}

/// Blanks and backslashes are three octal digits in the kernel's tables.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let octal = after
            .get(..3)
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        match (first, octal) {
            (b'\\', Some(byte)) => {
                bytes.push(byte);
                rest = &after[3..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_below_a_directory_come_deepest_first() {
        let table = b"none / tmpfs rw 0 0\nx /b/mnt tmpfs rw 0 0\nx /b/mnt/dev tmpfs rw 0 0\n\
                      x /b/mnt/dev/pts devpts rw 0 0\nx /b/mnt2/x y rw 0 0\nx /b/mnt/a\\040b y rw 0 0\n";
        let got = parse_mounts(table, Path::new("/b/mnt"));
        let expected = ["/b/mnt/dev/pts", "/b/mnt/dev", "/b/mnt/a b"];
        assert_eq!(got, expected.map(PathBuf::from));
    }
}
