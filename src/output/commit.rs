//! Outputs go from the staging directory to their final names, all or none.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::request::Checksums;

use super::beneath;
use super::checksum;
use super::error::io_error;
use super::Error;

mod side;

pub use side::Side;

/// How long another build may take for its renames. Somebody else, such as a
/// caller's own `flock DIRECTORY disk-image-create`, may hold the lock for ever.
const PATIENCE: Duration = Duration::from_secs(5);

/// A file that goes from the staging directory to its final name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staged {
    /// Its name in the staging directory.
    pub file: String,
    /// Where it goes: absolute, on the same filesystem.
    pub destination: PathBuf,
    /// The destination as messages and checksum files show it: the path as it
    /// was given with `-o`, and the type.
    pub shown: String,
}

/// Everything that becomes visible at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The staging directory.
    pub staging: PathBuf,
    /// The outputs, in the order in which they are announced.
    pub outputs: Vec<Staged>,
    /// Files below `side` that the build is about: they get checksums, too, and
    /// are written out; as upstream's hooks do, they replace older ones.
    pub from_hooks: Vec<Staged>,
    /// What else goes beside the image.
    pub side: Option<Side>,
    /// Checksum files to write for every output, and for `from_hooks`.
    pub checksums: Checksums,
    /// Replace outputs that exist; else they are renamed first.
    pub overwrite: bool,
}

/// Who undoes renames that a killed process has left half done. It is told
/// before each.
pub trait Keeper {
    /// A file is about to get from `to` to `from`, or, if `backup`, a second name
    /// `from` beside `to`.
    fn put_back(&mut self, from: &Path, to: &Path, backup: bool);

    /// All renames are done and stay.
    fn settle(&mut self);

    /// Whether somebody has asked for the end of the build. Asked until the
    /// renames begin, which are all done then: they take no time.
    fn ended(&mut self) -> bool;
}

impl Commit {
    /// Writes checksums, moves old images away, and renames everything into
    /// place (`finish_image`); `say` gets upstream's messages. Upstream renames
    /// and checksums converted images only; here every file format gets both.
    ///
    /// # Errors
    /// What failed, or [`Error::Ended`]; all renames are undone then, and old files
    /// are back.
    pub fn run(&self, keeper: &mut dyn Keeper, say: &mut dyn FnMut(&str)) -> Result<(), Error> {
        let checksums = self.write_checksums(keeper)?;
        for output in self.outputs.iter().chain(&self.from_hooks) {
            go_on(keeper)?;
            let path = self.staging.join(&output.file);
            let file = beneath::open_file(&self.staging, &output.file)?;
            beneath::take_privilege(&self.staging, &output.file)?;
            // Names must not become durable before what they name.
            file.sync_data().map_err(io_error("write out", &path))?;
        }
        // Builds of the same name that end together leave what they would have
        // left one after the other, and no image with another's checksums.
        let _alone = self.lock(keeper, say);
        go_on(keeper)?;
        let mut moves = Moves {
            keeper,
            done: Vec::new(),
            backups: Vec::new(),
        };
        if let Err(error) = self.rename_all(&checksums, &mut moves, say) {
            moves.undo();
            return Err(error);
        }
        moves.keep();
        for output in self.outputs.iter().chain(&self.from_hooks) {
            say(&format!("Image file {} created...", output.shown));
        }
        Ok(())
    }

    /// Keeps other builds from renaming in the outputs' directory, where that works.
    fn lock(&self, keeper: &mut dyn Keeper, say: &mut dyn FnMut(&str)) -> Option<Flock<File>> {
        let directory = self.staging.parent()?;
        let mut file = File::open(directory).ok()?;
        let deadline = Instant::now() + PATIENCE;
        let errno = loop {
            file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(lock) => return Some(lock),
                Err((file, Errno::EWOULDBLOCK)) if Instant::now() < deadline => file,
                Err((_, errno)) => break errno,
            };
            if keeper.ended() {
                return None;
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        say(&format!(
            "WARNING safedib: cannot lock {} ({errno}): going on without",
            directory.display()
        ));
        None
    }

    /// Writes checksum files into the staging directory; they move with the rest.
    fn write_checksums(&self, keeper: &mut dyn Keeper) -> Result<Vec<Staged>, Error> {
        let mut written = Vec::new();
        if self.checksums == Checksums::default() {
            return Ok(written);
        }
        for output in self.outputs.iter().chain(&self.from_hooks) {
            let digests =
                checksum::digests(&self.staging, &output.file, self.checksums, &mut || {
                    keeper.ended()
                })?;
            for (kind, digest) in [("md5", digests.md5), ("sha256", digests.sha256)] {
                let Some(digest) = digest else {
                    continue;
                };
                let file = format!("{}.{kind}", output.file);
                let line = checksum::line(&digest, &output.shown);
                beneath::write_file(&self.staging, &file, line.as_bytes())?;
                written.push(Staged {
                    file,
                    destination: with_suffix(&output.destination, kind),
                    shown: format!("{}.{kind}", output.shown),
                });
            }
        }
        Ok(written)
    }

    fn rename_all(
        &self,
        checksums: &[Staged],
        moves: &mut Moves<'_>,
        say: &mut dyn FnMut(&str),
    ) -> Result<(), Error> {
        if !self.overwrite {
            for output in &self.outputs {
                self.move_old_away(output, moves, say)?;
            }
        }
        let files = self.outputs.iter().chain(&self.from_hooks);
        for staged in files.clone().chain(checksums) {
            moves.replace(&self.staging.join(&staged.file), &staged.destination)?;
        }
        if let Some(side) = &self.side {
            let ours = self.outputs.iter().chain(checksums);
            side.merge(&ours.map(|ours| &ours.destination).collect(), moves)?;
        }
        for directory in files.filter_map(|o| o.destination.parent()) {
            File::open(directory)
                .and_then(|directory| directory.sync_all())
                .map_err(io_error("write out", directory))?;
        }
        Ok(())
    }

    fn move_old_away(
        &self,
        output: &Staged,
        moves: &mut Moves<'_>,
        say: &mut dyn FnMut(&str),
    ) -> Result<(), Error> {
        // As test -f does: through links, regular files only.
        if !output.destination.is_file() {
            return Ok(());
        }
        let mut now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs() as i64);
        let mut stamp = local_stamp(now);
        while old_path(&output.destination, &stamp)
            .symlink_metadata()
            .is_ok()
        {
            now += 1;
            stamp = local_stamp(now);
        }
        let old = old_path(&output.destination, &stamp);
        say(&format!(
            "Old image found. Renaming it to {}",
            old_name(&output.shown, &stamp)
        ));
        moves.rename(&output.destination, &old)?;
        for kind in ["md5", "sha256"] {
            let sum = with_suffix(&output.destination, kind);
            if sum.is_file() {
                moves.rename(&sum, &with_suffix(&old, kind))?;
            }
        }
        Ok(())
    }
}

/// Fails once somebody has asked for the end.
fn go_on(keeper: &mut dyn Keeper) -> Result<(), Error> {
    match keeper.ended() {
        true => Err(Error::Ended),
        false => Ok(()),
    }
}

/// What was renamed, so that it can be undone.
struct Moves<'a> {
    keeper: &'a mut dyn Keeper,
    done: Vec<(PathBuf, PathBuf)>,
    backups: Vec<(PathBuf, PathBuf)>,
}

impl Moves<'_> {
    fn rename(&mut self, from: &Path, to: &Path) -> Result<(), Error> {
        self.keeper.put_back(to, from, false);
        std::fs::rename(from, to).map_err(|source| Error::Rename {
            from: from.into(),
            to: to.into(),
            source,
        })?;
        self.done.push((from.into(), to.into()));
        Ok(())
    }

    /// Renames over what may exist, keeping a second link to it until the end.
    fn replace(&mut self, from: &Path, to: &Path) -> Result<(), Error> {
        let name = to.file_name().unwrap_or_default().to_string_lossy();
        let backup = to.with_file_name(format!(".{name}.{}.old", std::process::id()));
        if to.symlink_metadata().is_ok() && !to.is_dir() {
            self.keeper.put_back(&backup, to, true);
        }
        match std::fs::hard_link(to, &backup) {
            Ok(()) => self.backups.push((to.into(), backup)),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            // A filesystem without hard links, or a file of another user.
            Err(_) if !to.is_dir() => {
                std::fs::rename(to, &backup).map_err(|source| Error::Rename {
                    from: to.into(),
                    to: backup.clone(),
                    source,
                })?;
                self.backups.push((to.into(), backup));
            }
            Err(_) => {}
        }
        self.rename(from, to)
    }

    fn keep(self) {
        self.keeper.settle();
        for (_, backup) in &self.backups {
            // The new file is in place; a second name of the old one is only untidy.
            let _ = std::fs::remove_file(backup);
        }
    }

    fn undo(self) {
        // The first failure is the one to report; each of these is independent.
        for (from, to) in self.done.iter().rev() {
            let _ = std::fs::rename(to, from);
        }
        for (to, backup) in self.backups.iter().rev() {
            let _ = std::fs::rename(backup, to);
        }
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(".");
    name.push(suffix);
    name.into()
}

fn old_path(destination: &Path, stamp: &str) -> PathBuf {
    let name = destination.file_name().unwrap_or_default();
    destination.with_file_name(old_name(&name.to_string_lossy(), stamp))
}

/// `NAME-STAMP.TYPE`: the stamp goes before the last dot.
fn old_name(shown: &str, stamp: &str) -> String {
    match shown.rsplit_once('.') {
        Some((name, kind)) => format!("{name}-{stamp}.{kind}"),
        None => format!("{shown}-{stamp}"),
    }
}

/// `YYYY.MM.DD-HH.MM.SS` in local time.
fn local_stamp(seconds: i64) -> String {
    // SAFETY: `tm` is plain data for which zeros are valid; localtime_r writes
    // into it and keeps no pointer.
    let time = unsafe {
        let mut time: nix::libc::tm = std::mem::zeroed();
        nix::libc::localtime_r(&seconds, &mut time);
        time
    };
    format!(
        "{:04}.{:02}.{:02}-{:02}.{:02}.{:02}",
        time.tm_year + 1900,
        time.tm_mon + 1,
        time.tm_mday,
        time.tm_hour,
        time.tm_min,
        time.tm_sec
    )
}

#[cfg(test)]
mod tests;
