//! Room for builds, and directories that they write to.

use std::path::Path;

use nix::sys::statvfs::statvfs;
use nix::unistd::{access, AccessFlags};

use crate::driver;
use crate::error::Setting;
use crate::plan::{ApplianceKind, Plan};
use crate::request::BuildRequest;

use super::findings::{Check, Group};

/// What a small system takes with its image, bytes.
const SMALL: u64 = 3 << 30;
const GIB: f64 = (1u64 << 30) as f64;

pub(super) fn group(request: &BuildRequest) -> Group {
    Group {
        name: "room",
        title: "room".into(),
        checks: vec![temporary(request), cache(request)],
    }
}

/// What would keep a build from getting its directories.
pub(super) fn obstacle(request: &BuildRequest, plan: &Plan) -> Option<String> {
    let on_disk = plan.uses(ApplianceKind::Microvm) || !driver::use_tmpfs(request).0;
    let temporary = on_disk
        .then(|| unwritable(&request.tmp_dir))
        .flatten()
        .map(|why| format!("TMP_DIR: {why}"));
    temporary.or_else(|| {
        let why = unwritable(existing(&request.image_cache))?;
        Some(format!("DIB_IMAGE_CACHE: {why}"))
    })
}

fn temporary(request: &BuildRequest) -> Check {
    const NAME: &str = "TMP_DIR";
    let directory = &request.tmp_dir;
    if let Some(why) = unwritable(directory) {
        return Check::lacks(
            NAME,
            format!("{why} (set {} to another directory)", Setting::TmpDir),
        );
    }
    let use_ = match driver::use_tmpfs(request).0 {
        true => "trees live in memory, disks of machines here",
        false => "trees and disks of machines live here",
    };
    let free = free(directory);
    let text = format!("{}: {}; {use_}", directory.display(), shown(free));
    match free {
        Some(free) if free < SMALL => Check::note(
            NAME,
            format!(
                "{text}; little for a system and its image: set {} to another directory",
                Setting::TmpDir
            ),
        ),
        _ => Check::ok(NAME, text),
    }
}

fn cache(request: &BuildRequest) -> Check {
    const NAME: &str = "DIB_IMAGE_CACHE";
    let directory = existing(&request.image_cache);
    if let Some(why) = unwritable(directory) {
        return Check::lacks(
            NAME,
            format!("{why} (set DIB_IMAGE_CACHE to another directory)"),
        );
    }
    let place = request.image_cache.display();
    Check::ok(NAME, format!("{place}: {}", shown(free(directory))))
}

/// The path, or the nearest directory above it that exists.
fn existing(path: &Path) -> &Path {
    path.ancestors()
        .find(|path| path.exists())
        .unwrap_or(Path::new("/"))
}

fn unwritable(directory: &Path) -> Option<String> {
    let flags = AccessFlags::W_OK | AccessFlags::X_OK;
    let why = match access(directory, flags) {
        Ok(()) if directory.is_dir() => return None,
        Ok(()) => "not a directory".to_owned(),
        Err(errno) => errno.desc().to_lowercase(),
    };
    Some(format!("cannot write to {}: {why}", directory.display()))
}

fn free(directory: &Path) -> Option<u64> {
    let found = statvfs(directory).ok()?;
    found.blocks_available().checked_mul(found.fragment_size())
}

fn shown(bytes: Option<u64>) -> String {
    match bytes {
        // A figure for people: the nearest double does.
        Some(bytes) => format!("{:.1} GiB free", bytes as f64 / GIB),
        None => "room unknown".to_owned(),
    }
}
