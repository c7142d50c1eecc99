//! The helper drive of a build, in a machine that does nothing else: hooks never
//! see the disk, only a copy of its directory `home`.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{mount, umount2, MntFlags, MsFlags};
use nix::sys::statvfs::statvfs;

use super::context::Context;
use super::error::Error;
use super::mirror::{self, mirror, Fault};
use super::vm;
use crate::plan::DRIVE_COPY;

/// Where the drive is mounted.
const MOUNT: &str = "/run/safedib/drive";
/// The directory of the drive that hooks have as their home.
const HOME: &str = "home";
/// Tells what is on a device, also of a machine in which no udev has looked.
const BLKID: &str = "/usr/sbin/blkid";
/// Filesystems with owners, modes and links.
const FITTING: [&str; 5] = ["ext2", "ext3", "ext4", "xfs", "btrfs"];

/// What is wrong with a helper drive.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DriveError {
    #[error("no partitions found in the helper drive")]
    NoPartitions,
    #[error("{0} has no filesystem")]
    NoFilesystem(&'static str),
    #[error("{0} has '{1}', which cannot hold a home directory")]
    Unfitting(&'static str, String),
    #[error("cannot mount the {fstype} of the helper drive: {source}")]
    Mount { fstype: String, source: io::Error },
    #[error("the helper drive is too small: {needed_mib} MiB are to be written, {free_mib} MiB are free")]
    Full { needed_mib: u64, free_mib: u64 },
}

impl DriveError {
    /// What to change.
    pub(crate) fn hint(&self) -> String {
        match self {
            DriveError::NoPartitions => {
                "make a partition with a filesystem on it, or a filesystem on the whole disk".into()
            }
            DriveError::NoFilesystem(_) => {
                "make a filesystem on it first, such as: mkfs.ext4 -F FILE (for a raw file); \
                 or name the file's format with --drive-format"
                    .into()
            }
            DriveError::Unfitting(..) => format!("use one of {}", FITTING.join(", ")),
            DriveError::Mount { .. } => "check the drive with the fsck of its filesystem".into(),
            DriveError::Full { .. } => {
                "use a larger drive, or remove what is not needed from home/.cache on it".into()
            }
        }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Error {
        Error::io(fault.action, fault.path)(fault.source)
    }
}

/// Copies `home` of the drive; `cache` below it exists afterwards.
///
/// # Errors
/// The drive is none, or cannot be read.
pub(crate) fn read(context: &mut Context, cache: &Path) -> Result<(), Error> {
    let copy = Path::new(DRIVE_COPY).join(HOME);
    DirBuilder::new()
        .mode(0o700)
        .create(&copy)
        .map_err(Error::io("create", &copy))?;
    let drive = Drive::mount(MsFlags::MS_RDONLY)?;
    let home = drive.home();
    let done = match home.is_dir() {
        true => mirror(&home, &copy)?,
        false => mirror::Done::default(),
    };
    drive.unmount()?;
    tell(context, "Read from", &done)?;
    let cache = copy.join(cache);
    fs::create_dir_all(&cache).map_err(Error::io("create", &cache))
}

/// Brings `home` and the files beside it back.
///
/// # Errors
/// The drive is none, or full; then nothing of `home` has changed, but the
/// files beside it are on the drive if they fit.
pub(crate) fn write(context: &mut Context) -> Result<(), Error> {
    let drive = Drive::mount(MsFlags::empty())?;
    let written = drive.write();
    // First of all the drive is left in order.
    let unmounted = drive.unmount();
    let done = written?;
    unmounted?;
    tell(context, "Wrote to", &done)
}

fn tell(context: &mut Context, what: &str, done: &mirror::Done) -> Result<(), Error> {
    for path in &done.skipped {
        context.say(format!(
            "Not copying {}: it is a special file",
            path.display()
        ))?;
    }
    context.say(format!(
        "{what} the helper drive: {} files, {} MiB; {} removed",
        done.files,
        done.bytes.div_ceil(1 << 20),
        done.removed
    ))
}

/// The drive's filesystem, mounted.
struct Drive {
    at: PathBuf,
}

impl Drive {
    fn mount(flags: MsFlags) -> Result<Drive, Error> {
        let device =
            vm::helper_drive().map_err(Error::io("find the helper drive in", "/sys/block"))?;
        let what = match device.partition {
            true => "the first partition of the helper drive",
            false => "the helper drive",
        };
        let (fstype, table) = probe(&device.path)?;
        let fstype = match (fstype, table) {
            (Some(fstype), _) => fstype,
            (None, true) => return Err(DriveError::NoPartitions.into()),
            (None, false) => return Err(DriveError::NoFilesystem(what).into()),
        };
        if !FITTING.contains(&fstype.as_str()) {
            return Err(DriveError::Unfitting(what, fstype).into());
        }
        let at = PathBuf::from(MOUNT);
        fs::create_dir_all(&at).map_err(Error::io("create", &at))?;
        let flags = flags | MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOATIME;
        mount(
            Some(device.path.as_path()),
            &at,
            Some(fstype.as_str()),
            flags,
            None::<&str>,
        )
        .map_err(|errno| DriveError::Mount {
            fstype,
            source: errno.into(),
        })?;
        Ok(Drive { at })
    }

    fn home(&self) -> PathBuf {
        self.at.join(HOME)
    }

    fn write(&self) -> Result<mirror::Done, Error> {
        let copy = Path::new(DRIVE_COPY);
        for entry in fs::read_dir(copy).map_err(Error::io("read", copy))? {
            let entry = entry.map_err(Error::io("read", copy))?;
            if entry.path().is_file() {
                let to = self.at.join(entry.file_name());
                fs::copy(entry.path(), &to).map_err(Error::io("copy to", &to))?;
            }
        }
        let (from, to) = (copy.join(HOME), self.home());
        let (needed, freed) = mirror::needs(&from, &to)?;
        let space = statvfs(&self.at).map_err(|errno| Error::io("ask", &self.at)(errno.into()))?;
        let free = space.blocks_available() * space.fragment_size();
        if needed > free + freed {
            return Err(DriveError::Full {
                needed_mib: needed.div_ceil(1 << 20),
                free_mib: free >> 20,
            }
            .into());
        }
        if !to.is_dir() {
            fs::create_dir(&to).map_err(Error::io("create", &to))?;
        }
        Ok(mirror(&from, &to)?)
    }

    /// Unmounts; the kernel has written everything by then.
    fn unmount(self) -> Result<(), Error> {
        nix::unistd::sync();
        umount2(&self.at, MntFlags::empty())
            .map_err(|errno| Error::io("unmount", &self.at)(errno.into()))?;
        // qemu is killed, not asked to end: what it holds must be in the file.
        nix::unistd::sync();
        Ok(())
    }
}

/// Type of the filesystem on a device, if any, and whether there is a table of
/// partitions.
fn probe(device: &Path) -> Result<(Option<String>, bool), Error> {
    let ask = |tag: &str| -> Result<Option<String>, Error> {
        let output = Command::new(BLKID)
            .args(["-p", "-o", "value", "-s", tag])
            .arg(device)
            .output()
            .map_err(|source| Error::Spawn {
                program: BLKID.to_owned(),
                source,
            })?;
        let answer = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Ok(Some(answer).filter(|answer| !answer.is_empty()))
    };
    Ok((ask("TYPE")?, ask("PTTYPE")?.is_some()))
}
