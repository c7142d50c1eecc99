//! The merged hooks tree (upstream `generate_hooks`).

use std::fs::{self, File, FileTimes, Metadata};
use std::io;
use std::os::unix::fs::{symlink, PermissionsExt};
use std::path::{Path, PathBuf};

use super::context::Context;
use super::error::Error;
use crate::plan::HookCopy;

/// Fills the hooks tree, in order.
///
/// `directories` are made even if nothing is copied into them. A copy with an
/// empty `directory` is a file of the first level, which overwrites one of the
/// same name. Everything else goes into a directory of the first level, where
/// a regular file must not be there yet.
///
/// # Errors
/// [`Error::DuplicateHook`] after upstream's message, or what copying gives.
pub(crate) fn merge(
    context: &mut Context,
    directories: &[String],
    copies: &[HookCopy],
) -> Result<(), Error> {
    let hooks = context.hooks();
    fs::create_dir_all(&hooks).map_err(Error::io("create", &hooks))?;
    for name in directories {
        let path = hooks.join(name);
        fs::create_dir_all(&path).map_err(Error::io("create", &path))?;
    }
    let mut element = None;
    for copy in copies {
        if element != Some(&copy.element) {
            context.say(format!("Copying hooks for {}", copy.element))?;
            element = Some(&copy.element);
        }
        let Some(name) = copy.source.file_name() else {
            continue;
        };
        let directory = hooks.join(&copy.directory);
        fs::create_dir_all(&directory).map_err(Error::io("create", &directory))?;
        let destination = directory.join(name);
        let copied = if !copy.directory.is_empty() {
            if destination.is_file() {
                return Err(duplicate(context, copy)?);
            }
            context.say(format!("Copying hooks {}", copy.source.display()))?;
            copy_tree(&copy.source, &destination)
        } else {
            copy_tree(&copy.source, &destination)
        };
        copied.map_err(Error::io("copy", &copy.source))?;
    }
    Ok(())
}

fn duplicate(context: &mut Context, copy: &HookCopy) -> Result<Error, Error> {
    let name = copy.source.file_name().unwrap_or_default();
    let path = Path::new(&copy.directory).join(name);
    context.say(format!(
        "There is a duplicated hook in your elements: /{}",
        path.display()
    ))?;
    Ok(Error::DuplicateHook(path))
}

/// Writes a file of the engine's own into the hooks tree.
///
/// # Errors
/// Whatever the filesystem gives.
pub(crate) fn write_file(context: &mut Context, path: &Path, contents: &str) -> Result<(), Error> {
    write(context.hooks().join(path), contents)
}

/// Writes a file of the engine's own below `TMP_BUILD_DIR`.
///
/// # Errors
/// Whatever the filesystem gives.
pub(crate) fn write_build_file(
    context: &mut Context,
    path: &Path,
    contents: &str,
) -> Result<(), Error> {
    write(context.build_dir.join(path), contents)
}

fn write(path: PathBuf, contents: &str) -> Result<(), Error> {
    let parent = path.parent().unwrap_or(&path);
    fs::create_dir_all(parent)
        .and_then(|()| fs::write(&path, contents))
        .map_err(Error::io("write", &path))
}

/// `cp -a` as an ordinary user has it: modes, times and links are kept, owners
/// are not; directories are merged, files replaced.
fn copy_tree(source: &Path, destination: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(source)?;
    if metadata.is_dir() {
        return copy_directory(source, destination, &metadata);
    }
    match fs::symlink_metadata(destination) {
        Ok(there) if there.is_dir() => {
            let text = format!("{} is a directory there", destination.display());
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
        }
        Ok(_) => fs::remove_file(destination)?,
        Err(_) => {}
    }
    if metadata.is_symlink() {
        return symlink(fs::read_link(source)?, destination);
    }
    fs::copy(source, destination)?;
    keep_times(destination, &metadata)
}

fn copy_directory(source: &Path, destination: &Path, metadata: &Metadata) -> io::Result<()> {
    if !destination.is_dir() {
        fs::create_dir(destination)?;
    }
    for entry in fs::read_dir(source)? {
        let entry = entry?;
        copy_tree(&entry.path(), &destination.join(entry.file_name()))?;
    }
    let mode = metadata.permissions().mode();
    fs::set_permissions(destination, PermissionsExt::from_mode(mode & 0o7777))?;
    keep_times(destination, metadata)
}

fn keep_times(path: &Path, metadata: &Metadata) -> io::Result<()> {
    let times = FileTimes::new()
        .set_accessed(metadata.accessed()?)
        .set_modified(metadata.modified()?);
    File::open(path)?.set_times(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_are_copied_and_merged_as_cp_does() {
        let temporary = tempfile::tempdir().unwrap();
        let (a, b) = (temporary.path().join("a"), temporary.path().join("b"));
        for root in [&a, &b] {
            fs::create_dir_all(root.join("sub/deep")).unwrap();
        }
        fs::write(a.join("sub/f"), "new").unwrap();
        fs::set_permissions(a.join("sub/f"), PermissionsExt::from_mode(0o750)).unwrap();
        symlink("f", a.join("sub/link")).unwrap();
        fs::write(b.join("sub/f"), "old").unwrap();
        fs::write(b.join("sub/kept"), "kept").unwrap();
        fs::write(b.join("sub/link"), "file").unwrap();
        copy_tree(&a.join("sub"), &b.join("sub")).unwrap();
        let copied = fs::metadata(b.join("sub/f")).unwrap();
        assert_eq!(copied.permissions().mode() & 0o7777, 0o750);
        let original = fs::metadata(a.join("sub/f")).unwrap();
        assert_eq!(copied.modified().unwrap(), original.modified().unwrap());
        assert_eq!(fs::read(b.join("sub/f")).unwrap(), b"new");
        assert_eq!(fs::read(b.join("sub/kept")).unwrap(), b"kept");
        assert_eq!(fs::read_link(b.join("sub/link")).unwrap(), Path::new("f"));
        assert!(copy_tree(&a.join("sub/f"), &b.join("sub/deep")).is_err());
    }
}
