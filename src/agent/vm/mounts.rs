//! The machine's mounts.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{chown, symlink, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::mount::{mount, MsFlags};

use super::Fault;
use crate::agent::mounts::{bind, bind_read_only, detach};
use crate::protocol::machine::{MachineMount, BOOT_DIR, FILES_DIR, SCRATCH_DIR};

const NONE: Option<&str> = None;

/// Mounts what every system has, beside what is there already.
pub(super) fn system() -> Result<(), Fault> {
    let dev = Path::new("/dev");
    filesystem(
        "devpts",
        &dev.join("pts"),
        "newinstance,ptmxmode=0666,mode=620,gid=5",
    )?;
    filesystem("tmpfs", &dev.join("shm"), "mode=1777")?;
    filesystem("tmpfs", Path::new("/run"), "mode=755")?;
    let links = [
        ("pts/ptmx", "ptmx"),
        ("/proc/self/fd", "fd"),
        ("/proc/self/fd/0", "stdin"),
        ("/proc/self/fd/1", "stdout"),
        ("/proc/self/fd/2", "stderr"),
    ];
    for (target, name) in links {
        link(target, &dev.join(name))?;
    }
    // The root has room for little more than its packages.
    for path in ["/tmp", "/var/tmp"] {
        let own = layer(&format!("tmp{}", path.replace('/', "-")))?;
        mode(&own, 0o1777)?;
        directory(Path::new(path))?;
        bind(&own, Path::new(path)).map_err(Fault::of(format!("binding {path}")))?;
    }
    directory(Path::new("/run/lock"))?;
    mode(Path::new("/run/lock"), 0o1777)?;
    link("/run", Path::new("/var/run"))?;
    link("/run/lock", Path::new("/var/lock"))?;
    link("../proc/self/mounts", Path::new("/etc/mtab"))
}

fn filesystem(kind: &str, path: &Path, options: &str) -> Result<(), Fault> {
    directory(path)?;
    mount(
        Some(kind),
        path,
        Some(kind),
        MsFlags::MS_NOSUID,
        Some(options),
    )
    .map_err(|errno| Fault::of(format!("mounting {}", path.display()))(errno.into()))
}

fn directory(path: &Path) -> Result<(), Fault> {
    fs::create_dir_all(path).map_err(Fault::of(format!("making {}", path.display())))
}

fn mode(path: &Path, bits: u32) -> Result<(), Fault> {
    fs::set_permissions(path, PermissionsExt::from_mode(bits)).map_err(Fault::of(format!(
        "changing the mode of {}",
        path.display()
    )))
}

/// A link in place of whatever file, link or empty directory is there.
fn link(target: &str, path: &Path) -> Result<(), Fault> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    };
    removed
        .and_then(|()| symlink(target, path))
        .map_err(Fault::of(format!("linking {}", path.display())))
}

/// A directory of root's on the scratch disk.
fn layer(name: &str) -> Result<PathBuf, Fault> {
    let path = Path::new(SCRATCH_DIR).join("layers").join(name);
    directory(&path)?;
    Ok(path)
}

/// Mounts for hooks, in order: each may lie in the one before.
pub(super) fn for_hooks(mounts: &[MachineMount]) -> Result<(), Fault> {
    mounts
        .iter()
        .enumerate()
        .try_for_each(|(index, wanted)| for_hook(index, wanted))
}

fn for_hook(index: usize, wanted: &MachineMount) -> Result<(), Fault> {
    let path = wanted.path();
    let doing = || format!("mounting {}", path.display());
    match wanted {
        MachineMount::Shared { tag, writable, .. } => {
            directory(path)?;
            shared(tag, path, *writable).map_err(Fault::of(doing()))
        }
        MachineMount::File { number, .. } => {
            let own = Path::new(SCRATCH_DIR)
                .join(BOOT_DIR)
                .join(FILES_DIR)
                .join(number.to_string());
            chown(&own, Some(0), Some(0)).map_err(Fault::of(doing()))?;
            file_point(path).map_err(Fault::of(doing()))?;
            bind_read_only(&own, path).map_err(Fault::of(doing()))
        }
        MachineMount::Empty { .. } => {
            directory(path)?;
            let own = layer(&index.to_string())?;
            bind(&own, path).map_err(Fault::of(doing()))
        }
        MachineMount::Scratch {
            collect_at,
            over_share,
            ..
        } => {
            let upper = layer(&format!("{index}/upper"))?;
            if *over_share {
                overlay(index, &upper, path)?;
            } else {
                directory(path)?;
                bind(&upper, path).map_err(Fault::of(doing()))?;
            }
            directory(collect_at)?;
            bind(&upper, collect_at).map_err(Fault::of(doing()))
        }
    }
}

/// What the driver reads when the agent has spoken must be on the host by then:
/// writes are not cached. What is read-only is not expected to change.
fn shared(tag: &str, path: &Path, writable: bool) -> io::Result<()> {
    let mut flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOATIME;
    let cache = match writable {
        true => "mmap",
        false => {
            flags |= MsFlags::MS_RDONLY;
            "loose"
        }
    };
    let options = format!("trans=virtio,version=9p2000.L,msize=512000,access=any,cache={cache}");
    Ok(mount(
        Some(tag),
        path,
        Some("9p"),
        flags,
        Some(options.as_str()),
    )?)
}

fn file_point(path: &Path) -> io::Result<()> {
    if path.symlink_metadata().is_ok() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    File::create(path).map(drop)
}

/// The lower directory is bound to a name of ours first: in the options of
/// overlayfs colons and commas of a path would need escaping.
fn overlay(index: usize, upper: &Path, path: &Path) -> Result<(), Fault> {
    let doing = || Fault::of(format!("mounting an overlay on {}", path.display()));
    let lower = layer(&format!("{index}/lower"))?;
    let work = layer(&format!("{index}/work"))?;
    bind(path, &lower).map_err(doing())?;
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        lower.display(),
        upper.display(),
        work.display()
    );
    mount(
        Some("overlay"),
        path,
        Some("overlay"),
        MsFlags::empty(),
        Some(options.as_str()),
    )
    .map_err(|errno| doing()(errno.into()))?;
    detach(&lower).map_err(doing())
}

/// Shows the binary where every appliance has it.
pub(super) fn own_binary(own: &Path, at: &Path) -> Result<(), Fault> {
    let doing = || Fault::of(format!("showing {}", at.display()));
    chown(own, Some(0), Some(0)).map_err(doing())?;
    file_point(at).map_err(doing())?;
    bind_read_only(own, at).map_err(doing())
}

/// Hooks have no business with the layers; what is bound from there stays.
pub(super) fn hide_scratch_disk() -> Result<(), Fault> {
    let path = Path::new(SCRATCH_DIR);
    detach(path)
        .and_then(|()| fs::remove_dir(path))
        .map_err(Fault::of("hiding the scratch disk"))?;
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)
        .map_err(|errno| Fault::of("making all mounts private")(errno.into()))
}
