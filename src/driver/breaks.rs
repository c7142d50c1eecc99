//! What a debug break leaves for the caller.

use std::fs;
use std::io;
use std::path::Path;

use crate::appliance::Scratch;
use crate::output::beneath::is_directory;
use crate::protocol::BREAK_DIR;
use crate::report::LogWriter;

/// Brings what `break_cmd` has made in the caller's directories there, from
/// below `staging`; it replaces nothing.
pub(super) fn bring(
    directories: impl Iterator<Item = Scratch>,
    staging: &Path,
    log: &mut LogWriter,
) {
    let places = staging.join(BREAK_DIR);
    // Without such a break neither is there; hooks could put links there.
    let is_own = |place: &Path| is_directory(place).unwrap_or(false);
    if !is_own(&places) {
        return;
    }
    for (number, directory) in directories.enumerate() {
        let place = places.join(number.to_string());
        if !is_own(&place) {
            continue;
        }
        for entry in fs::read_dir(&place).into_iter().flatten().flatten() {
            let to = directory.path.join(entry.file_name());
            let moved = match to.symlink_metadata() {
                Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
                Err(_) => fs::rename(entry.path(), &to),
            };
            log.say(&match moved {
                Ok(()) => format!("break_cmd has left {}", to.display()),
                Err(error) => format!("Cannot bring out {} of break_cmd: {error}", to.display()),
            });
        }
    }
}
