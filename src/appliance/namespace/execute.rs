//! Carries out the sandbox's operations.
//!
//! The outer ones run in a mount namespace of the caller's (root) or of an
//! own user namespace; the inner ones in the hooks' namespaces, after the
//! pivot, with the host's tree at [`OLD_ROOT`] until the end.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{symlink, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::libc;
use nix::mount::{mount, umount2, MntFlags, MsFlags};
use nix::unistd::{chdir, pivot_root};

use crate::error::tell;

use super::error::{Fault, FaultKind};
use super::ops::SandboxOp;
use super::sys;

/// Where the host's tree is while the inner operations run.
const OLD_ROOT: &str = "/.host";
/// Directory that a private tmpfs covers in the outer mount namespace. Any that
/// every system has will do, except `/proc` and `/sys`: the kernel lets a user
/// namespace mount these only while it sees the host's.
const BASE: &str = "/tmp";

fn none() -> Option<&'static str> {
    None
}

/// Keeps our mounts from the host and the host's later ones from us.
///
/// # Errors
/// As a fault.
pub(super) fn make_private() -> Result<(), Fault> {
    mount(
        none(),
        "/",
        none(),
        MsFlags::MS_REC | MsFlags::MS_PRIVATE,
        none(),
    )
    .map_err(|errno| {
        Fault::new(
            FaultKind::Namespace,
            "making all mounts private",
            &errno.into(),
        )
    })
}

/// Executes the outer operations: takes every staged mount, then attaches them
/// below a private tmpfs.
///
/// # Errors
/// As a fault.
pub(super) fn stage(
    ops: &[SandboxOp],
    idmap: Option<BorrowedFd>,
    debug: bool,
) -> Result<(), Fault> {
    make_private()?;
    let mut trees = Vec::new();
    for op in ops {
        announce(op, debug);
        if let SandboxOp::Stage {
            source,
            number,
            directory,
            writable,
            idmapped,
        } = op
        {
            let tree = take(source, *writable, if *idmapped { idmap } else { None })
                .map_err(|(kind, error)| Fault::new(kind, op.describe(), &error))?;
            trees.push((tree, *number, *directory));
        }
    }
    let file = |doing: &str| {
        let doing = doing.to_owned();
        move |error: io::Error| Fault::new(FaultKind::File, doing, &error)
    };
    tmpfs(Path::new(BASE), 0o755).map_err(file("mounting the staging tmpfs"))?;
    fs::create_dir(new_root()).map_err(file("making the new root"))?;
    for (tree, number, directory) in trees {
        let place = staged(number);
        mount_point(&place, directory).map_err(file("making a staging place"))?;
        sys::move_mount(tree.as_fd(), &place).map_err(file("attaching a staged mount"))?;
    }
    Ok(())
}

fn take(
    source: &Path,
    writable: bool,
    idmap: Option<BorrowedFd>,
) -> Result<OwnedFd, (FaultKind, io::Error)> {
    let tree = sys::open_tree(source).map_err(|error| (FaultKind::Mount, error))?;
    let mut attributes = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
    if !writable {
        attributes |= libc::MOUNT_ATTR_RDONLY;
    }
    // Attributes are only ever added: those that the source has locked stay.
    sys::set_mount_attributes(tree.as_fd(), attributes, None)
        .map_err(|error| (FaultKind::Mount, error))?;
    if idmap.is_some() {
        sys::set_mount_attributes(tree.as_fd(), 0, idmap)
            .map_err(|error| (FaultKind::Idmap, error))?;
    }
    Ok(tree)
}

fn new_root() -> PathBuf {
    Path::new(BASE).join("root")
}

fn staged(number: usize) -> PathBuf {
    Path::new(BASE).join(number.to_string())
}

/// Makes the new root the root, with the host's tree at [`OLD_ROOT`].
///
/// # Errors
/// As a fault.
pub(super) fn enter_new_root() -> Result<(), Fault> {
    make_private()?;
    let fault = |doing: &str, error: io::Error| Fault::new(FaultKind::Mount, doing, &error);
    let root = new_root();
    tmpfs(&root, 0o755).map_err(|error| fault("mounting the new root", error))?;
    let old = root.join(OLD_ROOT.trim_start_matches('/'));
    fs::create_dir(&old).map_err(|error| fault("making the place of the old root", error))?;
    pivot_root(&root, &old).map_err(|errno| fault("pivot_root", errno.into()))?;
    chdir("/").map_err(|errno| fault("entering the new root", errno.into()))
}

/// Takes the host's tree away.
///
/// # Errors
/// As a fault.
pub(super) fn leave_old_root() -> Result<(), Fault> {
    umount2(OLD_ROOT, MntFlags::MNT_DETACH)
        .map_err(io::Error::from)
        .and_then(|()| fs::remove_dir(OLD_ROOT))
        .map_err(|error| Fault::new(FaultKind::Mount, "detaching the host's tree", &error))
}

/// Executes the inner operations, in order.
///
/// # Errors
/// The first fault.
pub(super) fn execute_all(ops: &[SandboxOp], debug: bool) -> Result<(), Fault> {
    for op in ops {
        announce(op, debug);
        execute(op).map_err(|error| Fault::new(kind(op), op.describe(), &error))?;
    }
    Ok(())
}

fn announce(op: &SandboxOp, debug: bool) {
    if debug {
        tell!("safedib sandbox: {op}");
    }
}

fn kind(op: &SandboxOp) -> FaultKind {
    match op {
        SandboxOp::Proc => FaultKind::Proc,
        SandboxOp::Sysfs => FaultKind::Sysfs,
        SandboxOp::Overlay { .. } => FaultKind::Overlay,
        SandboxOp::Stage { .. } | SandboxOp::Tmpfs { .. } | SandboxOp::Attach { .. } => {
            FaultKind::Mount
        }
        _ => FaultKind::File,
    }
}

fn execute(op: &SandboxOp) -> io::Result<()> {
    match op {
        SandboxOp::Stage { .. } => Err(io::ErrorKind::InvalidInput.into()),
        SandboxOp::Dir { path, mode } => {
            fs::create_dir_all(path)?;
            fs::set_permissions(path, Permissions::from_mode(*mode))
        }
        SandboxOp::Tmpfs { path, mode } => {
            fs::create_dir_all(path)?;
            tmpfs(path, *mode)
        }
        SandboxOp::Attach {
            number,
            path,
            directory,
        } => {
            mount_point(path, *directory)?;
            bind(&old(&staged(*number)), path)
        }
        SandboxOp::Bind { source, path } => {
            mount_point(path, true)?;
            bind(source, path)
        }
        SandboxOp::Overlay {
            lower,
            layers,
            path,
        } => overlay(*lower, layers, path),
        SandboxOp::DevNode { name } => {
            let path = Path::new("/dev").join(name);
            mount_point(&path, false)?;
            bind(&old(&path), &path)
        }
        SandboxOp::Devpts => {
            fs::create_dir_all("/dev/pts")?;
            let flags = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
            let options = "newinstance,ptmxmode=0666,mode=620,gid=5";
            Ok(mount(
                Some("devpts"),
                "/dev/pts",
                Some("devpts"),
                flags,
                Some(options),
            )?)
        }
        SandboxOp::Proc => {
            let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
            Ok(mount(Some("proc"), "/proc", Some("proc"), flags, none())?)
        }
        SandboxOp::Sysfs => sysfs(),
        SandboxOp::Symlink { target, path } => symlink(target, path),
        SandboxOp::WriteFile {
            path,
            content,
            mode,
        } => {
            fs::write(path, content)?;
            fs::set_permissions(path, Permissions::from_mode(*mode))
        }
        SandboxOp::CopyFile { path } => copy(path),
        SandboxOp::Unmount { path } => {
            umount2(path, MntFlags::MNT_DETACH)?;
            fs::remove_dir(path)
        }
    }
}

/// A path of the host as seen from the new root.
fn old(path: &Path) -> PathBuf {
    Path::new(OLD_ROOT).join(path.strip_prefix("/").unwrap_or(path))
}

/// Makes an empty directory or file to mount on, unless something is there.
fn mount_point(path: &Path, directory: bool) -> io::Result<()> {
    if directory {
        return fs::create_dir_all(path);
    }
    if path.symlink_metadata().is_ok() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    File::create(path).map(drop)
}

fn bind(source: &Path, path: &Path) -> io::Result<()> {
    Ok(mount(
        Some(source),
        path,
        none(),
        MsFlags::MS_BIND | MsFlags::MS_REC,
        none(),
    )?)
}

fn tmpfs(path: &Path, mode: u32) -> io::Result<()> {
    let options = format!("mode={mode:o}");
    Ok(mount(
        Some("tmpfs"),
        path,
        Some("tmpfs"),
        MsFlags::empty(),
        Some(options.as_str()),
    )?)
}

/// The superblock stays writable and only this mount is read-only: the kernel
/// lets hooks mount sysfs in their target read-write (debootstrap does) only then.
/// It is so from the start, because where the host's is read-only, as in a
/// container, the kernel refuses any other.
fn sysfs() -> io::Result<()> {
    let flags = libc::MOUNT_ATTR_NOSUID
        | libc::MOUNT_ATTR_NODEV
        | libc::MOUNT_ATTR_NOEXEC
        | libc::MOUNT_ATTR_RDONLY;
    let tree = sys::new_mount(c"sysfs", flags)?;
    sys::move_mount(tree.as_fd(), Path::new("/sys"))
}

/// Names of layers are ours, so nothing in the options needs escaping.
fn overlay(lower: usize, layers: &Path, path: &Path) -> io::Result<()> {
    let (upper, work) = (layers.join("upper"), layers.join("work"));
    fs::create_dir_all(&upper)?;
    fs::create_dir_all(&work)?;
    fs::create_dir_all(path)?;
    // In a user namespace overlayfs may not use trusted.* attributes.
    let options = format!(
        "lowerdir={},upperdir={},workdir={},userxattr",
        old(&staged(lower)).display(),
        upper.display(),
        work.display()
    );
    Ok(mount(
        Some("overlay"),
        path,
        Some("overlay"),
        MsFlags::empty(),
        Some(options.as_str()),
    )?)
}

fn copy(path: &Path) -> io::Result<()> {
    let mut source = match File::open(old(path)) {
        Ok(source) => source,
        Err(error) if matches!(error.raw_os_error(), Some(libc::EACCES | libc::ENOENT)) => {
            return Ok(())
        }
        Err(error) => return Err(error),
    };
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut target = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(path)?;
    io::copy(&mut source, &mut target).map(drop)
}
