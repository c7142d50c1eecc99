//! The scratch disk: what pid 1 needs, and room for the build.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{cache, Error};
use crate::protocol::machine::{MachineSetup, BINARY_FILE, BOOT_DIR, FILES_DIR, SETUP_FILE};

/// Size of the disk, a sparse file. What the host has not got room for fails
/// when it is written.
pub const SIZE: u64 = 64 << 30;

/// The program that makes its filesystem.
pub(super) fn find_mkfs() -> Result<PathBuf, Error> {
    cache::need_program("mkfs.ext4", "e2fsprogs", "for its scratch disk")
}

/// Makes the disk in `directory`, which is the caller's alone.
pub(super) fn make(
    directory: &Path,
    setup: &MachineSetup,
    files: &[PathBuf],
) -> Result<PathBuf, Error> {
    let mkfs = find_mkfs()?;
    let content = directory.join("content");
    fill(&content.join(BOOT_DIR), setup, files)
        .map_err(Error::io(format!("writing {}", content.display())))?;
    let disk = directory.join("scratch.raw");
    let made = File::create(&disk).and_then(|file| file.set_len(SIZE));
    made.map_err(Error::io(format!("making {}", disk.display())))?;
    // Nothing outlives the machine, so no journal and no checksums, which take
    // the emulated processor's time; discarding a fresh file is only a delay.
    let output = Command::new(mkfs)
        .args(["-q", "-F", "-m", "0", "-O", "^has_journal,^metadata_csum"])
        .args(["-E", "lazy_itable_init=1,nodiscard,root_owner=0:0", "-d"])
        .arg(&content)
        .arg(&disk)
        .stdin(Stdio::null())
        .output()
        .map_err(Error::io("executing mkfs.ext4"))?;
    if !output.status.success() {
        return Err(Error::Tool {
            program: "mkfs.ext4",
            what: "the scratch disk of the machine",
            message: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        });
    }
    fs::remove_dir_all(&content).map_err(Error::io(format!("removing {}", content.display())))?;
    Ok(disk)
}

fn fill(boot: &Path, setup: &MachineSetup, files: &[PathBuf]) -> std::io::Result<()> {
    let shared = boot.join(FILES_DIR);
    fs::create_dir_all(&shared)?;
    fs::write(boot.join(SETUP_FILE), serde_json::to_vec(setup)?)?;
    fs::write(boot.join(BINARY_FILE), "")?;
    for (number, file) in files.iter().enumerate() {
        let copy = shared.join(number.to_string());
        fs::copy(file, &copy)?;
        // Hooks compare the times of images with those of their caches.
        let modified = fs::metadata(file)?.modified()?;
        File::open(&copy)?.set_modified(modified)?;
    }
    Ok(())
}
