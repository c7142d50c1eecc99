//! Directories of a build on the host: staging beside the outputs, and work
//! directories when the build cannot live in memory.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::appliance::WorkDir;
use crate::protocol::OwnCache;
use crate::report::LogWriter;
use crate::request::BuildRequest;

use super::{memory, room, Error};

/// Random suffix of temporary names, like mktemp's `XXXXXXXX`.
pub(super) fn random_suffix() -> Result<String, Error> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    Ok(random::<8>()?
        .iter()
        .map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]))
        .collect())
}

fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0u8; N];
    fs::File::open("/dev/urandom")
        .and_then(|mut file| io::Read::read_exact(&mut file, &mut bytes))
        .map_err(|source| Error::Host {
            what: "read /dev/urandom".into(),
            source,
        })?;
    Ok(bytes)
}

/// Whether the build lives in memory (`tmpfs_check`): wanted, and the memory that
/// it may use at least twice what the tmpfs needs. The second value is upstream's warning.
pub fn use_tmpfs(request: &BuildRequest) -> (bool, Option<String>) {
    if !request.tmpfs.wanted {
        return (false, None);
    }
    let needed_gib = request.tmpfs.min_gib * 2;
    match memory::total_kib() {
        Some(total) if total >= needed_gib.saturating_mul(1 << 20) => (true, None),
        Some(total) => (
            false,
            Some(format!(
                "WARNING: Not enough RAM to use tmpfs for build. Using {}. ({total} < {needed_gib}G)",
                request.tmp_dir.display()
            )),
        ),
        None => (false, None),
    }
}

/// Creates a directory that only the caller can enter.
pub(super) fn private_dir(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().mode(0o700).create(path)
}

/// The staging directory for outputs: beside them, so that they appear by rename.
pub(super) fn staging(request: &BuildRequest, suffix: &str) -> PathBuf {
    let image = request.image_path();
    image
        .directory
        .join(format!(".{}.safedib-{suffix}", image.base_name))
}

/// The two directories of a build, in memory or below `TMP_DIR`.
pub(super) fn work_dirs(request: &BuildRequest, suffix: &str, tmpfs: bool) -> [WorkDir; 2] {
    ["dib_build", "dib_image"].map(|name| {
        let path = request.tmp_dir.join(format!("{name}.{suffix}"));
        WorkDir {
            on_disk: (!tmpfs).then(|| path.clone()),
            path,
        }
    })
}

/// The same two directories of a machine: they lie on its scratch disk, which
/// lies below `TMP_DIR`.
pub(super) fn machine_dirs(request: &BuildRequest, suffix: &str) -> [WorkDir; 2] {
    let mut directories = work_dirs(request, suffix, true);
    let disk = request.tmp_dir.join(format!("dib_machine.{suffix}"));
    directories[0].on_disk = Some(disk);
    directories
}

/// The build's own place in the image cache, unless the cache is a helper
/// drive's, which one build at a time has.
pub(super) fn own_cache(request: &BuildRequest, suffix: &str) -> Option<OwnCache> {
    let shared = &request.image_cache;
    request.helper_drive.is_none().then(|| OwnCache {
        shared: shared.clone(),
        own: shared.join(format!(".safedib-{suffix}")),
    })
}

/// Creates a directory of the caller that hooks write to. That it cannot be
/// written is only told: hooks may find there all that they need.
///
/// # Errors
/// It cannot be created.
pub(super) fn caller_dir(
    what: &'static str,
    directory: &Path,
    log: &mut LogWriter,
) -> Result<(), Error> {
    fs::create_dir_all(directory).map_err(|source| Error::Directory {
        what,
        directory: directory.into(),
        source,
    })?;
    if let Some(error) = room::unwritable(directory) {
        log.say(&format!(
            "WARNING safedib: nothing can be written to {} ({error}): hooks that need more than \
             is there will fail; set {what} to a directory you own",
            directory.display()
        ));
    }
    Ok(())
}
