//! From the initramfs to the machine's root: modules, disks, and the move.
//!
//! Under TCG each process that starts costs some 50 ms, so everything here is
//! system calls of pid 1, and modules are loaded in two threads.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::kmod::{finit_module, ModuleInitFlags};
use nix::mount::{mount, MsFlags};

use super::{disks, Fault};
use crate::agent::mounts::bind;
use crate::protocol::machine::{
    BootModules, BINARY_FILE, BOOT_DIR, INITRD_BINARY, INITRD_MODULES, MODULES_FILE, ROOT_DISK,
    SCRATCH_DIR, SCRATCH_DISK,
};

const NONE: Option<&str> = None;
/// How long a disk may take to appear once its driver is loaded.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(2);
/// Where the root is mounted before it is `/`; the kernel's own initramfs has it.
const NEW_ROOT: &str = "/root";

/// Modules that nothing needs before the first shares are mounted.
pub(super) struct Later(JoinHandle<Result<(), Fault>>);

impl Later {
    /// Waits until they are loaded.
    pub(super) fn wait(self) -> Result<(), Fault> {
        self.0
            .join()
            .unwrap_or_else(|_| Err(Fault::of("loading modules")(io::ErrorKind::Other.into())))
    }
}

/// Leaves the initramfs for the root, with the scratch disk at its place.
pub(super) fn to_root() -> Result<Later, Fault> {
    kernel_filesystem("sysfs", Path::new("/sys"))?;
    kernel_filesystem("devtmpfs", Path::new("/dev"))?;
    let later = load_modules(Path::new(INITRD_MODULES))?;
    let new = Path::new(NEW_ROOT);
    // The root is ext2, which ext4 mounts as well.
    disk(ROOT_DISK, new, None)?;
    for (kind, name) in [("proc", "proc"), ("sysfs", "sys"), ("devtmpfs", "dev")] {
        kernel_filesystem(kind, &new.join(name))?;
    }
    let scratch = new.join(SCRATCH_DIR.trim_start_matches('/'));
    make(&scratch)?;
    // The inode tables of a sparse file are zero already.
    disk(
        SCRATCH_DISK,
        &scratch,
        Some("noinit_itable,errors=remount-ro"),
    )?;
    let shown = scratch.join(BOOT_DIR).join(BINARY_FILE);
    bind(Path::new(INITRD_BINARY), &shown)
        .map_err(Fault::of(format!("showing {INITRD_BINARY}")))?;
    // pivot_root refuses the initramfs; kernel threads share this process's
    // root, so the kernel finds modprobe after this too.
    std::env::set_current_dir(new)
        .and_then(|()| Ok(mount(Some("."), "/", NONE, MsFlags::MS_MOVE, NONE)?))
        .and_then(|()| Ok(nix::unistd::chroot(".")?))
        .and_then(|()| std::env::set_current_dir("/"))
        .map_err(Fault::of("changing to the root"))?;
    Ok(later)
}

fn make(path: &Path) -> Result<(), Fault> {
    fs::create_dir_all(path).map_err(Fault::of(format!("making {}", path.display())))
}

fn kernel_filesystem(kind: &str, path: &Path) -> Result<(), Fault> {
    make(path)?;
    mount(Some(kind), path, Some(kind), MsFlags::empty(), NONE)
        .map_err(|errno| Fault::of(format!("mounting {}", path.display()))(errno.into()))
}

/// Mounts the disk with that serial number as soon as it is there.
fn disk(serial: &str, at: &Path, options: Option<&str>) -> Result<(), Fault> {
    let deadline = Instant::now() + PATIENCE;
    let device = loop {
        match disks::by_serial(Path::new("/sys/block"), serial) {
            Ok(name) => break Path::new("/dev").join(name),
            Err(error) if Instant::now() >= deadline => {
                return Err(Fault::of(format!("finding the {serial} disk"))(error))
            }
            Err(_) => thread::sleep(PAUSE),
        }
    };
    mount(
        Some(&device),
        at,
        Some("ext4"),
        MsFlags::MS_NOATIME,
        options,
    )
    .map_err(|errno| Fault::of(format!("mounting the {serial} disk"))(errno.into()))
}

/// Loads what disks need, and goes on with the rest.
fn load_modules(directory: &Path) -> Result<Later, Fault> {
    let file = directory.join(MODULES_FILE);
    let modules: BootModules = fs::read(&file)
        .and_then(|bytes| Ok(serde_json::from_slice(&bytes)?))
        .map_err(Fault::of(format!("reading {}", file.display())))?;
    // Opened before the initramfs is out of reach.
    let [common, devices, filesystems, later] = [
        open(directory, &modules.common)?,
        open(directory, &modules.devices)?,
        open(directory, &modules.filesystems)?,
        open(directory, &modules.later)?,
    ];
    load(common)?;
    let other = thread::spawn(move || load(devices));
    load(filesystems)?;
    Later(other).wait()?;
    Ok(Later(thread::spawn(move || load(later))))
}

fn open(directory: &Path, names: &[String]) -> Result<Vec<(PathBuf, File)>, Fault> {
    let open = |name: &String| {
        let path = directory.join(name);
        match File::open(&path) {
            Ok(file) => Ok((path, file)),
            Err(error) => Err(Fault::of(format!("opening {}", path.display()))(error)),
        }
    };
    names.iter().map(open).collect()
}

fn load(modules: Vec<(PathBuf, File)>) -> Result<(), Fault> {
    for (path, file) in modules {
        match finit_module(&file, c"", ModuleInitFlags::empty()) {
            Ok(()) | Err(nix::errno::Errno::EEXIST) => {}
            // A driver for a part of the processor that this one has not got.
            Err(nix::errno::Errno::ENODEV) => {}
            Err(errno) => {
                let name = path.file_name().map(OsStr::to_string_lossy);
                let doing = format!("loading the module {}", name.unwrap_or_default());
                return Err(Fault::of(doing)(errno.into()));
            }
        }
    }
    Ok(())
}
