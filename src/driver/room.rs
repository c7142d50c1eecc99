//! Room for what a build writes: what is known to lack before it starts, and
//! which filesystem was full when something of it failed.

use std::io;
use std::path::{Path, PathBuf};

use nix::sys::resource::{getrlimit, Resource, RLIM_INFINITY};
use nix::sys::statvfs::statvfs;
use nix::unistd::{access, AccessFlags};

use crate::appliance::microvm::SCRATCH_BYTES;
use crate::error::Setting;
use crate::plan::{ApplianceKind, Plan, Step};
use crate::request::BuildRequest;

use super::stages::MEDIUM_BYTES;
use super::{error, Error, Workspace};

/// What programs print of ENOSPC; GNU tar names the cut write only.
const FULL: [&str; 2] = ["No space left on device", "Wrote only "];

/// What they print of EFBIG, and a shell of SIGXFSZ.
const TOO_LARGE: [&str; 3] = ["File too large", "File size limit exceeded", "Wrote only "];

/// A filesystem with less than a thousandth, and less than this, has no room: the
/// last clusters cannot always be used.
const CRUMBS: u64 = 64 << 20;
/// So much may be left of a small one.
const LAST_BLOCKS: u64 = 64 << 10;

/// The limit on the size of a file, if there is one.
fn file_limit() -> Option<u64> {
    let (soft, _) = getrlimit(Resource::RLIMIT_FSIZE).ok()?;
    (soft != RLIM_INFINITY).then_some(soft)
}

/// Refuses a build that makes larger files than this process may.
///
/// # Errors
/// The first that cannot be made.
pub(super) fn check_file_limit(plan: &Plan) -> Result<(), Error> {
    let Some(limit) = file_limit() else {
        return Ok(());
    };
    let too_large = known_files(plan).find(|(_, bytes)| *bytes > limit);
    match too_large {
        Some((what, bytes)) => Err(Error::FileLimit { what, bytes, limit }),
        None => Ok(()),
    }
}

/// Large files whose size is known before the build; all of them are sparse.
fn known_files(plan: &Plan) -> impl Iterator<Item = (&'static str, u64)> + '_ {
    let machine = plan.uses(ApplianceKind::Microvm);
    let medium = plan.stages().iter().any(|s| plan.needs_image_disk(s));
    let disk = plan.outputs.iter().any(|output| output.needs_disk());
    let requested = plan.steps.iter().find_map(|planned| match &planned.step {
        Step::MeasureTree { policy } => policy.requested_kib.map(|kib| policy.rounded_kib(kib)),
        _ => None,
    });
    [
        machine.then_some(("the machine's scratch disk", SCRATCH_BYTES)),
        medium.then_some(("the medium of the image's disk", MEDIUM_BYTES)),
        requested
            .filter(|_| disk)
            .map(|kib| ("the image's raw disk", kib.saturating_mul(1024))),
    ]
    .into_iter()
    .flatten()
}

/// Refuses a place for temporary trees that is no directory, even if trees are in
/// memory: hooks find their paths there.
///
/// # Errors
/// ENOENT, ENOTDIR, or what else keeps it from being looked at.
pub(super) fn check_temporary(request: &BuildRequest) -> Result<(), Error> {
    let looked = std::fs::metadata(&request.tmp_dir);
    let directory = looked.and_then(|found| match found.is_dir() {
        true => Ok(()),
        false => Err(io::ErrorKind::NotADirectory.into()),
    });
    directory.map_err(|source| Error::Directory {
        what: error::TMP_DIR,
        directory: request.tmp_dir.clone(),
        source,
    })
}

/// Refuses a directory whose filesystem is full already.
///
/// # Errors
/// ENOSPC. What is wrong otherwise shows when something is made there.
pub(super) fn check_directory(directory: &Path) -> io::Result<()> {
    match Room::of(directory) {
        Some(room) if room.free == 0 || room.inodes == Some(0) => {
            Err(io::ErrorKind::StorageFull.into())
        }
        _ => Ok(()),
    }
}

/// Why a directory that hooks write to cannot be written, if it cannot.
pub(super) fn unwritable(directory: &Path) -> Option<io::Error> {
    let wanted = AccessFlags::W_OK | AccessFlags::X_OK;
    access(directory, wanted).err().map(io::Error::from)
}

/// Room on a filesystem.
struct Room {
    free: u64,
    total: u64,
    /// Inodes that are free, where they are counted.
    inodes: Option<u64>,
}

impl Room {
    fn of(directory: &Path) -> Option<Room> {
        let found = statvfs(directory).ok()?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.fragment_size());
        // Some filesystems of programs (FUSE) count nothing.
        (found.blocks() > 0).then(|| Room {
            free: bytes(found.blocks_available()),
            total: bytes(found.blocks()),
            inodes: (found.files() > 0).then(|| found.files_available()),
        })
    }

    /// Why nothing more goes there, in words.
    fn full(&self) -> Option<String> {
        if self.inodes == Some(0) {
            return Some("no inode is free".into());
        }
        let crumbs = (self.total / 1000).clamp(LAST_BLOCKS, CRUMBS);
        (self.free <= crumbs).then(|| self.now())
    }

    /// How much there is, in words.
    fn now(&self) -> String {
        let (free, total) = (self.free >> 20, self.total.div_ceil(1 << 20));
        format!("{free} of {total} MiB are free")
    }
}

/// A directory of the host that a build writes to.
struct Place {
    directory: PathBuf,
    /// What of it is the build's own: nothing else has such a name.
    own: PathBuf,
    what: String,
    /// What else to do than to make room.
    instead: String,
}

/// The directories that a stage of this kind writes to.
fn places(request: &BuildRequest, workspace: &Workspace, kind: ApplianceKind) -> Vec<Place> {
    let place = |directory: &Path, own: &Path, what: &str, instead: String| Place {
        directory: directory.into(),
        own: own.into(),
        what: what.into(),
        instead,
    };
    let mut places = vec![place(
        &request.image_path().directory,
        &workspace.staging,
        "where the image is made",
        format!("choose another place with {}", Setting::Output),
    )];
    let on_disk = match kind {
        ApplianceKind::Namespace => workspace.work_dirs[0].on_disk.is_some(),
        ApplianceKind::Microvm => true,
    };
    if on_disk {
        places.push(place(
            &request.tmp_dir,
            &workspace.work_dirs[1].path,
            &Setting::TmpDir.to_string(),
            format!("set {} to another directory", Setting::TmpDir),
        ));
    }
    if request.helper_drive.is_none() {
        places.push(place(
            &request.image_cache,
            &request.image_cache,
            error::IMAGE_CACHE,
            format!("set {} to another directory", error::IMAGE_CACHE),
        ));
    }
    places
}

/// Which filesystem was full when something failed with this text, and what to
/// change. To be asked before what the build has written is removed.
pub(super) fn explain(
    text: &str,
    request: &BuildRequest,
    workspace: &Workspace,
    kind: ApplianceKind,
) -> Option<(String, String)> {
    let says = |words: &[&str]| words.iter().any(|words| text.contains(words));
    let places = places(request, workspace, kind);
    let full: Vec<(&Place, String)> = places
        .iter()
        .filter(|_| says(&FULL))
        .filter_map(|place| {
            let why = Room::of(&place.directory)?.full()?;
            Some((place, format!("is full: {why}")))
        })
        .collect();
    if !full.is_empty() {
        return Some(told_full(&full));
    }
    if let Some(limit) = file_limit().filter(|_| says(&TOO_LARGE)) {
        return Some((
            format!("no file may have more than {limit} bytes here (ulimit -f)"),
            Setting::larger_files(),
        ));
    }
    if !says(&FULL) {
        return None;
    }
    // Whoever found no room may have removed what it had written.
    let named = |place: &&Place| text.contains(&*place.own.to_string_lossy());
    if let Some(place) = places.iter().find(named) {
        let now = Room::of(&place.directory)?.now();
        let why = format!("had no room: {now} after the failure");
        return Some(told_full(&[(place, why)]));
    }
    if kind == ApplianceKind::Microvm {
        // Its own disk is full, of a size that the host's room says nothing about.
        return None;
    }
    let in_memory = workspace.work_dirs[0].on_disk.is_none();
    Some(told_room(&places, in_memory.then_some(&*request.tmp_dir)))
}

fn told_full(full: &[(&Place, String)]) -> (String, String) {
    let line = |(place, why): &(&Place, String)| {
        let Place {
            directory, what, ..
        } = place;
        format!("the filesystem of {} ({what}) {why}", directory.display())
    };
    let lines: Vec<String> = full.iter().map(line).collect();
    let instead: Vec<&str> = full.iter().map(|(place, _)| &*place.instead).collect();
    (
        lines.join("\n"),
        format!("free space there, or {}", instead.join(" and ")),
    )
}

/// What room there is, where nothing tells which had none; `in_memory` is where
/// the build would be on disk.
fn told_room(places: &[Place], in_memory: Option<&Path>) -> (String, String) {
    let mut lines: Vec<String> = places
        .iter()
        .filter_map(|place| {
            let now = Room::of(&place.directory)?.now();
            let (directory, what) = (place.directory.display(), &place.what);
            Some(format!("{directory} ({what}): {now}"))
        })
        .collect();
    lines.insert(0, "the build has this room now, after the failure:".into());
    let Some(tmp_dir) = in_memory else {
        let hint = "make room where there is little, or choose another place";
        return (lines.join("\n    "), hint.into());
    };
    lines.push("temporary trees: in memory, of which they get at most half".into());
    let hint = format!(
        "use --no-tmpfs (DIB_NO_TMPFS=1) to build below {} ({}), or make room where there is \
         little",
        Setting::TmpDir,
        tmp_dir.display()
    );
    (lines.join("\n    "), hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filesystem_is_full_before_its_last_byte() {
        let room = |free: u64, total: u64, inodes| Room {
            free,
            total,
            inodes,
        };
        let mib = 1 << 20;
        assert!(room(mib, 40 * mib, None).full().is_none());
        assert!(room(0, 40 * mib, None)
            .full()
            .is_some_and(|why| why == "0 of 40 MiB are free"));
        // Of a large one a thousandth, but never gigabytes.
        assert!(room(4 * mib, 8192 * mib, Some(5)).full().is_some());
        assert!(room(9 * mib, 8192 * mib, Some(5)).full().is_none());
        assert!(room(1 << 30, 100 << 40, None).full().is_none());
        assert!(room(mib, 40 * mib, Some(0))
            .full()
            .is_some_and(|why| why.contains("inode")));
    }

    #[test]
    fn directories_that_can_be_written_have_room() {
        let directory = tempfile::tempdir().unwrap();
        check_directory(directory.path()).unwrap();
        assert!(unwritable(directory.path()).is_none());
        let absent = directory.path().join("absent");
        check_directory(&absent).unwrap();
        assert!(unwritable(&absent).is_some());
    }
}
