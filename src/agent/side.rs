//! Files that hooks wrote beside the image: manifests, kernels, ramdisks.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File, FileTimes};
use std::io;
use std::os::unix::fs::{lchown, symlink, PermissionsExt};
use std::path::{Path, PathBuf};

use super::context::Context;
use super::error::Error;
use crate::output::commit::Side;
use crate::protocol::BREAK_DIR;

/// Brings what is in `directory` under a name that begins with `name` and `.`
/// or `-` to `side/` in the output directory, owned by root, which is the
/// caller outside. `directory` holds only what hooks wrote. All but the
/// directory `into` goes into that one.
///
/// # Errors
/// Whatever the filesystem gives.
pub(crate) fn collect(
    context: &mut Context,
    directory: &Path,
    name: &str,
    except: &[String],
    into: Option<&str>,
) -> Result<(), Error> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(Error::io("read", directory))?,
    };
    let side = context.output_dir.join("side");
    for entry in entries {
        let entry = entry.map_err(Error::io("read", directory))?;
        let file_name = entry.file_name();
        if !Side::takes(name, &file_name.to_string_lossy(), except) {
            continue;
        }
        let place = match into {
            Some(into) if file_name != into => side.join(into),
            _ => side.clone(),
        };
        fs::create_dir_all(&place).map_err(Error::io("create", &place))?;
        let skipped = bring(&entry.path(), &place.join(&file_name))
            .map_err(Error::io("bring out", entry.path()))?;
        for path in skipped {
            context.say(format!("Not bringing {path} out: it is a special file"))?;
        }
    }
    Ok(())
}

/// The names in each directory; none in one that is not there.
///
/// # Errors
/// Whatever the filesystem gives.
pub(crate) fn listings(directories: &[PathBuf]) -> Result<Vec<BTreeSet<OsString>>, Error> {
    let names = |directory: &PathBuf| match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeSet::new()),
        Err(error) => Err(error),
        Ok(entries) => entries.map(|entry| Ok(entry?.file_name())).collect(),
    };
    directories
        .iter()
        .map(|directory| names(directory).map_err(Error::io("read", directory)))
        .collect()
}

/// Brings what has come into the caller's directories since they held `before`
/// to [`BREAK_DIR`] in the output directory, each to a directory of its number.
///
/// # Errors
/// Whatever the filesystem gives.
pub(crate) fn bring_new(context: &mut Context, before: &[BTreeSet<OsString>]) -> Result<(), Error> {
    let directories = context.scratch.clone();
    let now = listings(&directories)?;
    for (number, (directory, (now, before))) in
        directories.iter().zip(now.iter().zip(before)).enumerate()
    {
        let place = context.output_dir.join(BREAK_DIR).join(number.to_string());
        for name in now.difference(before) {
            fs::create_dir_all(&place).map_err(Error::io("create", &place))?;
            let from = directory.join(name);
            bring(&from, &place.join(name)).map_err(Error::io("bring out", &from))?;
        }
    }
    Ok(())
}

/// Copies a file, link or directory; returns what is none of them.
fn bring(from: &Path, to: &Path) -> io::Result<Vec<String>> {
    let metadata = fs::symlink_metadata(from)?;
    let mut skipped = Vec::new();
    if metadata.is_symlink() {
        symlink(fs::read_link(from)?, to)?;
    } else if metadata.is_file() {
        // the copy of a file that may be the image's size shares its blocks where it can
        fs::copy(from, to)?;
    } else if metadata.is_dir() {
        // What goes into a directory may have come before the directory's own content.
        if !to.is_dir() {
            fs::create_dir(to)?;
        }
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            skipped.extend(bring(&entry.path(), &to.join(entry.file_name()))?);
        }
        let mode = metadata.permissions().mode() & 0o7777;
        fs::set_permissions(to, PermissionsExt::from_mode(mode))?;
    } else {
        return Ok(vec![from.display().to_string()]);
    }
    lchown(to, Some(0), Some(0))?;
    if !metadata.is_symlink() {
        let times = FileTimes::new().set_modified(metadata.modified()?);
        File::open(to)?.set_times(times)?;
    }
    Ok(skipped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_the_image_belong_to_it() {
        let except = ["img.qcow2".to_owned()];
        for (file, expected) in [
            ("img.d", true),
            ("img-kernel", true),
            ("img.qcow2", false),
            ("img.qcow2.md5", true),
            ("img", false),
            ("image.d", false),
            ("other", false),
        ] {
            assert_eq!(Side::takes("img", file, &except), expected, "{file}");
        }
    }
}
